# SPDX-License-Identifier: Apache-2.0
"""The URL of a PostgreSQL in a party's file: ``[database]`` of a vault, ``[leader]`` of a log.

A password belongs into a file of its own, that only its owner may read: libpq's ``pgpass``
(``host:port:database:user:password``), as ``passfile`` in the same table or ``~/.pgpass``.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from incamera.errors import InputError
from incamera.service.toml import Table

__all__ = ["take_postgres"]


def take_postgres(table: Table, key: str) -> str:
    """The URL under ``key``, with the table's ``passfile`` in it, if there is one.

    :class:`InputError` if it names no database, holds a password, or others may read the file.
    """
    url, where = table.text(key), table.where(key)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("postgresql", "postgres") or parts.path in ("", "/"):
        raise InputError(
            f"{where}: not a database", hint='for example "postgresql://incamera@db.example/eu"'
        )
    if parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True):
        raise InputError(
            f"{where}: holds a password", hint="put it into a pgpass file, see 'passfile'"
        )
    passfile = table.optional_file("passfile")
    if passfile is None:
        return url
    _check_private(passfile)
    return f"{url}{'&' if parts.query else '?'}passfile={quote(str(passfile), safe='/')}"


def _check_private(file: Path) -> None:
    if (mode := file.stat().st_mode & 0o777) & 0o077:
        raise InputError(
            f"{file}: other users may read this password (mode {mode:04o})",
            hint=f"chmod 600 {file}; if others may have read it, choose a new one",
        )
