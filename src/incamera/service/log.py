# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP: public files for everybody; entries and texts from the vault alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from incamera.clock import Clock
from incamera.encoding import exact_keys, parse_json
from incamera.errors import InputError, IntegrityError
from incamera.service.answers import HANDLERS, answer_json
from incamera.service.auth import Token
from incamera.service.guard import Pool, read_body
from incamera.service.journal import Journal
from incamera.service.public import KINDS, publish, read_public
from incamera.service.sequencer import Sequencer
from incamera.service.settings import LogSettings
from incamera.tlog import Log, Policy, tile
from incamera.tlog.keys import load_signer
from incamera.tlog.remote import HttpWitness

__all__ = ["MAX_ADD", "log_app", "open_log"]

MAX_ADD = 1 << 24
"""Bytes of entries, each behind its length, in one call."""

_MAX_SMALL = 1 << 10
_MAX_AGE = 1 << 31


def open_log(
    settings: LogSettings, clock: Clock, journal: Journal, *, create: bool = False
) -> Starlette:
    """The log of a configuration, as an app.

    ``create``: make the empty log if its state folder has none; its witnesses must answer.
    """
    signer = load_signer(settings.key)
    policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
    token = Token.load(settings.token)
    witnesses = [HttpWitness(each.url, ca=each.ca) for each in settings.witnesses]
    make = Log.create if create and not (settings.state / "tree").exists() else Log
    log = make(settings.public, settings.state, signer, witnesses, policy, clock)
    sequencer = Sequencer(log, journal, refresh=settings.refresh)
    return log_app(log, sequencer, settings.public, token)


def log_app(log: Log, sequencer: Sequencer, public: Path, token: Token) -> Starlette:
    """Serves ``public``, and writes through ``sequencer``, which it starts and stops."""
    files = Pool(threads=8, waiting=256)
    writes = Pool(threads=2, waiting=16)

    async def add(request: Request) -> Response:
        token.check(request.headers.get("authorization", ""))
        body = await read_body(request, MAX_ADD)
        appended = await asyncio.wrap_future(sequencer.add(_entries(body)))
        return answer_json({"first": appended.first_index, "size": appended.size})

    async def refresh(request: Request) -> Response:
        token.check(request.headers.get("authorization", ""))
        body = await read_body(request, _MAX_SMALL)
        asked = exact_keys(parse_json(body, "refresh"), ("older_than",), "refresh")
        age = asked["older_than"]
        if type(age) is not int or not 0 <= age <= _MAX_AGE:
            raise InputError("refresh: older_than must be seconds")
        witnessed = await writes.run(log.refresh, age)
        return answer_json({"size": witnessed.checkpoint.size})

    async def put(kind: str, request: Request) -> Response:
        token.check(request.headers.get("authorization", ""))
        name = request.path_params["name"]
        body = await read_body(request, KINDS[kind][1])
        new = await writes.run(publish, public, kind, name, body)
        return answer_json({"path": f"{kind}/{name}"}, 201 if new else 200)

    async def get(request: Request) -> Response:
        path = request.path_params["path"]
        if path in ("add", "refresh"):
            raise HTTPException(405, headers={"Allow": "POST"})
        return await files.run(read_public, public, path)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        sequencer.start()
        yield
        await asyncio.to_thread(sequencer.stop)

    routes = [
        Route("/add", add, methods=["POST"]),
        Route("/refresh", refresh, methods=["POST"]),
        *(Route(f"/{kind}/{{name}}", partial(put, kind), methods=["PUT"]) for kind in KINDS),
        Route("/{path:path}", get, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS, lifespan=lifespan)


def _entries(body: bytes) -> list[bytes]:
    try:
        entries = tile.decode_bundle(body, "add")
        if not all(entries):
            raise InputError("add: an empty entry says nothing")
    except IntegrityError as error:
        raise InputError(error.message) from error
    if not entries or not all(entries):
        raise InputError("add: no entry, or an empty one")
    return entries
