# SPDX-License-Identifier: Apache-2.0
"""A witness over HTTP, as C2SP tlog-witness says: its statuses, its plain bodies."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from incamera.clock import Clock
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.service.answers import HANDLERS, problem
from incamera.service.guard import Pool, read_body
from incamera.service.journal import Journal
from incamera.service.settings import Peer, WitnessSettings
from incamera.service.standing import Check, room, standing_routes
from incamera.tlog import Witness
from incamera.tlog.keys import load_cosigner
from incamera.tlog.note import Verifier
from incamera.tlog.remote import HttpFetch

__all__ = ["open_witness", "witness_app"]

_MAX_BODY = 1 << 20
_SIZE = "text/x.tlog.size"
_PLAIN = "text/plain; charset=utf-8"


def open_witness(settings: WitnessSettings, clock: Clock, journal: Journal) -> Starlette:
    """The witness of a configuration, as an app; it looks first what it forgot."""
    logs = {}
    for each in settings.logs:
        verifier = Verifier.parse(each.vkey)
        if verifier.name in logs:
            raise InputError(
                f"two keys for the log {verifier.name!r:.80}", hint="a log here has one key"
            )
        logs[verifier.name] = verifier
    witness = Witness(settings.state, load_cosigner(settings.key), logs, clock)
    for each in settings.logs:
        if each.peer is not None:
            _recall(witness, each.peer, journal)
    return witness_app(witness, logs, {"disk": room(settings.state)})


def _recall(witness: Witness, log: Peer, journal: Journal) -> None:
    """State that came back from a backup goes on from our own cosignature on the log's checkpoint.

    A log that does not answer is told and no more: a log that begins waits for its witnesses.
    """
    fetch = HttpFetch(log.url, ca=log.ca, seconds=5.0, attempts=1)
    try:
        if witness.recall(fetch("checkpoint")):
            journal.say("recalled")
    except UnavailableError:
        journal.say("not-recalled")
    finally:
        fetch.close()


def witness_app(
    witness: Witness, origins: Collection[str], checks: Mapping[str, Check] | None = None
) -> Starlette:
    """``POST /add-checkpoint`` and, for the logs of ``origins``, what monitors fetch."""
    pool = Pool(threads=8, waiting=64)
    names = {digest(origin.encode()): origin for origin in origins}

    async def add(request: Request) -> Response:
        body = await read_body(request, _MAX_BODY)
        try:
            status, answer = await pool.run(witness.add_checkpoint, body)
        except IntegrityError as error:
            # Our own state is damaged. Not 422: that would say that the log forked.
            return problem(error, 500)
        # Not media_type: that adds a charset to text/*, and clients compare with the bare type.
        return Response(
            answer, status, headers={"Content-Type": _SIZE if status == 409 else _PLAIN}
        )

    async def published(request: Request) -> Response:
        origin = names.get(request.path_params["log"])
        note = None if origin is None else await pool.run(witness.published, origin)
        if note is None:
            return Response("no checkpoint of such a log\n", 404, media_type=_PLAIN)
        return Response(note, media_type=_PLAIN, headers={"Cache-Control": "no-cache"})

    routes = [
        Route("/add-checkpoint", add, methods=["POST"]),
        *standing_routes(checks or {}),
        Route("/{log}/checkpoint", published, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS)
