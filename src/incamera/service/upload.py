# SPDX-License-Identifier: Apache-2.0
"""A capsule on its way in: looked at as soon as its header is here, and admitted with others.

Who may not deliver is refused after the header, some kilobytes; the rest has the length that the
signed header says, to the byte. A short capsule is held until its batch is admitted, a long one
lies in a file; how many may do so at a time, and so how much, is bounded.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from starlette.requests import Request

from incamera import durable
from incamera.clock import monotonic
from incamera.errors import Error, InputError, UnavailableError
from incamera.sealing.capsule import LENGTH, MAGIC, payload_offset
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.sealing.header import Header, open_header
from incamera.service import meters
from incamera.service.answers import TooLargeError
from incamera.service.guard import Gate, Pool, body_pieces
from incamera.service.journal import Journal
from incamera.service.together import Together
from incamera.vault import Source

__all__ = ["BATCHES", "Arrived", "Door", "Incoming", "header_of"]

_SHORT = 1 << 18
"""Bytes that are held in memory; a longer capsule goes into a file as it comes."""

BATCHES = 2
"""Batches at a time: one lies with the disk while the other is with the log."""
_LEAST = 48
"""Capsules that make a second batch worth its while: what a batch costs whatever is in it
(PostgreSQL, log, witnesses: some 45 ms of a loaded processor, reckoned) is then a third of it."""
_TOGETHER = 256
"""Capsules admitted in one go; more wait for the next."""


class Door(Protocol):
    """Who may deliver, and how much."""

    async def look(self, header: Header, size: int) -> None:
        """Raise for a header that is not welcome, whose capsule has ``size`` bytes."""
        ...

    def back(self, header: Header, size: int, outcome: Exception) -> None:
        """Such a capsule was not admitted after all."""
        ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole capsule, not looked at but for its header."""

    header: Header
    size: int
    place: Path
    data: bytes | None = None
    """The whole of it, if it is short; None: it lies at ``place``."""
    since: float = field(default_factory=monotonic)

    @property
    def source(self) -> Source:
        """For the vault: of what lay in a file meanwhile, it reads the header again."""
        return Source(self.place, self.data, None if self.data is None else self.header)


class Incoming:
    """The folder where capsules lie until the vault has looked at them."""

    def __init__(
        self,
        folder: Path,
        door: Door,
        admit_all: Callable[[Sequence[Source]], Sequence[bytes | Error]],
        journal: Journal,
    ) -> None:
        """``admit_all``: as :meth:`incamera.service.vaults.Vaults.admit_all`."""
        self._folder = durable.folder(folder, 0o700)
        self._door = door
        self._admit_all = admit_all
        self._disk = Pool(threads=4, waiting=64)
        self._short, self._long = Gate(256), Gate(32)
        self.waiting: Together[Arrived, bytes] = Together(
            self._admit, journal, _TOGETHER, threads=BATCHES, least=_LEAST
        )
        for left in self._folder.glob("*.capsule"):  # by a process that died
            left.unlink(missing_ok=True)

    async def take(self, request: Request, largest: int) -> bytes:
        """The capsule in the body, admitted; its receipt. Nothing is left here if this raises."""
        place = self._folder / f"{secrets.token_hex(8)}.capsule"
        try:
            with contextlib.ExitStack() as stack:
                arrived = await self._read(request, largest, place, stack)
                try:
                    return await self.waiting.answer(arrived)
                except Error as error:
                    self._door.back(arrived.header, arrived.size, error)
                    raise
        except BaseException:
            place.unlink(missing_ok=True)
            raise

    async def admit(self, place: Path, header: Header, size: int) -> bytes:
        """The whole capsule that lies at ``place``, admitted; its receipt. It stays there."""
        return await self.waiting.answer(Arrived(header, size, place))

    async def _read(
        self, request: Request, largest: int, place: Path, stack: contextlib.ExitStack
    ) -> Arrived:
        stack.enter_context(self._short.passed())
        held, size, wanted = bytearray(), 0, 0
        header: Header | None = None
        began = monotonic()
        async for piece in body_pieces(request, largest):
            held += piece
            if header is None and (found := header_of(held)):
                header, wanted = found
                _fits(request, wanted, largest)
                await self._door.look(header, wanted)
                if wanted > _SHORT:
                    stack.enter_context(self._long.passed())
            if header is not None and size + len(held) > wanted:
                raise TooLargeError("the capsule is longer than its header says")
            if header is not None and wanted > _SHORT and len(held) >= _SHORT:
                size += await self._disk.run(_append, place, bytes(held))
                held.clear()
        if header is None or size + len(held) != wanted:
            raise InputError("the capsule is cut off, or is none")
        meters.STAGE.labels("receive").observe(monotonic() - began)
        if not size:
            return Arrived(header, wanted, place, bytes(held))
        await self._disk.run(_append, place, bytes(held))
        return Arrived(header, wanted, place)

    def _admit(self, arrived: Sequence[Arrived]) -> Sequence[bytes | Error]:
        """One batch. Blocks."""
        began = monotonic()
        for each in arrived:
            meters.STAGE.labels("wait").observe(began - each.since)
        outcomes = self._admit_all([each.source for each in arrived])
        meters.STAGE.labels("admit").observe(monotonic() - began)
        for each, outcome in zip(arrived, outcomes, strict=True):
            if isinstance(outcome, bytes):
                meters.ADMITTED.inc()
                meters.ADMITTED_BYTES.inc(each.size)
        return outcomes


def _fits(request: Request, wanted: int, largest: int) -> None:
    """The length in the head, if there is one, is the capsule's; so nothing is read in vain."""
    if wanted > largest:
        raise TooLargeError(f"a capsule may have {largest} bytes here")
    said = request.headers.get("content-length")
    if said is not None and int(said) > wanted:
        raise TooLargeError("the capsule is longer than its header says")
    if said is not None and int(said) < wanted:
        raise InputError("the capsule is cut off, or is none")


def header_of(data: bytearray) -> tuple[Header, int] | None:
    """The header at the beginning of ``data`` and the capsule's length; None if more must come."""
    begin = len(MAGIC) + LENGTH.size
    if not MAGIC.startswith(data[: len(MAGIC)]):
        raise InputError("not a capsule, or of a version unknown here")
    if len(data) < begin:
        return None
    (length,) = LENGTH.unpack(data[len(MAGIC) : begin])
    if length > MAX_ENVELOPE:
        raise InputError(f"capsule: the header is too long: {length} bytes")
    if len(data) < begin + length:
        return None
    header = open_header(bytes(data[begin : begin + length]), "capsule")
    return header, payload_offset(length, len(header.shares)) + header.payload.length


def _append(place: Path, data: bytes) -> int:
    """Not synced: it is the vault that makes a capsule durable."""
    try:
        with place.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise UnavailableError(f"cannot keep the upload: {error.strerror}") from error
    return len(data)
