# SPDX-License-Identifier: Apache-2.0
"""``[queue]`` of a log and of its vaults: the NATS JetStream by which entries go to the log."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from incamera.errors import InputError
from incamera.service.toml import Table

__all__ = ["QueueSettings"]


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Where the queue is, and what opens it."""

    urls: tuple[str, ...]
    secret: str | None  # the NATS token
    ca: Path | None

    @classmethod
    def take(cls, table: Table) -> QueueSettings | None:
        """From ``url`` (one or a list), ``token`` (file) and ``ca`` of ``[queue]``, if any."""
        queue = table.optional_table("queue")
        if not queue.names():
            return None
        urls = tuple(queue.one_or_more("url"))
        for url in urls:
            _check(url, queue.where("url"))
        token = queue.optional_file("token")
        found = cls(urls, None if token is None else _secret(token), queue.optional_file("ca"))
        queue.done()
        return found

    def __repr__(self) -> str:
        return f"QueueSettings(urls={self.urls!r})"


def _check(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("nats", "tls") and parts.hostname and parts.username is None
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"{where}: not the URL of a NATS server: {url!r:.200}",
            hint='for example "nats://127.0.0.1:4222"; what opens it goes into a file: token',
        )


def _secret(path: Path) -> str:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InputError(
            f"{path}: other users may read this token (mode {mode:04o})", hint=f"chmod 600 {path}"
        )
    line = path.read_text("utf-8", errors="replace").strip()
    if not line or not line.isascii() or not line.isprintable():
        raise InputError(f"{path}: not a token: one line of printable characters")
    return line
