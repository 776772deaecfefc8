# SPDX-License-Identifier: Apache-2.0
"""Looking again where a glance left doubts: many places, enlarged, on one small canvas.

A network that looks everywhere at twice the size takes four times as long. Few places are worth
it, so only these are cut out, scaled to the size at which the network sees best, laid side by
side and looked at at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Canvas", "Place", "places"]

Rows = NDArray[np.float64]  # n x 4: x, y, w, h in pixels

_AROUND = 3.0  # sides of the cut-out in sides of the box: a face is told from a lamp by its neck
_BEST = 30.0  # pixels a box is scaled to, where the zoom allows
_ZOOM = (1.0, 2.0)  # beyond twice the size nothing more is found, and blur looks like faces
_WIDTH = 512  # of a canvas
_STEP = 128  # heights are multiples of it: each height is a network of its own
_GAP = 8  # pixels between two places
_SHADE = 110


@dataclass(frozen=True, slots=True)
class Place:
    """A cut-out of the picture, in whole pixels, and how much it is enlarged."""

    x: int
    y: int
    w: int
    h: int
    zoom: float

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height on the canvas."""
        return max(1, int(self.w * self.zoom)), max(1, int(self.h * self.zoom))

    def holds(self, box: NDArray[np.float64]) -> bool:
        """Whether the middle of ``box`` lies in the middle half, and with it what is around."""
        across = (box[0] + box[2] / 2 - self.x) / self.w
        down = (box[1] + box[3] / 2 - self.y) / self.h
        small = max(box[2], box[3]) * 1.6 < min(self.w, self.h)
        return bool(0.25 <= across <= 0.75 and 0.25 <= down <= 0.75 and small)


def places(boxes: Rows, size: tuple[int, int], most: int) -> list[Place]:
    """Cut-outs around ``boxes``, the first ones first, in a picture of ``size``: width, height."""
    found: list[Place] = []
    for box in boxes:
        if len(found) == most:
            break
        if any(place.holds(box) for place in found):
            continue
        longer = float(max(box[2], box[3], 1.0))
        half = max(_AROUND * longer, 24.0) / 2
        middle = box[:2] + box[2:] / 2
        low = np.maximum(middle - half, 0).astype(int)
        high = np.minimum(np.ceil(middle + half).astype(int), size)
        zoom = float(np.clip(_BEST / longer, *_ZOOM))
        if (high > low).all():
            (x, y), (w, h) = low.tolist(), (high - low).tolist()
            found.append(Place(x, y, w, h, zoom))
    return found


class Canvas:
    """Places laid out in rows, the tallest first, and the way back to the picture."""

    def __init__(self, image: NDArray[np.uint8], chosen: Sequence[Place]) -> None:
        """``image``: RGB, uint8; ``chosen``: one place at least."""
        self.places = sorted(chosen, key=lambda place: -place.shown[1])
        self._corners: list[tuple[int, int]] = []
        x = y = row = 0
        for place in self.places:
            width, height = place.shown
            if x and x + width > _WIDTH:
                x, y, row = 0, y + row, 0
            self._corners.append((x, y))
            x, row = x + width + _GAP, max(row, height + _GAP)
        wide = max([_WIDTH, *(place.shown[0] for place in self.places)])
        tall = -(-(y + row) // _STEP) * _STEP
        self.pixels = np.full((tall, -(-wide // _STEP) * _STEP, 3), _SHADE, np.uint8)
        for place, (left, top) in zip(self.places, self._corners, strict=True):
            width, height = place.shown
            piece = image[place.y : place.y + place.h, place.x : place.x + place.w]
            self.pixels[top : top + height, left : left + width] = cv2.resize(
                piece, (width, height), interpolation=cv2.INTER_LINEAR
            )

    def back(self, boxes: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """``boxes`` of the canvas in the picture, and which of them lie in a place at all."""
        out, inside = boxes.copy(), np.zeros(len(boxes), bool)
        middle = boxes[:, :2] + boxes[:, 2:] / 2
        for place, (left, top) in zip(self.places, self._corners, strict=True):
            width, height = place.shown
            far = middle - np.array([left, top])
            here = ((far >= 0) & (far < np.array([width, height]))).all(1)
            here &= boxes[:, 2] <= 0.95 * width  # a box as large as the place is its frame
            out[here, :2] = (boxes[here, :2] - [left, top]) / place.zoom + [place.x, place.y]
            out[here, 2:] = boxes[here, 2:] / place.zoom
            inside |= here
        return out, inside

    def seen(self, boxes: Rows) -> NDArray[np.bool_]:
        """Which of ``boxes``, in the picture, have their middle in one of the places."""
        middle = boxes[:, :2] + boxes[:, 2:] / 2
        hit = np.zeros(len(boxes), bool)
        for place in self.places:
            far = middle - (place.x, place.y)
            hit |= ((far >= 0) & (far < (place.w, place.h))).all(1)
        return hit
