# SPDX-License-Identifier: Apache-2.0
"""Files that survive a power cut. Nothing else in incamera renames or syncs.

The order of system calls for :func:`write`, and why each is there:

1. ``open(tmp, O_CREAT|O_EXCL)`` in the same folder, so that the rename stays in one file system;
2. ``write`` all, ``fsync(tmp)``: the bytes are on disk before any name points at them;
3. ``rename(tmp, path)``: readers see the old file or the new one, never a part;
4. ``fsync(folder)``: the name itself is on disk. Only now may the caller acknowledge.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import glob
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from incamera.errors import Error, IntegrityError, UnavailableError

__all__ = [
    "append",
    "atomic",
    "create",
    "create_all",
    "folder",
    "lock",
    "move",
    "remove",
    "shred",
    "supersede",
    "sweep",
    "together",
    "write",
    "write_all",
]


P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = 8
"""Files synced at the same time: a journalling file system commits them together."""
_HELD = 1 << 20  # bytes gathered before they are written
_OPEN = 64  # files at a time that are written and not closed yet


_this = threading.local()
"""``_this.together``: True in a thread that is within :func:`together`."""


def _sync(descriptor: int) -> None:
    if not getattr(_this, "together", False):
        os.fsync(descriptor)


def _sync_path(path: Path) -> None:
    with _disk(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def together(*paths: Path) -> Iterator[None]:
    """Sync what this thread writes within at the end: all of ``paths``, with what is below them.

    A wait for the disk at each small file takes a hundred times as long. After a power cut within
    the block, what has a name may be torn or empty: so only for what nobody is told of, and what
    its maker makes again, until the block has ended. Of ``paths`` those that exist then count.
    """
    _this.together = True
    try:
        yield
    finally:
        _this.together = False
    there = [path for path in paths if path.exists()]
    below = [each for path in there if path.is_dir() for each in path.rglob("*")]
    above = dict.fromkeys(path.parent for path in there)
    for places in ([*there, *below], above):
        with ThreadPoolExecutor(_AT_ONCE, "sync") as pool:
            list(pool.map(_sync_path, places))


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn the errors of a disk into ours; what was not renamed yet is as if never written."""
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOSPC: "make room on that disk and run the same command again",
            errno.EDQUOT: "make room in the quota and run the same command again",
            errno.EROFS: "the file system is read-only: mount it writable, or name another folder",
            errno.EACCES: "give this user the right to write there, or name another folder",
        }.get(error.errno or 0, "see to that disk or its limits, then run the same command again")
        raise UnavailableError(f"{path}: cannot write: {error.strerror}", hint=hint) from error


def folder(path: Path, mode: int = 0o755) -> Path:
    """Make ``path`` and its parents, durably. Existing folders are left as they are."""
    with _disk(path):
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for part in reversed(missing):
            part.mkdir(mode=mode, exist_ok=True)
            _sync_folder(part.parent)
    return path


