# SPDX-License-Identifier: Apache-2.0
"""The vault over HTTP: the way into the log for everybody, and to ciphertext for the enrolled.

A call that wants to know who makes it carries a signature (:mod:`incamera.service.auth`) by a key
that the log knows; what a role may see is said in :mod:`incamera.service.catalogue`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from incamera.clock import Clock
from incamera.errors import InputError
from incamera.ids import parse_digest
from incamera.ledger.codec import decode
from incamera.ledger.receipt import make_receipt
from incamera.sealing.header import Header
from incamera.sealing.keys import SigningKey
from incamera.service.answers import HANDLERS, NothingError, answer_json
from incamera.service.auth import Token
from incamera.service.bundle import bundle
from incamera.service.callers import Callers
from incamera.service.catalogue import Catalogue
from incamera.service.chores import Chores
from incamera.service.guard import Gate, Pool, read_body
from incamera.service.journal import Journal
from incamera.service.logclient import LogClient
from incamera.service.public import KINDS, PUBLISHERS, check_text
from incamera.service.settings import VaultSettings
from incamera.service.together import Together
from incamera.service.upload import Incoming
from incamera.service.vaults import Vaults
from incamera.tlog import Policy
from incamera.vault import RefusedError, Vault

__all__ = ["Keep", "open_vault", "vault_app"]

_MAX_ENTRY = 65_535
_TOGETHER = 256
"""Entries submitted in one go; more wait for the next."""
_MAX_SMALL = 1 << 14
_CAPSULE = "application/vnd.incamera.capsule"
_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Keep:
    """What a vault's server works with."""

    vaults: Vaults
    callers: Callers
    log: LogClient
    incoming: Incoming
    #: Signed entries on their way into the log, logged as one batch if they come together.
    entries: Together[bytes, int]
    #: For ``GET /region``: the log's URL, and each trustee's.
    urls: Mapping[str, Any]


def open_vault(settings: VaultSettings, clock: Clock, journal: Journal) -> Starlette:
    """The vault of a configuration, as an app. It is opened as soon as its log answers."""
    policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
    key, token = SigningKey.load(settings.key), Token.load(settings.token)
    log = LogClient(settings.log.url, token, policy, ca=settings.log.ca)
    vaults = Vaults(lambda: Vault(settings.home, key, log, log.fetch, clock))
    callers = Callers(settings.home / "state.db", log.fetch, policy, clock)

    def welcome(header: Header) -> None:
        if not callers.is_car(header.car_key):
            raise RefusedError("unenrolled", "no car is enrolled with this key")

    incoming = Incoming(settings.home / "incoming", settings.largest, welcome)
    urls = {"log": settings.log_public, "trustees": dict(settings.trustees)}
    entries: Together[bytes, int] = Together(vaults.submit_all, journal, _TOGETHER)
    keep = Keep(vaults, callers, log, incoming, entries, urls)
    return vault_app(keep, Chores(journal, _EVERY, vaults.follow))


