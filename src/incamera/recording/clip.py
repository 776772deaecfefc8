# SPDX-License-Identifier: Apache-2.0
"""The clip: redacted videos, report and facts in one tar file of which each byte is determined.

    clip.json | report.jsonl | <camera>.mp4 ...        (docs/formats/clip.md)

Any tar program can unpack it, but :func:`unpack` does not trust one: it knows from ``clip.json``
which members follow and what each header must be, byte for byte. So there is no path, link, owner
or size in an archive that it would have to judge.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from incamera import durable
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest
from incamera.recording.contents import MAX_CONTENTS, Contents, Footage, Report

__all__ = ["CONTENTS", "measure", "pack", "read_contents", "unpack"]

CONTENTS = "clip.json"
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20


def measure(path: Path) -> tuple[int, Digest]:
    """Size in bytes and SHA-256 of a file: what ``clip.json`` says of it."""
    hashed = hashlib.sha256()
    with _reading(path) as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            hashed.update(chunk)
        return file.tell(), Digest(hashed.hexdigest())


def pack(folder: Path, contents: Contents, dest: BinaryIO) -> None:
    """Write the clip to ``dest``: ``contents``, and the files it names out of ``folder``.

    :class:`InputError` if a file is not the one that ``contents`` describes.
    """
    data = contents.serialise()
    Contents.parse(data)  # what a reader would refuse must not be written
    dest.write(_header(CONTENTS, len(data)) + data + _padding(len(data)))
    for part in _parts(contents):
        hashed, path = hashlib.sha256(), folder / part.file
        dest.write(_header(part.file, part.size))
        with _reading(path) as file:
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                hashed.update(chunk)
                dest.write(chunk)
            written = file.tell()
        if written != part.size or hashed.hexdigest() != part.digest:
            raise InputError(f"{path}: is not the file that {CONTENTS} describes")
        dest.write(_padding(part.size))
    dest.write(_end(_length(contents, len(data))))


def read_contents(source: BinaryIO, where: str) -> Contents:
    """What the clip that ``source`` stands at the beginning of says of itself.

    Leaves ``source`` at the first member after ``clip.json``.
    """
    header = _exactly(source, _BLOCK, where)
    try:
        size = tarfile.TarInfo.frombuf(header, "utf-8", "strict").size
    except (tarfile.HeaderError, ValueError) as error:
        raise InputError(f"{where}: not a clip: {error}") from error
    if not 0 < size <= MAX_CONTENTS or header != _header(CONTENTS, size):
        raise InputError(f"{where}: not a clip: it does not begin with {CONTENTS}")
    contents = Contents.parse(_exactly(source, size, where), f"{where}: {CONTENTS}")
    _padded(source, size, where)
    return contents


def unpack(source: Path, dest: Path) -> Contents:
    """Unpack the clip at ``source`` into the new folder ``dest``, which appears whole or not.

    :class:`InputError` if ``source`` is no clip or ``dest`` exists, :class:`IntegrityError` if
    a member is not the one that ``clip.json`` describes.
    """
    if dest.exists():
        raise InputError(f"{dest}: exists already", hint="name a new folder")
    working = dest.with_name(f".{dest.name[:100]}.unpacking")
    with _disk(working):
        shutil.rmtree(working, ignore_errors=True)  # what an interrupted run left
        durable.folder(working)
        try:
            contents = _unpack(source, working)
            durable.move(working, dest)
        except BaseException:
            shutil.rmtree(working, ignore_errors=True)
            raise
    return contents


def _unpack(source: Path, folder: Path) -> Contents:
    where = str(source)
    with _reading(source) as file:
        contents = read_contents(file, where)
        data = contents.serialise()
        for part in _parts(contents):
            if _exactly(file, _BLOCK, where) != _header(part.file, part.size):
                raise IntegrityError(f"{where}: expected the member {part.file} here")
            with durable.atomic(folder / part.file) as out:
                _copy(file, out, part, where)
            _padded(file, part.size, where)
        end = _end(_length(contents, len(data)))
        if file.read(len(end) + 1) != end:
            raise IntegrityError(f"{where}: something follows the last member")
    durable.write(folder / CONTENTS, data)
    return contents


def _copy(file: BinaryIO, out: BinaryIO, part: Footage | Report, where: str) -> None:
    hashed, left = hashlib.sha256(), part.size
    while left:
        chunk = _exactly(file, min(left, _CHUNK), where)
        hashed.update(chunk)
        out.write(chunk)
        left -= len(chunk)
    if hashed.hexdigest() != part.digest:
        raise IntegrityError(f"{where}: {part.file} is not the file that {CONTENTS} describes")


def _parts(contents: Contents) -> list[Footage | Report]:
    """The members after ``clip.json``, in their order."""
    return [contents.report, *contents.footage]


def _header(name: str, size: int) -> bytes:
    """The one header a member of this name and size has: no owner, no time, mode 0644."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _length(contents: Contents, size: int) -> int:
    """Bytes of all members with headers and padding; ``size`` is that of ``clip.json``."""
    sizes = [size, *(part.size for part in _parts(contents))]
    return sum(_BLOCK + each + len(_padding(each)) for each in sizes)


def _end(length: int) -> bytes:
    """Two blocks of zeros, and as many as fill the last record (POSIX.1 pax, ustar)."""
    whole = length + 2 * _BLOCK
    return bytes(2 * _BLOCK + -whole % tarfile.RECORDSIZE)


def _padded(file: BinaryIO, size: int, where: str) -> None:
    if any(_exactly(file, len(_padding(size)), where)):
        raise IntegrityError(f"{where}: something hides between two members")


def _exactly(file: BinaryIO, length: int, where: str) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise IntegrityError(f"{where}: the clip is cut off")
    return data


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"{path}: cannot write: {error.strerror}") from error
