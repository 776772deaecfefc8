# SPDX-License-Identifier: Apache-2.0
"""Everybody else on the street: where they are at a second of the drive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from incamera.recording.sample.canvas import Color
from incamera.recording.sample.cars import Car
from incamera.recording.sample.story import LENGTH, way
from incamera.recording.sample.street import BLOCK, TUNNEL, kinds

__all__ = ["Body", "Walker", "traffic"]

PAINTS: tuple[Color, ...] = (
    (150, 30, 34), (52, 74, 112), (212, 212, 208), (88, 94, 100), (36, 38, 44),
    (178, 166, 142), (58, 92, 74), (196, 120, 40), (110, 132, 156),
)  # fmt: skip
_LETTERS = "ABCDEFGHJKLMNPRSTUVXYZ"


@dataclass(frozen=True, slots=True)
class Body:
    """A car on the street. ``back``: its nose points against our way."""

    car: Car
    x: float
    z: float
    back: bool = False


@dataclass(frozen=True, slots=True)
class Walker:
    """Somebody on foot; ``step`` is a moment of their step."""

    who: int
    step: int
    x: float
    z: float


@cache
def _some_car(number: int) -> Car:
    random = np.random.default_rng([3, abs(number)])
    shape = ("sedan", "wagon", "suv", "sedan", "van")[int(random.integers(5))]
    paint = PAINTS[int(random.integers(len(PAINTS)))]
    letters = "".join(_LETTERS[int(i)] for i in random.integers(len(_LETTERS), size=4))
    digits = int(random.integers(100, 9999))
    kind = ("eu", "eu", "two", "us")[number % 4]
    text = {
        "eu": f"{letters[0]} {letters[1:3]} {digits}",
        "two": f"{letters[:2]} {digits:04d}",
        "us": f"{digits % 10}{letters[:3]}{digits % 900 + 100}",
    }[kind]
    return Car(shape, paint, kind, text)


_TRUCK = Car("truck", (206, 204, 196), "two", "LK 4093")
_VAN = Car("van", (226, 178, 52), "two", "BP 1182")
_FOLLOWER = Car("suv", (58, 78, 104), "two", "KA 7214")

# Metres between the middles of the cars at some seconds.
_TRUCK_GAP = ((46, 115), (57, 34), (68.8, 26), (70.8, 13), (72.2, 14), (78, 38), (90, 150))
_FOLLOWER_GAP = (
    (45, 80), (53, 21), (69.2, 20), (71.2, 9), (76, 17), (85.8, 18), (88, 7.5), (89, 7.5),
    (95, 18), (104, 16), (114, 18), (126, 50), (136, 120),
)  # fmt: skip
# Seconds at which we meet somebody who comes towards us.
_ONCOMING = (
    4, 10, 13.5, 21, 27, 33, 36.4, 42, 47.5, 52, 57, 62.5, 67, 72.8, 79, 83.5, 92.4, 98, 102.3,
    111, 117, 121.5, 128, 135, 140.5, 147, 153, 161, 168.4, 177, 183, 190, 199,
)  # fmt: skip
_CROSSING_Z = 9 * BLOCK + 58.5
_VAN_Z = way(104.0)[0] + 25.0


def _between(table: tuple[tuple[float, float], ...], time: float) -> float:
    return float(np.interp(time, [row[0] for row in table], [row[1] for row in table]))


def traffic(time: float, near: float) -> Iterator[Body | Walker]:
    """Cars and people within sight of ``near`` (metres along the street) at ``time``."""
    along = way(time)[0]
    if _TRUCK_GAP[0][0] < time < _TRUCK_GAP[-1][0]:
        yield Body(_TRUCK, 1.8, along + _between(_TRUCK_GAP, time))
    if _FOLLOWER_GAP[0][0] < time < _FOLLOWER_GAP[-1][0]:
        yield Body(_FOLLOWER, 1.7, along - _between(_FOLLOWER_GAP, time))
    for number, meets in enumerate(_ONCOMING):
        z = _met(meets) + 12.5 * (meets - time)
        if abs(z - near) < 110:
            yield Body(_some_car(100 + number), -1.8, z, back=True)
    yield from _at_the_crossing(time)
    yield Body(_VAN, 3.05, _VAN_Z)
    yield Walker(3, 0, 1.75, _VAN_Z - 3.6)
    for index in range(int((near - 80) // BLOCK), int((near + 90) // BLOCK) + 1):
        yield from _block(time, index)


@cache
def _met(time: float) -> float:
    return way(time)[0]


def _at_the_crossing(time: float) -> Iterator[Walker]:
    """Who makes the car brake, and those who wait."""
    x = max(-6.6, 4.3 - 1.6 * max(0.0, time - 86.1))
    walking = 86.1 < time < 92.9
    yield Walker(1, int(time * 5) % 4 if walking else 0, x, _CROSSING_Z)
    yield Walker(4, 0, 4.15, _CROSSING_Z - 2.4)
    yield Walker(6, 0, -4.2, _CROSSING_Z + 0.6)
    yield Walker(0, 0, 4.4, _CROSSING_Z - 3.6)


@cache
def _passes(index: int) -> float:
    """The second at which the car passes block ``index``."""
    times = np.arange(0, LENGTH, 0.5)
    return float(np.interp((index + 0.5) * BLOCK, [way(t)[0] for t in times], times))


def _block(time: float, index: int) -> Iterator[Body | Walker]:
    parked, walkers = _people_of(index)
    yield from parked
    walked = 1.25 * (time - _passes(index))
    if abs(walked) > 60:
        return
    for i, (who, x, z, direction) in enumerate(walkers):
        now = z + direction * walked
        if not TUNNEL[0] - 8 < now < TUNNEL[1] + 8:
            yield Walker(who, int(time * 5 + i) % 4, x, now)


@cache
def _people_of(index: int) -> tuple[list[Body], list[tuple[int, float, float, int]]]:
    """Parked cars of a block; of its walkers who, x, z when the car passes, and direction."""
    kind, start = kinds(index), index * BLOCK
    if kind in {"tunnel", "base"}:
        return [], []
    random = np.random.default_rng([5, abs(index)])
    chances = random.random((5, 2))
    parked: list[Body] = []
    for i, z in enumerate((3.0, 9.5, 26.0, 33.0, 50.0)):
        for side in (1, -1):
            at = start + z
            free = TUNNEL[0] - 30 < at < TUNNEL[1] + 30 or (side > 0 and abs(at - _VAN_Z) < 16)
            free = free or (side > 0 and abs(at) < 8)  # where our own car stood
            if kind.startswith("town") and chances[i, max(side, 0)] < 0.42 and not free:
                number = index * 10 + i + (5 if side < 0 else 0)
                parked.append(Body(_some_car(number), side * 4.62, at, back=side < 0))
    walkers = []
    for i in range(4):
        x = float(random.uniform(6.2, 7.4)) * (1 if i % 2 else -1)
        z = start + float(random.uniform(4, 60))
        walkers.append((int(random.integers(8)), x, z, 1 if random.random() < 0.5 else -1))
    return parked, walkers
