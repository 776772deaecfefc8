# SPDX-License-Identifier: Apache-2.0
"""Passing shares on to a new set of trustees: what dealing and taking over have in common.

Order, and what is on disk when (both sides can be stopped anywhere and begun again):

dealing (:mod:`incamera.trustee.deal`): follow the log; check; write the whole dealing to a file of
our own (the polynomials are fixed by it); publish it; append the ``reshare`` entry, and see it in
the log.

taking over (:mod:`incamera.trustee.takeover`): follow the log; settle from its order whose dealings
are combined; commit the new shares, sealed to our own key; publish our commitments; append the
``accept`` entry, and see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, digest
from incamera.ledger.codec import encode, parse_capsule_list
from incamera.ledger.entries import Entry, Seat
from incamera.ledger.queries import DAY
from incamera.ledger.rows import Reshared, Succession
from incamera.ledger.state import leaf_digest
from incamera.sealing.header import Header
from incamera.trustee.desk import Desk
from incamera.trustee.rules import RefusedError

__all__ = ["Evidence", "Publish", "Work", "announce", "before", "checked", "say", "work"]

Evidence = Callable[[Digest], tuple[bytes, Sequence[bytes]]]
"""A capsule's envelope and wrapped shares, from whoever keeps it; believed after checking."""

Publish = Callable[[str, Path, Digest], None]
"""Puts a file beside the log as ``<kind>/<digest>``, durably."""


class Work(NamedTuple):
    """A succession, and the capsules it lists."""

    found: Succession
    capsules: tuple[Digest, ...]


def work(desk: Desk, number: int) -> Work:
    """Succession ``number`` and its list, after following the log to its end."""
    desk.follow()
    if desk.follower.frozen:
        raise RefusedError("frozen", f"trustee {desk.name} holds proof that the log forked")
    found = desk.state.succession(number)
    if found is None:
        raise InputError(f"the log has no succession {number}")
    named = found.entry.capsules
    return Work(found, parse_capsule_list(desk.fetch(f"list/{named.digest}"), named))


def say(desk: Desk, entry: Entry, before: list[Reshared]) -> None:
    """Append ``entry`` unless we said it before, and see it in the log with our own eyes."""
    if desk.name in {each.trustee for each in before}:
        return
    data = encode(entry, desk.keys.signing)
    desk.append([data])
    desk.follow()
    if desk.state.index_of(leaf_digest(data)) is None:
        raise IntegrityError(
            "the log took our entry but does not show it", hint="audit the log; then do it again"
        )


def checked(capsule: Digest, evidence: Evidence) -> tuple[bytes, Sequence[bytes]]:
    """What ``evidence`` gives for ``capsule``, if its header is that capsule's."""
    envelope, wrapped = evidence(capsule)
    if digest(envelope) != capsule:
        raise IntegrityError(f"capsule {capsule[:16]}...: this is another capsule's header")
    return envelope, wrapped


def before(desk: Desk, source: int, header: Header) -> tuple[int, list[int]]:
    """How many it takes now, and when each of their keys ends."""
    succession = desk.state.succession(source) if source else None
    if succession is None:
        seats = [Seat(share.trustee, share.epoch) for share in header.shares]
        needed = header.threshold
    else:
        seats, needed = list(succession.entry.seats), succession.entry.threshold
    keys = [desk.state.epoch(seat.trustee, seat.epoch) for seat in seats]
    return needed, [key.not_after if key else 0 for key in keys]


def announce(desk: Desk, not_after: int) -> int:
    """A key to take shares over with, which cars may seal to until ``not_after`` at most.

    An epoch of ours that ends then, or a new one, announced in the log; its number.
    """
    desk.follow()
    keys = desk.state.epochs(desk.name)
    for key in keys:
        gone = desk.state.destroyed(desk.name, key.epoch) is not None
        if key.not_after == not_after and not gone and desk.keys.has(key.epoch):
            return key.epoch
    number = max((key.epoch for key in keys), default=0) + 1
    begin, now = min(not_after, desk.state.time) - DAY, desk.clock.now()
    data = desk.keys.new_epoch(desk.name, desk.region.region, number, begin, not_after, now)
    desk.append([data])
    desk.follow()
    if desk.state.epoch(desk.name, number) is None:
        raise IntegrityError("the log took our epoch but does not show it", hint="audit the log")
    return number
