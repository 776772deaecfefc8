# SPDX-License-Identifier: Apache-2.0
r"""The capsule file, read and checked but not opened: this needs no key and reveals no picture.

::

    magic "incamera-capsule-1\n" | u32 length of envelope | header envelope (DSSE)
    n wrapped shares, 1168 bytes each | data key wrapped to the owner, 1168 | ciphertext to the end

The layout has no other length: n and the ciphertext's length stand in the signed header. So
every byte of the file is fixed by the header, and the header by the capsule's digest. The
normative text is ``docs/formats/capsule.md``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, digest
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.sealing.header import Header, open_header
from incamera.sealing.stream import PIECE, Behind
from incamera.sealing.wrap import WRAPPED_BYTES

__all__ = ["MAGIC", "Capsule", "payload_offset", "read_capsule"]

MAGIC = b"incamera-capsule-1\n"
LENGTH = struct.Struct(">I")


def payload_offset(envelope_length: int, share_count: int) -> int:
    """Where the ciphertext begins in the file, in bytes."""
    return len(MAGIC) + LENGTH.size + envelope_length + (share_count + 1) * WRAPPED_BYTES


@dataclass(frozen=True, slots=True)
class Capsule:
    """A capsule file whose header, shares and size were checked, its ciphertext not yet."""

    path: Path
    envelope: bytes
    digest: Digest
    """SHA-256 of ``envelope``: the name everybody calls this capsule by."""
    header: Header
    wrapped: tuple[bytes, ...]
    """The wrapped shares; share i of 1..n stands at i-1."""
    owner_wrap: bytes
    payload_offset: int
    data: bytes | None = field(default=None, repr=False)
    """The whole file, if it is held in memory and not at ``path``."""

    def chunks(self) -> Iterator[bytes]:
        """The ciphertext in pieces of at most 256 KiB.

        After the last piece, :class:`IntegrityError` unless length and digest were the header's:
        use nothing of it for good before the iterator has ended.
        """
        hashed, left = hashlib.sha256(), self.header.payload.length
        with _source(self.path, self.data) as file, Behind() as hashing:
            if sys.platform == "linux" and self.data is None:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            file.seek(self.payload_offset)
            while left and (chunk := file.read(min(left, PIECE))):
                left -= len(chunk)
                if left:
                    hashing.do(hashed.update, chunk)
                else:  # a short stream needs no thread
                    hashing.finish()
                    hashed.update(chunk)
                yield chunk
            more = file.read(1)
        if left or more or hashed.hexdigest() != self.header.payload.digest:
            raise IntegrityError(f"{self.path}: the ciphertext is not the one that was sealed")

    def pieces(self) -> Iterator[bytes]:
        """The whole file in pieces, for a copy of what was checked; ends like :meth:`chunks`."""
        yield b"".join((MAGIC, LENGTH.pack(len(self.envelope)), self.envelope))
        yield b"".join((*self.wrapped, self.owner_wrap))
        yield from self.chunks()

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self.payload_offset + self.header.payload.length

    def verify_stored(self) -> None:
        """Check every byte of the file against the header; :class:`IntegrityError` if one differs.

        Reads the ciphertext once, with flat memory.
        """
        fresh = read_capsule(self.path, self.data)
        if fresh.digest != self.digest:
            raise IntegrityError(f"{self.path}: is another capsule now")
        for _ in fresh.chunks():
            pass


def read_capsule(path: Path, data: bytes | None = None, known: Header | None = None) -> Capsule:
    """Read and check all but the ciphertext: signature, shares' digests, size of the file.

    ``data``: the whole file, where it is held in memory; ``path`` is then what messages call it.
    ``known``: what :func:`open_header` made of its beginning, if the caller has asked that.

    :class:`InputError` if it is no capsule, :class:`IntegrityError` if it was altered. Lengths
    are bounded before anything is read, so a hostile file cannot make this allocate more than
    100 KiB.
    """
    where = str(path)
    with _source(path, data) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{where}: not a capsule, or of a version unknown here")
        (length,) = LENGTH.unpack(_exactly(file, LENGTH.size, where))
        if length > MAX_ENVELOPE:
            raise InputError(f"{where}: the header is too long: {length} bytes")
        envelope = _exactly(file, length, where)
        header = known or open_header(envelope, where)
        wrapped = tuple(_exactly(file, WRAPPED_BYTES, where) for _ in header.shares)
        owner_wrap = _exactly(file, WRAPPED_BYTES, where)
        offset = payload_offset(length, len(wrapped))
        size = path.stat().st_size if data is None else len(data)
    expected = [(share.digest, f"share {i}") for i, share in enumerate(header.shares, start=1)]
    expected.append((header.owner.digest, "owner's key"))
    for (want, what), wrap in zip(expected, (*wrapped, owner_wrap), strict=True):
        if digest(wrap) != want:
            raise IntegrityError(f"{where}: the wrapped {what} is not the one that was sealed")
    if size != offset + header.payload.length:
        raise IntegrityError(f"{where}: cut off, or something was added to its end")
    return Capsule(path, envelope, digest(envelope), header, wrapped, owner_wrap, offset, data)


def _source(path: Path, data: bytes | None) -> contextlib.AbstractContextManager[BinaryIO]:
    return _reading(path) if data is None else io.BytesIO(data)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; what the disk reports becomes our error."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
            raise InputError(f"{path}: not a file")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error


def _exactly(file: BinaryIO, length: int, where: str) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise IntegrityError(f"{where}: the capsule is cut off")
    return data
