# SPDX-License-Identifier: Apache-2.0
"""Requests decided together: each by itself, but one reading of the log and one entry for all.

A step is made for every request of the batch before the next step is made for any, so that what
is slow (reading the log, writing to disk, the log's answer) is done once. A request that fails at
a step has its error and takes no further part; the others do not notice. Only what concerns the
log itself concerns them all: while it cannot be read, or once it has forked, nobody is granted.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from incamera.errors import Error, IntegrityError, UnavailableError
from incamera.ids import Digest, Name
from incamera.ledger.codec import Signed
from incamera.ledger.entries import RegionEntry, RequestEntry
from incamera.ledger.grant import Grant, SealedShare
from incamera.ledger.queries import DAY
from incamera.ledger.request import CapsuleEvidence, GrantRequest
from incamera.ledger.rows import Party
from incamera.ledger.state import leaf_digest
from incamera.sealing.header import Header, ShareWrap
from incamera.sealing.wrap import grant_info, wrap
from incamera.tlog.policy import Witnessed
from incamera.trustee import cedar, rules, trace
from incamera.trustee.desk import Desk
from incamera.trustee.memory import Intent
from incamera.trustee.rules import RefusedError
from incamera.trustee.shares import OwnShares
from incamera.trustee.still import Still

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True)
class _Found:
    """One wanted capsule, checked as far as its header goes."""

    shown: CapsuleEvidence
    capsule: Digest
    header: Header
    share: ShareWrap
    policy: str  # the text


@dataclass(slots=True)
class _Case:
    """One request; what a step found out about it is there for the steps after."""

    asked: GrantRequest
    outcome: Grant | Error | None = None  # None while it is still being decided
    leaf: Digest = field(init=False)
    signed: Signed = field(init=False)
    entry: RequestEntry = field(init=False)
    seen: Witnessed = field(init=False)
    reader: Party = field(init=False)
    now: int = field(init=False)  # witness time
    capsules: tuple[Digest, ...] = field(init=False)
    found: list[_Found] = field(default_factory=list)  # of each capsule
    secrets: list[bytes] = field(default_factory=list)  # our shares, between two steps
    shares: tuple[SealedShare, ...] = field(init=False)
    new: list[Digest] = field(init=False)  # capsules not granted under this leaf before
    granting: bytes = field(init=False)  # the grant entry for these, if there are any
    intents: set[int] = field(default_factory=set)  # of the entries that cover its capsules

    @property
    def day(self) -> int:
        """For the quota, in UTC by witness time."""
        return self.now // DAY


class Batch:
    """Requests on one trustee's desk. Use once, under the trustee's lock: :meth:`decide`."""

    def __init__(self, desk: Desk, asked: Sequence[GrantRequest]) -> None:
        self._desk = desk
        self._state = Still(desk.state)
        self._cases = [_Case(each) for each in asked]
        self._own = OwnShares(desk.keys, desk.name, desk.state, desk.held)
        self._fetch = functools.cache(desk.fetch)  # most capsules have one policy
        self._before = functools.cache(self._granted_before)  # they sum up a day's grants
        self._notes: dict[bytes, Witnessed | Error] = {}
        self._present = b""  # the note of the log's checkpoint that was followed
        #: Decided in this batch, and not in the trustee's memory yet.
        self._first: dict[tuple[Digest, Digest], _Case] = {}
        self._spent: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._intents: dict[int, Intent] = {}
        self._indices: dict[int, int] = {}  # of intents whose entry was seen in the log
        self._untraced: Error | None = None  # why the log could not be written or read

    def decide(self) -> list[Grant | Error]:
        """For each request its grant, or why there is none. The order of steps is the law here.

        Nothing leaves before the intents are committed and their entries seen in the log.
        """
        self._each(self._parse)
        self._all(self._follow)
        self._each(self._witness)
        self._look_anew()
        self._each(self._request)
        # Alike work together: with the library's code and tables at hand it takes 2/3 the time.
        self._each(self._headers)
        self._each(self._permitted)
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

    @property
    def _region(self) -> RegionEntry:
        region = self._state.region
        assert region is not None  # else rules.requester refused
        return region

    # How steps fail

    def _open(self) -> Iterator[_Case]:
        return (case for case in self._cases if case.outcome is None)

    def _each(self, step: Callable[[_Case], None]) -> None:
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
        self._state = Still(self._desk.state)
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

    # The request

    def _parse(self, case: _Case) -> None:
        case.asked.check_bounds()
        case.leaf = case.asked.leaf_hash
        case.capsules = tuple(each.capsule for each in case.asked.capsules)
        case.signed, case.entry = rules.parse_leaf(case.asked.leaf)

    def _follow(self) -> None:
        self._present = self._desk.follow()

    def _witness(self, case: _Case) -> None:
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

    def _request(self, case: _Case) -> None:
        state, desk = self._state, self._desk
        case.reader = rules.requester(state, case.signed, case.entry)
        rules.included(case.asked, case.seen)
        requested = rules.read_by_us(state, case.leaf)
        rules.still_enrolled(state, desk.name, desk.keys.signing.public)
        case.now = max(state.time, case.seen.time(desk.policy))
        rules.not_expired(None, case.entry, case.now)
        rules.notice_passed(requested, self._region.notice, case.now)

    # Its capsules

    def _headers(self, case: _Case) -> None:
        wanted = self._desk.names(case.entry)
        for shown, capsule in zip(case.asked.capsules, case.capsules, strict=True):
            rules.named(capsule, wanted)
            admitted = rules.admitted(self._state, capsule)
            header = rules.from_an_enrolled_car(self._state, shown, admitted.index)
            share = self._own.find(header, shown)
            self._own.lasts(share.epoch, case.now)
            rules.same_policy(header, case.entry)
            text = self._fetch(f"policy/{header.policy}.cedar")
            policy = rules.known_policy(self._state, header, text)
            case.found.append(_Found(shown, capsule, header, share, policy))

    def _permitted(self, case: _Case) -> None:
        reader, purpose, region = case.reader, case.entry.purpose, self._region
        for each in case.found:
            capsule, header = each.capsule, each.header
            if not cedar.permits(each.policy, reader, region.region, capsule, header, purpose):
                raise RefusedError(
                    "forbidden",
                    f"the policy of capsule {capsule[:16]}... does not let {reader.name} "
                    f"({reader.kind}, {reader.country}) read it for {purpose}",
                )
            rules.not_erased(self._state, capsule)
            rules.not_expired(header, case.entry, case.now)

    def _quota_alone(self, case: _Case) -> None:
        """Without what others in this batch take, who may yet fail."""
        known = self._desk.memory.intents(case.leaf, case.capsules)
        case.intents = {each.id for each in known.values()}
        case.new = [each for each in case.capsules if each not in known]
        self._intents.update((each.id, each) for each in known.values())
        self._within_quota(case, 0)

    def _within_quota(self, case: _Case, spent: int) -> None:
        if case.new:
            name, more = case.reader.name, len(case.new)
            before = self._before(name, case.day) + spent
            rules.within_quota(before, more, self._region.quota, name)

    def _granted_before(self, name: Name, day: int) -> int:
        """Capsules that ``name`` was granted on ``day`` before this batch.

        What the log knows counts too: a restored backup of our own file forgets nothing.
        """
        ours = self._desk.memory.granted_on(name, day)
        return max(ours, self._state.granted_on(self._desk.name, name, day))

    def _unseal(self, case: _Case) -> None:
        for each in case.found:
            case.secrets.append(self._own.open(each.header, each.shown, each.share, case.now))

    def _reseal(self, case: _Case) -> None:
        leaf, shares = bytes.fromhex(case.leaf), []
        for each, secret in zip(case.found, case.secrets, strict=True):
            capsule_id, index = each.header.capsule_id, each.shown.index
            number = each.shown.succession
            info = grant_info(leaf, capsule_id, index, number)
            sealed = wrap(secret, case.entry.recipient, info)
            shares.append(SealedShare(each.capsule, capsule_id, index, sealed, number))
        case.secrets.clear()
        case.shares = tuple(shares)

    def _count(self, case: _Case) -> None:
        """Nothing can fail it any more on its own: from here on it counts for those after it."""
        case.new = [each for each in case.new if (case.leaf, each) not in self._first]
        key = (case.reader.name, case.day)
        self._within_quota(case, self._spent[key])
        if case.new:
            case.granting = trace.grant_entry(self._desk, self._region, case.leaf, case.new)
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
        unseen = [self._intents[each] for each in sorted(waiting)]
        entries = [each.entry for each in unseen if each.index is None]
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
        """Commit where each entry was seen in the log: what the log says of it does not count."""
        with self._desk.memory.transaction():
            for intent in self._intents.values():
                index = intent.index
                if index is None:
                    index = self._state.index_of(leaf_digest(intent.entry))
                    if index is None:
                        continue
                    self._desk.memory.logged(intent, index)
                self._indices[intent.id] = index

    def _answer(self, case: _Case) -> None:
        state, desk = self._state, self._desk
        if not case.intents <= self._indices.keys():
            raise self._untraced or IntegrityError(
                "the log took our entry but does not show it: nothing is handed out",
                hint="audit the log; if it recovers, ask again",
            )
        # What came into the log before our grant entry did counts before our grant.
        rules.requester(state, case.signed, case.entry, verified=case.reader.key)
        rules.still_enrolled(state, desk.name, desk.keys.signing.public)
        for each in case.capsules:
            rules.not_erased(state, each)
        entries = sorted(self._indices[each] for each in case.intents)
        case.outcome = Grant.make(
            case.leaf, desk.name, case.shares, tuple(entries), desk.keys.signing
        )
