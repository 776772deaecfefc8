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
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error, IntegrityError
from incamera.ids import Digest, Name, digest
from incamera.ledger.codec import Signed, capsule_list, encode
from incamera.ledger.entries import (
    CapsuleList,
    FreezeEntry,
    GrantEntry,
    RefusalEntry,
    RegionEntry,
    RequestEntry,
)
from incamera.ledger.evidence import found as found_evidence
from incamera.ledger.follower import Follower
from incamera.ledger.grant import Grant, SealedShare
from incamera.ledger.queries import DAY
from incamera.ledger.request import CapsuleEvidence, GrantRequest
from incamera.ledger.rows import Party
from incamera.ledger.state import State, leaf_digest
from incamera.sealing.header import Header, ShareWrap
from incamera.sealing.shares import check_share
from incamera.sealing.wrap import grant_info, unwrap, wrap
from incamera.tlog.policy import Policy
from incamera.tlog.reader import Fetch, LogReader
from incamera.trustee import cedar, rules
from incamera.trustee.keyring import Keyring
from incamera.trustee.memory import Memory
from incamera.trustee.rules import RefusedError

__all__ = ["Trustee"]

_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class _Case:
    """A request that passed all checks of its own."""

    leaf: Digest
    signed: Signed
    entry: RequestEntry
    reader: Party
    region: RegionEntry
    now: int  # witness time


