# SPDX-License-Identifier: Apache-2.0
"""``[database]`` of a vault: the PostgreSQL that vaults share, instead of a file of one's own.

A password belongs into a file of its own, that only its owner may read: libpq's ``pgpass``
(``host:port:database:user:password``), as ``passfile`` in this table or ``~/.pgpass``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from incamera.errors import InputError
from incamera.service.toml import Table

if TYPE_CHECKING:
    from incamera.vault import Index

__all__ = ["DatabaseSettings"]

_MOST = 100


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the catalogue is."""

    url: str
    connections: int  # at most, at a time

    @classmethod
    def take(cls, table: Table) -> DatabaseSettings | None:
        """From ``[database]`` of a vault's file; None if it has none."""
        database = table.optional_table("database")
        if not database.names():
            return None
        url, where = database.text("url"), database.where("url")
        parts = urlsplit(url)
        if parts.scheme != "postgresql" or not parts.hostname or parts.path in ("", "/"):
            raise InputError(
                f"{where}: not a database", hint='for example "postgresql://vault@db.example/eu"'
            )
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise InputError(
                f"{where}: holds a password", hint="put it into a pgpass file, see 'passfile'"
            )
        passfile = database.optional_file("passfile")
        if passfile is not None:
            _check_private(passfile)
            url += ("&" if parts.query else "?") + f"passfile={quote(str(passfile), safe='/')}"
        found = cls(url=url, connections=database.number("connections", 8, 2, _MOST))
        database.done()
        return found

    def open(self) -> Index:
        """The tables, brought up to date; errors as :class:`PostgresIndex` raises them."""
        from incamera.vault.postgres import PostgresIndex

        return PostgresIndex(self.url, connections=self.connections)


def _check_private(file: Path) -> None:
    if (mode := file.stat().st_mode & 0o777) & 0o077:
        raise InputError(
            f"{file}: other users may read this password (mode {mode:04o})",
            hint=f"chmod 600 {file}; if others may have read it, choose a new one",
        )
