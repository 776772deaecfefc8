# SPDX-License-Identifier: Apache-2.0
"""Wires between the parties that can be cut: a relay in front of a server, in this process.

Cut, a wire carries nothing and says nothing: what is sent into it is not answered, not even with a
refusal, and new connections are taken and left alone, as behind a switch that lost its power.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Literal

__all__ = ["Wire", "Wires"]

State = Literal["whole", "cut", "broken", "errors", "slow"]
"""``broken``: connections are reset. ``errors``: HTTP 500 to everything. ``slow``: each piece of
an answer waits ``delay`` seconds."""

_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Wire:
    """From a port of ours to a port of a server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.state: State = "whole"
        self.delay = 1.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def listen(self) -> asyncio.Server:
        """Begin to carry."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def set(self, state: State) -> None:
        """From any thread. Mended, a wire has lost what was on it: its connections are reset."""
        self.state = state
        if state in ("broken", "whole", "errors") and self._loop is not None:
            self._loop.call_soon_threadsafe(self._reset)

    def _reset(self) -> None:
        for each in self._writers:
            each.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self.state == "errors":
                await reader.read(1 << 16)
                writer.write(_ERROR)
                await writer.drain()
                return
            if self.state == "broken":
                writer.transport.abort()
                return
            while self.state == "cut":
                await asyncio.sleep(0.1)
            there = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(there[1])
            try:
                await asyncio.gather(
                    self._pour(reader, there[1], 0.0), self._pour(there[0], writer, 1.0)
                )
            finally:
                self._writers.discard(there[1])
                there[1].transport.abort()
        except OSError:
            pass  # either end is gone: so is the wire
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pour(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: float
    ) -> None:
        while piece := await reader.read(1 << 17):
            while self.state == "cut":
                await asyncio.sleep(0.1)
            if self.state == "slow" and late:
                await asyncio.sleep(self.delay * late)
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


class Wires:
    """All of them, in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)
        self._thread.start()
        self.by_name: dict[str, Wire] = {}

    def add(self, name: str, port: int) -> Wire:
        """A wire to ``port`` on loopback; it listens when this returns."""
        wire = self.by_name[name] = Wire(port)
        asyncio.run_coroutine_threadsafe(wire.listen(), self._loop).result(10)
        return wire

    def close(self) -> None:
        """Let go, once."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_all_ended(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


async def _all_ended() -> None:
    """What is being carried is dropped; or each would say that nobody waited for it."""
    carrying = asyncio.all_tasks() - {asyncio.current_task()}
    for each in carrying:
        each.cancel()
    await asyncio.gather(*carrying, return_exceptions=True)
