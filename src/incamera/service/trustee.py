# SPDX-License-Identifier: Apache-2.0
"""A trustee over HTTP. Anybody may ask: what it is shown is public, what it gives is sealed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from incamera.clock import Clock
from incamera.encoding import exact_keys, parse_json
from incamera.errors import InputError, UnavailableError
from incamera.ledger import addresses
from incamera.ledger.codec import parse_int
from incamera.ledger.grant import Grant
from incamera.ledger.request import GrantRequest
from incamera.ledger.state import State
from incamera.service.answers import HANDLERS, answer_json
from incamera.service.chores import Chores
from incamera.service.guard import Gate, Pool, read_body
from incamera.service.journal import Journal
from incamera.service.settings import Peer, TrusteeSettings
from incamera.service.standing import Check, room, standing_routes
from incamera.service.together import Together
from incamera.tlog import Policy
from incamera.tlog.remote import HttpFetch
from incamera.trustee import Trustee
from incamera.trustee.heads import Heads
from incamera.wire import Client

__all__ = ["Submit", "open_trustee", "seat", "trustee_app"]

_PRIVATE = {"Cache-Control": "no-store"}
_TOGETHER = 32
"""Requests decided in one go; more wait for the next."""
_AT_ONCE = 8
_MAX_ASKED = 1 << 22  # 128 capsules with 32 shares each have 2.3 MB
_MAX_EVIDENCE = 1 << 22
_MAX_ANSWER = 1 << 10


class Submit:
    """Hands an entry to the log, by way of the vault; the index it names is not believed."""

    def __init__(self, vault: Peer, *, seconds: float = 30.0) -> None:
        """``vault``: where entries are submitted."""
        self._client = Client(vault.url, ca=vault.ca, seconds=seconds)

    def __call__(self, entry: bytes) -> int:
        """The index that the vault says."""
        answer = self._client.send("POST", "entries", entry, limit=_MAX_ANSWER)
        where = f"{self._client.where}/entries"
        try:
            said = exact_keys(parse_json(answer.body, where), ("index",), where)
            return parse_int(said["index"], where)
        except InputError as error:
            raise UnavailableError(error.message) from error

    def many(self, entries: Sequence[bytes]) -> None:
        """Hand over all at once: the vault logs as one batch what comes together.

        The first error of any, once all were answered.
        """
        with ThreadPoolExecutor(min(_AT_ONCE, len(entries)), "submit") as pool:
            answers = [pool.submit(self, entry) for entry in entries]
        for each in answers:
            each.result()


def seat(settings: TrusteeSettings, clock: Clock) -> Trustee:
    """The trustee of a configuration, held to its region's addresses. Asks nobody anything yet."""
    addresses.hold(settings.home)
    policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
    fetch = HttpFetch(settings.log.url, ca=settings.log.ca)
    views = {
        name: HttpFetch(each.url, ca=each.ca, seconds=5.0, attempts=1)
        for name, each in settings.witnesses.items()
    }
    submit = Submit(settings.vault)
    return Trustee(
        settings.home,
        settings.name,
        fetch,
        policy,
        clock,
        submit,
        append_many=submit.many,
        heads=Heads(policy, views, clock) if views else None,
    )


def open_trustee(settings: TrusteeSettings, clock: Clock, journal: Journal) -> Starlette:
    """The trustee of a configuration, as an app."""
    trustee = seat(settings, clock)

    def tend() -> None:
        """Read on, so that a request's notice runs from when it was logged; end old keys."""
        for said in trustee.tend().said:
            journal.say("tended", said=said)

    decisions = Together(trustee.decide_many, journal, _TOGETHER)
    chores = Chores(journal, settings.every, tend)
    log = HttpFetch(settings.log.url, ca=settings.log.ca, seconds=5.0, attempts=1)
    checks: dict[str, Check] = {
        "log": lambda: log("checkpoint"),
        "disk": room(settings.home),
    }
    return trustee_app(trustee, decisions, chores, checks)


def trustee_app(
    trustee: Trustee,
    decisions: Together[GrantRequest, Grant],
    chores: Chores,
    checks: Mapping[str, Check] | None = None,
) -> Starlette:
    """``POST /decide``, ``POST /accuse``, and what it says of itself.

    The app starts and stops ``decisions``, the one place where what is asked from outside meets
    the trustee, and ``chores``.
    """
    # What waits is bounded, and so is the memory that it holds.
    # Who sends slowly holds a place at the door, not one of those that are being decided.
    door, asked, work = Gate(128), Gate(32), Pool(threads=4, waiting=64)
    status = _Status(trustee)

    async def decide(request: Request) -> Response:
        with door.passed():
            body = await read_body(request, _MAX_ASKED)
        with asked.passed():
            wanted = await work.run(GrantRequest.parse, body)
            grant = await decisions.answer(wanted)
        return Response(grant.envelope, media_type="application/json", headers=_PRIVATE)

    async def accuse(request: Request) -> Response:
        with door.passed():
            body = await read_body(request, _MAX_EVIDENCE)
        await work.run(_accuse, trustee, body)
        return answer_json(await work.run(status.now))

    async def tell(request: Request) -> Response:
        del request
        return answer_json(await work.run(status.now))

    async def evidence(request: Request) -> Response:
        del request
        names = await work.run(lambda: [each.name for each in trustee.evidence])
        return answer_json({"v": 1, "evidence": names})

    async def piece(request: Request) -> Response:
        for each in await work.run(lambda: trustee.evidence):
            if each.name == request.path_params["name"]:
                data = await work.run(each.read_bytes)
                return Response(data, media_type="application/json")
        raise HTTPException(404)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        decisions.start()
        chores.start()
        yield
        await anyio.to_thread.run_sync(decisions.stop)
        await anyio.to_thread.run_sync(chores.stop)
        trustee.close()

    routes = [
        Route("/decide", decide, methods=["POST"]),
        Route("/accuse", accuse, methods=["POST"]),
        Route("/status", tell, methods=["GET"]),
        *standing_routes(checks or {}),
        Route("/evidence", evidence, methods=["GET"]),
        Route("/evidence/{name}", piece, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS, lifespan=lifespan)


def _accuse(trustee: Trustee, body: bytes) -> None:
    trustee.convict(body)


class _Status:
    """What a trustee says of itself. Reads the committed state, not the one being written."""

    def __init__(self, trustee: Trustee) -> None:
        self._trustee = trustee
        self._state = State(trustee.home / "state.db")
        self._turn = threading.Lock()

    def now(self) -> dict[str, object]:
        with self._turn:
            size, time = self._state.size, self._state.time
        return {
            "v": 1,
            "trustee": self._trustee.name,
            "frozen": self._trustee.frozen,
            "size": size,  # log entries read
            "time": time,  # witness time, POSIX seconds
            "epochs": self._trustee.keys.epochs(),  # whose keys are not destroyed
        }
