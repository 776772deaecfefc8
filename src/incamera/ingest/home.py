# SPDX-License-Identifier: Apache-2.0
"""What a car needs to know to seal and send: keys, parties, rules, and two folders of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from incamera.errors import PolicyError, UnavailableError
from incamera.ids import Digest, Name
from incamera.ingest.quota import Quota
from incamera.ledger.entries import RegionEntry
from incamera.ledger.queries import Queries
from incamera.sealing import SigningKey, Trustee
from incamera.tlog.policy import Policy as LogPolicy

__all__ = ["Admit", "CarHome", "present_trustees"]

Admit: TypeAlias = Callable[[Path], bytes]
"""Hands the capsule at a path to the vault and gives the receipt back.

Must be idempotent by the capsule's digest. :class:`UnavailableError`: not now, ask again;
:class:`PolicyError` and others: refused; if it has a ``code`` that is ``erased``, for good.
"""


def present_trustees(
    state: Queries, names: Iterable[Name], threshold: int, now: int
) -> tuple[Trustee, ...]:
    """Those of ``names`` that a car can seal to at ``now`` (POSIX s), each with its newest key.

    A trustee counts if it is enrolled and has a key that is valid now and not destroyed. One that
    slept is left out: it takes ``threshold`` to open, so the capsule can be read all the same.
    :class:`UnavailableError` below ``threshold``.
    """
    found, asleep = [], []
    for name in names:
        keys = [e for e in state.epochs(name, at=now) if state.destroyed(name, e.epoch) is None]
        if keys and state.party("trustee", name) is not None:
            newest = max(keys, key=lambda each: each.epoch)
            found.append(Trustee(name, newest.epoch, newest.key))
        else:
            asleep.append(name)
    if len(found) < threshold:
        raise UnavailableError(
            f"{len(found)} trustees have a key to seal to now, and it takes {threshold}: none that "
            f"is valid in the log for {', '.join(asleep) or 'anybody else'}",
            hint="have those trustees announce an epoch (incamera tend), then run it again: "
            "nothing is sealed that nobody could open",
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class CarHome:
    """One car. Public keys are raw bytes; nothing in here is a live connection."""

    vehicle: Name
    """The pseudonym that goes into headers; never the VIN."""
    key: SigningKey
    owner: bytes
    """The owner's public opening key, 1216 bytes."""
    trustees: tuple[Trustee, ...]
    """Names, present epochs and their public opening keys: :func:`present_trustees`."""
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
    quota: Quota = field(default_factory=Quota)
    """The room that the spool has; without one, all there is."""

    def check_consent(self) -> None:
        """:class:`PolicyError` unless the owner consented to at least one purpose."""
        if not self.consent or not self.purposes:
            raise PolicyError(
                "the owner has not consented to any purpose: nothing is looked at",
                hint="record the owner's consent in the car's home first",
            )
