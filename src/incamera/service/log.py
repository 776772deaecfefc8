# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP: public files for everybody; entries and texts from the vault alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from incamera.clock import Clock
from incamera.encoding import exact_keys, parse_json
from incamera.errors import InputError, IntegrityError
from incamera.service.answers import HANDLERS, answer_json, problem
from incamera.service.auth import Token
from incamera.service.guard import Pool, read_body
from incamera.service.journal import Journal
from incamera.service.leader import Candidate, Folder, StandbyError
from incamera.service.logclient import tell_appended
from incamera.service.meters import gauge
from incamera.service.public import KINDS, publish, read_public
from incamera.service.sequencer import Sequencer
from incamera.service.settings import LogSettings
from incamera.service.standing import log_checks, log_gauges, standing_routes
from incamera.service.term import Term
from incamera.tlog import Log, Policy, Witnessed, tile
from incamera.tlog.deciding import Led, adopt, is_led, mark
from incamera.tlog.keys import load_signer
from incamera.tlog.log import Appended
from incamera.tlog.remote import HttpWitness
from incamera.tlog.storage import Tree

__all__ = ["LEADER", "MAX_ADD", "Writer", "log_app", "open_log"]

LEADER = "Incamera-Leader"
"""Header of a 503 from a log that stands by: where the one that leads can be asked."""

MAX_ADD = 1 << 24
"""Bytes of entries, each behind its length, in one call."""

_MAX_SMALL = 1 << 10
_MAX_AGE = 1 << 31