class Trustee:
    """Answers grant requests from its home folder, one at a time."""

    def __init__(
        self,
        home: Path,
        name: Name,
        fetch: Fetch,
        policy: Policy,
        clock: Clock,
        append: Callable[[bytes], int],
    ) -> None:
        """``fetch`` reads public files, ``append`` hands an entry to the log.

        ``policy`` says whom to believe about the log; ``append`` returns the entry's index, which
        is not believed.
        """
        self.home = home
        self.name = name
        self.keys = Keyring(home)
        self.state = State(home / "state.db")
        self._fetch = fetch
        self._policy = policy
        self._clock = clock
        self._append = append
        self._memory = Memory(home / "own.db")
        self._lock = threading.Lock()
        self.follower = Follower(
            LogReader(fetch, policy), self.state, clock, folder=home / "evidence"
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
        self._memory.close()

    def decide(self, asked: GrantRequest) -> Grant:
        """The shares asked for, sealed to the request's recipient, or an error; fails closed.

        :class:`incamera.errors.PolicyError` for a refusal (which is logged, once for each
        request and reason), :class:`IntegrityError` where a proof does not hold,
        :class:`InputError` for what cannot be read, :class:`UnavailableError` where log or disk
        are. Asking again under the same leaf gives the same shares to the same key, and logs and
        counts nothing twice.
        """
        with self._lock, durable.lock(self.home / "lock", wait=True):
            if self.frozen:
                raise RefusedError("frozen", f"trustee {self.name} holds proof that the log forked")
            asked.check_bounds()
            try:
                return self._grant(self._case(asked), asked.capsules)
            except RefusedError as refusal:
                self._log_refusal(asked.leaf_hash, refusal)
                raise
            except IntegrityError:
                if self.frozen:
                    self._announce_freeze()
                raise

    def accuse(self, ours: bytes, theirs: bytes) -> None:
        """Take two notes that contradict each other, from whoever has them, and freeze.

        :class:`IntegrityError` if they prove nothing.
        """
        with self._lock, durable.lock(self.home / "lock", wait=True):
            self.follower.freeze(ours, theirs)
            self._announce_freeze()

    # The checks, in order

    def _case(self, asked: GrantRequest) -> _Case:
        signed, entry = rules.parse_leaf(asked.leaf)
        self._follow()
        seen = rules.witnessed(asked.note, self._policy)
        rules.fresh(seen.time(self._policy), self._clock.now())
        self.follower.reconcile(seen)
        # Only now: who is enrolled is judged by the newest entries that anyone has shown us.
        reader = rules.requester(self.state, signed, entry)
        rules.included(asked, seen)
        requested = rules.read_by_us(self.state, asked.leaf_hash)
        rules.still_enrolled(self.state, self.name, self.keys.signing.public)
        region = self.state.region
        assert region is not None
        now = max(self.state.time, seen.time(self._policy))
        rules.not_expired(None, entry, now)
        rules.notice_passed(requested, region.notice, now)
        return _Case(asked.leaf_hash, signed, entry, reader, region, now)

    def _follow(self) -> None:
        """Read on to the present checkpoint, if it is fresh.

        Judged before it is followed: a time from the future must not become the state's, which
        never goes back.
        """
        if not self.frozen:
            present = self.follower.present()
            rules.fresh(present.time(self._policy), self._clock.now())
            self.follower.follow(present)

    def _capsule(
        self, case: _Case, shown: CapsuleEvidence, wanted: frozenset[Digest], fetch: Fetch
    ) -> tuple[Header, ShareWrap]:
        rules.named(shown.capsule, wanted)
        admitted = rules.admitted(self.state, shown.capsule)
        header = rules.from_an_enrolled_car(self.state, shown, admitted.index)
        share = rules.our_share(header, shown, self.name)
        rules.same_policy(header, case.entry)
        text = rules.known_policy(self.state, header, fetch(f"policy/{header.policy}.cedar"))
        purpose, region = case.entry.purpose, case.region.region
        if not cedar.permits(text, case.reader, region, shown.capsule, header, purpose):
            raise RefusedError(
                "forbidden",
                f"the policy of capsule {shown.capsule[:16]}... does not let {case.reader.name} "
                f"({case.reader.kind}, {case.reader.country}) read it for {purpose}",
            )
        rules.not_erased(self.state, shown.capsule)
        rules.not_expired(header, case.entry, case.now)
        return header, share

    def _unchanged(self, case: _Case, shown: tuple[CapsuleEvidence, ...]) -> None:
        """What came into the log before our grant entry did counts before our grant."""
        rules.requester(self.state, case.signed, case.entry)
        rules.still_enrolled(self.state, self.name, self.keys.signing.public)
        for each in shown:
            rules.not_erased(self.state, each.capsule)

    # The grant

    def _grant(self, case: _Case, shown: tuple[CapsuleEvidence, ...]) -> Grant:
        fetch = functools.cache(self._fetch)  # the capsules of a request have one policy
        named, listed = case.entry.capsules, None
        if isinstance(named, CapsuleList):
            listed = fetch(f"list/{named.digest}")
        wanted = rules.names(case.entry, listed)
        checked = [(each, *self._capsule(case, each, wanted, fetch)) for each in shown]
        new = [each.capsule for each in shown if not self._memory.intent(case.leaf, each.capsule)]
        day = case.now // DAY
        # What the log knows counts too: a restored backup of our own file forgets nothing.
        before = max(
            self._memory.granted_on(case.reader.name, day),
            self.state.granted_on(self.name, case.reader.name, day),
        )
        if new:
            rules.within_quota(before, len(new), case.region.quota, case.reader.name)
        shares = tuple(self._reseal(case, *each) for each in checked)
        self._memory.pin_recipient(case.leaf, case.entry.recipient)
        if new:
            entry = encode(self._grant_entry(case, new), self.keys.signing)
            self._memory.intend(case.leaf, new, case.reader.name, day, entry)
        entries = {self._logged(case.leaf, each.capsule) for each in shown}
        self._unchanged(case, shown)
        return Grant.make(case.leaf, self.name, shares, tuple(sorted(entries)), self.keys.signing)

    def _reseal(
        self, case: _Case, shown: CapsuleEvidence, header: Header, share: ShareWrap
    ) -> SealedShare:
        key = self.keys.epoch(share.epoch)
        if key is None:
            raise RefusedError("epoch-ended", f"the key of epoch {share.epoch} is destroyed")
        if key.key_id != share.key:
            raise IntegrityError(f"the share was sealed to another key than ours of {share.epoch}")
        secret = unwrap(shown.wrapped, key, header.share_info(shown.index))
        check_share(header.capsule_id, shown.index, secret, share.commitment, "the car")
        info = grant_info(bytes.fromhex(case.leaf), header.capsule_id, shown.index)
        sealed = wrap(secret, case.entry.recipient, info)
        return SealedShare(shown.capsule, header.capsule_id, shown.index, sealed)

    def _grant_entry(self, case: _Case, capsules: list[Digest]) -> GrantEntry:
        _, listed = capsule_list(capsules)
        return GrantEntry(
            region=case.region.region,
            time=self._clock.now(),
            trustee=self.name,
            request=case.leaf,
            capsules=listed.digest,
            count=listed.count,
        )

    def _logged(self, leaf: Digest, capsule: Digest) -> int:
        """The index of the grant entry over ``capsule``, appended now if it was not yet."""
        intent = self._memory.intent(leaf, capsule)
        assert intent is not None
        if intent.index is not None:
            return intent.index
        index = self._log(intent.entry)
        self._memory.logged(intent, index)
        return index

    # What the log gets from us

    def _log(self, entry: bytes) -> int:
        """Append ``entry`` unless it is there, and see it there with our own eyes; its index."""
        leaf = leaf_digest(entry)
        if (index := self.state.index_of(leaf)) is None:
            self._append(entry)
            self._follow()
            index = self.state.index_of(leaf)
        if index is None:
            raise IntegrityError(
                "the log took our entry but does not show it: nothing is handed out",
                hint="audit the log; if it recovers, ask again",
            )
        return index

    def _log_refusal(self, leaf: Digest, refusal: RefusedError) -> None:
        """Once for each request and code; only for requests that stand in the log."""
        region = self.state.region
        if not refusal.public or region is None or self.state.request(leaf) is None:
            return
        before = [each for each in self.state.refusals(leaf) if each.trustee == self.name]
        if refusal.code in {each.code for each in before}:
            return
        entry = RefusalEntry(
            region=region.region,
            time=self._clock.now(),
            trustee=self.name,
            request=leaf,
            code=refusal.code,
            reason=refusal.message[:_MAX_REASON],
        )
        try:
            self._log(encode(entry, self.keys.signing))
        except Error:
            return  # the refusal stands; it is logged when the reader asks again

    def _announce_freeze(self) -> None:
        """Tell the public, if the log still takes entries; being frozen does not hang on it."""
        region, kept = self.state.region, self.evidence
        if region is None or not kept:
            return
        entry = FreezeEntry(
            region=region.region,
            time=self._clock.now(),
            trustee=self.name,
            evidence=digest(kept[0].read_bytes()),
        )
        try:
            self._append(encode(entry, self.keys.signing))
        except Error:
            return
