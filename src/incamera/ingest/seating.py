# SPDX-License-Identifier: Apache-2.0
"""Whom a car seals to: trustees that stood in the log for all to see, before it trusts them.

The operator alone enrols trustees. Were a new one sealed to at once, an operator could enrol
puppets, read what is sealed from then on, and be found out only afterwards. So a newcomer, or a
trustee whose key or jurisdiction changed, must have stood unchanged for ``age`` seconds of
witnessed time, in which ``incamera audit`` warns of it and owners can take back their consent.

How long it stood is what this car's own reading of the log shows: the log tells nobody when an
entry was made, but a checkpoint that the car once stood under bears its witnesses' time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from incamera.errors import UnavailableError
from incamera.ids import Digest, Name
from incamera.ingest.home import present_trustees
from incamera.ledger.queries import DAY, Queries
from incamera.ledger.rows import Party
from incamera.sealing import Trustee
from incamera.sealing.keys import key_id
from incamera.tlog.policy import Policy

__all__ = ["Seating", "seated_trustees"]


@dataclass(frozen=True, slots=True)
class Seating:
    """What a car asks of a trustee before it seals to it."""

    age: int = 7 * DAY
    """Seconds of witnessed time that it stood unchanged, unless the founding seated it."""
    pins: Mapping[Name, Digest] = field(default_factory=dict)
    """SHA-256 of signing keys by name. If there are any, only these trustees are sealed to, and
    their age is not asked: whoever set the car up vouches for them."""

    def doubt(self, state: Queries, party: Party, policy: Policy) -> str | None:
        """Why ``party`` is not sealed to, in words; None if it is."""
        if self.pins:
            pinned = self.pins.get(party.name)
            if pinned is None:
                return "is not among the trustees pinned here"
            return None if pinned == key_id(party.key) else "has another key than the one pinned"
        if party.since < state.founded():
            return None
        stood = _stood(state, party, policy)
        if stood >= self.age:
            return None
        return (
            f"stands in the log as it is for {stood / DAY:.1f} days, by what this car has read "
            f"of it, and {self.age / DAY:g} are asked"
        )


def _stood(state: Queries, party: Party, policy: Policy) -> int:
    """Seconds of witnessed time, at least, that this enrolment has stood unchanged."""
    note = state.stood_after(party.since)
    if note is None:
        return 0
    return max(0, state.time - policy.check(note, "a note we stood under").time(policy))


def seated_trustees(
    state: Queries, policy: Policy, seating: Seating, threshold: int, now: int
) -> tuple[Trustee, ...]:
    """All enrolled trustees that ``seating`` allows, each with its newest key at ``now``.

    :class:`UnavailableError` below ``threshold``; it names who is left out, and why.
    """
    names, doubts = [], []
    for party in state.parties("trustee"):
        doubt = seating.doubt(state, party, policy)
        if doubt is None:
            names.append(party.name)
        else:
            doubts.append(f"{party.name} {doubt}")
    if len(names) < threshold:
        raise UnavailableError(
            f"{len(names)} trustees may be sealed to, and it takes {threshold}: "
            f"{'; '.join(doubts) or 'the log enrols no more'}",
            hint="nothing is sealed until enough of them stood long enough: ask who holds the new "
            "keys, and see docs/decisions/0019-whom-a-car-seals-to.md",
        )
    return present_trustees(state, names, threshold, now)
