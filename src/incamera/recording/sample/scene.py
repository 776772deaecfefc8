# SPDX-License-Identifier: Apache-2.0
"""One frame of one camera: the street, then everybody on it, and where faces and plates are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np

from incamera.recording.model import Box
from incamera.recording.sample.canvas import Canvas, Picture, mix
from incamera.recording.sample.cars import plate_corners
from incamera.recording.sample.looks import person, plate
from incamera.recording.sample.story import pose, way
from incamera.recording.sample.street import (
    ASPHALT,
    TUNNEL,
    backdrop,
    draw_ground,
    draw_street,
)
from incamera.recording.sample.traffic import Body, Walker, traffic
from incamera.recording.sample.view import Camera, Points, Pose, View

__all__ = ["Scene"]

_SMALLEST = 6.0  # pixels; smaller faces and plates are not listed
_SHOWN = 0.5  # of a box that has to be in the picture and free
_FAR = {Body: 90.0, Walker: 60.0}
_PLATE_METRES = 0.3  # a plate whose two rows have less than two pixels is not drawn


class Scene:
    """Draws the drive as one camera sees it."""

    def __init__(self, camera: Camera, size: tuple[int, int]) -> None:
        self.camera = camera
        self.size = size
        self._stood: tuple[Pose, Picture] | None = None
        self._grounds: dict[object, Picture] = {}

    def frame(self, time: float) -> tuple[Picture, list[Box]]:
        """The picture (RGB) at ``time``, and the faces and plates that can be seen in it."""
        at = pose(time)
        view = View(self.camera, self.size, at)
        standing = way(time)[1] == 0
        canvas = Canvas(self._street(view, at, standing=standing), view)
        boxes: list[tuple[Box, int]] = []
        outlines: list[Points] = []
        for thing in self._sorted(time, view):
            found = _car(canvas, thing) if isinstance(thing, Body) else _walker(canvas, thing)
            if found is not None:
                outlines.append(found[0])
                boxes += [(box, len(outlines)) for box in found[1]]
        free = [box for box, order in boxes if self._free(box, outlines[order:])]
        return canvas.picture, free

    def _street(self, view: View, at: Pose, *, standing: bool) -> Picture:
        """The empty street, to be drawn upon. While the car stands, it is drawn once."""
        if standing and self._stood is not None and self._stood[0] == at:
            return self._stood[1].copy()
        canvas = Canvas(self._ground(view, at).copy(), view)
        draw_street(canvas)
        if standing:
            self._stood = (at, canvas.picture.copy())
        return canvas.picture

    def _ground(self, view: View, at: Pose) -> Picture:
        key = (at.x, at.heading, at.dive)
        if key not in self._grounds:
            sky, horizon = backdrop(self.camera, self.size)
            top = min(max(0, round(horizon - view.horizon)), sky.shape[0] - view.height)
            canvas = Canvas(sky[top : top + view.height].copy(), view)
            draw_ground(canvas)
            if len(self._grounds) > 4:
                self._grounds.clear()
            self._grounds[key] = canvas.picture
        return self._grounds[key]

    def _sorted(self, time: float, view: View) -> list[Body | Walker]:
        """Who may be seen, far ones first."""
        eye, ahead = view.eye, view.axes[:, 2]
        found: list[tuple[float, Body | Walker]] = []
        for thing in traffic(time, float(eye[2])):
            dx, dz = thing.x - eye[0], thing.z - eye[2]
            distance = math.hypot(dx, dz)
            if distance < _FAR[type(thing)] and dx * ahead[0] + dz * ahead[2] > -3:
                found.append((distance, thing))
        return [thing for _, thing in sorted(found, key=lambda pair: -pair[0])]

    def _free(self, box: Box, outlines: list[Points]) -> bool:
        """Whether enough of ``box`` is not hidden by what was drawn after it."""
        hidden = 0
        grid = [
            (box.x + box.w * i / 4, box.y + box.h * j / 4) for i in (1, 2, 3) for j in (1, 2, 3)
        ]
        for point in grid:
            hidden += any(_inside(outline, point) for outline in outlines)
        return 1 - hidden / len(grid) >= _SHOWN


def _inside(outline: Points, point: tuple[float, float]) -> bool:
    low, high = outline.min(axis=0), outline.max(axis=0)
    if not (low[0] <= point[0] <= high[0] and low[1] <= point[1] <= high[1]):
        return False
    return cv2.pointPolygonTest(outline.astype(np.float32), point, False) >= 0


def _box(view: View, kind: str, x: float, y: float, w: float, h: float) -> Iterator[Box]:
    """The part of a face or plate within the picture, if it is worth listing."""
    x0, y0 = max(0.0, x), max(0.0, y)
    x1, y1 = min(float(view.width), x + w), min(float(view.height), y + h)
    if x1 - x0 < _SMALLEST or y1 - y0 < _SMALLEST or (x1 - x0) * (y1 - y0) < _SHOWN * w * h:
        return
    which: Literal["face", "plate"] = "face" if kind == "face" else "plate"
    yield Box(round(x0, 1), round(y0, 1), round(x1 - x0, 1), round(y1 - y0, 1), which, 1.0)


def _car(canvas: Canvas, body: Body) -> tuple[Points, list[Box]] | None:
    at = np.array([body.x, 0.0, body.z])
    half, wide = body.car.length / 2, 1.05
    dark = TUNNEL[0] < body.z < TUNNEL[1]
    ground = (50, 50, 54) if dark else ASPHALT
    left, right, near, far = body.x - wide, body.x + wide + 0.3, body.z - half, body.z + half
    shadow = [[left, 0.01, far], [right, 0.01, far], [right, 0.01, near], [left, 0.01, near]]
    canvas.polygon(shadow, mix(ground, (20, 22, 26), 0.6))
    pixels = canvas.solid(body.car.solid, at, back=body.back, shade=0.55 if dark else 1.0)
    if len(pixels) == 0:
        return None
    outline = cv2.convexHull(pixels.astype(np.float32))[:, 0]
    boxes: list[Box] = []
    away = math.hypot(body.x - canvas.view.eye[0], body.z - canvas.view.eye[2])
    ends = (True, False) if canvas.view.focal * _PLATE_METRES > 2 * away else ()
    for rear in ends:
        corners = plate_corners(body.car, at, rear=rear, back=body.back)
        seen = canvas.texture(plate(body.car.plate, body.car.text), corners)
        if seen is not None:
            (x, y), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
            boxes += _box(canvas.view, "plate", x, y, right - x, bottom - y)
    return outline.astype(np.float64), boxes


def _walker(canvas: Canvas, walker: Walker) -> tuple[Points, list[Box]] | None:
    sprite, (fx, fy, fw, fh) = person(walker.who, walker.step)
    ring = [
        [walker.x + 0.1 + 0.42 * math.cos(a), 0.03, walker.z + 0.22 * math.sin(a)]
        for a in (-math.tau * i / 8 for i in range(8))
    ]
    canvas.polygon(ring, (84, 84, 86))
    drawn = canvas.sprite(sprite, np.array([walker.x, 0.0, walker.z]))
    if drawn is None:
        return None
    x, y, w, h = drawn
    boxes = list(_box(canvas.view, "face", x + fx * w, y + fy * h, fw * w, fh * h))
    left, right = x + 0.22 * w, x + 0.78 * w
    outline = np.array([[left, y], [right, y], [right, y + h], [left, y + h]])
    return outline, boxes
