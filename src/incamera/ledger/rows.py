# SPDX-License-Identifier: Apache-2.0
"""What a :class:`incamera.ledger.state.State` answers with. ``index`` is a log index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from incamera.ids import Digest, Name
from incamera.ledger.entries import AddressesEntry, DemandEntry, RequestEntry, Role, SuccessionEntry

__all__ = [
    "Admitted",
    "Dataset",
    "Declared",
    "Demanded",
    "Destroyed",
    "EpochKey",
    "Erased",
    "Finding",
    "Frozen",
    "Granted",
    "Party",
    "Refused",
    "Requested",
    "Reshared",
    "Succession",
    "Withdrawn",
]


@dataclass(frozen=True, slots=True)
class Party:
    """One enrolment: valid for entries ``since < index < until`` (None: to this day)."""

    role: Role
    name: Name
    kind: Name
    country: str
    key: bytes  # 32, Ed25519
    opening: bytes  # 1216, HPKE; or empty
    since: int
    until: int | None = None

    def stood(self, at: int | None) -> bool:
        """True if it stands now (None), or stood when entry ``at`` was logged."""
        if at is None:
            return self.until is None
        return self.since < at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class EpochKey:
    """A trustee's opening key for what is sealed from ``not_before`` to ``not_after``."""

    trustee: Name
    epoch: int
    key: bytes  # 1216, HPKE
    not_before: int  # POSIX seconds
    not_after: int
    index: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """A capsule entry; ``time`` is the witness time at which this state first read it."""

    capsule: Digest
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Erased:
    """The first erasure of a capsule."""

    capsule: Digest
    index: int
    by: Literal["owner", "operator", "vault"]
    name: str  # the owner's; empty for the others


@dataclass(frozen=True, slots=True)
class Requested:
    """A request; ``time`` is the witness time at which this state first read it."""

    leaf: Digest  # leaf hash
    entry: RequestEntry
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A trustee's grant entry; ``time`` is the witness time at which this state read it."""

    trustee: Name
    request: Digest
    capsules: Digest  # of the list file
    count: int
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A trustee's refusal entry."""

    trustee: Name
    request: Digest
    code: Name
    reason: str
    index: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A reader's dataset entry."""

    reader: Name
    request: Digest
    manifest: Digest
    index: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """A trustee's freeze entry."""

    trustee: Name
    evidence: Digest
    index: int


@dataclass(frozen=True, slots=True)
class Declared:
    """An addresses entry; the newest is the list that counts."""

    entry: AddressesEntry
    index: int


@dataclass(frozen=True, slots=True)
class Demanded:
    """A demand entry; the latest of one reference tells the present outcome."""

    entry: DemandEntry
    index: int


@dataclass(frozen=True, slots=True)
class Destroyed:
    """A trustee's word that the key of an epoch is gone."""

    trustee: Name
    epoch: int
    index: int
    time: int  # witness time at which this state first read it


@dataclass(frozen=True, slots=True)
class Succession:
    """A succession entry; ``time`` is the witness time at which this state first read it."""

    leaf: Digest
    entry: SuccessionEntry
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Reshared:
    """A trustee's reshare or accept entry for one succession, and the file it names."""

    trustee: Name
    succession: int
    file: Digest
    index: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An owner's word that a consent, or a car's key, has ended."""

    kind: Literal["consent", "car"]
    digest: Digest  # of the consent (``ledger.rights.consent_digest``), or of the key
    owner: Name
    index: int


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry without effect: it is ``bad`` (and why), or a ``repeat`` of an earlier leaf."""

    index: int
    kind: Literal["bad", "repeat"]
    text: str
