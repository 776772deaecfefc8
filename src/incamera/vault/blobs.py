# SPDX-License-Identifier: Apache-2.0
"""Where capsules lie: bytes by digest, whole or not there.

:class:`FileBlobs` keeps them in a folder, :class:`incamera.vault.s3.S3Blobs` in a bucket. Any
number of processes may share one store: a name says what its bytes are, so whoever writes a name
twice writes the same. Who may write, and that erasure wins, is the vault's to see to.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from incamera import durable
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest

__all__ = ["Blobs", "FileBlobs"]

_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PIECE = 1 << 20


class Blobs(Protocol):
    """A store of capsule files. :class:`UnavailableError` when disk or bucket cannot be used."""

    def put(self, name: Digest, pieces: Iterable[bytes]) -> None:
        """Keep ``pieces`` under ``name``, durably when this returns; replaces what was there.

        If ``pieces`` raises, or the store does (:class:`UnavailableError`), nothing is changed.
        """
        ...

    def put_all(self, items: Sequence[tuple[Digest, Iterable[bytes]]]) -> list[Error | None]:
        """As :meth:`put` for each item, in about the time that one takes; no name twice.

        For each, in order: None if it is durable, or what :meth:`put` would have raised. Pieces
        of different items are asked for in different threads.
        """
        ...

    def local(self, name: Digest) -> AbstractContextManager[Path]:
        """The blob as a file to read, for as long as the context lasts.

        :class:`InputError` if there is none.
        """
        ...

    def pieces(self, name: Digest, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive; None: the last), in pieces, as a slice has them.

        :class:`InputError`, before the first piece, if there is no such blob. Whoever sends them
        on has asked :meth:`size`, and must notice when they end early.
        """
        ...

    def size(self, name: Digest) -> int:
        """Its length in bytes; :class:`InputError` if there is none."""
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
        """Remove what writers that died left behind; how many files that were.

        Only while nobody writes.
        """
        ...

    def tidy_old(self, before: int, part: int) -> int:
        """As :meth:`tidy`, of what was written to last before ``before`` (POSIX seconds).

        At any time, with any number of writers. ``part``: 0 to 255, of the whole.
        """
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

    def put_all(self, items: Sequence[tuple[Digest, Iterable[bytes]]]) -> list[Error | None]:
        """As :meth:`put` for each, synced several at a time; an error by item."""
        for first in {name[:2] for name, _ in items}:
            durable.folder(self._root / first, 0o700)
        files = [(self._place(name), pieces) for name, pieces in items]
        return durable.write_all(files, mode=0o600)

    def path(self, name: Digest) -> Path:
        """The file; :class:`InputError` if there is none."""
        if not self.has(name):
            raise InputError(f"no capsule {name} is kept here")
        return self._place(name)

    @contextlib.contextmanager
    def local(self, name: Digest) -> Iterator[Path]:
        """The file itself; :class:`InputError` if there is none."""
        self.size(name)
        yield self._place(name)

    def pieces(self, name: Digest, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``end``, a MiB at a time; :class:`InputError` if there is no blob."""
        place, left = self._place(name), self.size(name)
        left = max(0, (left if end is None else min(end, left)) - start)

        def read() -> Iterator[bytes]:
            nonlocal left
            try:
                with place.open("rb") as file:
                    file.seek(start)
                    while left and (piece := file.read(min(_PIECE, left))):
                        left -= len(piece)
                        yield piece
            except OSError as error:
                raise UnavailableError(f"{place}: cannot read: {error.strerror}") from error

        return read()

    def size(self, name: Digest) -> int:
        """Its length in bytes; :class:`InputError` if there is none."""
        try:
            return self._place(name).stat().st_size
        except FileNotFoundError as error:
            raise InputError(f"no capsule {name} is kept here") from error
        except OSError as error:
            where = self._place(name)
            raise UnavailableError(f"{where}: cannot read: {error.strerror}") from error

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
        """Remove temporary files of writers that died. Only while nobody writes."""
        left = list(self._root.glob("??/.*.tmp"))
        for place in left:
            durable.remove(place)
        return len(left)

    def tidy_old(self, before: int, part: int) -> int:
        """Remove temporary files that nobody has written to since ``before``.

        Their names are never used twice. One whose writer lives after all (a clock that jumped) is
        missed when it is to be named: that capsule is answered 503 and comes again.
        """
        left = [each for each in self._root.glob(f"{part:02x}/.*.tmp") if _is_older(each, before)]
        for place in left:
            durable.remove(place)
        return len(left)


def _is_older(place: Path, before: int) -> bool:
    try:
        return place.stat().st_mtime < before
    except OSError:  # it has its name by now
        return False
