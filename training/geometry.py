# SPDX-License-Identifier: Apache-2.0
"""Cutting a training view out of a picture: where, how large, and what becomes of its boxes."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import LEVELS, NO_BOXES, Boxes, Pixels, Record

Picture = NDArray[np.uint8]

# Enlarging more than this only trains on blur.
MAX_SCALE = 2.5
# Below this height a label is too small to be a fair demand.
MIN_HEIGHT = 4.5
MIN_VISIBLE = 0.5
MIN_FILL = 0.8


@dataclass
class View:
    """One training picture with, for each kind, boxes to find and boxes to stay silent on."""

    image: Picture
    plates: Boxes = field(default_factory=lambda: NO_BOXES)
    faces: Boxes = field(default_factory=lambda: NO_BOXES)
    plate_ignore: Boxes = field(default_factory=lambda: NO_BOXES)
    face_ignore: Boxes = field(default_factory=lambda: NO_BOXES)


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    """Draw so that each doubling of size is as likely as any other."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _start(rng: random.Random, spot: float, length: float, size: int) -> float:
    """Choose where the view begins along one axis: around the spot, inside the picture."""
    low, high = spot - 0.92 * size, spot - 0.08 * size
    if length >= size:
        low, high = min(max(low, 0), length - size), min(max(high, 0), length - size)
    else:
        low, high = length - size, 0.0
    return rng.uniform(low, high)


def matrix(
    rng: random.Random, record: Record, centre: tuple[float, float], scale: float, size: int
) -> NDArray[np.float64]:
    """Return the 3x3 map from picture to view: place, turn, stretch, flip, lean."""
    angle = math.radians(rng.gauss(0, 3))
    aspect = math.exp(rng.gauss(0, 0.06))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    turn = np.array([[cos * aspect * flip, -sin], [sin * aspect * flip, cos]])
    starts = [_start(rng, centre[i] * scale, record.shape[1 - i] * scale, size) for i in range(2)]
    spot = np.array([centre[i] * scale - starts[i] for i in range(2)])
    spot[0] = spot[0] if flip > 0 else size - spot[0]
    shift = spot - turn @ np.array(centre)
    full = np.eye(3)
    full[:2, :2], full[:2, 2] = turn, shift
    if rng.random() < 0.3:
        lean = np.eye(3)
        lean[2, 0], lean[2, 1] = (rng.gauss(0, 0.12) / size for _ in range(2))
        # Lean about the middle of the view, so that what was placed stays in it.
        half = np.array([[1, 0, -size / 2], [0, 1, -size / 2], [0, 0, 1]], np.float64)
        full = np.linalg.inv(half) @ lean @ half @ full
    return full


def warp(
    pixels: Pixels,
    record: Record,
    full: NDArray[np.float64],
    scale: float,
    size: int,
    rng: random.Random,
) -> Picture:
    """Cut the view out of the picture size next above what is wanted, or it would alias."""
    level = min(max(int(math.log2(1 / scale) + 0.2), 0), LEVELS - 1)
    image = pixels.get(record, level)
    full = full @ np.diag([2.0**level, 2.0**level, 1.0])
    shade = [rng.randint(0, 200) for _ in range(3)]
    if abs(full[2, 0]) + abs(full[2, 1]) < 1e-9:
        view = cv2.warpAffine(image, full[:2], (size, size), borderValue=shade)
    else:
        view = cv2.warpPerspective(image, full, (size, size), borderValue=shade)
    return np.asarray(view, np.uint8)


def carry(boxes: Boxes, full: NDArray[np.float64], size: int) -> tuple[Boxes, Boxes]:
    """Return the boxes in the view as (kept, ignored); those outside are dropped."""
    if not len(boxes):
        return NO_BOXES, NO_BOXES
    x, y, w, h = boxes.T.astype(np.float64)
    corners = np.stack(
        [
            np.stack([x, y], 1),
            np.stack([x + w, y], 1),
            np.stack([x + w, y + h], 1),
            np.stack([x, y + h], 1),
        ],
        1,
    )
    moved = cv2.perspectiveTransform(corners, full)
    low, high = moved.min(1), moved.max(1)
    area = np.prod(high - low, axis=1)
    low, high = np.clip(low, 0, size), np.clip(high, 0, size)
    sides = high - low
    seen = np.prod(sides, axis=1) / np.maximum(area, 1e-6)
    out = np.concatenate([low, sides], 1).astype(np.float32)
    good = (seen >= MIN_VISIBLE) & (sides[:, 1] >= MIN_HEIGHT) & (sides[:, 0] >= MIN_HEIGHT)
    some = (seen > 0.02) & ~good & (sides.min(1) > 0.5)
    return out[good], out[some]


def cut(
    pixels: Pixels,
    record: Record,
    centre: tuple[float, float],
    scale: float,
    size: int,
    rng: random.Random,
) -> View:
    """Return the view of a record around `centre` at `scale`."""
    # A picture shrunk to a stamp would leave the view empty.
    least = MIN_FILL * size / max(record.shape)
    scale = min(max(scale, least), MAX_SCALE)
    full = matrix(rng, record, centre, scale, size)
    plates, cut_plates = carry(record.plates, full, size)
    faces, cut_faces = carry(record.faces, full, size)
    ignore_p = [cut_plates, *carry(record.plate_doubts, full, size)]
    if not record.plates_known:
        ignore_p.append(np.array([[0, 0, size, size]], np.float32))
    ignore_f = [cut_faces, *carry(record.face_doubts, full, size)]
    return View(
        image=warp(pixels, record, full, scale, size, rng),
        plates=plates,
        faces=faces,
        plate_ignore=np.concatenate(ignore_p),
        face_ignore=np.concatenate(ignore_f),
    )


def mosaic(views: list[View], size: int) -> View:
    """Join four views of half the size."""
    half = size // 2
    out = View(image=np.zeros((size, size, 3), np.uint8))
    for i, view in enumerate(views):
        dx, dy = (i % 2) * half, (i // 2) * half
        out.image[dy : dy + half, dx : dx + half] = view.image
        shift = np.array([dx, dy, 0, 0], np.float32)
        for name in ("plates", "faces", "plate_ignore", "face_ignore"):
            joined = np.concatenate([getattr(out, name), getattr(view, name) + shift])
            setattr(out, name, joined.astype(np.float32))
    return out
