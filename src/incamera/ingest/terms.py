# SPDX-License-Identifier: Apache-2.0
"""What a clip is sealed under: all of it public, so that it may be told to a worker elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from incamera.ids import Digest, Name
from incamera.ingest.home import CarHome
from incamera.ledger.entries import RegionEntry
from incamera.recording.contents import Contents
from incamera.sealing import Facts, Recipients, Trustee

__all__ = ["Terms"]

_DAY = 86_400
_HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one car, as :class:`incamera.ingest.home.CarHome` has them; without any private key."""

    vehicle: Name
    owner: bytes
    trustees: tuple[Trustee, ...]
    region: RegionEntry
    policy: Digest
    consent: str
    purposes: tuple[Name, ...]

    @classmethod
    def of(cls, home: CarHome) -> Terms:
        """Those of ``home``."""
        return cls(
            vehicle=home.vehicle,
            owner=home.owner,
            trustees=home.trustees,
            region=home.region,
            policy=home.policy,
            consent=home.consent,
            purposes=home.purposes,
        )

    @property
    def recipients(self) -> Recipients:
        """Who can open it."""
        return Recipients(self.trustees, self.region.threshold, self.owner)

    def facts(self, contents: Contents, now: int) -> Facts:
        """What the header says of a clip that is sealed at ``now`` (POSIX seconds)."""
        # Retention counts from the sealing, as the trustees' epochs do, and from the full hour:
        # the minute of an ingest is nobody's business either.
        sealed = now // _HOUR * _HOUR
        return Facts(
            region=self.region.region,
            vehicle=self.vehicle,
            hour=contents.hour,
            duration=max(1, math.ceil(contents.duration)),
            cameras=[each.camera for each in contents.footage],
            tags=list(contents.tags),
            consent=self.consent,
            purposes=list(self.purposes),
            policy=self.policy,
            report=contents.report.digest,
            models=list(contents.models),
            zones=contents.zones,
            expires=sealed + self.region.retention * _DAY,
        )
