# SPDX-License-Identifier: Apache-2.0
"""How far the log has come by what its witnesses show, asked past the log itself.

A trustee whose memory came back from a backup, or that is shown an old view of the log, believes
a checkpoint that was true once. Witnesses publish the last checkpoint that they cosigned (C2SP
tlog-witness: ``GET <prefix>/<hex sha256(origin)>/checkpoint``), and whatever was ever published
was cosigned by a quorum. Two quorums share an honest witness, so the largest tree that a quorum
of witnesses shows is no smaller than any tree that was published. A trustee that has not read as
far decides nothing.

What does not answer, answers for another log, or shows a cosignature of more than an hour ago
(which somebody between could replay) does not count towards the quorum.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED as _FIRST
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import stamina

from incamera.clock import Clock
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.ledger.follower import Follower
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch
from incamera.tlog.note import open_note, split_note
from incamera.tlog.policy import Policy, Witnessed
from incamera.trustee import rules

__all__ = ["Head", "Heads"]

_QUIET = logging.NullHandler()
_MOMENT = 1.0
"""Seconds that the other witnesses get when a quorum has answered."""

_PATIENCE = 5.0
"""Seconds: a tree that a witness has just cosigned is published when the others have, too."""


class _BehindError(UnavailableError):
    """The log has not published yet what a witness shows."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last checkpoint that one witness cosigned, with the log's signature and its own."""

    witness: str  # its name in the policy
    checkpoint: Checkpoint
    note: bytes
    time: int  # POSIX seconds of the cosignature


