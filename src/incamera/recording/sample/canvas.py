# SPDX-License-Identifier: Apache-2.0
"""Draws polygons, textured rectangles, solids and flat figures into a picture, in perspective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.recording.sample.view import NEAR, Points, View

__all__ = ["Canvas", "Color", "Picture", "Solid", "Sprite", "mix"]

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]  # RGB

HAZE: Color = (203, 214, 224)
_HAZE_AT = 150.0  # m at which 63 % of a thing is haze
_SUBPIXEL = 4  # bits
_FEW_DETAILS = 38.0  # m beyond which wheels and windows are no more drawn
_FAR_OUT = 20000.0  # pixels; OpenCV counts in 16 bits left of the point


def mix(color: Color, other: Color, share: float) -> Color:
    """``color`` with ``share`` (0..1) of ``other``."""
    return (
        round(color[0] + (other[0] - color[0]) * share),
        round(color[1] + (other[1] - color[1]) * share),
        round(color[2] + (other[2] - color[2]) * share),
    )


def haze(distance: float) -> float:
    """The share of haze at ``distance`` metres, in sixteenths so that it can be cached."""
    return round(16 * (1 - math.exp(-max(0.0, distance) / _HAZE_AT))) / 16


@dataclass(frozen=True)
class Solid:
    """A body of flat faces. Faces turn clockwise seen from outside; details lie upon them."""

    points: Points  # (N, 3), metres from its middle on the ground
    faces: Sequence[tuple[int, ...]]
    colors: Sequence[Color]
    details: int  # faces from this one on are drawn last ...
    lamps: int  # ... and after so many of them, only from near

    @cached_property
    def corners(self) -> NDArray[np.intp]:
        """The first three points of each face."""
        return np.array([face[:3] for face in self.faces])

    @cached_property
    def _paints(self) -> dict[tuple[float, float], list[Color]]:
        return {}

    def paint(self, share: float, shade: float) -> list[Color]:
        """The colours of the faces with a share of haze, in the shade (1: none)."""
        key = (share, shade)
        if key not in self._paints:
            self._paints[key] = [
                mix(mix((0, 0, 0), color, shade), HAZE, share * shade) for color in self.colors
            ]
        return self._paints[key]

    @cached_property
    def rows(self) -> list[NDArray[np.intp]]:
        """The points of each face."""
        return [np.array(face) for face in self.faces]


class Sprite:
    """A flat figure that stands upright and faces the camera, ``height`` metres tall."""

    def __init__(self, rgb: Picture, alpha: Picture, height: float) -> None:
        self.height = height
        self.share = rgb.shape[1] / rgb.shape[0]  # width over height
        color = (rgb.astype(np.float32) * (alpha[..., None] / 255)).astype(np.uint8)
        # RGB times alpha, and alpha; each level half as large as the one before it.
        self.levels: list[Picture] = [np.dstack([color, alpha])]
        while self.levels[-1].shape[0] >= 32:
            height_, width_ = (side // 2 for side in self.levels[-1].shape[:2])
            smaller = cv2.resize(self.levels[-1], (width_, height_), interpolation=cv2.INTER_AREA)
            self.levels.append(smaller.astype(np.uint8))
        self._hazy: dict[tuple[int, float], Picture] = {}

    def level(self, height: float, share: float) -> Picture:
        """The smallest level as tall as ``height`` pixels, or nearly, with a share of haze."""
        fitting = [i for i, each in enumerate(self.levels) if each.shape[0] >= height * 0.8]
        key = (fitting[-1] if fitting else 0, share)
        if key not in self._hazy:
            plain = self.levels[key[0]]
            white = plain[..., 3:] * (np.array([*HAZE, 255], np.float32) / 255)
            mixed = plain * (1 - share) + white * share
            self._hazy[key] = np.ascontiguousarray(mixed.round().astype(np.uint8))
        return self._hazy[key]


class Canvas:
    """One picture being drawn through one view."""

    def __init__(self, picture: Picture, view: View) -> None:
        self.picture = picture
        self.view = view

    def polygon(self, points: Sequence[Sequence[float]] | Points, color: Color) -> None:
        """A flat polygon in the world, cut where it leaves the view."""
        seen = self.view.see(np.asarray(points, dtype=np.float64))
        depth = seen[:, 2].min()
        if depth > NEAR and np.abs(seen[:, 0]).max() < depth * self.view.slope * 6:
            self.fill(self.view.project(seen), color)
            return
        wide = self.view.slope * 1.3
        for plane in ((0.0, 0.0, 1.0, NEAR), (1.0, 0.0, wide, 0.0), (-1.0, 0.0, wide, 0.0)):
            seen = _cut(seen, plane)
            if len(seen) < 3:
                return
        self.fill(self.view.project(seen), color)

    def quads(self, corners: Points, colors: Sequence[Color], *, hazy: bool = True) -> None:
        """Many flat polygons (n, corners, 3), in this order."""
        count, sides = corners.shape[:2]
        seen = self.view.see(corners.reshape(-1, 3)).reshape(count, sides, 3)
        sight = np.abs(seen[..., 0]) < seen[..., 2] * self.view.slope * 6
        inside = np.all((seen[..., 2] > NEAR) & sight, axis=1)
        depth = seen[:, 0, 2]
        edge = seen[..., 2] * self.view.slope
        left, right = np.all(-seen[..., 0] > edge, axis=1), np.all(seen[..., 0] > edge, axis=1)
        hidden = np.all(seen[..., 2] < NEAR, axis=1) | left | right
        pixels = self.view.project(np.where(inside[:, None, None], seen, 1.0))
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        beside = (high < 0) | (low > (self.view.width, self.view.height))
        hidden = hidden | (inside & np.any(beside, axis=1))
        fixed = _fixed(pixels)
        for i in map(int, np.flatnonzero(~hidden)):
            color = mix(colors[i], HAZE, haze(float(depth[i]))) if hazy else colors[i]
            if inside[i]:
                self._fill(fixed[i], color)
            else:
                self.polygon(corners[i], color)

    def fill(self, pixels: Points, color: Color) -> None:
        """A convex polygon in pixels."""
        self._fill(_fixed(pixels), color)

    def _fill(self, fixed: NDArray[np.int32], color: Color) -> None:
        cv2.fillConvexPoly(self.picture, fixed, color, lineType=cv2.LINE_AA, shift=_SUBPIXEL)

    def solid(self, solid: Solid, at: Points, *, back: bool = False, shade: float = 1.0) -> Points:
        """Draw a body; its outline's pixels, for what it hides ((0, 2) if it is not seen)."""
        turned = solid.points * (-1.0, 1.0, -1.0) if back else solid.points
        seen = self.view.see(turned + at)
        nothing = np.empty((0, 2))
        if seen[:, 2].max() < NEAR:
            return nothing
        away = float(np.linalg.norm(at - self.view.eye))
        count = solid.details + solid.lamps if away > _FEW_DETAILS else len(solid.faces)
        a, b, c = (seen[solid.corners[:count, i]] for i in range(3))
        # Seen from outside if the corners turn clockwise round the line of sight: det(a, b, c) > 0.
        turn = (
            a[:, 0] * (b[:, 1] * c[:, 2] - b[:, 2] * c[:, 1])
            + a[:, 1] * (b[:, 2] * c[:, 0] - b[:, 0] * c[:, 2])
            + a[:, 2] * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
        )
        depth = (a[:, 2] + b[:, 2] + c[:, 2]) - 1e6 * (np.arange(count) >= solid.details)
        order = np.argsort(-depth, kind="stable")
        order = order[turn[order] > 0].tolist()
        paint = solid.paint(haze(away), shade)
        if seen[:, 2].min() < NEAR:  # beside the camera: cut each face
            for i in order:
                cut = _cut(seen[solid.rows[i]], (0.0, 0.0, 1.0, NEAR))
                if len(cut):
                    self.fill(self.view.project(cut), paint[i])
            return self.view.project(_cut(seen, (0.0, 0.0, 1.0, NEAR)))
        pixels = self.view.project(seen)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        if high[0] < 0 or high[1] < 0 or low[0] > self.view.width or low[1] > self.view.height:
            return nothing
        fixed = _fixed(pixels)
        for i in order:
            self._fill(fixed[solid.rows[i]], paint[i])
        return pixels

    def texture(self, picture: Picture, corners: Points) -> Points | None:
        """A picture on a rectangle in the world (upper left, clockwise); its pixels if seen."""
        seen = self.view.see(corners)
        if seen[:, 2].min() < NEAR:
            return None
        pixels = self.view.project(seen)
        a, b, c = pixels[0], pixels[1], pixels[2]
        if (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) <= 0:
            return None  # seen from behind
        x0, y0 = np.floor(np.maximum(pixels.min(axis=0), 0)).astype(int)
        x1 = min(self.view.width, math.ceil(pixels[:, 0].max()) + 1)
        y1 = min(self.view.height, math.ceil(pixels[:, 1].max()) + 1)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        height, width = picture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        local = (pixels - (x0, y0)).astype(np.float32)
        transform = cv2.getPerspectiveTransform(source, local)
        size = (int(x1 - x0), int(y1 - y0))
        warped = cv2.warpPerspective(
            picture, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(mask, _fixed(local), 255, shift=_SUBPIXEL)
        cv2.copyTo(warped, mask, self.picture[y0:y1, x0:x1])
        return pixels

    def sprite(self, sprite: Sprite, foot: Points) -> tuple[float, float, float, float] | None:
        """Draw an upright figure with its foot at ``foot``; x, y, w, h in pixels if it is seen."""
        (seen,) = self.view.see(foot[None])
        if seen[2] < 2 * NEAR:
            return None
        x, y = self.view.project(seen)
        h = sprite.height * self.view.focal / seen[2]
        w = h * sprite.share
        left, top = x - w / 2, y - h
        x0, y0 = max(math.floor(left), 0), max(math.floor(top), 0)
        x1, y1 = min(math.ceil(x + w / 2), self.view.width), min(math.ceil(y), self.view.height)
        if x1 <= x0 or y1 <= y0:
            return None
        level = sprite.level(h, haze(float(seen[2])))
        scale = level.shape[0] / h
        # From the pixels of the picture back to those of the figure.
        back = np.array([[scale, 0, (x0 - left) * scale], [0, scale, (y0 - top) * scale]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        figure = cv2.warpAffine(level, back, (x1 - x0, y1 - y0), flags=flags)
        color, alpha = cv2.cvtColor(figure, cv2.COLOR_RGBA2RGB), figure[..., 3]
        rest = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
        under = self.picture[y0:y1, x0:x1]
        self.picture[y0:y1, x0:x1] = cv2.add(cv2.multiply(under, rest, scale=1 / 255), color)
        return left, top, w, h


def _fixed(pixels: NDArray[Any]) -> NDArray[np.int32]:
    """Pixels in OpenCV's fixed point."""
    scaled = np.clip(pixels, -_FAR_OUT, _FAR_OUT) * (1 << _SUBPIXEL)
    return np.asarray(scaled, dtype=np.int32)


def _cut(points: Points, plane: tuple[float, float, float, float]) -> Points:
    """The part of a polygon where ``a x + b y + c z >= d`` (Sutherland and Hodgman)."""
    if len(points) == 0:
        return points
    side = points @ np.array(plane[:3]) - plane[3]
    if (side >= 0).all():
        return points
    kept: list[Points] = []
    for i in range(len(points)):
        before, now = side[i - 1], side[i]
        if (before >= 0) != (now >= 0):
            kept.append(points[i - 1] + (points[i] - points[i - 1]) * (before / (before - now)))
        if now >= 0:
            kept.append(points[i])
    return np.array(kept).reshape(-1, 3)
