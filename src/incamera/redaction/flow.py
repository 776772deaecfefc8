# SPDX-License-Identifier: Apache-2.0
"""Carries boxes from one frame to the next by what is in the pictures: median flow.

Points on a grid inside each box are followed from frame to frame and back (pyramidal Lucas-Kanade,
``cv2.calcOpticalFlowPyrLK``); those that come home tell, by their median, where the box went, and
by how far they drew apart how it grew (Kalal, Mikolajczyk and Matas, "Forward-Backward Error",
ICPR 2010). Who has too few of them is not followed: nobody guesses here.

Only luma is read, and only around the boxes: a square about each is scaled down to one small tile,
all tiles are stacked into one picture, and OpenCV is called twice for all of them. So a box costs
about the same, however large it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import InputError
from incamera.recording.model import Box

__all__ = ["Luma", "Step", "alike", "follow"]

Tiles = NDArray[np.uint8]
Whole = NDArray[np.int64]
Points = NDArray[np.float32]

_TILE = 80  # pixels of a tile's side
_FACE = 32  # of those, the longer side of the box at most; the rest is room to move
_GRID = 5  # points a side
_INSET = 0.1  # of the box's sides is left out on each side: what lies there moves otherwise
_LOST = 0.7  # pixels of a tile: a point that comes back farther off was lost
_APART = 2.0  # pixels of a tile: a point whose way differs more from the median is not the box's
_ENOUGH = 0.35  # of the points must hold
_GROWTH = 0.1  # of the box's size a frame at most
_WINDOW = {"winSize": (9, 9), "maxLevel": 2, "criteria": (3, 8, 0.03)}
_SPARSE = 16  # a cut is told by every so many pixels each way
_OTHER, _MOST = 24, 0.5  # by so much brighter or darker is another picture, in this share of it
_FLAT = 2.0  # steps of brightness: less is noise
_SHOWN = 0.6  # of a box's sides must lie in the picture for it to be compared
_PATCH = 12  # pixels a side at which two pictures of a box are compared


@dataclass(frozen=True, slots=True)
class Step:
    """A box's way from one frame to the next."""

    dx: float  # of its middle, in pixels
    dy: float
    scale: float  # of its sides


class Luma:
    """The brightness of a decoded picture: height x width, uint8 or uint16, not copied.

    Where large boxes are followed, halves of it are made, once.
    """

    def __init__(self, picture: av.VideoFrame) -> None:
        """``picture`` is not to be written to any more.

        :class:`InputError` if its pixels cannot be read.
        """
        self._shift, self.plane = _plane(picture)
        self._levels = [self.plane]

    def level(self, number: int) -> NDArray[np.uint8]:
        """The plane, so many times halved each way."""
        while len(self._levels) <= number:
            last = self._levels[-1]
            half = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
            even = last[: 2 * half[1], : 2 * half[0]]
            self._levels.append(np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA)))
        return self._levels[number]

    def squares(self, corners: Whole, sides: Whole, levels: Whole) -> Tiles:
        """Tiles of several squares, one below the other; see :meth:`square`."""
        rows = zip(corners.tolist(), sides.tolist(), levels.tolist(), strict=True)
        return np.concatenate([self.square(x, y, side, level) for (x, y), side, level in rows])

    def square(self, left: int, top: int, side: int, level: int = 0) -> Tiles:
        """The pixels of a square of ``level`` as a tile; edges are repeated outside."""
        plane = self.level(level)
        height, width = plane.shape
        x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        x1, y1 = max(min(left + side, width), x0 + 1), max(min(top + side, height), y0 + 1)
        part = plane[y0:y1, x0:x1]
        if (x1 - x0, y1 - y0) != (side, side):
            # Wholly outside it is all edge: what is repeated must add up to the side again.
            before = (min(max(y0 - top, 0), side - 1), min(max(x0 - left, 0), side - 1))
            after = (side - (y1 - y0) - before[0], side - (x1 - x0) - before[1])
            part = np.pad(part, ((before[0], after[0]), (before[1], after[1])), mode="edge")
        return self._eight_bits(part, _TILE, cv2.INTER_LINEAR)

    def patch(self, box: Box) -> Tiles | None:
        """The inside of ``box`` at a fixed small size; None where little of it is visible."""
        level = max(0, int(max(box.w, box.h) / (4 * _PATCH)).bit_length())
        plane, unit = self.level(level), 1 << level
        height, width = plane.shape
        x0, y0 = max(0, round(box.x / unit)), max(0, round(box.y / unit))
        x1 = min(width, round((box.x + box.w) / unit))
        y1 = min(height, round((box.y + box.h) / unit))
        if x1 - x0 < max(4, box.w / unit * _SHOWN) or y1 - y0 < max(4, box.h / unit * _SHOWN):
            return None
        return self._eight_bits(plane[y0:y1, x0:x1], _PATCH, cv2.INTER_AREA)

    def cut(self, before: Luma) -> bool:
        """Whether another scene begins here: most of the picture is another than in ``before``."""
        if self.plane.shape != before.plane.shape:
            return True
        a, b = (view.plane[::_SPARSE, ::_SPARSE].astype(np.int32) for view in (self, before))
        return bool((np.abs(a - b) >> self._shift > _OTHER).mean() > _MOST)

    def _eight_bits(self, part: NDArray[np.uint8], side: int, how: int) -> Tiles:
        if part.shape != (side, side):
            part = np.asarray(cv2.resize(part, (side, side), interpolation=how))
        return (part >> self._shift).astype(np.uint8) if self._shift else part


