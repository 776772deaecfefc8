# SPDX-License-Identifier: Apache-2.0
"""Capsules whose time is over: destroyed by the vault itself, and publicly so.

The entry comes first, as with every erasure, and destroying is what following the log does:

=====================================  ========================================================
expiring, crash after                  what is there, and what happens next
=====================================  ========================================================
1. what is due was found               nothing; it is found again
2. the entry was signed                nothing; within the hour the very same bytes come again
3. the entry is in the log             opening the vault removes the blobs and empties the rows
4. some blobs are gone                 the same: a blob that is gone is fine
=====================================  ========================================================

No trustee opens an expired capsule anyway; this frees the disk, and leaves its owner nothing that
others keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from incamera.clock import Clock
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import ErasureEntry
from incamera.ledger.queries import Queries
from incamera.sealing.keys import SigningKey
from incamera.vault.admission import region_of

__all__ = ["Expired", "Keeper", "expire", "over"]

TOGETHER = 32
"""Capsules in one entry: removing their blobs takes some ms each, and who admits waits for it."""

_HOUR = 3_600


class Keeper(Protocol):
    """What this needs of a vault."""

    def due(self, until: int, count: int) -> list[Digest]:
        """What had expired by ``until`` and is not erased: kept, or lost; at most ``count``."""
        ...

    def submit(self, entry: bytes) -> int:
        """An entry into the log, obeyed; its index."""
        ...


@dataclass(frozen=True, slots=True)
class Expired:
    """What one run did."""

    until: int  # POSIX seconds: what expired by then is gone
    capsules: int
    entries: tuple[int, ...]  # log indices


def over(state: Queries, clock: Clock) -> int:
    """The last full hour (POSIX seconds) by this machine's clock *and* by the witnesses'."""
    return min(clock.now(), state.time) // _HOUR * _HOUR


def expire(keeper: Keeper, state: Queries, key: SigningKey, clock: Clock) -> Expired:
    """Log, as the vault (``key``), that what is over is over, and destroy it.

    ``state``: a reading of the log. Over is what had expired by :func:`over`, so no wrong clock
    destroys anything early; by the hour, so that vaults that share one catalogue say the same thing
    in the same bytes, which the log takes in once. Errors as those of ``submit``: what was done
    stays done.
    """
    until = over(state, clock)
    capsules, entries = 0, list[int]()
    while due := tuple(sorted(keeper.due(until, TOGETHER))):
        entry = ErasureEntry(
            region=region_of(state).region,
            time=until,
            capsules=due,
            by="vault",
            name="",
            reason="expired",
        )
        entries.append(keeper.submit(encode(entry, key)))
        capsules += len(due)
    return Expired(until, capsules, tuple(entries))
