# SPDX-License-Identifier: Apache-2.0
"""An app on a socket: uvicorn with every limit set, stopped cleanly by SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from incamera.errors import InputError, UnavailableError
from incamera.service.callers import CERTIFIED
from incamera.service.connection import Connection
from incamera.service.guard import Guard
from incamera.service.journal import Journal
from incamera.service.opening import settle_in
from incamera.service.settings import Listen
from incamera.service.settings_operator import Desk

__all__ = ["serve"]

_IDLE_SECONDS = 15
_STOP_SECONDS = 10
_DESK = 16
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # for TLS 1.2; TLS 1.3 has its own


class _Server(uvicorn.Server):
    """Says when it listens; listens on the operators' own address too, if there is one."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        desk: tuple[uvicorn.Config, socket.socket] | None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._desk = desk

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self._desk is not None:
            await self._open(*self._desk)
        self._ready()

    async def _open(self, config: uvicorn.Config, place: socket.socket) -> None:
        """A second listener over the same app and state; it is closed with the first."""

        def connection() -> asyncio.Protocol:
            return Connection(config, self.server_state, self.lifespan.state)

        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(connection, sock=place, ssl=config.ssl))


def serve(
    app: ASGIApp,
    listen: Listen,
    journal: Journal,
    ready: Callable[[str], None],
    desk: Desk | None = None,
) -> None:
    """Serve ``app`` until SIGTERM or SIGINT; ``ready`` is told the URL once it can be asked.

    What is being answered then is answered first, for up to 10 s. ``desk``: another address, for
    who shows a certificate. :class:`UnavailableError` if an address is taken, :class:`InputError`
    for a certificate or key that cannot be used.
    """
    _check_tls(listen)
    settle_in()
    journal.adopt("")  # whatever library warns: asyncio, the database's, the queue's
    journal.adopt("uvicorn.error")
    guarded = Guard(app, journal)
    config = _config(guarded, listen)
    place = _bind(listen)
    host, port = place.getsockname()[:2]
    scheme = "https" if listen.certificate else "http"
    url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises them again once it has stopped; by then there is nothing left to do.
        signal.signal(number, lambda *_: None)
    second = None if desk is None else _desk(guarded, desk, listen)
    _Server(config, lambda: ready(url), second).run([place])


def _config(app: ASGIApp, listen: Listen, ca: Path | None = None) -> uvicorn.Config:
    """``ca``: whoever connects shows a certificate of it."""
    return uvicorn.Config(
        app,
        http=Connection,
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
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
        ssl_ciphers=_CIPHERS,
        ssl_ca_certs=None if ca is None else str(ca),
        ssl_cert_reqs=ssl.CERT_NONE if ca is None else ssl.CERT_REQUIRED,
    )


def _desk(app: ASGIApp, desk: Desk, beside: Listen) -> tuple[uvicorn.Config, socket.socket]:
    """The operators' listener; it has some connections when all others are taken."""
    listen = Listen(desk.host, desk.port, desk.certificate, desk.key, beside.connections + _DESK)
    _check_tls(listen)

    async def certified(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CERTIFIED: True}, receive, send)

    config = _config(certified, listen, desk.ca)
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{desk.ca}: cannot be used to check certificates: {error}") from error
    return config, _bind(listen)


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
