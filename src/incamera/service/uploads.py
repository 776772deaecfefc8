# SPDX-License-Identifier: Apache-2.0
"""Resumable uploads: tus 1.0.0 (https://tus.io) with creation, termination and expiration.

Announced by a call that the car signs; from then on whoever knows the upload's name may go on,
ask where it is, or give it up. The last part is answered when the capsule is in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from incamera import durable
from incamera.encoding import base64_bytes, decimal
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import parse_digest
from incamera.service import rights
from incamera.service.answers import BusyError, TooLargeError, UnfitError
from incamera.service.deliver import TUS
from incamera.service.guard import Gate, Pool, body_pieces
from incamera.service.keep import Keep
from incamera.service.parts import Part, Parts
from incamera.service.upload import Arrived, Incoming
from incamera.vault import RefusedError

__all__ = ["OFFSET", "SAID", "Uploads", "finish"]

_PIECE = 1 << 18
OFFSET = "application/offset+octet-stream"
"""Media type of a part."""
SAID = {"Tus-Resumable": TUS, "Cache-Control": "no-store"}
"""In each answer."""


class _Turns:
    """One writer for each upload. Who comes later is the one whose link is alive."""

    def __init__(self) -> None:
        self._writing: dict[str, tuple[asyncio.Timeout, asyncio.Event]] = {}

    @contextlib.asynccontextmanager
    async def of(self, part: Part) -> AsyncIterator[None]:
        """The writer's turn; who had it before is told that somebody else goes on."""
        while (other := self._writing.get(part.name)) is not None:
            scope, done = other
            if not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())
            await done.wait()
        done = asyncio.Event()
        try:
            async with asyncio.timeout(None) as scope:
                self._writing[part.name] = (scope, done)
                try:
                    with _locked(part):
                        yield
                finally:
                    del self._writing[part.name]
                    done.set()
        except TimeoutError as error:
            raise BusyError(423, "another call goes on with this upload") from error


@contextlib.contextmanager
def _locked(part: Part) -> Any:
    try:
        with durable.lock(part.lock):
            yield
    except Error as error:
        if part.lock.name in error.message:
            raise BusyError(423, "another process goes on with this upload") from error
        raise