@contextlib.contextmanager
def atomic(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that appears at ``path`` whole, on a clean exit, or not at all."""
    temporary = _temporary(path)
    with _disk(path):
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                _sync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def sweep(path: Path) -> None:
    """Remove what killed processes left of their :func:`atomic` writes to ``path``.

    Only for one who keeps other writers of ``path`` away by a lock.
    """
    with _disk(path):
        digits = "[0-9a-f]" * 8
        for left in path.parent.glob(f".{glob.escape(path.name[:100])}.{digits}.tmp"):
            left.unlink(missing_ok=True)


def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path``, durably, replacing what was there."""
    with atomic(path, mode=mode) as file:
        file.write(data)


def create(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path`` once. The same bytes again are fine; other bytes are refused.

    For files that are never to change (tiles, capsules): overwriting one with other bytes is how
    logs have died (FiloSottile/sunlight#11).
    """
    if path.exists():
        if path.read_bytes() != data:
            raise IntegrityError(f"{path}: exists already with other bytes and must never change")
        _sync_folder(path.parent)
        return
    folder(path.parent)
    write(path, data, mode=mode)


def create_all(files: Sequence[tuple[Path, bytes]], *, mode: int = 0o644) -> None:
    """As :func:`create` for each of ``files``, in about the time that one takes.

    All are written and synced, several at a time, before the first gets its name; then each
    folder is synced once. A crash leaves some of them, each whole.
    """
    new = []
    for path, data in files:
        if not path.exists():
            folder(path.parent)
            new.append((path, data))
        elif path.read_bytes() != data:
            raise IntegrityError(f"{path}: exists already with other bytes and must never change")
    folders = dict.fromkeys(path.parent for path, _ in files)
    staged = [(_temporary(path), path, [data]) for path, data in new]
    writes = [_pool().submit(_stage, *one, mode) for one in staged]
    try:
        for each in writes:
            each.result()
        for temporary, path, _ in staged:
            with _disk(path):
                temporary.replace(path)
    except BaseException:
        wait(writes)
        for temporary, _, _ in staged:
            temporary.unlink(missing_ok=True)
        raise
    for path, sync in [(path, _pool().submit(_sync_folder, path)) for path in folders]:
        with _disk(path):
            sync.result()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")


def _stage(temporary: Path, path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """``pieces`` on disk, without their name yet."""
    begun = _begin(temporary, path, pieces, mode)
    begun.finish()


class _Begun:
    """A file without a name, of which a beginning is written."""

    def __init__(self, path: Path, descriptor: int, rest: Iterator[bytes]) -> None:
        self._path, self._descriptor, self._rest = path, descriptor, rest

    def finish(self) -> None:
        """Write the rest, sync, close."""
        with _disk(self._path):
            try:
                for piece in self._rest:
                    _write_out(self._descriptor, piece)
                os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)


def _begin(temporary: Path, path: Path, pieces: Iterable[bytes], mode: int) -> _Begun:
    """What is short is written here, in one go; of what is long, the first MiB."""
    with _disk(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            gathered = _gathered(pieces)
            _write_out(descriptor, next(gathered, b""))
        except BaseException:
            os.close(descriptor)
            raise
    return _Begun(path, descriptor, gathered)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, some :data:`_HELD` at a time."""
    held, size = list[bytes](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _HELD:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _write_out(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:  # a full disk takes a part without a word
        left = left[os.write(descriptor, left) :]


def write_all(
    files: Sequence[tuple[Path, Iterable[bytes]]], *, mode: int = 0o644
) -> list[Error | None]:
    """Put each of ``files`` (a path, what it is to hold), replacing what was there; as one batch.

    For each, in order: None if it is on disk under its name, or why not; then what was there is
    there (but for a folder that cannot be synced: then nobody knows until it is written again).
    What a source raises of its own is its file's error; the others go on. The folders must exist.
    It takes about the time that one takes: all are written, then synced, several at a time, then
    named, then each folder is synced once.
    """
    done: list[Error | None] = []
    for first in range(0, len(files), _OPEN):
        done += _write_some(files[first : first + _OPEN], mode)
    return done


def _write_some(files: Sequence[tuple[Path, Iterable[bytes]]], mode: int) -> list[Error | None]:
    places = [(_temporary(path), path) for path, _ in files]
    nameless = {temporary for temporary, _ in places}
    begun: list[_Begun | Error] = []
    try:
        try:
            # All in this thread: a short write waits for no disk, and a thread that another one
            # keeps waiting for the interpreter at each call costs more than the call.
            for (temporary, path), (_, pieces) in zip(places, files, strict=True):
                begun.append(_tried(_begin, temporary, path, pieces, mode))
        finally:
            errors = _in_turns(_finished, begun)
        for at, (temporary, path) in enumerate(places):
            errors[at] = errors[at] or _tried(_name, temporary, path)
            if errors[at] is None:
                nameless.remove(temporary)
    finally:
        for temporary in nameless:
            temporary.unlink(missing_ok=True)
    folders = list(dict.fromkeys(path.parent for _, path in places))
    errors_of = _in_turns(lambda each: _tried(_sync_path, each), folders)
    synced = dict(zip(folders, errors_of, strict=True))
    return [error or synced[path.parent] for error, (_, path) in zip(errors, places, strict=True)]


def _finished(begun: _Begun | Error) -> Error | None:
    return begun if isinstance(begun, Error) else _tried(begun.finish)


def _in_turns(act: Callable[[T], Error | None], items: Sequence[T]) -> list[Error | None]:
    """``act`` of each item, in order; every thread takes each eighth, which costs a task a thread.

    A task for each item costs more than a short write. All are done before this raises.
    """
    turns = range(min(_AT_ONCE, len(items)))
    shares = [_pool().submit(_share, act, items[first::_AT_ONCE]) for first in turns]
    wait(shares)
    done: list[Error | None] = [None] * len(items)
    for first, share in enumerate(shares):
        done[first::_AT_ONCE] = share.result()
    return done


def _share(act: Callable[[T], Error | None], items: Sequence[T]) -> list[Error | None]:
    done: list[Error | None] = []
    wrong: BaseException | None = None
    for each in items:
        try:
            done.append(act(each))
        except BaseException as error:  # noqa: BLE001 - raised below: the others have files open
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    return done


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Kept, so that no batch waits for threads to be started."""
    return ThreadPoolExecutor(2 * _AT_ONCE, "durable")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of these threads


def _tried(act: Callable[P, T], *given: P.args, **more: P.kwargs) -> T | Error:
    try:
        return act(*given, **more)
    except Error as error:
        return error


def _name(temporary: Path, path: Path) -> None:
    with _disk(path):
        temporary.replace(path)


def append(path: Path, line: bytes) -> None:
    """Add ``line`` (no newline in it) to a journal, durably.

    A torn last line is the reader's to ignore: it was never acknowledged.
    """
    with _disk(path):
        fresh = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            # A crash can leave half a line; close it so that this one stands alone.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            data = (b"\n" if torn else b"") + line + b"\n"
            if os.write(descriptor, data) != len(data):  # a full disk takes a part without a word
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            _sync_folder(path.parent)


def move(source: Path, dest: Path) -> None:
    """Rename a file or folder whose contents are synced already; ``dest`` must not exist."""
    with _disk(dest):
        if dest.exists():
            raise FileExistsError(errno.EEXIST, "exists already", str(dest))
        source.rename(dest)
        _sync_folder(dest.parent)
        if source.parent != dest.parent:
            _sync_folder(source.parent)


def remove(path: Path) -> None:
    """Unlink ``path`` durably; a missing file is fine."""
    with _disk(path):
        path.unlink(missing_ok=True)
        if path.parent.exists():
            _sync_folder(path.parent)


def _wipe(file: BinaryIO) -> None:
    file.seek(0)
    file.write(bytes(os.fstat(file.fileno()).st_size))
    file.flush()
    os.fsync(file.fileno())


def shred(path: Path) -> None:
    """Overwrite a secret where it lies, then unlink it, durably; a missing file is fine.

    A crash in between leaves a file of zeros. Flash, a file system that copies on write, a
    snapshot and a backup may keep the old bytes: that is for whoever chooses the volume.
    """
    with _disk(path):
        if path.exists():
            with path.open("r+b") as file:
                _wipe(file)
    remove(path)


def supersede(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put ``data`` in the place of a secret, then overwrite the bytes that the secret had."""
    with _disk(path), path.open("r+b") as old:
        write(path, data, mode=mode)
        _wipe(old)


@contextlib.contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold ``path`` as an exclusive lock (flock: the kernel frees it when the process dies)."""
    with _disk(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            raise UnavailableError(
                f"{path}: another process holds this lock",
                hint="wait until the other command ends, then run this one again",
            ) from error
        yield
    finally:
        os.close(descriptor)
