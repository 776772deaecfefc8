# SPDX-License-Identifier: Apache-2.0
"""One kept-alive connection to a vault, as cheap as can be: it shares two cores with the engines.

Only what the vault's answers have: a status, a Content-Length, a body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
    headers: Mapping[str, str]
    """Names in lower case."""


class Link:
    """A connection; not to be used by two at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(
        self,
        path: str,
        parts: Sequence[bytes],
        *,
        method: str = "POST",
        head: str = "",
        stop: int | None = None,
        pause: float = 0.0,
    ) -> Heard:
        """Send a call; :class:`LostError` if no answer comes.

        ``head``: more header lines. ``stop``: break the connection after so many bytes of the
        body, or, if negative, after all of it without hearing the answer. ``pause``: seconds to
        take over the body.
        """
        fresh = self._writer is None
        length = sum(map(len, parts))
        lines = f"{method} {path} HTTP/1.1\r\nHost: vault\r\n{head}Content-Length: {length}\r\n\r\n"
        data = (lines.encode(), *parts)
        try:
            async with asyncio.timeout(_SECONDS):
                await self._send(data, stop, pause)
                return await self._hear(method)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            if not fresh and not isinstance(error, TimeoutError) and stop is None and not pause:
                # A kept connection may have been closed while idle: that is nobody's fault.
                return await self.post(path, parts, method=method, head=head)
            raise LostError(type(error).__name__) from error
        except BaseException:
            self.close()
            raise

    async def _send(self, data: Sequence[bytes], stop: int | None, pause: float) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._place)
        if stop is None and not pause:
            self._writer.write(b"".join(data))
            return
        body = b"".join(data[1:])
        end = len(body) if stop is None or stop < 0 else stop
        step = max(1, end // 8)
        self._writer.write(data[0])
        for at in range(0, end, step):
            self._writer.write(body[at : min(end, at + step)])
            await self._writer.drain()
            await asyncio.sleep(pause / 8)
        if stop is not None:
            await asyncio.sleep(0.05)  # what was sent arrives
            self.close()
            raise LostError("cut")

    async def _hear(self, method: str) -> Heard:
        assert self._reader is not None
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, headers = int(first[9:12]), dict[str, str]()
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
        body = await self._reader.readexactly(length)
        stays = headers.get("connection", "").lower() != "close"
        if not stays:
            self.close()
        return Heard(status, body, stays, headers)

    def close(self) -> None:
        """End it, with what is on its way."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