class Writer(Protocol):
    """What writes the log: a :class:`Sequencer` alone, or a :class:`Candidate` of several."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """Finish the batch that is being written."""
        ...

    def add(self, entries: Sequence[bytes]) -> Future[Appended]:
        """Into the published log."""
        ...

    def refresh(self, older_than: int) -> Witnessed:
        """Finish what was begun, have the present tree cosigned."""
        ...

    def check(self) -> None:
        """:class:`StandbyError` unless this process may write."""
        ...

    def known(self) -> None:
        """:class:`StandbyError` if it is not known who writes."""
        ...

    def writes(self) -> float:
        """1 if this process writes, as far as it knows."""
        ...

    def status(self) -> dict[str, Any]:
        """``role``: alone, leader or standby; ``leader``: its URL, if known. Asks nobody."""
        ...


def open_log(
    settings: LogSettings, clock: Clock, journal: Journal, *, create: bool = False
) -> Starlette:
    """The log of a configuration, as an app.

    ``create``: make the empty log if its state folder has none; its witnesses must answer.
    """
    token = Token.load(settings.token)
    opener = _Opener(settings, clock, journal, token, create)
    writer = opener.alone() if settings.leader is None else opener.candidate()
    log_gauges(settings.public, clock)
    gauge("log_writes", "1 if this process writes the log, 0 if it stands by.", writer.writes)
    return log_app(writer, settings.public, token)


class _Opener:
    """Opens the log of a configuration, alone or under a lead."""

    def __init__(
        self, settings: LogSettings, clock: Clock, journal: Journal, token: Token, create: bool
    ) -> None:
        self._told = settings
        self._journal = journal
        self._create = create
        self._token = token
        signer = load_signer(settings.key)
        policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
        witnesses = [HttpWitness(each.url, ca=each.ca) for each in settings.witnesses]
        self._place = (settings.public, settings.state, signer)
        self._log = partial(Log, *self._place, witnesses, policy, clock)
        self._make = partial(Log.create, *self._place, witnesses, policy, clock)
        self._found = partial(Log.found, *self._place, policy)

    def _writer(self, log: Log) -> Sequencer:
        told, queue = self._told, self._told.queue
        intake = None
        if queue is not None:
            from incamera.service.queueintake import QueueIntake

            intake = QueueIntake(queue, log.origin, self._token, self._journal)
        return Sequencer(log, self._journal, refresh=told.refresh, intake=intake)

    def alone(self) -> Sequencer:
        """By the files of the folder."""
        new = self._create and not (self._told.state / "tree").exists()
        return self._writer(self._make() if new else self._log())

    def candidate(self) -> Candidate:
        """One of several; which tree comes next is decided by the database."""
        told = self._told
        assert told.leader is not None
        if not (self._create or (told.state / "tree").exists()):
            self._log()  # says that there is none
        scheme = "https" if told.listen.certificate else "http"
        host = f"[{told.listen.host}]" if ":" in told.listen.host else told.listen.host
        url = f"{scheme}://{host}:{told.listen.port}"
        folder = Folder(self._adopt, self._open)
        return Candidate(told.leader, self._place[2].name, url, folder, self._journal)

    def _adopt(self, first: Callable[[Tree], Term]) -> Term:
        """A log that no database knows yet: made now, or written alone until now."""
        state = self._told.state
        if is_led(state):
            raise IntegrityError(
                f"{state}: the database does not know this log any more",
                hint="restore the database; if it is lost for good, see docs/operating/parties.md",
            )
        if self._create and not (state / "tree").exists():
            self._found()
        self._log().close()  # finishes what was begun
        with adopt(state) as tree:
            return first(tree)

    def _open(self, term: Term) -> tuple[Log, Sequencer]:
        mark(self._told.state)
        log = self._log(deciding=Led(self._told.state, term))
        return log, self._writer(log)


def log_app(writer: Writer, public: Path, token: Token) -> Starlette:
    """Serves ``public``, and writes through ``writer``, which it starts and stops.

    A log that stands by reads like any, and answers 503 to who wants to write, with the leader.
    """
    files = Pool(threads=8, waiting=256)
    writes = Pool(threads=2, waiting=16)

    async def add(request: Request) -> Response:
        token.check(request.headers.get("authorization", ""))
        body = await read_body(request, MAX_ADD)
        return answer_json(tell_appended(await asyncio.wrap_future(writer.add(_entries(body)))))

    async def refresh(request: Request) -> Response:
        token.check(request.headers.get("authorization", ""))
        body = await read_body(request, _MAX_SMALL)
        asked = exact_keys(parse_json(body, "refresh"), ("older_than",), "refresh")
        age = asked["older_than"]
        if type(age) is not int or not 0 <= age <= _MAX_AGE:
            raise InputError("refresh: older_than must be seconds")
        witnessed = await writes.run(writer.refresh, age)
        return answer_json({"size": witnessed.checkpoint.size})

    async def put(kind: str, request: Request) -> Response:
        token.check(request.headers.get("authorization", ""))
        writer.check()
        name = request.path_params["name"]
        body = await read_body(request, KINDS[kind][1])
        new = await writes.run(publish, public, kind, name, body)
        return answer_json({"path": f"{kind}/{name}"}, 201 if new else 200)

    async def status(request: Request) -> Response:
        del request
        return answer_json({"v": 1, **writer.status()})

    async def get(request: Request) -> Response:
        path = request.path_params["path"]
        if path in ("add", "refresh"):
            raise HTTPException(405, headers={"Allow": "POST"})
        return await files.run(read_public, public, path)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        writer.start()
        yield
        await asyncio.to_thread(writer.stop)

    routes = [
        Route("/add", add, methods=["POST"]),
        Route("/refresh", refresh, methods=["POST"]),
        Route("/status", status, methods=["GET"]),
        *standing_routes(log_checks(public) | {"leader": writer.known}),
        *(Route(f"/{kind}/{{name}}", partial(put, kind), methods=["PUT"]) for kind in KINDS),
        Route("/{path:path}", get, methods=["GET"]),
    ]
    return Starlette(
        routes=routes, exception_handlers={**HANDLERS, StandbyError: _standby}, lifespan=lifespan
    )


async def _standby(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, StandbyError)
    answer = problem(error)
    if error.leader is not None:
        answer.headers[LEADER] = error.leader
    return answer


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
