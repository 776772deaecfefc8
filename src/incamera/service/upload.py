# SPDX-License-Identifier: Apache-2.0
"""A capsule on its way in: looked at as soon as its header is here, kept in a file, never held.

Who may not deliver is refused after the header, some kilobytes; the rest has the length that the
signed header says, to the byte.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request

from incamera import durable
from incamera.errors import InputError, UnavailableError
from incamera.sealing.capsule import LENGTH, MAGIC, payload_offset
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.sealing.header import Header, open_header
from incamera.service.answers import TooLargeError
from incamera.service.guard import Pool, body_pieces

__all__ = ["Incoming"]

_PIECE = 1 << 20


class Incoming:
    """The folder where capsules lie until the vault has looked at them."""

    def __init__(self, folder: Path, largest: int, allowed: Callable[[Header], None]) -> None:
        """``largest``: bytes of a capsule. ``allowed`` raises for a header that is not welcome."""
        self._folder = durable.folder(folder, 0o700)
        self._largest = largest
        self._allowed = allowed
        self._disk = Pool(threads=4, waiting=64)
        for left in self._folder.glob("*.capsule"):  # by a process that died
            left.unlink(missing_ok=True)

    async def take(self, request: Request) -> Path:
        """The body as a file, to be removed by the caller; nothing is left if this raises."""
        place = self._folder / f"{secrets.token_hex(8)}.capsule"
        try:
            await self._take(request, place)
        except BaseException:
            place.unlink(missing_ok=True)
            raise
        return place

    async def _take(self, request: Request, place: Path) -> None:
        held, size, wanted = bytearray(), 0, 0
        async for piece in body_pieces(request, self._largest):
            held += piece
            if not wanted and (header := _header(held)):
                await self._disk.run(self._allowed, header[0])
                wanted = header[1]
            if not wanted:
                continue
            if size + len(held) > wanted or wanted > self._largest:
                raise TooLargeError("the capsule is longer than its header says, or than may be")
            if len(held) >= _PIECE:
                size += await self._disk.run(_append, place, bytes(held))
                held.clear()
        size += await self._disk.run(_append, place, bytes(held))
        if size != wanted:
            raise InputError("the capsule is cut off, or is none")


def _header(data: bytearray) -> tuple[Header, int] | None:
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
