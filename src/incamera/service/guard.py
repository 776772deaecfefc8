# SPDX-License-Identifier: Apache-2.0
"""What stands before every handler: how many at once, how long a body, how much work waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from incamera.clock import monotonic
from incamera.errors import InputError, UnavailableError
from incamera.service import meters
from incamera.service.answers import SlowError, TooLargeError, problem
from incamera.service.journal import Journal

__all__ = ["Gate", "Guard", "Pool", "body_pieces", "read_body"]

P = ParamSpec("P")
T = TypeVar("T")

_BODY_SECONDS = 15.0
_SLOWEST = 1 << 15  # bytes a second
_MAX_HEAD = 1 << 14


class Guard:
    """Wraps an app: bounds the calls being answered, notes each, lets no fault of ours out."""

    def __init__(self, app: ASGIApp, journal: Journal, active: int = 512) -> None:
        """``active``: calls being answered at a time; more are told to come back."""
        self._app = app
        self._journal = journal
        self._most = active
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Watched(scope, receive, send)
        self._active += 1
        try:
            await (self._refusal(scope) or self._app)(scope, call.receive, call.send)
        except ClientDisconnect:
            pass  # nobody is left to be answered
        except Exception as error:  # noqa: BLE001  # answered as 500 by the app; noted here
            self._journal.fault(error)
        finally:
            self._active -= 1
            self._note(scope, call)

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered without asking the app, if anything."""
        if self._active > self._most:
            return problem(UnavailableError("too many calls at this moment", hint="ask again"))
        # The connection bounds a head that comes in pieces; here is one that came at once.
        hosts, size = 0, len(scope["raw_path"])
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            hosts += name == b"host"
        if size > _MAX_HEAD:
            return problem(InputError(f"headers may have {_MAX_HEAD} bytes"), 431)
        if hosts != 1 and scope["http_version"] == "1.1":
            return problem(InputError("HTTP/1.1 wants one Host header (RFC 9112)"), 400)
        return None

    def _note(self, scope: Scope, call: _Watched) -> None:
        """Counted; but reading what is public is nobody's business and not noted."""
        route = getattr(scope.get("route"), "path", None)
        took = monotonic() - call.began
        meters.call(scope["method"], route, call.status, took)
        if scope["method"] in ("GET", "HEAD") and call.status < 400:
            return
        method = scope["method"] if scope["method"].isalpha() else "?"
        facts = {"route": route, "status": call.status, "ms": round(1000 * took)}
        self._journal.say("call", method=method[:10], **facts)


class _Watched:
    """One call: what was answered, and whether its body was read to the end."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._more = any(
            name in (b"content-length", b"transfer-encoding") and value != b"0"
            for name, value in scope["headers"]
        )
        self.status = 0
        self.began = monotonic()

    async def receive(self) -> Message:
        message = await self._receive()
        self._more = bool(message.get("more_body"))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), (b"x-content-type-options", b"nosniff")]
            if self._more:
                # Or the rest of a body that nobody wants would be read for as long as it lasts.
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


async def body_pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes, whatever its headers say of its length.

    :class:`TooLargeError` past ``limit`` bytes; :class:`SlowError` after 15 s, unless 32 KiB a
    second have come and go on coming.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > limit:
        raise TooLargeError(f"the body may have {limit} bytes")
    loop = asyncio.get_running_loop()
    began, read, stream = loop.time(), 0, request.stream()
    while True:
        try:
            async with asyncio.timeout_at(began + _BODY_SECONDS + read / _SLOWEST):
                piece = await anext(stream, None)
        except TimeoutError as error:
            raise SlowError("the body came too slowly") from error
        if piece is None:
            return
        read += len(piece)
        if read > limit:
            raise TooLargeError(f"the body may have {limit} bytes")
        yield piece


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes; errors as :func:`body_pieces`."""
    return b"".join([piece async for piece in body_pieces(request, limit)])


class Gate:
    """So many within, and no more: what one call may hold in memory, times this, is the most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._within = 0

    @contextlib.contextmanager
    def passed(self) -> Iterator[None]:
        """Within the gate while the block runs; :class:`UnavailableError` if it is full."""
        if self._within >= self._most:
            raise UnavailableError("too much work is waiting here", hint="ask again")
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1


class Pool:
    """Threads for work that blocks: so many at once, so many waiting, and no more."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._threads = threads
        self._gate = Gate(threads + waiting)
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``work(*args, **kwargs)`` in a thread; :class:`UnavailableError` if too many wait."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        with self._gate.passed():
            return await anyio.to_thread.run_sync(
                lambda: work(*args, **kwargs), limiter=self._limiter
            )
