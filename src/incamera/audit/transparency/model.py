# SPDX-License-Identifier: Apache-2.0
"""What a transparency report holds. Times are POSIX seconds; ``index`` is a log index."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = [
    "Case",
    "Erasures",
    "Fate",
    "Health",
    "Read",
    "Refusal",
    "Request",
    "Transparency",
    "Trustee",
    "day",
]

Fate = Literal["granted", "refused", "waiting", "expired"]
"""``granted``: by enough trustees to open. ``refused``: by so many that the rest cannot."""


def day(time: int) -> str:
    """``time`` as ``2026-11-22``; as a number where no calendar has it."""
    try:
        return datetime.datetime.fromtimestamp(time, datetime.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return str(time)


@dataclass(frozen=True, slots=True)
class Request:
    """One wish to read and what came of it."""

    index: int
    leaf: str
    reader: str
    kind: str
    country: str
    purpose: str
    time: int  # by the reader's own clock
    capsules: int
    fate: Fate
    granted: tuple[str, ...]  # trustees
    refused: tuple[tuple[str, str], ...]  # trustee and code
    datasets: int


@dataclass(frozen=True, slots=True)
class Read:
    """One reader's requests for one purpose, added up."""

    reader: str
    kind: str
    country: str
    purpose: str
    requests: int
    granted: int
    refused: int
    open: int  # waiting or expired
    asked: int  # capsules
    readable: int  # capsules of the granted requests
    datasets: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often a trustee refused for one reason."""

    trustee: str
    code: str
    count: int
    example: str  # its own words, the latest time


@dataclass(frozen=True, slots=True)
class Case:
    """One legal demand: ``history`` is (log index, signer's time, outcome), oldest first."""

    reference: str
    authority: str
    country: str
    date: str
    scopes: tuple[str, ...]  # digests of its documents
    outcome: str
    history: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Erasures:
    """Capsules admitted, and gone since; consents and car keys that owners ended."""

    admitted: int
    by_owners: int
    by_operator: int
    by_vault: int  # expired
    consents: int  # withdrawn
    cars: int  # retired


@dataclass(frozen=True, slots=True)
class Trustee:
    """One trustee as the log knows it; ``late`` says in words what it owes."""

    name: str
    country: str
    grants: int
    refusals: int
    epoch: int | None  # the latest that cars may seal to now
    until: int | None  # its end
    destroyed: tuple[int, ...]  # epochs whose key it destroyed
    frozen: bool
    late: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """How the log stands: who cosigned its checkpoint and when, and what in it is void."""

    witnessed: int
    cosigned: tuple[tuple[str, int], ...]  # witness and its time
    missing: tuple[str, ...]  # witnesses of the policy that did not cosign
    void: int  # entries without effect
    repeated: int
    first_void: str
    forks: tuple[str, ...]  # digests of the proofs that trustees hold


@dataclass(frozen=True, slots=True)
class Transparency:
    """The report. ``made`` is the clock of who made it; all else is from the log."""

    region: str
    origin: str
    size: int
    made: int
    threshold: int
    requests: tuple[Request, ...]
    reads: tuple[Read, ...]
    refusals: tuple[Refusal, ...]
    demands: tuple[Case, ...]
    erasures: Erasures
    trustees: tuple[Trustee, ...]
    successions: tuple[str, ...]
    health: Health
    addresses: tuple[str, ...] = ()  # where the parties may connect: a sentence for each list

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"v": 1, **asdict(self)}
