# SPDX-License-Identifier: Apache-2.0
"""Bodies of cars, as a few flat faces each, and where their plates sit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from incamera.recording.sample.canvas import Color, Solid, mix
from incamera.recording.sample.view import Points

__all__ = ["Car", "plate_corners"]

_GLASS: Color = (46, 58, 74)
_TYRE: Color = (26, 26, 28)
_PLATE_SIZES = {"eu": (0.70, 0.15), "two": (0.46, 0.31), "us": (0.44, 0.22)}  # m, x 1.35

# Half width, length, belt, roof; then along the side from the rear: where the rear window begins
# and reaches the roof, where the windscreen leaves it and ends. Metres; z = 0 is the middle.
_SHAPES = {
    "sedan": (0.90, 4.5, 0.92, 1.44, (-1.75, -1.05, 0.25, 1.10)),
    "wagon": (0.90, 4.5, 0.95, 1.48, (-2.22, -1.85, 0.25, 1.10)),
    "suv": (0.96, 4.6, 1.08, 1.72, (-2.28, -2.00, 0.30, 1.00)),
    "van": (1.00, 5.4, 1.20, 2.35, (-2.70, -2.66, 1.35, 2.10)),
    "truck": (1.22, 8.0, 1.30, 3.40, (-4.00, -4.00, 2.60, 3.60)),
}


@dataclass(frozen=True, slots=True)
class Car:
    """A kind of body, its paint, and the plate on both its ends."""

    shape: str
    paint: Color
    plate: str  # eu, two, us
    text: str

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return _SHAPES[self.shape][1]

    @property
    def solid(self) -> Solid:
        """The body, its nose towards positive z."""
        return _body(self.shape, self.paint)


def plate_corners(car: Car, at: Points, *, rear: bool, back: bool) -> Points:
    """The plate's corners in the world, from its upper left, seen from where it can be read."""
    half, high = (side / 2 for side in _PLATE_SIZES[car.plate])
    z = (car.length / 2 + 0.03) * (-1 if rear else 1)
    y = (0.78 if rear else 0.52) if car.shape in {"sedan", "wagon", "suv"} else 0.72
    side = half if rear else -half
    corners = np.array(
        [[-side, y + high, z], [side, y + high, z], [side, y - high, z], [-side, y - high, z]]
    )
    if back:
        corners *= (-1.0, 1.0, -1.0)
    return corners + at


class _Builder:
    def __init__(self) -> None:
        self.points: list[tuple[float, float, float]] = []
        self.faces: list[tuple[int, ...]] = []
        self.colors: list[Color] = []

    def face(self, points: list[tuple[float, float, float]], color: Color) -> None:
        start = len(self.points)
        self.points += points
        self.faces.append(tuple(range(start, start + len(points))))
        self.colors.append(color)

    def across(self, z: float, box: tuple[float, float, float, float], color: Color) -> None:
        """A rectangle across the car at ``z``, left, bottom, right, top; facing away from 0."""
        x0, y0, x1, y1 = box
        corners = [(x0, y1, z), (x1, y1, z), (x1, y0, z), (x0, y0, z)]
        self.face(corners if z < 0 else corners[::-1], color)

    def along(self, x: float, outline: list[tuple[float, float]], color: Color) -> None:
        """A polygon of (z, y) on both sides, ``x`` metres out, clockwise seen from the right."""
        self.face([(x, y, z) for z, y in outline], mix(color, (0, 0, 0), 0.12))
        self.face([(-x, y, z) for z, y in reversed(outline)], color)