def _plane(picture: av.VideoFrame) -> tuple[int, NDArray[np.uint8]]:
    """Bits above eight, and a view of the plane that holds brightness."""
    layout = picture.format
    # All whose first plane is brightness alone, its bits in the lower places.
    usual = layout.name.startswith(("yuv", "gray", "nv")) and layout.is_planar
    if not (usual or layout.name == "gray") or layout.is_big_endian:
        try:
            picture = picture.reformat(format="gray")
        except (av.error.FFmpegError, ValueError) as error:
            name = layout.name
            raise InputError(f"pixel format {name} cannot be redacted: {error}") from error
    first = picture.format.components[0]
    plane = picture.planes[0]
    kind = np.dtype(np.uint8 if first.bits == 8 else "<u2")
    view: NDArray[np.uint8] = np.ndarray(
        (picture.height, picture.width),
        kind,
        buffer=memoryview(plane),
        strides=(plane.line_size, kind.itemsize),
    )
    return first.bits - 8, view


def follow(
    before: Luma, after: Luma, boxes: Sequence[Box], hints: Sequence[tuple[float, float]]
) -> list[Step | None]:
    """Where each of ``boxes`` went between two frames; None where that cannot be told.

    ``hints``: pixels each is expected to move, so that fast ones are looked for in the right place.
    """
    if not boxes:
        return []
    sides = np.array([max(box.w, box.h) for box in boxes]) * (_TILE / _FACE)
    levels = np.maximum(0, np.log2(sides / _TILE)).astype(np.int64)
    units = 1 << levels
    spans = np.maximum(_TILE, np.ceil(sides / units)).astype(np.int64)
    middles = np.array([(box.x + box.w / 2, box.y + box.h / 2) for box in boxes]) / units[:, None]
    here = np.round(middles - spans[:, None] / 2).astype(np.int64)
    there = here + np.round(np.array(hints) / units[:, None]).astype(np.int64)
    a, b = before.squares(here, spans, levels), after.squares(there, spans, levels)
    spans, here, there = spans * units, here * units[:, None], there * units[:, None]
    scales = (_TILE / spans)[:, None, None]
    places = _grid(boxes)  # in pixels of the frame
    points = ((places - here[:, None]) * scales - 0.5 * (1 - scales)).astype(np.float32)
    found, good = _both_ways(a, b, points)
    ends = (found + 0.5 * (1 - scales)) / scales + there[:, None]
    good &= _inside(places, before.plane.shape) & _inside(ends, after.plane.shape)
    return _steps(places, ends, good, _APART / scales[:, 0, 0])


