# SPDX-License-Identifier: Apache-2.0
"""The numbers of the geofence, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from incamera.errors import InputError

__all__ = ["LEAST_METRES", "GeofencePolicy"]

LEAST_METRES = 250.0
"""What is promised to everybody: no setting goes below."""


@dataclass(frozen=True, slots=True)
class GeofencePolicy:
    """How near is too near, and which fixes are believed."""

    distance_m: float = LEAST_METRES  # from a zone: more if you like, never less
    ends_m: float = 200.0  # round where a trip begins and ends, as the crow flies
    ends_s: float = 60.0  # after a trip begins and before it ends
    stale_s: float = 2.0  # two fixes further apart in time leave the seconds between unproven
    max_speed_m_s: float = 90.0  # faster than this between two fixes is a jump ...
    jump_slack_m: float = 30.0  # ... beyond the noise of a receiver
    trip_gap_s: float = 300.0  # no fix for so long: another trip
    least_s: float = 1.0  # a shorter piece of a span is not worth a clip

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"geofence: {each.name} = {value} is not a number from 0 up")
        if self.distance_m < LEAST_METRES:
            raise InputError(
                f"geofence: distance_m = {self.distance_m} is below {LEAST_METRES}",
                hint="the distance to zones can only be made larger",
            )
