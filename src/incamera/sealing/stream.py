# SPDX-License-Identifier: Apache-2.0
"""A long stream at the speed of the disk: hashing and writing go on behind the one who reads.

A capsule's three costs are SHA-256, writing and ciphering, in that order, and the first two leave
the interpreter to others while they work. So each has a thread, and a few pieces may wait for it:
memory is flat, and an error in a thread comes out at the caller's next call, or on leaving.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, BinaryIO, Self

__all__ = ["PIECE", "ROOM", "Behind", "BlockWriter"]

PIECE = 1 << 18
"""Bytes to read at once."""

ROOM = 2 * PIECE
"""Bytes that a piece, read and ciphered, takes at most."""

_PAGE = 4096
_BLOCK = 2 << 20
_DEPTH = 3
_LARGE = 64 << 20  # of smaller files the page cache is a help: they are sent on right away


class Behind:
    """A thread that does one thing after another, at most ``depth`` things behind its caller."""

    def __init__(self, depth: int = _DEPTH) -> None:
        self._pool: ThreadPoolExecutor | None = None  # a short stream never needs it
        self._due: deque[Future[Any]] = deque()
        self._depth = depth

    def do(self, act: Callable[..., object], *args: object) -> None:
        """Have ``act(*args)`` done; on return less than ``depth`` older things are undone."""
        if len(self._due) == self._depth:
            self._due.popleft().result()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "behind")
        self._due.append(self._pool.submit(act, *args))

    def finish(self) -> None:
        """Return when all is done; raises what the first thing to fail raised."""
        while self._due:
            self._due.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            # Waits for what has begun: no thread touches a buffer or file after this.
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)


class BlockWriter:
    """Writes a stream to ``file`` from ``offset`` on, in a thread of its own; there the file ends.

    ``length``: about how many bytes will come. A large stream goes to the disk in whole blocks
    past the page cache (``O_DIRECT``), where the file system can: that spares copying all of it,
    pushes nothing else out of memory, and leaves nothing for the fsync to wait for. Room for it
    is claimed first, so a full disk is found at once. What lies between ``offset`` and the page
    it is in is written as zeros: write before it later. :class:`OSError` if the disk fails.
    """

    def __init__(
        self,
        file: BinaryIO,
        offset: int,
        length: int,
        watch: Callable[[memoryview], object] | None = None,
    ) -> None:
        """``watch`` is given the stream in order, in another thread, and done when the writer is.

        It must keep nothing of what it is given.
        """
        file.flush()
        self._file, self._watch = file, watch
        self._writing, self._watching = Behind(), Behind()
        # INVARIANT: a block is filled again only after it was written and watched: `do` leaves
        # at most _DEPTH blocks undone, and there is one block more.
        self._blocks = [memoryview(mmap.mmap(-1, _BLOCK + ROOM)) for _ in range(_DEPTH + 1)]
        self._turn, self._fill = 0, offset % _PAGE
        self._position, self._begin = offset - self._fill, self._fill
        self._direct = _claim(file.fileno(), offset + length)

    def room(self) -> memoryview:
        """Where the next bytes belong, for at least :data:`ROOM` of them; then :meth:`add`."""
        return self._blocks[self._turn][self._fill :]

    def add(self, count: int) -> None:
        """``count`` bytes were put into :meth:`room`."""
        self._fill += count
        if self._fill < _BLOCK:
            return
        block = self._blocks[self._turn]
        self._writing.do(self._put, block[:_BLOCK], self._position)
        if self._watch:
            self._watching.do(self._watch, block[self._begin : _BLOCK])
        self._turn = (self._turn + 1) % len(self._blocks)
        self._fill -= _BLOCK
        self._blocks[self._turn][: self._fill] = block[_BLOCK : _BLOCK + self._fill]
        self._position, self._begin = self._position + _BLOCK, 0

    def write(self, data: bytes) -> None:
        """Add ``data``, at most :data:`ROOM` bytes."""
        self.room()[: len(data)] = data
        self.add(len(data))

    def _put(self, data: memoryview, position: int) -> None:
        while data:
            try:
                done = os.pwrite(self._file.fileno(), data, position)
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                self._through_the_cache()  # a disk that wants larger pages than ours
                continue
            position, data = position + done, data[done:]
            if done % _PAGE:  # a disk with little room left takes a part
                self._through_the_cache()

    def _through_the_cache(self) -> None:
        if self._direct:
            _switch(self._file.fileno(), direct=False)
            self._direct = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        try:
            self._writing.__exit__(kind, error, trace)
        finally:
            self._watching.__exit__(kind, error, trace)
        if kind is None:
            rest = self._blocks[self._turn][: self._fill]
            if self._watch:
                self._watch(rest[self._begin :])
            self._through_the_cache()  # the last block is no whole one
            self._put(rest, self._position)
            self._file.truncate(self._position + self._fill)


def _claim(descriptor: int, size: int) -> bool:
    """Claim ``size`` bytes of disk and go past the page cache; False where there is no such way."""
    if sys.platform != "linux" or size < _LARGE:
        return False
    try:
        _switch(descriptor, direct=True)
    except OSError:
        return False
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:  # the file system knows no such
            raise
    return True


def _switch(descriptor: int, *, direct: bool) -> None:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | (os.O_DIRECT if direct else 0))
