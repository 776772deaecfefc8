# SPDX-License-Identifier: Apache-2.0
"""Logs and witnesses behind HTTP: their public files, and C2SP tlog-witness as a client."""

from __future__ import annotations

import re
from pathlib import Path

from incamera.errors import InputError
from incamera.tlog import merkle, tile
from incamera.wire import Client

__all__ = ["HttpFetch", "HttpWitness"]

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_NOTE = 1 << 20
_OTHER = 1 << 23  # a list of 100,000 capsules has 6.5 MB


class HttpFetch:
    """A log's public files, by URL: what :class:`incamera.tlog.FolderFetch` is to a folder.

    For any number of threads. A file that is not there is a
    :class:`incamera.wire.MissingError`; a log that does not answer is another
    :class:`UnavailableError`.
    """

    def __init__(
        self, url: str, *, ca: Path | None = None, seconds: float = 30.0, attempts: int = 3
    ) -> None:
        """``url``: the log's prefix; the rest as for :class:`incamera.wire.Client`."""
        self._client = Client(url, ca=ca, seconds=seconds, attempts=attempts)

    @property
    def url(self) -> str:
        """The prefix, without a slash at its end."""
        return self._client.url

    def __call__(self, path: str) -> bytes:
        """The file at ``path`` below the prefix, no longer than its kind can be."""
        if not all(_PART.fullmatch(part) for part in path.split("/")):
            raise InputError(f"not a path below the log's prefix: {path!r:.80}")
        return self._client.get(path, limit=_longest(path))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _longest(path: str) -> int:
    name = tile.parse_path(path)
    if name is None:
        return _NOTE if path.rsplit("/", 1)[-1] in ("checkpoint", "tlog-policy") else _OTHER
    if name.level == tile.ENTRIES:
        return name.width * (2 + tile.MAX_ENTRY)
    return name.width * merkle.HASH


class HttpWitness:
    """A witness behind HTTP, of ours or of others."""

    def __init__(self, url: str, *, ca: Path | None = None, seconds: float = 5.0) -> None:
        """``url``: the submission prefix; ``seconds`` it has to answer."""
        self._client = Client(url, ca=ca, seconds=seconds, attempts=1)

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """HTTP status and body; UnavailableError where it does not answer."""
        answer = self._client.ask(
            "POST", "add-checkpoint", body, limit=_NOTE, kind="application/octet-stream"
        )
        return answer.status, answer.body

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