@cache
def _body(shape: str, paint: Color) -> Solid:
    half, length, belt, roof, (z1, z2, z3, z4) = _SHAPES[shape]
    end = length / 2
    hood = belt - 0.10
    build = _Builder()
    top, dark, light = half - 0.20, mix(paint, (0, 0, 0), 0.28), mix(paint, (255, 255, 255), 0.22)
    # Clockwise seen from the right, where z runs to the right: nose on the right.
    side = [(-end, belt), (z4, belt), (end, hood), (end, 0.32), (-end, 0.32)]
    build.along(half, side, paint)
    build.across(-end, (-half, 0.32, half, belt), dark)
    build.across(end, (-half, 0.32, half, hood), mix(paint, (0, 0, 0), 0.14))
    build.face([(-half, hood, end), (half, hood, end), (half, belt, z4), (-half, belt, z4)], light)
    build.face(
        [(-half, belt, z1), (half, belt, z1), (half, belt, -end), (-half, belt, -end)], light
    )
    glass = _GLASS if shape != "truck" else paint
    build.face([(-top, roof, z2), (top, roof, z2), (half, belt, z1), (-half, belt, z1)], glass)
    build.face([(-half, belt, z4), (half, belt, z4), (top, roof, z3), (-top, roof, z3)], _GLASS)
    build.face([(-top, roof, z3), (top, roof, z3), (top, roof, z2), (-top, roof, z2)], light)
    for x, y in ((1, 0), (-1, 0)):
        wall = [
            (x * half, belt, z1),
            (x * top, roof, z2),
            (x * top, roof, z3),
            (x * half, belt, z4),
        ]
        build.face(wall if x > 0 else wall[::-1], mix(paint, (0, 0, 0), 0.10 + 0.1 * y))
    details = len(build.faces)
    _ends(build, shape, half, end, belt)
    lamps = len(build.faces) - details
    _windows(build, shape, half, top, belt, roof, (z1, z2, z3, z4))
    _wheels(build, half, end)
    return Solid(np.array(build.points), build.faces, build.colors, details, lamps)


def _windows(
    build: _Builder,
    shape: str,
    half: float,
    top: float,
    belt: float,
    roof: float,
    along: tuple[float, float, float, float],
) -> None:
    z1, z2, z3, z4 = along
    first = z3 - 0.2 if shape in {"van", "truck"} else z1
    for begin, finish in ((first, (z2 + z3) / 2), ((z2 + z3) / 2, z4)):
        if finish - begin < 0.3:
            continue
        low, high = 0.06, 0.90

        def edge(z: float, share: float, sign: float) -> tuple[float, float, float]:
            lean = z1 + (z2 - z1) * share if z == z1 else z4 + (z3 - z4) * share if z == z4 else z
            x = sign * (half + (top - half) * share + 0.012)
            return x, belt + (roof - belt) * share, lean

        for sign in (1.0, -1.0):
            pane = [
                edge(begin, low, sign),
                edge(begin, high, sign),
                edge(finish, high, sign),
                edge(finish, low, sign),
            ]
            pane = [(x, y, z + (0.07 if i < 2 else -0.07)) for i, (x, y, z) in enumerate(pane)]
            build.face(pane if sign > 0 else pane[::-1], _GLASS)


def _ends(build: _Builder, shape: str, half: float, end: float, belt: float) -> None:
    lamp = belt - 0.24
    for sign in (-1, 1):
        inner, outer = sorted((sign * (half - 0.42), sign * (half - 0.03)))
        build.across(-end - 0.02, (inner, lamp, outer, lamp + 0.17), (176, 24, 28))
        build.across(end + 0.02, (inner, lamp - 0.06, outer, lamp + 0.09), (236, 240, 236))
    build.across(-end - 0.015, (-half, 0.32, half, 0.46), (44, 44, 48))
    build.across(end + 0.015, (-half, 0.30, half, 0.42), (44, 44, 48))
    build.across(end + 0.02, (-half + 0.45, lamp - 0.05, half - 0.45, lamp + 0.06), (36, 38, 42))
    if shape == "truck":
        build.across(-end - 0.02, (-0.02, belt, 0.02, 3.3), (90, 90, 94))


def _wheels(build: _Builder, half: float, end: float) -> None:
    for z in (-end + 0.85, end - 0.85):
        for radius, color, out in ((0.36, _TYRE, 0.015), (0.19, (150, 152, 158), 0.02)):
            ring = [
                (z + radius * math.sin(turn), 0.36 + radius * math.cos(turn))
                for turn in (math.tau * i / 12 for i in range(12))
            ]
            build.along(half + out, ring, color)
