# SPDX-License-Identifier: Apache-2.0
"""What a car needs to know to seal and send: keys, parties, rules, and two folders of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from incamera.errors import PolicyError
from incamera.ids import Digest, Name
from incamera.ledger.entries import RegionEntry
from incamera.sealing import Recipients, SigningKey, Trustee
from incamera.tlog.policy import Policy as LogPolicy

__all__ = ["Admit", "CarHome"]

Admit: TypeAlias = Callable[[Path], bytes]
"""Hands the capsule at a path to the vault and gives the receipt back.

Must be idempotent by the capsule's digest. :class:`UnavailableError`: not now, ask again;
:class:`PolicyError` and others: refused; if it has a ``code`` that is ``erased``, for good.
"""


@dataclass(frozen=True, slots=True)
class CarHome:
    """One car. Public keys are raw bytes; nothing in here is a live connection."""

    vehicle: Name
    """The pseudonym that goes into headers; never the VIN."""
    key: SigningKey
    owner: bytes
    """The owner's public opening key, 1216 bytes."""
    trustees: tuple[Trustee, ...]
    """Names, present epochs and their public opening keys."""
    region: RegionEntry
    """The log's entry 0: region, threshold, retention, and the vault's key."""
    policy: Digest
    """The Cedar policy to seal under."""
    consent: str
    """Id of the owner's consent; empty: there is none, and nothing is ingested."""
    purposes: tuple[Name, ...]
    """What the consent is for."""
    log_policy: LogPolicy
    """Whom to believe about the log."""
    spool: Path
    """Sealed capsules that wait for their receipt."""
    journal: Path
    """What became of each clip, the receipts, and the lock."""

    @property
    def recipients(self) -> Recipients:
        """Who can open what this car seals."""
        return Recipients(self.trustees, self.region.threshold, self.owner)

    def check_consent(self) -> None:
        """:class:`PolicyError` unless the owner consented to at least one purpose."""
        if not self.consent or not self.purposes:
            raise PolicyError(
                "the owner has not consented to any purpose: nothing is looked at",
                hint="record the owner's consent in the car's home first",
            )
