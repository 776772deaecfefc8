# SPDX-License-Identifier: Apache-2.0
"""One request on a trustee's desk, and what is known of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from incamera.errors import Error
from incamera.ids import Digest
from incamera.ledger.codec import Signed
from incamera.ledger.entries import RequestEntry
from incamera.ledger.grant import Grant, SealedShare
from incamera.ledger.queries import DAY
from incamera.ledger.request import CapsuleEvidence, GrantRequest
from incamera.ledger.rows import Party
from incamera.sealing.header import Header, ShareWrap
from incamera.tlog.policy import Witnessed

__all__ = ["Case", "Found"]


@dataclass(frozen=True, slots=True)
class Found:
    """One wanted capsule, checked as far as its header goes."""

    shown: CapsuleEvidence
    capsule: Digest
    header: Header
    share: ShareWrap
    policy: str  # the text


@dataclass(slots=True)
class Case:
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
    found: list[Found] = field(default_factory=list)  # of each capsule
    secrets: list[bytes] = field(default_factory=list, repr=False)  # our shares, opened
    shares: tuple[SealedShare, ...] = field(init=False)
    new: list[Digest] = field(init=False)  # capsules not granted under this leaf before
    granting: bytes = field(init=False)  # the grant entry for these, if there are any
    intents: set[int] = field(default_factory=set)  # of the entries that cover its capsules

    @property
    def day(self) -> int:
        """For the quota, in UTC by witness time."""
        return self.now // DAY
