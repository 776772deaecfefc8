# SPDX-License-Identifier: Apache-2.0
r"""Two public files of a succession: a trustee's dealing, and a new trustee's commitments.

Both are a line of text and records of one size, in the order of the succession's list file, so
that a file of any length is read one record at a time and checked by one digest::

    incamera-dealing-1 <succession's leaf hash> <trustee> <seats> <capsules>\n
    for each capsule, for each seat: commitment (32) || part sealed to the seat's key (1168)

    incamera-commitments-1 <succession's leaf hash> <trustee> 1 <capsules>\n
    for each capsule: commitment (32)

A record of zeros says that the trustee has nothing for this capsule (erased, expired, not its
own). What a dealing holds is sealed, so that it may lie in the open; it dies with the seats' keys.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from incamera import durable
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name
from incamera.sealing.wrap import WRAPPED_BYTES

__all__ = [
    "COMMITMENT",
    "PART",
    "Kind",
    "Paper",
    "open_paper",
    "parse_commitments",
    "write_paper",
]

COMMITMENT = 32
PART = COMMITMENT + WRAPPED_BYTES
"""1200 bytes: a commitment, and a wrapped part."""

Kind = Literal["dealing", "commitments"]
_SIZE = {"dealing": PART, "commitments": COMMITMENT}
_HEAD = re.compile(
    rb"incamera-(dealing|commitments)-1 ([0-9a-f]{64}) ([a-z0-9-]{1,48}) ([1-9][0-9]?) "
    rb"([1-9][0-9]{0,5})\n",
    re.ASCII,
)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Paper:
    """One such file, checked in length and digest; records are read when asked for."""

    path: Path
    kind: Kind
    succession: Digest
    trustee: Name
    seats: int
    capsules: int
    offset: int

    def record(self, capsule: int, seat: int = 1) -> bytes | None:
        """The record of the list's capsule number ``capsule`` (from 0) for ``seat`` (from 1)."""
        if not 0 <= capsule < self.capsules or not 1 <= seat <= self.seats:
            raise InputError(f"{self.path}: has no record {capsule}/{seat}")
        size = _SIZE[self.kind]
        with self.path.open("rb") as file:
            file.seek(self.offset + (capsule * self.seats + seat - 1) * size)
            data = file.read(size)
        if len(data) != size:
            raise IntegrityError(f"{self.path}: was cut off since it was checked")
        return None if data == bytes(size) else data

    def dealt(self, capsule: int) -> bool:
        """True if the capsule has a record for every seat; a dealing for some only is none."""
        return all(self.record(capsule, seat) is not None for seat in range(1, self.seats + 1))


def write_paper(
    path: Path,
    kind: Kind,
    succession: Digest,
    trustee: Name,
    seats: int,
    records: Iterable[Iterable[bytes | None]],
    capsules: int,
) -> Digest:
    """Write a file, durably, and give its digest.

    ``records``: for each capsule one record a seat; None for zeros.
    """
    hashed, size = hashlib.sha256(), _SIZE[kind]
    with durable.atomic(path) as file:
        for piece in _pieces(kind, succession, trustee, seats, records, capsules, size):
            file.write(piece)
            hashed.update(piece)
    return Digest(hashed.hexdigest())


def _pieces(
    kind: Kind,
    succession: Digest,
    trustee: Name,
    seats: int,
    records: Iterable[Iterable[bytes | None]],
    capsules: int,
    size: int,
) -> Iterator[bytes]:
    yield f"incamera-{kind}-1 {succession} {trustee} {seats} {capsules}\n".encode("ascii")
    count = 0
    for row in records:
        count += 1
        cells = [bytes(size) if cell is None else cell for cell in row]
        if len(cells) != seats or any(len(cell) != size for cell in cells):
            raise InputError(
                f"{kind} of {trustee}: a capsule needs {seats} records of {size} bytes"
            )
        yield b"".join(cells)
    if count != capsules:
        raise InputError(f"{kind} of {trustee}: {count} capsules where the list has {capsules}")


def open_paper(path: Path, expected: Digest, where: str) -> Paper:
    """The file at ``path`` if its digest is ``expected`` and its length right, strictly.

    :class:`IntegrityError` for another file, :class:`InputError` for one that is malformed.
    """
    with path.open("rb") as file:
        if _digest(file) != expected:
            raise IntegrityError(f"{where}: not the file that the log names")
        file.seek(0)
        match = _HEAD.match(file.read(256))
        length = file.seek(0, 2)
    if match is None:
        raise InputError(f"{where}: not a dealing or commitments file of version 1")
    kind, succession, trustee, seats, capsules = (part.decode("ascii") for part in match.groups())
    assert kind in ("dealing", "commitments")
    found: Kind = "dealing" if kind == "dealing" else "commitments"
    paper = Paper(
        path, found, Digest(succession), Name(trustee), int(seats), int(capsules), match.end()
    )
    if length != match.end() + paper.capsules * paper.seats * _SIZE[found]:
        raise InputError(f"{where}: has {length} bytes, not those its first line says")
    return paper


def parse_commitments(
    data: bytes, succession: Digest, trustee: Name, capsules: int, where: str
) -> tuple[bytes, ...]:
    """The commitments (32 bytes each, zeros for none) of a trustee for one succession, strictly."""
    head = f"incamera-commitments-1 {succession} {trustee} 1 {capsules}\n".encode("ascii")
    if not data.startswith(head) or len(data) != len(head) + capsules * COMMITMENT:
        raise InputError(f"{where}: not its commitments for this succession")
    body = data[len(head) :]
    return tuple(body[i : i + COMMITMENT] for i in range(0, len(body), COMMITMENT))


def _digest(file: BinaryIO) -> Digest:
    hashed = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        hashed.update(chunk)
    return Digest(hashed.hexdigest())
