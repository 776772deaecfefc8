# SPDX-License-Identifier: Apache-2.0
"""An app on a socket: uvicorn with every limit set, stopped cleanly by SIGTERM.

Slow callers cost a connection for a bounded time: a request's head has 10 s, its body what
:mod:`incamera.service.guard` allows, an idle connection 15 s, a reader that stopped reading 30 s.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from incamera.errors import InputError, UnavailableError
from incamera.service.guard import Guard
from incamera.service.journal import Journal
from incamera.service.settings import Listen

__all__ = ["serve"]

_HEAD_SECONDS = 10.0
_STALL_SECONDS = 30.0
_IDLE_SECONDS = 15
_STOP_SECONDS = 10
_MAX_HEAD = 1 << 14
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # for TLS 1.2; TLS 1.3 has its own


class _Impatient(H11Protocol):
    """uvicorn's protocol, which waits for ever for a head, and for a reader who stopped."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > 2 * (self.limit_concurrency or 0):
            transport.abort()  # past being told 503: a descriptor is worth more
            return
        self._head = self.loop.call_later(_HEAD_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_came()
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def on_response_complete(self) -> None:
        self._head_came()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._reader_reads()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # Closing waits for the last answer to be read.
        self._stall = self._stall or self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._reader_reads()
        super().connection_lost(exc)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _reader_reads(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve(app: ASGIApp, listen: Listen, journal: Journal, ready: Callable[[str], None]) -> None:
    """Serve ``app`` until SIGTERM or SIGINT; ``ready`` is told the URL once it can be asked.

    What is being answered then is answered first, for up to 10 s. :class:`UnavailableError` if
    the address is taken, :class:`InputError` for a certificate or key that cannot be used.
    """
    _check_tls(listen)
    journal.adopt("uvicorn.error")
    journal.adopt("asyncio")
    config = uvicorn.Config(
        Guard(app, journal),
        http=_Impatient,
        ws="none",
        loop="asyncio",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=listen.connections,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=_MAX_HEAD,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
        ssl_ciphers=_CIPHERS,
    )
    place = _bind(listen)
    host, port = place.getsockname()[:2]
    scheme = "https" if listen.certificate else "http"
    url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises them again once it has stopped; by then there is nothing left to do.
        signal.signal(number, lambda *_: None)
    _Server(config, lambda: ready(url)).run([place])


def _bind(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # Not socket.create_server: of a socket without its protocol asyncio does not know that it is
    # TCP, leaves Nagle's algorithm on, and every short answer waits 40 ms for an acknowledgement.
    place = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        place.bind((listen.host, listen.port))
        place.listen(512)
    except OSError as error:
        place.close()
        raise UnavailableError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror or error}",
            hint="stop what listens there, or name another address with --listen",
        ) from error
    return place


def _check_tls(listen: Listen) -> None:
    if listen.certificate is None or listen.key is None:
        return
    if stat.S_IMODE(listen.key.stat().st_mode) & 0o077:
        raise InputError(
            f"{listen.key}: other users may read this private key", hint=f"chmod 600 {listen.key}"
        )
    _load_chain(listen.certificate, listen.key)


def _load_chain(certificate: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_ask)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise InputError(f"{certificate}, {key}: cannot be used for TLS: {error}") from error


def _ask() -> str:
    """A key that wants a passphrase is refused, and nobody is asked for one on a terminal."""
    return ""
