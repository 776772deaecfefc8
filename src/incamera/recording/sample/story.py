# SPDX-License-Identifier: Apache-2.0
"""What happens on the sample drive, as functions of its seconds.

A car stands, drives off, brakes hard in a tunnel (no fix there), brakes hard for somebody on a
crossing, drives itself until its driver takes over to pass a van, passes a military site, where
the driver honks, and parks. The first and last minute are what a geofence never keeps, so what
is worth keeping lies between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from incamera.recording.model import Fix, Telemetry
from incamera.recording.sample.street import BASE
from incamera.recording.sample.view import Pose

__all__ = ["EVENTS", "LANE", "LENGTH", "NO_FIX", "Moment", "place", "pose", "telemetry", "way"]

LENGTH = 172.0  # s
LANE = 1.65  # m to the right of the street's middle

# Seconds and m/s2, one after the other.
_MOTION = (
    (38.0, 0.0),
    (6.0, 14 / 6),
    (25.2, 0.0),  # until 69.2 s
    (1.4, -6.0),
    (0.3, 0.0),
    (4.0, 2.1),
    (10.9, 0.0),  # until 85.8 s
    (1.6, -7.0),
    (1.4, 0.0),
    (5.6, 2.0),
    (47.6, 0.0),  # until 142 s
    (8.0, -1.75),
    (22.0, 0.0),
)
_SELF_DRIVING = (95.0, 104.0)
NO_FIX = (63.8, 79.4)
_PASS = (103.6, 1.8, 107.8, 2.4)  # to the left from, for; back from, for (s)
_ASIDE = -1.35  # m
_WHEELBASE, _RATIO = 2.9, 14.0

# Where the street lies: in the North Sea, so that no real place is meant.
_ORIGIN = (54.5, 3.5)
_BEARING = 63.0
_METRES = 111_320.0  # a degree of latitude


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens, when, and what should become of it."""

    kind: str  # as the trigger's tag
    start: float
    end: float
    kept: bool
    why: str


EVENTS = (
    Moment("hard-brake", 69.2, 70.6, False, "in the tunnel, where there is no fix"),
    Moment("hard-brake", 85.8, 87.4, True, "somebody steps onto the crossing"),
    Moment("take-over", 104.0, 104.0, True, "the driver passes a van that stands in the lane"),
    Moment("honk", 132.0, 132.0, False, "beside the military site"),
)


@lru_cache(maxsize=64)  # everybody who draws a frame asks for the same second
def way(time: float) -> tuple[float, float, float]:
    """Metres from the start, m/s and m/s2 at ``time``."""
    along = speed = 0.0
    for seconds, pull in _MOTION:
        part = min(time, seconds)
        if time <= seconds:
            return along + speed * part + pull * part * part / 2, speed + pull * part, pull
        along += speed * seconds + pull * seconds * seconds / 2
        speed, time = max(0.0, speed + pull * seconds), time - seconds
    return along, 0.0, 0.0


def _smooth(time: float, start: float, seconds: float) -> tuple[float, float, float]:
    """A soft step from 0 to 1: its value, slope and bend."""
    x = (time - start) / seconds
    if not 0 < x < 1:
        return float(x >= 1), 0.0, 0.0
    rest = x * (1 - x)  # x^3 (10 - 15 x + 6 x^2), whose bend has no step
    value = x**3 * (10 - 15 * x + 6 * x * x)
    return value, 30 * rest * rest / seconds, 60 * rest * (1 - 2 * x) / seconds**2


def _aside(time: float) -> tuple[float, float, float]:
    """Metres to the right of the lane's middle, and its first two derivatives."""
    out, back = _smooth(time, *_PASS[:2]), _smooth(time, *_PASS[2:])
    x, slope, bend = (_ASIDE * (a - b) for a, b in zip(out, back, strict=True))
    return x, slope, bend


def pose(time: float) -> Pose:
    """Where the car is, for its cameras."""
    along, speed, pull = way(time)
    x, slope, _ = _aside(time)
    heading = math.degrees(math.atan2(slope, speed)) if slope else 0.0
    dive = -pull * 0.09 if abs(pull) > 4 else 0.0
    return Pose(LANE + x, along, heading, dive)


def place(x: float, z: float) -> tuple[float, float]:
    """Latitude and longitude of a point of the street."""
    bearing = math.radians(_BEARING)
    north = z * math.cos(bearing) - x * math.sin(bearing)
    east = z * math.sin(bearing) + x * math.cos(bearing)
    latitude = _ORIGIN[0] + north / _METRES
    longitude = _ORIGIN[1] + east / (_METRES * math.cos(math.radians(_ORIGIN[0])))
    return round(latitude, 7), round(longitude, 7)


def telemetry(time: float, sequence: int) -> Telemetry:
    """What the car says at ``time`` of the drive; ``x`` of the acceleration is to the right."""
    along, speed, pull = way(time)
    x, slope, bend = _aside(time)
    heading = math.degrees(math.atan2(slope, speed)) if slope else 0.0
    curve = bend / speed**2 if speed > 1 else 0.0
    steering = math.degrees(math.atan(_WHEELBASE * curve)) * _RATIO
    fix = None
    if not NO_FIX[0] <= time < NO_FIX[1]:
        drift = 0.4 * math.sin(time / 7), 0.4 * math.cos(time / 11)  # as receivers do
        latitude, longitude = place(LANE + x + drift[0], along + drift[1])
        fix = Fix(time, latitude, longitude, (_BEARING + heading) % 360, speed)
    driving = _SELF_DRIVING[0] <= time < _SELF_DRIVING[1]
    return Telemetry(
        time=time,
        speed=speed,
        steering=steering + (0.6 * math.sin(time * 1.7) if speed > 1 else 0.0),
        accelerator=_pedal(speed, pull, driving=driving),
        brake=pull < -0.5 or speed == 0,
        gear=0 if time < 36.5 or time > 152 else 1,
        blinker_left=_PASS[0] < time < _PASS[0] + 2.4,
        blinker_right=_PASS[2] - 0.4 < time < _PASS[2] + 2,
        autopilot=1 if driving else 0,
        acceleration=(bend, pull + 0.05 * math.sin(time * 9), 0.08 * math.sin(time * 13)),
        sequence=sequence,
        fix=fix,
    )


def _pedal(speed: float, pull: float, *, driving: bool) -> float:
    if driving or pull < -0.5 or speed == 0:
        return 0.0
    return 8.0 + 9.0 * max(0.0, pull)


def zone() -> list[tuple[float, float]]:
    """The military site as a closed ring of longitude and latitude."""
    corners = [(8.0, BASE[0]), (140.0, BASE[0]), (140.0, BASE[1]), (8.0, BASE[1]), (8.0, BASE[0])]
    return [place(x, z)[::-1] for x, z in reversed(corners)]
