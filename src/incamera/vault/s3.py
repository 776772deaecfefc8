# SPDX-License-Identifier: Apache-2.0
"""Capsules in an S3 bucket, behind the same protocol as files.

What the store says it has kept, it has kept: S3 answers a PUT once the object is durable, and shows
a new object, or none after a DELETE, to whoever asks next. So one blob is one PUT (in parts if it
is long: it appears when all are there), and a batch is as many at a time. Each body goes with its
SHA-256, in the signature and as a checksum: a store that got other bytes refuses them. A retry
writes the same bytes under the same name.

======================================  =========================================================
crash, or no answer, after              what is there, and what happens next
======================================  =========================================================
a part of a long blob was sent          parts nobody can read: the bucket's lifecycle rule
                                        (``AbortIncompleteMultipartUpload``) removes them
the store kept it, its answer was lost  an orphan, as one that a file store leaves: admitting again
                                        replaces it, ``sweep`` removes it
removing: emptied, not deleted          an empty blob, which is no capsule: whoever removes it
                                        again removes it
======================================  =========================================================

Erasing must destroy. A bucket that keeps old versions does not: it is refused at opening, each PUT
looks again, and removing begins by putting nothing in the blob's place, which in a bucket without
versions destroys its bytes, and in one with versions is noticed. Replicas and backups that the
store makes on its own nobody can see from here: docs/operating/parties.md says so.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore

from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest
from incamera.vault.bucket import Bucket, BucketError, OpenBucket

__all__ = ["S3Blobs"]

_NAME = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})", re.ASCII)
_PROBE = ".probe-"

_PART = 1 << 23  # bytes: of what is longer, each part; 10 000 parts are S3's limit
_PIECE = 1 << 22  # bytes read at a time
_AT_ONCE = 16  # blobs of a batch on their way at the same time
_PARTS_AT_ONCE = 2  # of one blob


class S3Blobs:
    """Objects ``prefix/ab/abcd...``: the same tree as files, so either is copied to the other."""

    def __init__(self, bucket: Bucket, scratch: Path | None = None, seconds: float = 30.0) -> None:
        """Open ``bucket``, and prove that it can be written, read, listed and emptied.

        ``scratch``: folder for what :meth:`local` fetches; None: the system's. ``seconds``: for
        one attempt of a call. :class:`InputError` if the bucket is not there, refuses us or keeps
        versions; :class:`UnavailableError` if it does not answer.
        """
        self._scratch = scratch
        self._open = OpenBucket(bucket, seconds)
        try:
            self._prove()
        except BucketError as error:
            raise InputError(error.message, hint=error.hint) from error

    # Writing

    def put(self, name: Digest, pieces: Iterable[bytes]) -> None:
        """Keep ``pieces`` under ``name``, durably when this returns, or change nothing."""
        self._put(_key(name), pieces)

    def put_all(self, items: Sequence[tuple[Digest, Iterable[bytes]]]) -> list[Error | None]:
        """As :meth:`put` for each, 16 at a time; an error by item.

        Up to 24 MiB of each of those are in memory.
        """

        def kept(item: tuple[Digest, Iterable[bytes]]) -> Error | None:
            try:
                self.put(*item)
            except Error as error:
                return error
            return None

        if not items:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(items)), "s3") as pool:
            return list(pool.map(kept, items))

    def _put(self, key: str, pieces: Iterable[bytes]) -> None:
        parts = _parts(pieces)
        first = next(parts, b"")
        second = next(parts, None)
        with self._open.asking(key):
            if second is None:
                told = obstore.put(self._open.store, key, first, use_multipart=False)
            else:
                told = obstore.put(
                    self._open.store,
                    key,
                    _joined(first, second, parts),
                    use_multipart=True,
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        if told["version"] not in (None, "null"):
            raise BucketError(
                f"{self._open.where}: keeps old versions, so nothing in it could be erased",
                hint="name a bucket that never had versioning or object lock; delete all versions "
                "of what was put here",
            )

    def remove(self, name: Digest) -> None:
        """Put nothing in its place, then delete it; a missing one is fine."""
        self._remove(_key(name))

    def _remove(self, key: str) -> None:
        self._put(key, ())  # which finds out whether a delete would destroy
        with self._open.asking(key):
            obstore.delete(self._open.store, key)

    # Reading

    @contextlib.contextmanager
    def local(self, name: Digest) -> Iterator[Path]:
        """A copy in a file without a name: however this process ends, no copy is left of it."""
        pieces = self.pieces(name)
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(tempfile.TemporaryFile(dir=self._scratch))
                for piece in pieces:
                    file.write(piece)
                file.flush()
            except Error:  # one of ours may be an OSError too
                raise
            except OSError as error:
                raise UnavailableError(
                    f"{self._scratch or tempfile.gettempdir()}: cannot hold a capsule: "
                    f"{error.strerror}",
                    hint="make room on that disk",
                ) from error
            yield Path(f"/dev/fd/{file.fileno()}")

    def pieces(self, name: Digest, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``end``, 4 MiB at a time; :class:`InputError` if there is no blob."""
        size = self.size(name)
        stop = size if end is None else min(end, size)
        return (self._range(name, at, min(at + _PIECE, stop)) for at in range(start, stop, _PIECE))

    def _range(self, name: Digest, start: int, end: int) -> bytes:
        with self._open.asking(_key(name)):
            piece = bytes(obstore.get_range(self._open.store, _key(name), start=start, end=end))
        if len(piece) != end - start:
            raise UnavailableError(f"{self._open.where}: an answer was cut off")
        return piece

    def size(self, name: Digest) -> int:
        """Its length in bytes; :class:`InputError` if there is none."""
        key = _key(name)
        with self._open.asking(key):
            try:
                return obstore.head(self._open.store, key)["size"]
            except FileNotFoundError:
                # The answer to a HEAD has no body: it does not tell a missing blob from a missing
                # bucket. Taken for the former, the latter would look as if all had been lost.
                return obstore.get(self._open.store, key).meta["size"]

    def has(self, name: Digest) -> bool:
        """True if there is a blob of that name."""
        try:
            return self.size(name) >= 0
        except InputError:
            return False

    def names(self) -> Iterator[Digest]:
        """Every blob, by name."""
        for key in self._keys():
            if match := _NAME.fullmatch(key):
                yield Digest(match.group(1))

    def _keys(self) -> Iterator[str]:
        pages = iter(obstore.list(self._open.store))
        while True:
            with self._open.asking("a list"):
                page = next(pages, None)
            if page is None:
                return
            for each in page:
                yield each["path"]

    def tidy(self) -> int:
        """Remove probes of processes that died while opening. Only while nobody writes."""
        left = [key for key in self._keys() if key.startswith(_PROBE)]
        for key in left:
            self._remove(key)
        return len(left)

    def tidy_old(self, before: int, part: int) -> int:
        """Nothing: an object is there whole or not, and parts are the bucket's lifecycle rule's."""
        del before, part
        return 0

    # The bucket

    def _prove(self) -> None:
        """Write, list, read and remove an object of our own."""
        key, said = f"{_PROBE}{secrets.token_hex(8)}", b"incamera may write, read and delete here"
        self._put(key, [said])
        listed = key in self._keys()  # a dot comes before all names: on the first page
        with self._open.asking(key):
            read = bytes(obstore.get(self._open.store, key).bytes())
        if read != said or not listed:
            raise BucketError(
                f"{self._open.where}: does not show what was put there",
                hint="this is no store to keep capsules in",
            )
        self._remove(key)
        try:
            with self._open.asking(key):
                obstore.get(self._open.store, key)
        except InputError:
            return
        raise BucketError(
            f"{self._open.where}: shows what was deleted", hint="erasing would destroy nothing"
        )


def _key(name: Digest) -> str:
    return f"{name[:2]}/{name}"


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """``pieces`` put together to 8 MiB or more, but for the last."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PART:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _joined(first: bytes, second: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from others
