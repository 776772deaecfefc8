# SPDX-License-Identifier: Apache-2.0
"""What a succession is made of: which capsules, who holds them now, until when, and who is next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from incamera.cli.desk import Desk, Shown
from incamera.cli.pick import pick_capsules
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.ledger.codec import capsule_list, encode
from incamera.ledger.dealing import PART
from incamera.ledger.entries import Seat, SuccessionEntry
from incamera.ledger.holders import Holders, Holdings
from incamera.ledger.request import MAX_BATCH

__all__ = ["kept", "propose", "until"]

_MOST = 1 << 23  # bytes of a dealing, which travels whole


def _holders(desk: Desk, capsules: Sequence[Digest]) -> Iterator[tuple[Shown, Holders]]:
    """Who holds the shares of each capsule now."""
    holdings = Holdings(desk.state(), desk.fetch)
    for start in range(0, len(capsules), MAX_BATCH):
        for shown in desk.shown(capsules[start : start + MAX_BATCH]):
            yield shown, holdings.of(shown.digest, shown.header)


def until(desk: Desk, capsules: Sequence[Digest]) -> int:
    """When the first of ``capsules`` closes: a new set's keys must end no later. POSIX seconds."""
    state, ends = desk.state(), []
    for shown, holders in _holders(desk, capsules):
        passed = state.succession(holders.succession) if holders.succession else None
        seats = [Seat(each.trustee, each.epoch) for each in shown.header.shares]
        keys = [
            state.epoch(seat.trustee, seat.epoch)
            for seat in (passed.entry.seats if passed else seats)
        ]
        last = sorted((key.not_after for key in keys if key), reverse=True)
        ends.append(last[holders.threshold - 1])
    return min(ends)


def propose(
    desk: Desk,
    seats: Sequence[Seat],
    capsules: Sequence[Digest],
    *,
    threshold: int | None,
    reason: str,
) -> tuple[int, int]:
    """Log a succession of ``capsules`` to ``seats``; its number and log index."""
    sources = {holders.succession for _, holders in _holders(desk, capsules)}
    if len(sources) != 1:
        raise InputError(
            f"these capsules are held by {len(sources)} sets of trustees: pass each on by itself",
            hint="name the capsules of one set: --capsule ...",
        )
    if len(capsules) * len(seats) * PART > _MOST:
        raise InputError(
            f"{len(capsules)} capsules are too many for one succession to {len(seats)} trustees",
            hint=f"pass on at most {_MOST // len(seats) // PART} at a time: --capsule ...",
        )
    data, listed = capsule_list(capsules)
    desk.publish_list(data)
    numbers = [each.entry.number for each in desk.state().successions()]
    entry = SuccessionEntry(
        region=desk.region().region,
        time=desk.clock.now(),
        number=max(numbers, default=0) + 1,
        source=sources.pop(),
        threshold=threshold or desk.region().threshold,
        seats=tuple(seats),
        capsules=listed,
        reason=reason,
    )
    return entry.number, desk.submit(encode(entry, desk.operator()))


def kept(desk: Desk, words: Sequence[str]) -> list[Digest]:
    """The capsules that ``words`` name, or all; :class:`InputError` if there is none."""
    rows = pick_capsules(desk, tuple(words), desk.rows(status="kept"))
    if not rows:
        raise InputError("there are no capsules to pass on")
    return sorted(row.digest for row in rows)
