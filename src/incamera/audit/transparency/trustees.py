# SPDX-License-Identifier: Apache-2.0
"""How each trustee stands: what it decided, which keys it has, whether it froze, what it owes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from incamera.audit.transparency.model import Request, Trustee, day
from incamera.ledger.queries import DAY, Queries
from incamera.ledger.rows import EpochKey, Party

__all__ = ["trustees"]

_GRACE = 7 * DAY
"""How long after it was due a trustee's act is called late."""


def trustees(state: Queries, requests: Sequence[Request]) -> tuple[Trustee, ...]:
    """Every trustee now enrolled, by name. Late is judged by witness time."""
    grants = Counter(each.trustee for each in state.grants())
    refusals = Counter(each.trustee for each in state.refusals())
    frozen = {each.trustee for each in state.freezes()}
    found = []
    for party in state.parties("trustee"):
        keys = state.epochs(party.name)
        gone = [e.epoch for e in keys if state.destroyed(party.name, e.epoch)]
        present = _present(state, party)
        found.append(
            Trustee(
                name=party.name,
                country=party.country,
                grants=grants[party.name],
                refusals=refusals[party.name],
                epoch=present[-1].epoch if present else None,
                until=present[-1].not_after if present else None,
                destroyed=tuple(gone),
                frozen=party.name in frozen,
                late=tuple(_late(state, party, requests)),
            )
        )
    return tuple(found)


def _present(state: Queries, party: Party) -> list[EpochKey]:
    """The keys that cars may seal to now."""
    keys = state.epochs(party.name, at=state.time)
    return [each for each in keys if state.destroyed(party.name, each.epoch) is None]


def _late(state: Queries, party: Party, requests: Sequence[Request]) -> list[str]:
    late = []
    if not _present(state, party):
        late.append("has no key that cars may seal to now")
    retention = (state.region.retention if state.region else 0) * DAY
    for key in state.epochs(party.name):
        due = key.not_after + retention
        if state.time > due + _GRACE and state.destroyed(party.name, key.epoch) is None:
            late.append(
                f"has not said that the key of epoch {key.epoch} is destroyed, due {day(due)}"
            )
    notice = state.region.notice if state.region else 0
    waiting = [
        each
        for each in requests
        if each.fate == "waiting"
        and each.index > party.since
        and state.time > each.time + notice + _GRACE
        and party.name not in (*each.granted, *(name for name, _ in each.refused))
    ]
    if waiting:
        entries = ", ".join(str(each.index) for each in waiting[:5])
        late.append(f"has not answered {len(waiting)} requests (log entries {entries})")
    return late
