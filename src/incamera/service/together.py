# SPDX-License-Identifier: Apache-2.0
"""Calls that wait while others are being served are then served together, as one.

So a reading of the log, a lock, a batch of the log is shared by all who wait for one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from incamera.errors import Error, UnavailableError, without_frames
from incamera.service.journal import Journal

__all__ = ["Together", "settle"]

A = TypeVar("A")
Q = TypeVar("Q")


class Together(Generic[Q, A]):
    """Threads that do ``work`` on all that waits, at most ``most`` at a time."""

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Sequence[A | Error]],
        journal: Journal,
        most: int,
        threads: int = 1,
    ) -> None:
        """``work`` gives for each, in order, an answer or an error; what it raises is all's.

        ``threads``: so many batches at a time, where one waits for a disk while the other works.
        """
        self._act = work
        self._journal = journal
        self._most = most
        self._turn = threading.Condition()
        #: Guarded by ``_turn``.
        self._waiting: deque[tuple[Q, Future[A]]] = deque()
        self._stopping = False
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
        """The answer, or the error that is the answer."""
        answer: Future[A] = Future()
        with self._turn:
            if self._stopping:
                raise UnavailableError("this server is stopping", hint="ask again in a moment")
            self._waiting.append((question, answer))
            self._turn.notify_all()
        return answer

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._waiting or self._stopping)
                most = len(self._waiting) if self._stopping else self._most
                taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                if self._stopping:
                    break
            self._serve(taken)
            del taken  # or what was asked, such as bodies, would stay until the next comes
        for _, answer in taken:
            settle(answer, UnavailableError("this server is stopping", hint="ask again"))

    def _serve(self, taken: Sequence[tuple[Q, Future[A]]]) -> None:
        outcomes: Sequence[A | Error]
        try:
            outcomes = self._act([question for question, _ in taken])
        except Error as error:
            outcomes = [error] * len(taken)
        except Exception as error:  # noqa: BLE001 - the callers must not wait for ever
            self._journal.fault(error)
            outcomes = [UnavailableError("a fault of this server")] * len(taken)
        for (_, answer), outcome in zip(taken, outcomes, strict=True):
            settle(answer, outcome)


def settle(answer: Future[A], outcome: A | Error) -> None:
    """Answer, unless the caller went away meanwhile."""
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Error):
        answer.set_exception(without_frames(outcome))
    else:
        answer.set_result(outcome)
