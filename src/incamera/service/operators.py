# SPDX-License-Identifier: Apache-2.0
"""Calls for a vault's operators: how it is, whom it excludes, and sweeping up."""

# Annotations are read by FastAPI while the routes are made: they are values here, not texts.
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from incamera import durable
from incamera.errors import UnavailableError
from incamera.ids import digest
from incamera.service import rights
from incamera.service.answers import answer_json
from incamera.service.api import OPERATOR, told
from incamera.service.callers import Caller
from incamera.service.guard import Pool, read_body
from incamera.service.journal import Journal
from incamera.service.keep import Keep
from incamera.service.schemas import OperatorStatus, Swept
from incamera.vault.exclusion import Exclusions

__all__ = ["Operators", "add_operators"]

_MAX_LIST = 1 << 24
_TEXT = "text/plain; charset=utf-8"
_PRIVATE = {"Cache-Control": "no-store"}


def add_operators(app: FastAPI, acts: "Operators") -> None:
    """``/operator/...``."""
    work = Pool(threads=2, waiting=14)

    async def status(request: Request) -> Response:
        """Tell how far the vault has read the log, and what waits."""
        await work.run(acts.who, request, "see-status")
        return answer_json(await work.run(acts.status))

    async def exclusions(request: Request) -> Response:
        """Fetch the exclusion list."""
        await work.run(acts.who, request, "see-exclusions")
        return Response(await work.run(acts.exclusions), media_type=_TEXT, headers=_PRIVATE)

    async def exclude(request: Request) -> Response:
        """Replace the exclusion list; it rules from the next capsule on."""
        caller = await work.run(acts.who, request, "set-exclusions")
        body = await read_body(request, _MAX_LIST)
        caller.sent(body)
        await work.run(acts.exclude, body, caller.by)
        return Response(status_code=204, headers=_PRIVATE)

    async def sweep(request: Request) -> Response:
        """Destroy what is not in the log, and uploads that have expired."""
        caller = await work.run(acts.who, request, "sweep")
        caller.sent(await read_body(request, 0))
        return answer_json(await work.run(acts.sweep, caller.by))

    _add(app, status, exclusions, exclude, sweep)


class Operators:
    """What operators may ask for. All calls block."""

    def __init__(self, keep: Keep, excluded: Path, journal: Journal) -> None:
        """``excluded``: the exclusion list; what changes is noted in ``journal``."""
        self._keep = keep
        self._excluded = excluded
        self._journal = journal

    def who(self, request: Request, action: str) -> Caller:
        """The caller, who may do ``action``."""
        caller = self._keep.callers.of(request)
        rights.check(caller, action)
        return caller

    def status(self) -> dict[str, Any]:
        """For :class:`OperatorStatus`."""
        size, time = self._keep.callers.read()
        return {
            "v": 1,
            "entries": size,
            "time": time,
            "waiting": {
                "capsules": self._keep.incoming.waiting.queued,
                "entries": self._keep.entries.queued,
            },
            "announced": self._keep.parts.announced,
        }

    def exclusions(self) -> bytes:
        """The list as it is."""
        try:
            return self._excluded.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise UnavailableError(f"the exclusion list: {error.strerror}") from error

    def exclude(self, text: bytes, by: str) -> None:
        """A list that can be read, in the place of the one that was."""
        trial = self._excluded.with_name("excluded.new")
        try:
            durable.write(trial, text, mode=0o600)
            pairs = Exclusions.load(trial).pairs
        finally:
            trial.unlink(missing_ok=True)
        durable.write(self._excluded, text, mode=0o600)
        self._journal.say("exclusions set", by=by, sha256=digest(text), count=len(pairs))

    def sweep(self, by: str) -> dict[str, int]:
        """For :class:`Swept`."""
        gone = len(self._keep.vaults.writer.sweep())
        before = self._keep.parts.announced
        for _ in self._keep.parts.sweep():
            pass  # what is whole, the chores admit
        freed = max(0, before - self._keep.parts.announced)
        self._journal.say("swept", by=by, count=gone, bytes=freed)
        return {"v": 1, "orphans": gone, "announced": freed}


Act = Callable[[Request], Awaitable[Response]]


def _add(app: FastAPI, status: Act, exclusions: Act, exclude: Act, sweep: Act) -> None:
    ours: dict[str, Any] = {"errors": (401, 403, 413), "security": OPERATOR}
    listed = told("operator", {200: ("One exclusion a line.", "text/plain")}, **ours)
    set_ = told(
        "operator",
        {204: ("It rules from now on.", None)},
        body=("text/plain", "One exclusion a line: `vehicle`, `consent`, `car`, `model`, `zones`."),
        **ours,
    )
    calls = [
        (
            "/operator/status",
            "GET",
            status,
            told("operator", {200: ("Now.", OperatorStatus)}, **ours),
        ),
        ("/operator/exclusions", "GET", exclusions, listed),
        ("/operator/exclusions", "PUT", exclude, set_),
        ("/operator/sweep", "POST", sweep, told("operator", {200: ("Done.", Swept)}, **ours)),
    ]
    for path, method, act, said in calls:
        app.add_api_route(path, act, methods=[method], **said)