class Uploads:
    """What the calls of a resumable upload do."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._parts = keep.parts
        self._disk = Pool(threads=4, waiting=252)
        self._turns = _Turns()
        self._gate = Gate(256)

    async def begin(self, request: Request, capsule: str | None, length: int | None) -> Response:
        """Announce a capsule; where it is to be sent, and how far it is."""
        caller = await self._disk.run(self._keep.callers.of, request)
        rights.check(caller, "begin-upload")
        caller.sent(b"")
        name = parse_digest(_metadata(request).get("capsule", capsule), "Upload-Metadata: capsule")
        size = decimal(request.headers.get("upload-length", ""), "Upload-Length")
        if capsule not in (None, name) or length not in (None, size):
            raise InputError("the query and the headers announce two different uploads")
        if not 0 < size <= self._keep.largest:
            raise TooLargeError(f"a capsule has 1 to {self._keep.largest} bytes here")
        row = await self._disk.run(self._keep.vaults.row, name)
        if row is not None and row.status == "erased":
            raise RefusedError("erased", f"capsule {name[:16]}... was erased and stays so")
        if row is not None and row.status == "kept":
            return Response(status_code=200, headers={**SAID, **_receipt(name, "")})
        part, new = await self._disk.run(self._parts.begin, caller.key, name, size)
        if new:
            try:
                self._keep.budget.capsule(part.car, size)
            except Error:
                await self._disk.run(self._parts.end, part)
                raise
        headers = {**self._where(part), "Location": f"uploads/{part.name}"}
        return Response(status_code=201, headers=headers)

    async def ask(self, name: str) -> Response:
        """How far it is."""
        part = await self._disk.run(self._parts.find, name)
        headers = {**self._where(part), "Upload-Length": str(part.length)}
        return Response(status_code=200, headers=headers)

    async def drop(self, name: str) -> Response:
        """Give it up."""
        part = await self._disk.run(self._parts.find, name)
        async with self._turns.of(part):
            await self._disk.run(self._parts.end, part)
        return Response(status_code=204, headers=SAID)

    async def overridden(self, request: Request, name: str) -> Response:
        """As the call that ``X-HTTP-Method-Override`` names."""
        method = request.headers.get("x-http-method-override", "").upper()
        if method == "PATCH":
            return await self.go_on(request, name)
        if method == "DELETE":
            return await self.drop(name)
        raise InputError("X-HTTP-Method-Override: PATCH or DELETE")

    async def go_on(self, request: Request, name: str) -> Response:
        """Take the next part; the last one once the capsule is in the log."""
        if request.headers.get("content-type", "").split(";")[0].strip() != OFFSET:
            raise UnfitError(415, f"a part is sent as {OFFSET}")
        offset = decimal(request.headers.get("upload-offset", ""), "Upload-Offset")
        part = await self._disk.run(self._parts.find, name)
        with self._gate.passed():
            async with self._turns.of(part):
                if offset != part.offset:
                    raise BusyError(409, f"this upload is at {part.offset}, not at {offset}")
                return await self._take(request, part, offset)

    async def _take(self, request: Request, part: Part, offset: int) -> Response:
        try:
            offset += await self._store(request, part, offset)
            headers = self._where(part)
            if offset == part.length:
                header = await self._disk.run(part.header)
                if header is None:
                    raise InputError("this is no capsule")
                await self._keep.incoming.admit(part.data, header, part.length)
                await self._disk.run(self._parts.end, part)
                headers = {**SAID, "Upload-Offset": str(offset), **_receipt(part.capsule, "../")}
        except (InputError, IntegrityError, PolicyError) as error:
            if not isinstance(error, TooLargeError):  # it can never be admitted
                await self._disk.run(self._parts.end, part)
            raise
        return Response(status_code=204, headers=headers)

    async def _store(self, request: Request, part: Part, offset: int) -> int:
        """What comes, into the file; how much that was. Cut off, what came is kept."""
        held, kept, known = bytearray(), 0, False
        try:
            async for piece in body_pieces(request, part.length - offset):
                held += piece
                if len(held) >= _PIECE:
                    kept += await self._append(part, bytes(held))
                    held.clear()
                    known = known or await self._look(part)
        finally:
            if held:
                kept += await self._append(part, bytes(held))
        if kept:
            await self._disk.run(part.sync)
            await self._look(part)
        return kept

    async def _append(self, part: Part, data: bytes) -> int:
        """Bytes into the file, to the end even if the call is given up meanwhile.

        INVARIANT: nobody else has the turn while a thread of ours still writes, or the next call
        would go on from where the file was a moment ago.
        """
        task = asyncio.ensure_future(self._disk.run(part.append, data))
        given_up: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                given_up = error
        if given_up is not None:
            raise given_up
        return task.result()

    async def _look(self, part: Part) -> bool:
        """True once the header is here, and is welcome."""
        header = await self._disk.run(part.header)
        if header is None:
            return False
        await self._keep.door.known(header)
        return True

    def _where(self, part: Part) -> dict[str, str]:
        expires = formatdate(self._parts.expires(part), usegmt=True)
        return {**SAID, "Upload-Offset": str(part.offset), "Upload-Expires": expires}


def finish(parts: Parts, incoming: Incoming) -> None:
    """Give up what has expired; admit what is whole but was not admitted then. Blocks."""
    for part in parts.sweep():
        try:
            header = part.header()
            if header is not None:
                arrived = Arrived(header, part.length, part.data)
                incoming.waiting.ask(arrived).result()
        except UnavailableError:
            continue
        except Error:  # its sender was told, or will be when it asks again
            pass
        parts.end(part)


def _receipt(capsule: str, up: str) -> dict[str, str]:
    """Where the receipt is, from where the call went."""
    return {"Upload-Receipt": f"{up}capsules/{capsule}/receipt"}


def _metadata(request: Request) -> Mapping[str, str]:
    """``Upload-Metadata``: pairs of a key and base64."""
    found = {}
    for pair in request.headers.get("upload-metadata", "").split(","):
        if words := pair.split():
            value = base64_bytes(words[1] if len(words) == 2 else "", "Upload-Metadata")
            found[words[0]] = value.decode("utf-8", "replace")
    return found
