# SPDX-License-Identifier: Apache-2.0
"""Putting drawn plates, drawn signs and cut-out faces into a training view."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training import drawn
from training.data import Boxes, Pixels, Record
from training.geometry import View, log_uniform

Picture = NDArray[np.uint8]

# A bank face needs this many pixels to be worth shrinking.
BANK_HEIGHT = 18
# Context around a face box, as shares of its width (sides) and height (above, below).
AROUND, ABOVE, BELOW = 0.45, 0.4, 0.7


@dataclass
class Cutout:
    """A face with some head and shoulders; `box` is the face inside it."""

    image: Picture
    box: NDArray[np.float32]


def overlaps(box: NDArray[np.float32], others: Boxes) -> bool:
    """Tell whether the box touches any of the others."""
    if not len(others):
        return False
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    return bool(((high - low) > 0).all(1).any())


def bank(records: list[Record], pixels: Pixels) -> list[Cutout]:
    """Cut out every sure face that stands alone."""
    out = []
    for record in records:
        image = pixels.get(record)
        high, wide = record.shape
        for i, face in enumerate(record.faces):
            x, y, w, h = (float(v) for v in face)
            x0, y0 = max(0, int(x - AROUND * w)), max(0, int(y - ABOVE * h))
            x1, y1 = min(wide, int(x + w * (1 + AROUND))), min(high, int(y + h * (1 + BELOW)))
            patch = np.array([x0, y0, x1 - x0, y1 - y0], np.float32)
            others = np.concatenate([np.delete(record.faces, i, 0), record.face_doubts])
            if h < BANK_HEIGHT or x < 0 or y < 0 or overlaps(patch, others):
                continue
            box = np.array([x - x0, y - y0, w, h], np.float32)
            out.append(Cutout(image[y0:y1, x0:x1].copy(), box))
    return out


def _match_light(piece: NDArray[np.float32], under: Picture, rng: random.Random) -> None:
    """Pull the piece's brightness part of the way to what it covers, in place."""
    ratio = (float(under.mean()) + 12) / (float(piece.mean()) + 12)
    piece *= min(max(ratio ** rng.uniform(0.0, 0.5), 0.3), 1.4)


def paste_plate(view: View, box: NDArray[np.float32], rng: random.Random) -> None:
    """Draw a plate over `box`, slightly turned, lit like what was there."""
    piece = drawn.plate(rng).astype(np.float32)
    x, y, w, h = (float(v) for v in box)
    size = view.image.shape[0]
    x0, y0, x1, y1 = max(0, int(x)), max(0, int(y)), min(size, int(x + w)), min(size, int(y + h))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    _match_light(piece, view.image[y0:y1, x0:x1], rng)
    # Shrink by area to the size shown, or the letters alias.
    shown = (max(2, round(w)), max(2, round(h)))
    piece = cv2.resize(piece, shown, interpolation=cv2.INTER_AREA)
    tilt = rng.gauss(0, 0.05) * h
    source = np.array([[0, 0], [shown[0], 0], [shown[0], shown[1]], [0, shown[1]]], np.float32)
    goal = np.array(
        [
            [x, y + max(tilt, 0)],
            [x + w, y + max(-tilt, 0)],
            [x + w, y + h - max(tilt, 0)],
            [x, y + h - max(-tilt, 0)],
        ],
        np.float32,
    )
    full = cv2.getPerspectiveTransform(source, goal - np.array([x0, y0], np.float32))
    flat = np.concatenate([piece, np.full((*piece.shape[:2], 1), 1.0, np.float32)], 2)
    layer = cv2.warpPerspective(flat, full, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    under, alpha = view.image[y0:y1, x0:x1], layer[:, :, 3:]
    under[:] = np.clip(under * (1 - alpha) + layer[:, :, :3], 0, 255).astype(np.uint8)


def free_spot(view: View, w: float, h: float, rng: random.Random) -> NDArray[np.float32] | None:
    """Return a place for a w x h piece off all labels, or None."""
    size = view.image.shape[0]
    if w >= size - 2 or h >= size - 2:
        return None
    taken = np.concatenate([view.plates, view.faces])
    for _ in range(4):
        box = np.array([rng.uniform(0, size - w), rng.uniform(0, size - h), w, h], np.float32)
        if not overlaps(box, taken):
            return box
    return None


def paste_sign(view: View, rng: random.Random) -> None:
    """Put a drawn sign somewhere: a lesson in what is not a plate."""
    piece = drawn.sign(rng)
    high = int(log_uniform(rng, 12, 110))
    wide = max(6, int(high * piece.shape[1] / piece.shape[0]))
    box = free_spot(view, wide, high, rng)
    if box is None:
        return
    small = cv2.resize(piece, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
    x, y = int(box[0]), int(box[1])
    under = view.image[y : y + high, x : x + wide]
    _match_light(small, under, rng)
    under[:] = np.clip(small, 0, 255).astype(np.uint8)


def paste_face(view: View, faces: list[Cutout], rng: random.Random) -> None:
    """Put a cut-out face somewhere, edges feathered, sometimes masked."""
    face = rng.choice(faces)
    goal = min(log_uniform(rng, 6, 90), float(face.box[3]) * 1.3)
    scale = goal / float(face.box[3])
    image = face.image.copy()
    if rng.random() < 0.35:
        drawn.mask_face(image, face.box, rng)
    wide = max(3, round(image.shape[1] * scale))
    high = max(3, round(image.shape[0] * scale))
    spot = free_spot(view, wide, high, rng)
    if spot is None:
        return
    small = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
    box = face.box * scale
    if rng.random() < 0.5:
        small = small[:, ::-1].copy()
        box[0] = wide - box[0] - box[2]
    x, y = int(spot[0]), int(spot[1])
    under = view.image[y : y + high, x : x + wide]
    _match_light(small, under, rng)
    ys, xs = np.mgrid[0:high, 0:wide]
    if rng.random() < 0.7:
        # An oval about the head: a straight edge around each pasted face would give it away.
        rx, ry = box[2] * rng.uniform(0.55, 0.9), box[3] * rng.uniform(0.6, 0.85)
        far = ((xs - box[0] - box[2] / 2) / rx) ** 2 + ((ys - box[1] - box[3] / 2) / ry) ** 2
        alpha = np.clip((1.15 - far) / 0.3, 0, 1)[:, :, None]
    else:
        sides = np.minimum(xs + 1, wide - xs) / wide, np.minimum(ys + 1, high - ys) / high
        alpha = np.clip(np.minimum(*sides) / 0.12, 0, 1)[:, :, None]
    under[:] = np.clip(under * (1 - alpha) + small * alpha, 0, 255).astype(np.uint8)
    placed = box + np.array([x, y, 0, 0], np.float32)
    view.faces = np.concatenate([view.faces, placed[None].astype(np.float32)])
