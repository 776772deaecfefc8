# SPDX-License-Identifier: Apache-2.0
"""What lies on a trustee's desk while it decides: its keys, its two files, and its way to the log.

Also what it may remember between two requests because nothing can change it: the names in a list
file, which is called by its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from incamera.clock import Clock
from incamera.ids import Digest, Name
from incamera.ledger.entries import CapsuleList, RegionEntry, RequestEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.tlog.policy import Policy
from incamera.tlog.reader import Fetch
from incamera.trustee import rules
from incamera.trustee.heads import Heads
from incamera.trustee.inherited import Inherited
from incamera.trustee.keyring import Keyring
from incamera.trustee.memory import Memory

__all__ = ["Desk"]

_KEPT_LISTS = 4  # of at most 100,000 names, 11 MB each


@dataclass(frozen=True, slots=True)
class Desk:
    """One trustee's means. Whoever holds it also holds the trustee's lock."""

    name: Name
    keys: Keyring
    state: State
    memory: Memory
    held: Inherited
    follower: Follower
    policy: Policy
    clock: Clock
    fetch: Fetch
    append: Callable[[Sequence[bytes]], object]
    """Hands entries to the log, which may log them in one batch; its answer is not believed."""
    heads: Heads | None = None
    """How to ask the witnesses past the log; None: the log alone is asked."""
    _lists: dict[CapsuleList, frozenset[Digest]] = field(default_factory=dict)

    @property
    def region(self) -> RegionEntry:
        """Entry 0, which every request was checked against before it is asked for."""
        region = self.state.region
        assert region is not None
        return region

    def follow(self) -> bytes:
        """Read on to the log's present checkpoint, if it is fresh; the note we stand under.

        And now and then see from the witnesses themselves that no longer log is kept from us.
        """
        note = self._read_on()
        if self.heads is not None:
            self.heads.hold(self.follower, self._read_on)
        return self.state.note or note

    def _read_on(self) -> bytes:
        """Judged before it is followed: a time from the future must not become the state's.

        That never goes back.
        """
        present = self.follower.present()
        rules.fresh(present.time(self.policy), self.clock.now())
        return self.follower.follow(present).note

    def names(self, entry: RequestEntry) -> frozenset[Digest]:
        """The capsules that a request names, in itself or in its list file.

        A list is fetched and parsed once, or each of the calls for its capsules would cost as
        much as the whole list.
        """
        named = entry.capsules
        if not isinstance(named, CapsuleList):
            return rules.names(entry, None)
        if (known := self._lists.get(named)) is None:
            known = rules.names(entry, self.fetch(f"list/{named.digest}"))
            if len(self._lists) >= _KEPT_LISTS:
                del self._lists[next(iter(self._lists))]
            self._lists[named] = known
        return known
