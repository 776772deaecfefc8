# SPDX-License-Identifier: Apache-2.0
"""The cars, as one process: jobs at their times, each repeated until it has its answer.

Open loop: a capsule's time runs from the moment it was due, whether or not the vault kept up.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import stamina
from stamina.instrumentation import set_on_retry_hooks

from bench.fleet.jobs import Job
from bench.fleet.link import Heard, Link, LostError
from incamera.errors import Error
from incamera.ledger.entries import RegionEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.keys import SigningKey
from incamera.service.auth import sign_call
from incamera.tlog import Policy

__all__ = ["Order", "Outcome", "send_all"]

_TUS = "Tus-Resumable: 1.0.0\r\n"
_AGAIN = frozenset((404, 408, 409, 423, 429, 500, 502, 503, 504))
_MOST = 200
"""Deliveries at a time."""


@dataclass(slots=True)
class Outcome:
    """What became of one job."""

    job: int  # its place in the order
    due: float  # CLOCK_MONOTONIC
    first: float = 0.0  # when it was first sent
    done: float = 0.0  # when its last answer came
    status: int = 0  # of that answer; 0: none ever came
    code: str = ""
    receipt: bytes = b""
    #: What went before the last answer: statuses, or the name of what broke.
    before: list[str] = field(default_factory=list)
    wrong: str = ""  # a receipt that does not hold


@dataclass(frozen=True)
class Order:
    """What one sender is to do; pickled."""

    urls: Sequence[str]
    jobs: Sequence[Job]
    tails: Sequence[bytes]
    #: Seconds from the start at which each job is due; empty: as fast as ``at_once`` allow.
    times: Sequence[float]
    region: RegionEntry
    policy: str
    answer: Path  # where the outcomes go, pickled
    at_once: int = _MOST
    #: Every so-manieth receipt is checked on the spot.
    check: int = 50
    patience: float = 180.0
    """Seconds for which a job is repeated."""
    until: float = 0.0
    """With no ``times``: seconds after which nothing new is begun."""


class AgainError(Exception):
    """Not now."""


class Sender:
    """One process's work."""

    def __init__(self, order: Order, counts: SynchronizedArray[int]) -> None:
        self._order, self._counts = order, counts
        self._policy = Policy.parse(order.policy)
        self._places = [(u.hostname or "", u.port or 80) for u in map(urlsplit, order.urls)]
        self._idle: list[list[Link]] = [[] for _ in self._places]
        self.outcomes: list[Outcome] = []

    async def run(self) -> None:
        """All jobs."""
        gate = asyncio.Semaphore(self._order.at_once)
        began = time.monotonic() + 0.2
        running: set[asyncio.Task[None]] = set()
        for number, job in enumerate(self._order.jobs):
            due = time.monotonic()
            if self._order.times:
                due = began + self._order.times[number]
                if (wait := due - time.monotonic()) > 0.001:
                    await asyncio.sleep(wait)
            elif self._order.until and due > began + self._order.until:
                break
            await gate.acquire()
            if not self._order.times:
                due = time.monotonic()
            task = asyncio.create_task(self._one(Outcome(number, due), job, gate))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)

    async def _one(self, outcome: Outcome, job: Job, gate: asyncio.Semaphore) -> None:
        try:
            outcome.first = time.monotonic()
            if job.road == "twice":
                other = Outcome(outcome.job, outcome.due, outcome.first)
                await asyncio.gather(self._deliver(outcome, job), self._deliver(other, job))
                self.outcomes.append(other)
            else:
                await self._deliver(outcome, job)
        finally:
            self.outcomes.append(outcome)
            self._count(outcome, job)
            gate.release()

    def _count(self, outcome: Outcome, job: Job) -> None:
        at = 0 if outcome.status == 201 else 1 if outcome.status else 2
        self._counts[at] += 1
        self._counts[3] += not answered_rightly(job, outcome)

    async def _deliver(self, outcome: Outcome, job: Job) -> None:
        attempts = stamina.retry_context(
            on=(AgainError, LostError),
            attempts=None,
            timeout=self._order.patience,
            wait_initial=0.1,
            wait_max=2.0,
            wait_jitter=0.3,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    await self._try(outcome, job, attempt.num)
        except (AgainError, LostError):
            pass  # the outcome says so

    async def _try(self, outcome: Outcome, job: Job, number: int) -> None:
        try:
            heard = await self._send(job, number)
        except LostError as error:
            outcome.before.append(str(error))
            raise
        if heard.status in _AGAIN and heard.status not in job.status:
            outcome.before.append(f"{heard.status} {_code(heard)}".strip())
            raise AgainError
        outcome.done, outcome.status = time.monotonic(), heard.status
        if heard.status == 201:
            outcome.receipt = heard.body
            self._check(outcome, job)
        else:
            outcome.code = _code(heard)

    async def _resume(self, link: Link, job: Job) -> Heard:
        """In parts, as tus 1.0.0 has it: the link breaks in the first, the second is the rest."""
        data = b"".join(self._parts(job))
        target = f"/uploads?capsule={job.digest}&length={len(data)}"
        key = SigningKey(job.seed)
        head = f"Authorization: {sign_call(key, 'POST', target, b'', int(time.time()))}\r\n{_TUS}"
        head += f"Upload-Length: {len(data)}\r\n"
        heard = await link.post(target, (), head=head)
        if heard.status == 201:
            place = "/uploads/" + heard.headers["location"].rpartition("/")[2]
            at = int(heard.headers["upload-offset"])
            with contextlib.suppress(LostError):
                await self._part(link, place, data[at:], at, (len(data) - at) // 2)
            heard = await link.post(place, (), method="HEAD", head=_TUS)
            at = int(heard.headers.get("upload-offset", "0"))
            heard = await self._part(link, place, data[at:], at, None)
        if heard.status in (200, 204):
            heard = await link.post(f"/capsules/{job.digest}/receipt", (), method="GET")
            return replace(heard, status=201) if heard.status == 200 else heard
        return heard

    @staticmethod
    async def _part(link: Link, place: str, data: bytes, at: int, stop: int | None) -> Heard:
        head = f"{_TUS}Upload-Offset: {at}\r\nContent-Type: application/offset+octet-stream\r\n"
        return await link.post(place, (data,), method="PATCH", head=head, stop=stop)

    async def _send(self, job: Job, number: int) -> Heard:
        # The next one if the last did not answer; which comes first is the balancer's affair.
        chosen = (int(job.digest[:4], 16) + number) % len(self._places)
        idle = self._idle[chosen]
        link = idle.pop() if idle else Link(*self._places[chosen])
        stop, pause = None, 0.0
        if number == 1 and job.road == "cut":
            stop = len(job.head) + len(self._order.tails[job.body]) // 2
        elif number == 1 and job.road == "deaf":
            stop = -1
        elif number == 1 and job.road == "slow":
            pause = 2.0
        if number == 1 and job.road == "resumed":
            return await self._resume(link, job)
        heard = await link.post("/capsules", self._parts(job), stop=stop, pause=pause)
        if heard.open:
            idle.append(link)
        return heard

    def _parts(self, job: Job) -> tuple[bytes, ...]:
        tail = b"" if job.kind == "junk" else self._order.tails[job.body]
        if job.flip is None and job.cut_to is None and not job.more:
            return (job.head, tail)
        data = bytearray(job.head + tail)
        if job.flip is not None:
            data[-job.flip] ^= 1
        return (bytes(data[: job.cut_to]) + job.more,)

    def _check(self, outcome: Outcome, job: Job) -> None:
        if self._order.check and outcome.job % self._order.check == 0:
            outcome.wrong = wrong_receipt(outcome.receipt, job, self._order.region, self._policy)


def wrong_receipt(receipt: bytes, job: Job, region: RegionEntry, policy: Policy) -> str:
    """Why the car must not believe this receipt; empty if it may."""
    try:
        check_receipt(receipt, job.digest, region, policy)
    except Error as error:
        return error.message
    return ""


def answered_rightly(job: Job, outcome: Outcome) -> bool:
    """True if the job got one of the answers that it must get."""
    if outcome.status not in job.status:
        return False
    return not job.code or outcome.code in job.code.split("|")


def _code(heard: Heard) -> str:
    try:
        said: dict[str, Any] = json.loads(heard.body)
    except ValueError:
        return ""
    return str(said.get("code", ""))


def send_all(order: Order, counts: SynchronizedArray[int]) -> None:
    """In a process of its own: do the order, write the outcomes to ``order.answer``."""
    set_on_retry_hooks([])
    gc.freeze()
    sender = Sender(order, counts)
    began = time.process_time()
    asyncio.run(sender.run())
    with order.answer.open("wb") as file:
        pickle.dump((sender.outcomes, time.process_time() - began), file)
