# SPDX-License-Identifier: Apache-2.0
"""Requests that wait while a trustee decides are decided together, with one reading of the log."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future

from incamera.errors import Error, UnavailableError
from incamera.ledger.request import GrantRequest
from incamera.service.journal import Journal
from incamera.trustee import Trustee

__all__ = ["Decisions"]

_TOGETHER = 32


class Decisions:
    """The one thread in which a trustee decides: the place where outside requests meet it."""

    def __init__(self, trustee: Trustee, journal: Journal) -> None:
        self._trustee = trustee
        self._journal = journal
        self._turn = threading.Condition()
        #: Guarded by ``_turn``.
        self._waiting: deque[tuple[GrantRequest, Future[bytes]]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="decisions", daemon=True)

    def start(self) -> None:
        """Begin to decide."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being decided; who waits behind it is told to ask again."""
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        self._thread.join()

    def ask(self, asked: GrantRequest) -> Future[bytes]:
        """The grant's envelope, or the error that is the answer."""
        answer: Future[bytes] = Future()
        with self._turn:
            if self._stopping:
                raise UnavailableError("the trustee is stopping", hint="ask again in a moment")
            self._waiting.append((asked, answer))
            self._turn.notify_all()
        return answer

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._waiting or self._stopping)
                most = len(self._waiting) if self._stopping else _TOGETHER
                taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                if self._stopping:
                    break
            self._decide(taken)
        for _, answer in taken:
            answer.set_exception(UnavailableError("the trustee is stopping", hint="ask again"))

    def _decide(self, taken: list[tuple[GrantRequest, Future[bytes]]]) -> None:
        try:
            decided = self._trustee.decide_many([asked for asked, _ in taken])
        except Error as error:
            decided = [error] * len(taken)
        except Exception as error:  # noqa: BLE001 - the callers must not wait for ever
            self._journal.fault(error)
            decided = [UnavailableError("a fault of the trustee's server")] * len(taken)
        for (_, answer), outcome in zip(taken, decided, strict=True):
            if isinstance(outcome, Error):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome.envelope)
