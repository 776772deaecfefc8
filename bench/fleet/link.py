# SPDX-License-Identifier: Apache-2.0
"""One kept-alive connection to a vault, as cheap as can be: it shares two cores with the engines.

Only what the vault's answers have: a status, a Content-Length, a body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Heard", "Link", "LostError"]

_SECONDS = 40.0


class LostError(Exception):
    """The connection ended, or nothing was heard for long."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer."""

    status: int
    body: bytes
    open: bool
    """False if the server will close the connection."""


class Link:
    """A connection; not to be used by two at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(
        self, path: str, parts: Sequence[bytes], *, stop: int | None = None, pause: float = 0.0
    ) -> Heard:
        """Send a POST; :class:`LostError` if no answer comes.

        ``stop``: break the connection after so many bytes of the body, or, if negative, after
        all of it without hearing the answer. ``pause``: seconds to take over the body.
        """
        fresh = self._writer is None
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._post(path, parts, stop, pause)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            if not fresh and not isinstance(error, TimeoutError) and stop is None and not pause:
                # A kept connection may have been closed while idle: that is nobody's fault.
                return await self.post(path, parts)
            raise LostError(type(error).__name__) from error
        except BaseException:
            self.close()
            raise

    async def _post(
        self, path: str, parts: Sequence[bytes], stop: int | None, pause: float
    ) -> Heard:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._place)
        assert self._reader is not None
        size = sum(map(len, parts))
        head = f"POST {path} HTTP/1.1\r\nHost: vault\r\nContent-Length: {size}\r\n\r\n"
        if stop is not None or pause:
            body = b"".join(parts)
            end = len(body) if stop is None or stop < 0 else stop
            self._writer.write(head.encode())
            for at in range(0, end, max(1, end // 8)):
                self._writer.write(body[at : min(end, at + max(1, end // 8))])
                await self._writer.drain()
                await asyncio.sleep(pause / 8)
            if stop is not None:
                self.close()
                raise LostError("cut")
        else:
            self._writer.write(b"".join((head.encode(), *parts)))
        return await self._hear()

    async def _hear(self) -> Heard:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status, length, stays = int(head[9:12]), 0, True
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.strip() == b"close":
                stays = False
        body = await self._reader.readexactly(length)
        if not stays:
            self.close()
        return Heard(status, body, stays)

    def close(self) -> None:
        """End it, with what is on its way."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
