# SPDX-License-Identifier: Apache-2.0
"""How a party is: ``/healthz`` (it runs), ``/readyz`` (what it needs answers), ``/metrics``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from incamera.clock import Clock, monotonic
from incamera.errors import Error, UnavailableError
from incamera.service import meters
from incamera.service.answers import answer_json
from incamera.service.api import told
from incamera.service.guard import Pool
from incamera.service.schemas import Ready
from incamera.tlog.checkpoint import Checkpoint

__all__ = [
    "Check",
    "Standing",
    "add_standing",
    "log_checks",
    "log_gauges",
    "room",
    "standing_routes",
]

Check = Callable[[], object]
"""Raises an error of ours if what it asks for cannot be had. Blocks."""

_SPARE = 256 << 20
_SECONDS = 5.0
_AGAIN = 1.0
_PLAIN = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_PRIVATE = {"Cache-Control": "no-store"}


class Standing:
    """The three answers of one party."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """``checks``: what must answer, by a short name."""
        self._checks = dict(checks)
        self._pool = Pool(threads=max(1, len(checks)), waiting=2 * len(checks))
        #: What was found last, and when: whoever asks too often is told the same.
        self._found: tuple[float, dict[str, str]] = (-_AGAIN, {})
        self._looking = asyncio.Lock()

    async def alive(self, request: Request) -> Response:
        """Tell that the process runs and answers."""
        del request
        return Response("ok\n", media_type=_PLAIN, headers=_PRIVATE)

    async def ready(self, request: Request) -> Response:
        """Tell whether what it needs answers: 200, or 503 and which does not."""
        del request
        async with self._looking:
            if monotonic() - self._found[0] >= _AGAIN:
                said = await asyncio.gather(*map(self._ask, self._checks.values()))
                self._found = (monotonic(), dict(zip(self._checks, said, strict=True)))
        found = self._found[1]
        ready = all(each == "ok" for each in found.values())
        answer = answer_json({"ready": ready, "checks": found}, 200 if ready else 503)
        if not ready:
            answer.headers["Retry-After"] = "1"
        return answer

    async def metrics(self, request: Request) -> Response:
        """Tell what it counts, for Prometheus. A proxy that faces the world hides this."""
        del request
        return Response(meters.exposed(), media_type=_METRICS, headers=_PRIVATE)

    async def _ask(self, check: Check) -> str:
        """``ok``, or the kind of error; its message may name paths, so it is not told."""
        try:
            async with asyncio.timeout(_SECONDS):
                await self._pool.run(check)
        except Error as error:
            return error.kind
        except TimeoutError:
            return "slow"
        return "ok"


def standing_routes(checks: Mapping[str, Check]) -> list[Route]:
    """For a party without an OpenAPI."""
    told = Standing(checks)
    return [
        Route("/healthz", told.alive, methods=["GET"]),
        Route("/readyz", told.ready, methods=["GET"]),
        Route("/metrics", told.metrics, methods=["GET"]),
    ]


def add_standing(app: FastAPI, standing: Standing) -> None:
    """For the vault, which says so in its OpenAPI."""
    alive = told("standing", {200: ("It runs.", "text/plain")})
    ready = told("standing", {200: ("All answer.", Ready), 503: ("Some do not.", Ready)})
    counted = told("standing", {200: ("Prometheus, text format.", "text/plain")})
    app.add_api_route("/healthz", standing.alive, methods=["GET"], **alive)
    app.add_api_route("/readyz", standing.ready, methods=["GET"], **ready)
    app.add_api_route("/metrics", standing.metrics, methods=["GET"], **counted)


def room(folder: Path) -> Check:
    """The disk of ``folder`` has 256 MiB left."""

    def check() -> None:
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise UnavailableError(f"{folder}: {error.strerror}") from error
        if free < _SPARE:
            raise UnavailableError(f"{folder}: the disk is nearly full")

    return check


def log_checks(public: Path) -> dict[str, Check]:
    """What a log needs: a checkpoint that can be read, and room for the next tree."""
    return {"checkpoint": lambda: _size(public), "disk": room(public)}


def _size(public: Path) -> int:
    try:
        note = (public / "checkpoint").read_bytes()
    except OSError as error:
        raise UnavailableError(f"the checkpoint: {error.strerror}") from error
    return Checkpoint.parse(note.partition(b"\n\n")[0] + b"\n").size


def log_gauges(public: Path, clock: Clock) -> None:
    """Size of the log published in ``public``, and seconds since its checkpoint was."""

    def size() -> float:
        try:
            return _size(public)
        except Error:
            return float("nan")

    def age() -> float:
        try:
            return clock.now() - (public / "checkpoint").stat().st_mtime
        except OSError:
            return float("nan")

    meters.gauge("log_entries", "Entries of the published log.", size)
    meters.gauge("log_checkpoint_age_seconds", "Since the checkpoint was published.", age)
