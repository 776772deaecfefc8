# SPDX-License-Identifier: Apache-2.0
"""Requests decided together: each by itself, but the log is read and written once.

A step is made for every request of the batch before the next step is made for any, so that what
is slow (reading the log, writing to disk, the log's answer) is done once. A request that fails at
a step has its error and takes no further part; the others do not notice. Only what concerns the
log itself concerns them all: while it cannot be read, or once it has forked, nobody is granted.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from incamera.errors import Error, IntegrityError, UnavailableError
from incamera.ids import Digest, Name
from incamera.ledger.grant import Grant, SealedShare
from incamera.ledger.request import GrantRequest
from incamera.ledger.state import leaf_digest
from incamera.sealing.wrap import grant_info, wrap
from incamera.tlog.policy import Witnessed
from incamera.trustee import rules, trace
from incamera.trustee.case import Case
from incamera.trustee.checks import Checks
from incamera.trustee.desk import Desk
from incamera.trustee.memory import Intent
from incamera.trustee.rules import RefusedError

__all__ = ["Batch"]


class Batch:
    """Requests on one trustee's desk. Use once, under the trustee's lock: :meth:`decide`."""

    def __init__(self, desk: Desk, asked: Sequence[GrantRequest]) -> None:
        self._desk = desk
        self._checks = Checks(desk)
        self._cases = [Case(each) for each in asked]
        self._before = functools.cache(self._granted_before)  # they sum up a day's grants
        self._notes: dict[bytes, Witnessed | Error] = {}
        self._present = b""  # the note of the log's checkpoint that was followed
        #: Decided in this batch, and not in the trustee's memory yet.
        self._first: dict[tuple[Digest, Digest], Case] = {}
        self._spent: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._intents: dict[int, Intent] = {}
        self._indices: dict[int, int] = {}  # of intents whose entry was seen in the log
        self._untraced: Error | None = None  # why the log could not be written or read

    def decide(self) -> list[Grant | Error]:
        """For each request its grant, or why there is none. The order of steps is the law here.

        Nothing leaves before the intents are committed and their entries seen in the log.
        """
        checks = self._checks
        self._each(checks.parse)
        self._all(self._follow)
        self._each(self._witness)
        self._look_anew()
        self._each(checks.request)
        # Alike work together: with the library's code and tables at hand it takes 2/3 the time.
        self._each(checks.headers)
        self._each(checks.permitted)
        self._each(self._quota_alone)
        self._each(self._unseal)
        self._each(self._reseal)
        self._each(self._count)
        self._all(self._intend)
        self._publish()
        self._look_anew()
        self._all(self._remember)
        self._each(self._answer)
        trace.append_refusals(self._desk, self._refused())
        return [case.outcome for case in self._cases if case.outcome is not None]

    # How steps fail

    def _open(self) -> Iterator[Case]:
        return (case for case in self._cases if case.outcome is None)

    def _each(self, step: Callable[[Case], None]) -> None:
        """An error in ``step`` is the one request's."""
        for case in self._open():
            try:
                step(case)
            except Error as error:
                case.outcome = error

    def _all(self, step: Callable[[], None]) -> None:
        """An error in ``step`` is everybody's who is still in."""
        try:
            if any(self._open()):
                step()
        except Error as error:
            for case in self._open():
                case.outcome = error

    def _look_anew(self) -> None:
        """The log was followed: what was looked up may be old, and a fork may have been found."""
        self._checks.look_anew()
        if self._desk.follower.frozen:
            for case in self._open():
                case.outcome = RefusedError(
                    "frozen",
                    f"trustee {self._desk.name} holds proof that the log forked",
                    public=False,
                )

    def _refused(self) -> list[tuple[Digest, RefusedError]]:
        outcomes = ((case, case.outcome) for case in self._cases)
        return [(case.leaf, why) for case, why in outcomes if isinstance(why, RefusedError)]

    # The log

    def _follow(self) -> None:
        self._present = self._desk.follow()

    def _witness(self, case: Case) -> None:
        """Its checkpoint is witnessed, fresh, and of the log that we read; once for each note.

        For all requests before any is judged by the state: who is enrolled and what is erased
        is judged by the newest entries that anyone has shown us.
        """
        note = case.asked.note
        if note not in self._notes:
            try:
                self._notes[note] = self._check_note(note)
            except Error as error:
                self._notes[note] = error
        found = self._notes[note]
        if isinstance(found, Error):
            raise found
        case.seen = found

    def _check_note(self, note: bytes) -> Witnessed:
        seen = rules.witnessed(note, self._desk.policy)
        rules.fresh(seen.time(self._desk.policy), self._desk.clock.now())
        if note != self._present:  # else it was just followed
            self._desk.follower.reconcile(seen)
        return seen

    # The shares

    def _quota_alone(self, case: Case) -> None:
        """Without what others in this batch take, who may yet fail."""
        known = self._desk.memory.intents(case.leaf, case.capsules)
        case.intents = {each.id for each in known.values()}
        case.new = [each for each in case.capsules if each not in known]
        self._intents.update((each.id, each) for each in known.values())
        self._within_quota(case, 0)

    def _within_quota(self, case: Case, spent: int) -> None:
        if case.new:
            name, more = case.reader.name, len(case.new)
            before = self._before(name, case.day) + spent
            rules.within_quota(before, more, self._checks.region.quota, name)

    def _granted_before(self, name: Name, day: int) -> int:
        """Capsules that ``name`` was granted on ``day`` before this batch.

        What the log knows counts too: a restored backup of our own file forgets nothing.
        """
        ours = self._desk.memory.granted_on(name, day)
        return max(ours, self._desk.state.granted_on(self._desk.name, name, day))

    def _unseal(self, case: Case) -> None:
        for each in case.found:
            case.secrets.append(
                self._checks.own.open(each.header, each.shown, each.share, case.now)
            )

    def _reseal(self, case: Case) -> None:
        leaf, shares = bytes.fromhex(case.leaf), []
        for each, secret in zip(case.found, case.secrets, strict=True):
            capsule_id, index = each.header.capsule_id, each.shown.index
            number = each.shown.succession
            info = grant_info(leaf, capsule_id, index, number)
            sealed = wrap(secret, case.entry.recipient, info)
            shares.append(SealedShare(each.capsule, capsule_id, index, sealed, number))
        case.secrets.clear()
        case.shares = tuple(shares)

    def _count(self, case: Case) -> None:
        """Nothing can fail it any more on its own: from here on it counts for those after it."""
        case.new = [each for each in case.new if (case.leaf, each) not in self._first]
        key = (case.reader.name, case.day)
        self._within_quota(case, self._spent[key])
        if case.new:
            case.granting = trace.grant_entry(self._desk, self._checks.region, case.leaf, case.new)
        self._spent[key] += len(case.new)
        self._first.update(((case.leaf, each), case) for each in case.new)

    # The grants

    def _intend(self) -> None:
        """Commit recipients, capsules and entries of all: from here on they are decided."""
        memory, made = self._desk.memory, dict[int, int]()
        with memory.transaction():
            for case in self._open():
                memory.pin_recipient(case.leaf, case.entry.recipient)
                if case.new:
                    decided = (case.leaf, case.new, case.reader.name, case.day, case.granting)
                    intent = memory.intend(*decided)
                    self._intents[intent.id], made[id(case)] = intent, intent.id
        for case in self._open():
            firsts = (self._first.get((case.leaf, each)) for each in case.capsules)
            case.intents.update(made[id(first)] for first in firsts if first is not None)

    def _publish(self) -> None:
        """All grant entries of the batch go into the log at once."""
        waiting = {each for case in self._open() for each in case.intents}
        # Those of an earlier day too: our own file remembers them, but it is the log that counts.
        entries = [self._intents[each].entry for each in sorted(waiting)]
        try:
            trace.append_unlogged(self._desk, entries)
        except IntegrityError as error:  # the log is not what it was: nobody is answered
            for case in self._open():
                case.outcome = error
        except UnavailableError as error:
            self._untraced = error
        except Error as error:  # not the reader's to mend
            self._untraced = UnavailableError(f"the log did not take our entry: {error.message}")

    def _remember(self) -> None:
        """Commit where each entry is seen in the log as we read it now.

        What the log says of it does not count, nor what our own file says of an earlier reading:
        with a state that was lost we might be reading another log.
        """
        with self._desk.memory.transaction():
            for intent in self._intents.values():
                index = self._desk.state.index_of(leaf_digest(intent.entry))
                if index is None:
                    continue
                if intent.index != index:
                    self._desk.memory.logged(intent, index)
                self._indices[intent.id] = index

    def _answer(self, case: Case) -> None:
        if not case.intents <= self._indices.keys():
            raise self._untraced or IntegrityError(
                "the log took our entry but does not show it: nothing is handed out",
                hint="audit the log; if it recovers, ask again",
            )
        self._checks.again(case)
        entries = sorted(self._indices[each] for each in case.intents)
        name, key = self._desk.name, self._desk.keys.signing
        case.outcome = Grant.make(case.leaf, name, case.shares, tuple(entries), key)