def vault_app(keep: Keep, chores: Chores) -> Starlette:
    """The app; it starts and stops ``chores``, and the thread that submits entries."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        keep.entries.start()
        chores.start()
        yield
        await anyio.to_thread.run_sync(keep.entries.stop)
        await anyio.to_thread.run_sync(chores.stop)
        keep.vaults.close()

    routes = [*_writing(keep), *_reading(keep)]
    return Starlette(routes=routes, exception_handlers=HANDLERS, lifespan=lifespan)


def _writing(keep: Keep) -> list[Route]:
    """Into the log, and into the vault."""
    writes, texts, uploads = Pool(threads=4, waiting=252), Gate(8), Gate(16)
    waiting = Gate(1024)  # 64 MiB of entries

    async def submit(request: Request) -> Response:
        with waiting.passed():
            body = await read_body(request, _MAX_ENTRY)
            await writes.run(decode, body, "submitted entry")  # rubbish waits for nobody
            index = await asyncio.wrap_future(keep.entries.ask(body))
        return answer_json({"index": index}, 201)

    async def publish(kind: str, request: Request) -> Response:
        name = request.path_params["name"]
        caller = await writes.run(keep.callers.of, request)
        if kind in PUBLISHERS:
            caller.only(*PUBLISHERS[kind])
        with texts.passed():
            body = await read_body(request, KINDS[kind][1])
            caller.sent(body)
            check_text(kind, name, body)
            await writes.run(keep.log.publish, kind, name, body)
        return answer_json({"path": f"{kind}/{name}"}, 201)

    async def upload(request: Request) -> Response:
        with uploads.passed():
            place = await keep.incoming.take(request)
            try:
                receipt = await writes.run(lambda: keep.vaults.writer.admit(place))
            finally:
                place.unlink(missing_ok=True)
        return Response(receipt, 201, media_type="text/plain; charset=utf-8")

    return [
        Route("/entries", submit, methods=["POST"]),
        Route("/capsules", upload, methods=["POST"]),
        *(Route(f"/{kind}/{{name}}", partial(publish, kind), methods=["PUT"]) for kind in KINDS),
    ]


def _reading(keep: Keep) -> list[Route]:
    """What anybody may know, and what the enrolled may."""
    looks, proofs = Pool(threads=8, waiting=248), Pool(threads=4, waiting=60)
    bundles = Pool(threads=2, waiting=30)  # 16 MiB in memory for each
    catalogue = Catalogue(keep.vaults)

    async def region(request: Request) -> Response:
        del request
        entry = await looks.run(keep.callers.region)
        return answer_json({"v": 1, "region": entry.region, **keep.urls})

    async def rows(request: Request) -> Response:
        caller = await looks.run(keep.callers.of, request)
        asked = dict(request.query_params.multi_items())
        if len(asked) != len(request.query_params.multi_items()):
            raise InputError("a parameter stands twice")
        return answer_json(await looks.run(catalogue.page, caller, asked))

    async def capsule(request: Request) -> Response:
        name = parse_digest(request.path_params["name"], "capsule")
        caller = await looks.run(keep.callers.of, request)
        path = await looks.run(catalogue.file, caller, name)
        headers = {"Cache-Control": "no-store"}
        return FileResponse(path, media_type=_CAPSULE, headers=headers)

    async def evidence(request: Request) -> Response:
        caller = await looks.run(keep.callers.of, request)
        body = await read_body(request, _MAX_SMALL)
        caller.sent(body)
        return answer_json(await looks.run(catalogue.evidence, caller, body))

    async def several(request: Request) -> Response:
        caller = await looks.run(keep.callers.of, request)
        body = await read_body(request, _MAX_SMALL)
        caller.sent(body)
        data = await bundles.run(bundle, body, partial(catalogue.file, caller))
        return Response(data, media_type=_CAPSULE, headers={"Cache-Control": "no-store"})

    async def receipt(request: Request) -> Response:
        name = parse_digest(request.path_params["name"], "capsule")
        row = await looks.run(keep.vaults.row, name)
        if row is None or row.index is None:
            raise NothingError(f"no capsule {name} was admitted here")
        proof = await proofs.run(_receipt, keep.log, row.index)
        return Response(proof, media_type="text/plain; charset=utf-8")

    return [
        Route("/region", region, methods=["GET"]),
        Route("/capsules", rows, methods=["GET"]),
        Route("/capsules/{name}", capsule, methods=["GET"]),
        Route("/capsules/{name}/receipt", receipt, methods=["GET"]),
        Route("/evidence", evidence, methods=["POST"]),
        Route("/bundle", several, methods=["POST"]),
    ]


def _receipt(log: LogClient, index: int) -> bytes:
    """Made of what the log publishes: who asks for receipts keeps nobody from the vault's lock."""
    return make_receipt(log.proof(index), log.entry(index))