class Heads:
    """Asks the witnesses of a policy, and holds a follower to what they show."""

    def __init__(
        self,
        policy: Policy,
        views: Mapping[str, Fetch],
        clock: Clock,
        *,
        every: int = 30,
        patience: float = _PATIENCE,
    ) -> None:
        """``views``: by a witness's name in the policy, how to fetch below its monitoring prefix.

        They are asked at the first :meth:`hold` and then at most every ``every`` seconds.
        ``patience``: seconds to wait for the log to publish what a witness shows already.
        :class:`InputError` for a name that the policy does not have.
        """
        for name in views:
            if name not in policy.witnesses:
                raise InputError(f"no witness {name!r:.60} in the policy: nothing to ask it for")
        self._policy = policy
        self._views = dict(views)
        self._clock = clock
        self._every = every
        self._patience = patience
        self._asked: int | None = None
        logging.getLogger("stamina").addHandler(_QUIET)  # or waiting is told on stderr

    def hold(self, follower: Follower, read_on: Callable[[], object]) -> None:
        """Make sure that ``follower`` has read what the witnesses show, if it is time to ask.

        ``read_on`` makes it follow the log's present checkpoint, once. Call it before, too.
        :class:`UnavailableError` below a quorum of answers, or where the log does not show what a
        witness has seen; :class:`IntegrityError` for a tree that is not the one we read, and proof
        of a fork freezes the follower. Nothing may be decided then.
        """
        now, note = self._clock.now(), follower.state.note
        if note is None:
            raise UnavailableError("no checkpoint was read yet: there is nothing to compare")
        if self._asked is not None and 0 <= now - self._asked < self._every:
            return
        found = self.ask(note.split(b"\n", 1)[0].decode("utf-8"))
        _refuse_two_roots(follower, found)
        self._reach(follower, read_on, found)
        for head in found:
            _compare(follower, head)
        self._asked = now

    def ask(self, origin: str) -> list[Head]:
        """What the witnesses show of the log ``origin``, verified and fresh, asked all at once.

        When a quorum has answered, the others have a second more: one that is cut off shows that
        only by silence. :class:`UnavailableError` if those that answer do not make the quorum.
        """
        pool = ThreadPoolExecutor(max(1, len(self._views)), "heads")
        try:
            calls = [pool.submit(self._one, name, origin) for name in self._views]
            pending, answers = set(calls), list[Head | Error]()
            while pending:
                some, pending = wait(pending, _MOMENT if self._enough(answers) else None, _FIRST)
                answers = [call.result() for call in calls if call.done()]
                if not some:
                    break
        finally:
            pool.shutdown(wait=False)
        found = [each for each in answers if isinstance(each, Head)]
        if not self._enough(answers):
            reasons = "; ".join(each.message for each in answers if isinstance(each, Error))
            raise UnavailableError(
                f"{len(found)} of {len(self._views)} witnesses show how far the log has come, "
                f"which does not make the quorum: {reasons or 'no witness can be asked'}",
                hint="nothing is decided until they answer; ask again",
            )
        return found

    def _enough(self, answers: Sequence[Head | Error]) -> bool:
        found = [each.witness for each in answers if isinstance(each, Head)]
        return self._policy.quorum_met(found)

    def _one(self, name: str, origin: str) -> Head | Error:
        where = f"witness {name}"
        verifier = self._policy.witnesses[name]
        logs = [each for each in self._policy.logs if each.name == origin]
        try:
            note = self._views[name](f"{digest(origin.encode())}/checkpoint")
            opened = open_note(note, [*logs, verifier], where)
            checkpoint = Checkpoint.parse(opened.text, where)
            times = {each.verifier: each.timestamp for each in opened.verified}
            if verifier not in times or not any(each in times for each in logs):
                raise IntegrityError(f"{where}: not signed by both the log and the witness")
            if checkpoint.origin != origin:
                raise IntegrityError(f"{where}: shows another log, {checkpoint.origin!r:.80}")
            rules.fresh(times[verifier], self._clock.now())
        except Error as error:
            return error
        return Head(name, checkpoint, note, times[verifier])

    def _reach(
        self, follower: Follower, read_on: Callable[[], object], found: Sequence[Head]
    ) -> None:
        """Read on until the largest tree shown is read, for a while."""
        largest = max(found, key=lambda each: each.checkpoint.size, default=None)
        if largest is None or largest.checkpoint.size <= follower.state.size:
            return
        self._follow_joined(follower, largest, found)
        patient = self._patience > 0
        for attempt in stamina.retry_context(
            on=_BehindError,
            attempts=None if patient else 1,
            timeout=self._patience if patient else None,
            wait_initial=0.05,
            wait_max=0.5,
        ):
            with attempt:
                read_on()
                if follower.state.size < largest.checkpoint.size:
                    raise _BehindError(
                        f"witness {largest.witness} has seen {largest.checkpoint.size} entries, "
                        f"but the log shows {follower.state.size}",
                        hint="nothing is decided before the log shows them; ask again, and audit "
                        "the log if it stays so",
                    )

    def _follow_joined(self, follower: Follower, largest: Head, found: Sequence[Head]) -> None:
        """The cosignatures of all who show the same tree may make the quorum by themselves.

        Then the log cannot hide from us what it had cosigned.
        """
        lines: dict[bytes, None] = {}
        for head in found:
            if head.checkpoint == largest.checkpoint:
                lines |= dict.fromkeys(line for _, _, line in split_note(head.note)[1])
        joined = largest.checkpoint.text + b"\n" + b"".join(line + b"\n" for line in lines)
        try:
            seen = self._policy.check(joined, "the witnesses' checkpoints together")
        except IntegrityError:
            return  # in flight: the log is still gathering cosignatures
        rules.fresh(seen.time(self._policy), self._clock.now())
        with contextlib.suppress(UnavailableError):  # its entries are withheld: told below
            follower.follow(seen)


def _refuse_two_roots(follower: Follower, found: Sequence[Head]) -> None:
    """Witnesses that show two trees of one size prove a fork, wherever we stand."""
    first: dict[int, Head] = {}
    for head in found:
        other = first.setdefault(head.checkpoint.size, head)
        if other.checkpoint.root != head.checkpoint.root:
            _freeze(follower, other.note, head.note, f"{other.witness} and {head.witness}")


def _compare(follower: Follower, head: Head) -> None:
    """``head``, of no more entries than we read, is a beginning of the tree that we read."""
    state, checkpoint = follower.state, head.checkpoint
    known = state.checkpoint(checkpoint.size)
    if known is not None:
        if known[0] != checkpoint.root:
            _freeze(follower, known[1], head.note, f"witness {head.witness} and our own reading")
    elif checkpoint.size < state.size:
        follower.reconcile(Witnessed(checkpoint, head.note, {head.witness: head.time}, 0))


def _freeze(follower: Follower, ours: bytes, theirs: bytes, who: str) -> None:
    follower.freeze(ours, theirs)
    raise IntegrityError(
        f"the log forked: two roots for one size, by {who}; both notes are kept",
        hint="publish the proof; nothing is opened from this log any more",
    )
