# SPDX-License-Identifier: Apache-2.0
"""How a face or plate moves through a film: smooth paths with growth, turning and shaking.

A path answers, for each frame of its life, where the middle of the label is, how high the label
is, and how far the object is turned. From that follow exact corners, so exact truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.redaction.cuts import Cut, Kind, Rect

Style = Literal["approach", "recede", "pass", "follow", "walk"]
Matrix = NDArray[np.float64]

STYLES: tuple[Style, ...] = ("approach", "recede", "pass", "follow", "walk")
FASTEST = 0.35  # of its own width that an object may move from frame to frame
TURN = {"face": 22.0, "plate": 32.0}  # degrees about the upright axis at most
# Rows of the frame, as shares of its height, where the middle of an object may be.
ROWS = {"face": (0.28, 0.75), "plate": (0.4, 0.88)}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a label is in one frame: its middle, its height in pixels, its turn in degrees."""

    x: float
    y: float
    height: float
    yaw: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, slots=True)
class Path:
    """An object's poses, from frame ``first`` on."""

    first: int
    poses: tuple[Pose, ...]
    style: Style

    def at(self, frame: int) -> Pose | None:
        """The pose at ``frame``; None before and after its life."""
        number = frame - self.first
        return self.poses[number] if 0 <= number < len(self.poses) else None

    def step(self, frame: int) -> tuple[float, float]:
        """Pixels the middle moves from ``frame`` to the next, or came from the one before."""
        here, there = self.at(frame), self.at(frame + 1)
        if here is None:
            return 0.0, 0.0
        if there is None:
            here, there = self.at(frame - 1) or here, here
        return there.x - here.x, there.y - here.y


def path(
    rng: np.random.Generator,
    kind: Kind,
    style: Style,
    size: tuple[int, int],
    life: tuple[int, int],
    height: float,
    wide: float,
) -> Path:
    """A path in a frame of ``size`` (width, height) through the frames ``life`` (first, count).

    ``height``: of the label when it is nearest; ``wide``: its width in units of its height.
    """
    first, count = life
    t = np.linspace(0.0, 1.0, max(2, count))
    heights = height * _growth(rng, style, t)
    xs, ys = _places(rng, kind, style, size, t, heights, height * wide)
    beat = np.arange(count if count > 1 else 2)
    shake = rng.uniform(0, 0.02) * height
    xs = xs + shake * np.sin(beat * rng.uniform(0.3, 0.9) + rng.uniform(0, 6))
    ys = ys + 1.5 * shake * np.sin(beat * rng.uniform(0.3, 1.1) + rng.uniform(0, 6))
    limit = TURN[kind] if rng.random() < 0.5 else TURN[kind] * 0.3
    yaws = np.interp(t, [0, 0.5, 1], rng.uniform(-limit, limit, 3))
    rolls = np.interp(t, [0, 1], rng.uniform(-3, 3, 2) * (2.5 if kind == "face" else 1.0))
    rows = zip(xs, ys, heights, yaws, rolls, strict=True)
    return Path(first, tuple(Pose(*map(float, row)) for row in rows)[:count], style)


def _growth(rng: np.random.Generator, style: Style, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height in shares of the nearest one. What comes closer at even speed grows as 1 / way."""
    if style in {"approach", "recede"}:
        far = rng.uniform(1.6, 4.0)
        grown = 1 / (far - (far - 1) * t)
        return grown if style == "approach" else grown[::-1].copy()
    return np.asarray(np.interp(t, [0, 0.5, 1], rng.uniform(0.88, 1.0, 3)), np.float64)


def _places(
    rng: np.random.Generator,
    kind: Kind,
    style: Style,
    size: tuple[int, int],
    t: NDArray[np.float64],
    heights: NDArray[np.float64],
    wide: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middles, in pixels."""
    width, height = size
    low, high = (share * height for share in ROWS[kind])
    x, y = rng.uniform(0.08, 0.92) * width, rng.uniform(low, high)
    if style in {"approach", "recede"}:
        # Straight lines in the world run to a vanishing point, the faster the nearer.
        vx, vy = rng.uniform(0.4, 0.6) * width, 0.45 * height
        near = heights / heights.max()
        return vx + (x - vx) * near, vy + (y - vy) * near
    most = FASTEST * wide * len(t)
    if style == "pass":  # across, often over the border
        reach = min(most, rng.uniform(0.3, 1.2) * width)
        start = rng.choice([-0.3 * wide, width + 0.3 * wide, x])
        sign = 1.0 if start < width / 2 else -1.0
        return start + sign * reach * t, y + rng.uniform(-0.03, 0.03) * height * t
    reach = min(most, rng.uniform(0.0, 0.06 if style == "follow" else 0.25) * width)
    bend = rng.uniform(-0.3, 0.3) * reach
    xs = x + rng.choice([-1.0, 1.0]) * reach * t + bend * np.sin(np.pi * t)
    return xs, y + rng.uniform(-0.2, 0.2) * reach * t


def homography(cut: Cut, pose: Pose, scale: float = 1.0) -> Matrix:
    """From pixels of ``cut`` (at ``scale`` of its size) to pixels of the frame."""
    x, y, w, h = (v * scale for v in cut.box)
    factor = pose.height / h
    yaw, roll = np.deg2rad(pose.yaw), np.deg2rad(pose.roll)
    distance = 5.0 * max(w, h) * factor  # of the eye, for perspective within the object
    centre = np.array(
        [[factor, 0, -factor * (x + w / 2)], [0, factor, -factor * (y + h / 2)], [0, 0, 1]]
    )
    turn = np.array([[np.cos(yaw), 0, 0], [0, 1, 0], [np.sin(yaw) / distance, 0, 1]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    move = np.array([[1, 0, pose.x], [0, 1, pose.y], [0, 0, 1]])
    return np.asarray(move @ tilt @ turn @ centre, np.float64)


def outline(cut: Cut, pose: Pose) -> NDArray[np.float64]:
    """The object's outline in the frame: a plate's four corners, 32 points of a face's oval."""
    x, y, w, h = cut.box
    if cut.kind == "plate":
        points = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
    else:
        angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        points = np.stack([x + w / 2 * (1 + np.cos(angle)), y + h / 2 * (1 + np.sin(angle))], 1)
    return projected(points, homography(cut, pose))


def projected(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Points under a homography."""
    out = np.concatenate([points, np.ones((len(points), 1))], 1) @ matrix.T
    return np.asarray(out[:, :2] / out[:, 2:], np.float64)


def bounds(points: NDArray[np.float64]) -> Rect:
    """The upright box round points."""
    left, top = points.min(0)
    right, below = points.max(0)
    return float(left), float(top), float(right - left), float(below - top)


def truth(cut: Cut, pose: Pose) -> Rect:
    """The label's exact box in the frame."""
    return bounds(outline(cut, pose))


def extent(cut: Cut, pose: Pose) -> Rect:
    """The box of all that is pasted, surroundings included."""
    high, wide = cut.rgba.shape[:2]
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], float)
    return bounds(projected(corners, homography(cut, pose)))
