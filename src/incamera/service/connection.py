# SPDX-License-Identifier: Apache-2.0
"""One connection to a server: uvicorn's protocol over httptools, with every limit set.

Slow callers cost a connection for a bounded time: a request's head has 10 s and 16 KiB, its body
what :mod:`incamera.service.guard` allows, an idle connection 15 s, a reader that stopped reading
30 s. What is no HTTP is answered as everything else here is, by a problem document.
"""

from __future__ import annotations

import asyncio

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from incamera.errors import InputError, UnavailableError
from incamera.service.answers import problem

__all__ = ["Connection"]

_HEAD_SECONDS = 10.0
_STALL_SECONDS = 30.0
_MAX_HEAD = 1 << 15
"""Bytes of a head that is not complete; the guard says 431 to a complete one of half as many."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which waits for ever for a head, and for a reader who stopped."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._most = config.limit_concurrency or 0
        self.limit_concurrency = None  # its own answer is no problem document
        self._head: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        #: Bytes that came since the last request's end, while no head is complete.
        self._came = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Past so many connections it is told to come back; past twice as many, nothing."""
        super().connection_made(transport)
        if len(self.connections) > 2 * self._most:
            transport.abort()  # past being told 503: a descriptor is worth more
            return
        if len(self.connections) > self._most:
            self.app = _full
        self._head = self.loop.call_later(_HEAD_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bound what comes before a head is complete."""
        self._unset_keepalive_if_required()
        self._came += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as what it is without the upgrade
        except httptools.HttpParserError:
            self._refuse(InputError("this is not HTTP/1.1 as RFC 9112 has it"), 400)
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_came()
        elif self._came > _MAX_HEAD:
            self._refuse(InputError(f"headers may have {_MAX_HEAD // 2} bytes"), 431)
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._came = 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The next head may come."""
        self._head_came()
        self._came = 0
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The reader does not keep up."""
        super().pause_writing()
        self._stall = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._reader_reads()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked."""
        super().timeout_keep_alive_handler()
        # Closing waits for the last answer to be read.
        self._stall = self._stall or self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives the connection."""
        self._head_came()
        self._reader_reads()
        super().connection_lost(exc)

    def _refuse(self, error: InputError, status: int) -> None:
        """Say what is wrong, unless an answer has begun; who reads the body sees it end."""
        cycle = self.cycle
        begun = cycle is not None and not cycle.response_complete and cycle.response_started
        if not begun and not self.transport.is_closing():
            answer = problem(error, status)
            head = [b"HTTP/1.1 %d \r\nconnection: close\r\n" % status]
            head += [b"%s: %s\r\n" % each for each in answer.raw_headers]
            self.transport.write(b"".join([*head, b"\r\n", bytes(answer.body)]))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _reader_reads(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    """What is said past the most connections."""
    answer = problem(UnavailableError("too many connections at this moment", hint="ask again"))
    answer.headers["connection"] = "close"
    await answer(scope, receive, send)
