# SPDX-License-Identifier: Apache-2.0
"""How a reader gets the public files of a log: one call, a relative path in, bytes out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from incamera.errors import InputError, UnavailableError

__all__ = ["Fetch", "FolderFetch"]


class Fetch(Protocol):
    """Gets one public file, wherever the log is served from."""

    def __call__(self, path: str) -> bytes:
        """The bytes at ``path`` (relative, ``/`` between parts); UnavailableError if missing."""
        ...


class FolderFetch:
    """Reads from a folder that is laid out as the log is served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, path: str) -> bytes:
        """The file at ``path`` below the folder."""
        parts = path.split("/")
        if not all(parts) or any(part in (".", "..") for part in parts):
            raise InputError(f"not a path below the log's folder: {path!r:.80}")
        place = self.folder.joinpath(*parts)
        try:
            if place.exists() and not place.is_file():  # a pipe would wait for ever
                raise UnavailableError(f"{place}: not a file")
            return place.read_bytes()
        except OSError as error:
            raise UnavailableError(f"{place}: cannot read: {error.strerror}") from error