def _grid(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Points inside each box: boxes x points x 2."""
    line = np.linspace(_INSET, 1 - _INSET, _GRID)
    shares = np.stack(np.meshgrid(line, line), axis=-1).reshape(1, -1, 2)
    corners = np.array([(box.x, box.y) for box in boxes])[:, None]
    sizes = np.array([(box.w, box.h) for box in boxes])[:, None]
    return np.asarray(corners + shares * sizes, np.float64)


def _both_ways(a: Tiles, b: Tiles, points: Points) -> tuple[Points, NDArray[np.bool_]]:
    """Where the points of each tile of ``a`` lie in ``b``, and which of them came home."""
    downward = np.zeros_like(points)
    downward[..., 1] = np.arange(len(points), dtype=np.float32)[:, None] * _TILE
    start = (points + downward).reshape(-1, 1, 2)
    there, went, _ = cv2.calcOpticalFlowPyrLK(a, b, start, None, **_WINDOW)  # type: ignore[call-overload]
    home, came, _ = cv2.calcOpticalFlowPyrLK(b, a, there, None, **_WINDOW)  # type: ignore[call-overload]
    off = np.hypot(*(home - start).reshape(-1, 2).T)
    good = (went.ravel() == 1) & (came.ravel() == 1) & (off < _LOST)
    found = there.reshape(points.shape) - downward
    own = ((found >= 0) & (found < _TILE)).all(axis=2)
    return found, good.reshape(points.shape[:2]) & own


def _inside(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.asarray(((points >= 0) & (points < (shape[1], shape[0]))).all(axis=2), np.bool_)


def _steps(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    good: NDArray[np.bool_],
    apart: NDArray[np.float64],
) -> list[Step | None]:
    """The median way of each box's good points, and their growth about their middle."""
    ways = end - start
    median = _median(ways, good)
    good = good & (np.hypot(*np.moveaxis(ways - median[:, None], 2, 0)) < apart[:, None])
    count = good.sum(axis=1)
    weight = good[..., None] / np.maximum(count, 1)[:, None, None]
    p = start - (start * weight).sum(axis=1, keepdims=True)
    q = end - (end * weight).sum(axis=1, keepdims=True)
    grown = (p * q * weight).sum(axis=(1, 2)) / np.maximum((p * p * weight).sum(axis=(1, 2)), 1e-6)
    grown = np.clip(grown, 1 - _GROWTH, 1 + _GROWTH)
    return [
        Step(float(median[i, 0]), float(median[i, 1]), float(grown[i]))
        if count[i] >= _ENOUGH * good.shape[1]
        else None
        for i in range(len(good))
    ]


def _median(ways: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The median over the good points of each box, each coordinate alone; 0 if there is none."""
    ordered = np.sort(np.where(good[..., None], ways, np.inf), axis=1)
    count = good.sum(axis=1)
    rows = np.arange(len(ways))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, np.maximum(count - 1, 0))
    middle = (ordered[rows, low] + ordered[rows, high]) / 2
    return np.where(count[:, None] > 0, middle, 0.0)


def alike(a: Tiles | None, b: Tiles | None) -> float:
    """How alike two patches are, -1 to 1 (normalised correlation); 0 if one cannot be seen.

    Of two without structure, as a plate in glaring light, brightness decides.
    """
    if a is None or b is None:
        return 0.0
    x, y = a.astype(np.float32).ravel(), b.astype(np.float32).ravel()
    means = float(x.sum()) / x.size, float(y.sum()) / y.size
    x, y = x - means[0], y - means[1]
    sizes = math.sqrt(float(x @ x) / x.size), math.sqrt(float(y @ y) / y.size)
    if max(sizes) < _FLAT:
        return float(abs(means[0] - means[1]) < _OTHER)
    return float(x @ y) / x.size / max(sizes[0] * sizes[1], 1e-6)
