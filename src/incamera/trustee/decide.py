# SPDX-License-Identifier: Apache-2.0
"""One trustee: alone, with its own reading of the log, it opens its shares or refuses.

Order, and what is on disk when (the reader can lose an answer at any point and ask again):

1. follow the log to its present checkpoint: the state is committed before anything is decided;
2. the checks of :mod:`incamera.trustee.rules`, first the request's, then each capsule's;
3. open the own shares, check their commitments, re-seal them: nothing has left yet;
4. commit the intent (recipient, capsules, the grant entry's bytes): counted from here on;
5. append the grant entry, follow again, and see it there: a log that only says so does not count;
   check again what may have come into the log before it;
6. answer.

Requests that wait at the same time go through each step together: :mod:`incamera.trustee.batch`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error
from incamera.ids import Name
from incamera.ledger.evidence import found as found_evidence
from incamera.ledger.follower import Follower
from incamera.ledger.grant import Grant
from incamera.ledger.request import GrantRequest
from incamera.ledger.state import State
from incamera.tlog.policy import Policy
from incamera.tlog.reader import Fetch, LogReader
from incamera.trustee import trace
from incamera.trustee.batch import Batch
from incamera.trustee.deal import deal
from incamera.trustee.desk import Desk
from incamera.trustee.heads import Heads
from incamera.trustee.housekeeping import Rhythm, Tended, tend
from incamera.trustee.inherited import Inherited
from incamera.trustee.keyring import Keyring
from incamera.trustee.memory import Memory
from incamera.trustee.rules import RefusedError
from incamera.trustee.succession import Evidence, Publish, announce
from incamera.trustee.takeover import take_over

__all__ = ["Trustee"]


class Trustee:
    """Answers grant requests from its home folder, one batch at a time."""

    def __init__(
        self,
        home: Path,
        name: Name,
        fetch: Fetch,
        policy: Policy,
        clock: Clock,
        append: Callable[[bytes], int],
        *,
        append_many: Callable[[Sequence[bytes]], object] | None = None,
        heads: Heads | None = None,
    ) -> None:
        """``fetch`` reads public files, ``append`` hands an entry to the log.

        ``policy`` says whom to believe about the log; ``append`` returns the entry's index, which
        is not believed. ``append_many`` hands over several entries at once, in any order and
        best as one batch of the log; without it they are appended one by one. ``heads`` asks
        the witnesses whether the log shows all; without it a restored home believes the log.
        """
        self.home = home
        self.name = name
        self.keys = Keyring(home)
        self.state = State(home / "state.db")
        self._lock = threading.Lock()
        self.follower = Follower(
            LogReader(fetch, policy), self.state, clock, folder=home / "evidence"
        )

        def one_by_one(entries: Sequence[bytes]) -> None:
            for entry in entries:
                append(entry)

        self._desk = Desk(
            name=name,
            keys=self.keys,
            state=self.state,
            memory=Memory(home / "own.db"),
            held=Inherited(home / "inherited.db"),
            follower=self.follower,
            policy=policy,
            clock=clock,
            fetch=fetch,
            append=append_many or one_by_one,
            heads=heads,
        )

    @property
    def frozen(self) -> bool:
        """True once this trustee holds proof that the log forked: it opens nothing any more."""
        return self.follower.frozen

    @property
    def evidence(self) -> list[Path]:
        """The proofs of a fork it holds, to be published."""
        return found_evidence(self.home / "evidence")

    def close(self) -> None:
        """Let go of the files."""
        self.state.close()
        self._desk.memory.close()
        self._desk.held.close()

    def decide(self, asked: GrantRequest) -> Grant:
        """The shares asked for, sealed to the request's recipient, or an error; fails closed.

        :class:`incamera.errors.PolicyError` for a refusal (which is logged, once for each
        request and reason), :class:`IntegrityError` where a proof does not hold,
        :class:`InputError` for what cannot be read, :class:`UnavailableError` where log or disk
        are. Asking again under the same leaf gives the same shares to the same key, and logs and
        counts nothing twice.
        """
        (answer,) = self.decide_many([asked])
        if isinstance(answer, Error):
            raise answer
        return answer

    def decide_many(self, asked: Sequence[GrantRequest]) -> list[Grant | Error]:
        """For each request, in order, what :meth:`decide` would return or raise.

        Every check is made for every request, as if each came alone; the log is followed, the
        disk is written and the log is appended to once for all. An error of one request changes
        nothing for the others. Proof of a fork, whoever shows it, refuses all of them.
        """
        with self._lock, durable.lock(self.home / "lock", wait=True):
            if self.frozen:
                why = f"trustee {self.name} holds proof that the log forked"
                return [RefusedError("frozen", why) for _ in asked]
            answers = Batch(self._desk, asked).decide()
            if self.frozen:
                trace.announce_freeze(self._desk)
            return answers

    def tend(self, rhythm: Rhythm | None = None) -> Tended:
        """Begin and end epochs as is due now: :func:`incamera.trustee.housekeeping.tend`."""
        with self._lock, durable.lock(self.home / "lock", wait=True):
            return tend(self._desk, rhythm)

    def announce(self, not_after: int) -> int:
        """A key of ours for a succession: :func:`incamera.trustee.succession.announce`."""
        with self._lock, durable.lock(self.home / "lock", wait=True):
            return announce(self._desk, not_after)

    def deal(self, number: int, evidence: Evidence, publish: Publish) -> int:
        """Pass our shares on: :func:`incamera.trustee.deal.deal`."""
        with self._lock, durable.lock(self.home / "lock", wait=True):
            return deal(self._desk, number, evidence, publish, self.home / "dealings")

    def take_over(self, number: int, evidence: Evidence, publish: Publish) -> int:
        """Combine what was dealt to us: :func:`incamera.trustee.takeover.take_over`."""
        with self._lock, durable.lock(self.home / "lock", wait=True):
            return take_over(self._desk, number, evidence, publish, self.home / "dealings")

    def accuse(self, ours: bytes, theirs: bytes) -> None:
        """Take two notes that contradict each other, from whoever has them, and freeze.

        :class:`IntegrityError` if they prove nothing.
        """
        with self._lock, durable.lock(self.home / "lock", wait=True):
            self.follower.freeze(ours, theirs)
            trace.announce_freeze(self._desk)

    def convict(self, evidence: bytes) -> None:
        """As :meth:`accuse`, with an evidence file of any kind, which is kept as it is.

        :class:`InputError` if it is malformed, :class:`IntegrityError` if it proves nothing.
        """
        with self._lock, durable.lock(self.home / "lock", wait=True):
            self.follower.convict(evidence)
            trace.announce_freeze(self._desk)
