# SPDX-License-Identifier: Apache-2.0
"""Calls that wait while others are being served are then served together, as one.

So a reading of the log, a lock, a batch of the log is shared by all who wait for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from incamera.clock import monotonic
from incamera.errors import Error, UnavailableError, without_frames
from incamera.service.journal import Journal

__all__ = ["Together", "settle"]

A = TypeVar("A")
Q = TypeVar("Q")
W = TypeVar("W", bound=Future[Any] | asyncio.Future[Any])


_PATIENCE = 0.1


@dataclass(slots=True)
class _Call(Generic[Q, A]):
    question: Q
    waits: Future[A] | asyncio.Future[A]
    since: float = field(default_factory=monotonic)


class Together(Generic[Q, A]):
    """Threads that do ``work`` on all that waits, at most ``most`` at a time."""

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Sequence[A | Error]],
        journal: Journal,
        most: int,
        threads: int = 1,
        least: int = 1,
    ) -> None:
        """``work`` gives for each, in order, an answer or an error; what it raises is all's.

        ``threads``: so many batches at a time, where one waits for a disk while the other works.
        ``least``: so many must wait for another to begin beside one that is under way, or one of
        them for a tenth of a second. Who has just been answered comes again one by one: a batch
        of the first of them would cost as much as one of all.
        """
        self._act = work
        self._journal = journal
        self._most = most
        self._least = least
        self._turn = threading.Condition()
        #: Guarded by ``_turn``.
        self._waiting: deque[_Call[Q, A]] = deque()
        self._stopping = False
        self._active = 0
        self._threads = [
            threading.Thread(target=self._work, name="together", daemon=True)
            for _ in range(threads)
        ]

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to work."""
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Finish what is being done; who waits behind it is told to ask again."""
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        for each in self._threads:
            each.join()

    def ask(self, question: Q) -> Future[A]:
        """The answer, or the error that is the answer; for a thread."""
        return self._queue(question, Future())

    async def answer(self, question: Q) -> A:
        """The same for a coroutine, whose loop is woken once for all answers of a batch."""
        waits: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        return await self._queue(question, waits)

    def _queue(self, question: Q, waits: W) -> W:
        with self._turn:
            if self._stopping:
                raise UnavailableError("this server is stopping", hint="ask again in a moment")
            self._waiting.append(_Call(question, waits))
            # A thread that woke for each would mostly find that it has to wait on. The first one
            # is what its patience is counted from.
            if len(self._waiting) == 1 or self._ready():
                self._turn.notify()
        return waits

    def _ready(self) -> bool:
        """True if a thread that is free has to do something. Under ``_turn``."""
        least = self._least if self._active else 1
        return self._stopping or len(self._waiting) >= least or self._left() <= 0.0

    def _left(self) -> float:
        """Seconds until somebody has waited for too long. Under ``_turn``."""
        since = self._waiting[0].since if self._waiting else math.inf
        return since + _PATIENCE - monotonic()

    def _wait(self) -> None:
        """Until :meth:`_ready`."""
        while not self._ready():
            self._turn.wait(self._left() if self._waiting else None)

    def _work(self) -> None:
        while True:
            with self._turn:
                self._wait()
                most = len(self._waiting) if self._stopping else self._most
                taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                if self._stopping:
                    break
                self._active += 1
                if self._waiting:
                    self._turn.notify()
            try:
                self._serve(taken)
            finally:
                with self._turn:
                    self._active -= 1
            del taken  # or what was asked, such as bodies, would stay until the next comes
        _tell(taken, [UnavailableError("this server is stopping", hint="ask again")] * len(taken))

    def _serve(self, taken: Sequence[_Call[Q, A]]) -> None:
        outcomes: Sequence[A | Error]
        try:
            outcomes = self._act([each.question for each in taken])
        except Error as error:
            outcomes = [error] * len(taken)
        except Exception as error:  # noqa: BLE001 - the callers must not wait for ever
            self._journal.fault(error)
            outcomes = [UnavailableError("a fault of this server")] * len(taken)
        _tell(taken, outcomes)


def _tell(taken: Sequence[_Call[Q, A]], outcomes: Sequence[A | Error]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[A], A | Error]]] = {}
    for call, outcome in zip(taken, outcomes, strict=True):
        if isinstance(call.waits, Future):
            settle(call.waits, outcome)
        else:
            by_loop.setdefault(call.waits.get_loop(), []).append((call.waits, outcome))
    for loop, pairs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed, and who waited there is gone
            loop.call_soon_threadsafe(_wake, pairs)


def _wake(pairs: Sequence[tuple[asyncio.Future[A], A | Error]]) -> None:
    """In the loop."""
    for waits, outcome in pairs:
        if waits.done():
            continue  # the caller went away
        if isinstance(outcome, Error):
            waits.set_exception(without_frames(outcome))
        else:
            waits.set_result(outcome)


def settle(answer: Future[A], outcome: A | Error) -> None:
    """Answer, unless the caller went away meanwhile."""
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Error):
        answer.set_exception(without_frames(outcome))
    else:
        answer.set_result(outcome)
