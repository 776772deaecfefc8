# SPDX-License-Identifier: Apache-2.0
"""Where capsules lie: bytes by digest, whole or not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Digest

__all__ = ["Blobs", "FileBlobs"]

_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Blobs(Protocol):
    """A store of capsule files. Writers are serialised by the vault's lock."""

    def put(self, name: Digest, pieces: Iterable[bytes]) -> None:
        """Keep ``pieces`` under ``name``, durably when this returns; replaces what was there.

        If ``pieces`` raises, or the disk does (:class:`UnavailableError`), nothing is changed.
        """
        ...

    def path(self, name: Digest) -> Path:
        """The file; :class:`InputError` if there is none."""
        ...

    def has(self, name: Digest) -> bool:
        """True if there is a blob of that name."""
        ...

    def remove(self, name: Digest) -> None:
        """Destroy a blob, durably when this returns; a missing one is fine."""
        ...

    def names(self) -> Iterator[Digest]:
        """Every blob, in no order."""
        ...

    def tidy(self) -> int:
        """Remove what writers that died left behind; how many files that were."""
        ...


class FileBlobs:
    """Files in folders: ``blobs/ab/abcd...``, 256 folders so that none grows too long."""

    def __init__(self, root: Path) -> None:
        """``root``: made if missing."""
        self._root = durable.folder(root, 0o700)

    def _place(self, name: Digest) -> Path:
        return self._root / name[:2] / name

    def put(self, name: Digest, pieces: Iterable[bytes]) -> None:
        """Keep ``pieces`` under ``name``, durably when this returns, or change nothing."""
        place = self._place(name)
        durable.folder(place.parent, 0o700)
        with durable.atomic(place, mode=0o600) as file:
            for piece in pieces:
                file.write(piece)

    def path(self, name: Digest) -> Path:
        """The file; :class:`InputError` if there is none."""
        if not self.has(name):
            raise InputError(f"no capsule {name} is kept here")
        return self._place(name)

    def has(self, name: Digest) -> bool:
        """True if there is a blob of that name."""
        return self._place(name).is_file()

    def remove(self, name: Digest) -> None:
        """Unlink the blob and sync its folder; a missing one is fine."""
        durable.remove(self._place(name))

    def names(self) -> Iterator[Digest]:
        """Every blob, by folder."""
        for place in sorted(self._root.glob("??/*")):
            if _NAME.fullmatch(place.name):
                yield Digest(place.name)

    def tidy(self) -> int:
        """Remove temporary files of writers that died. Only under the vault's lock."""
        left = list(self._root.glob("??/.*.tmp"))
        for place in left:
            durable.remove(place)
        return len(left)
