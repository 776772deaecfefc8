# SPDX-License-Identifier: Apache-2.0
"""Putting a cut into a frame, things in front of it, and the light over all of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.redaction.cuts import Cut, Picture, Rect
from bench.redaction.motion import Path, Pose, bounds, homography, projected

SHUTTER = 0.35  # of the time between two frames
NIGHT = 0.5  # of the day's light on what no headlight reaches
LONGEST = 0.15  # of an object's height that motion may smear it: beyond it, nothing is legible


def blur_length(path: Path, frame: int) -> float:
    """Pixels by which the object's motion smears it in ``frame``."""
    pose = path.at(frame)
    step = float(np.hypot(*path.step(frame)))
    return 0.0 if pose is None else min(SHUTTER * step, LONGEST * pose.height)


def _smear(patch: Picture, step: tuple[float, float], length: float) -> Picture:
    if length < 1.2:
        return patch
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle, unit = size // 2, np.array(step) / np.hypot(*step) * length / 2
    start, end = middle - unit, middle + unit
    cv2.line(kernel, tuple(map(round, start)), tuple(map(round, end)), 1.0, 1, cv2.LINE_AA)
    return np.asarray(cv2.filter2D(patch, -1, kernel / kernel.sum()), np.uint8)


def paste(
    frame: Picture, cut: Cut, pose: Pose, step: tuple[float, float], gain: float, length: float
) -> None:
    """Put ``cut`` into ``frame`` in place, smeared along ``step`` by ``length`` pixels."""
    source, scale = cut.level(pose.height / cut.box[3])
    matrix = homography(cut, pose, scale)
    high, wide = source.shape[:2]
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], float)
    x, y, w, h = bounds(projected(corners, matrix))
    left, top = max(0, int(x) - 2), max(0, int(y) - 2)
    right, below = min(frame.shape[1], int(x + w) + 3), min(frame.shape[0], int(y + h) + 3)
    if right <= left or below <= top:
        return
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], float)
    patch = cv2.warpPerspective(source, shift @ matrix, (right - left, below - top))
    patch = _smear(np.asarray(patch, np.uint8), step, length)
    alpha = patch[..., 3:].astype(np.float32) / 255
    below_it = frame[top:below, left:right]
    light = np.clip(patch[..., :3].astype(np.float32) * gain, 0, 255)
    below_it[:] = (light * alpha + below_it * (1 - alpha) + 0.5).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that passes in front: a pole, or the side of a car. Its rectangle by frame."""

    rects: dict[int, Rect]
    colour: tuple[int, int, int]


def cover(frame: Picture, number: int, bar: Bar) -> None:
    """Draw ``bar``, shaded across as something round is."""
    if number not in bar.rects:
        return
    x, y, w, h = bar.rects[number]
    left, right = max(0, round(x)), min(frame.shape[1], round(x + w))
    top, below = max(0, round(y)), min(frame.shape[0], round(y + h))
    if right <= left or below <= top:
        return
    across = (np.arange(left, right) + 0.5 - x) / w
    shade = 0.55 + 0.6 * np.sin(np.pi * np.clip(across * 0.9 + 0.05, 0, 1))
    row = np.clip(shade[:, None] * np.array(bar.colour), 0, 255)
    frame[top:below, left:right] = row.astype(np.uint8)


class Light:
    """Night, noise, glare and changes of brightness of one film. Seeded by ``rng``."""

    def __init__(
        self, rng: np.random.Generator, kind: str, size: tuple[int, int], frames: int
    ) -> None:
        self.kind = kind
        night = kind == "night"
        self._gamma = rng.uniform(1.3, 1.7) if night else rng.uniform(0.9, 1.15)
        self._tint = np.array([1.0, 0.94, 0.8]) if night and rng.random() < 0.6 else np.ones(3)
        self._gains = self._brightness(rng, kind, frames)
        sigma = rng.uniform(5, 10) if night else rng.uniform(1.0, 3.5)
        width, height = size
        field = rng.normal(0, 1.4 * sigma, (height + 64, width + 64)).astype(np.float32)
        self._noise = np.asarray(cv2.GaussianBlur(field, (0, 0), 0.5), np.int16)
        self._shifts = rng.integers(0, 64, (frames, 2))
        # What a lamp outshines no one can make out: x, y, w, h of the white discs.
        self.blinded: list[Rect] = []
        self._glare = self._lamps(rng, size) if night else None

    def behind(self, picture: Picture) -> Picture:
        """The background: at night no sun shines on it, only the car's lights on what is near."""
        if self.kind != "night":
            return picture
        return np.asarray(cv2.convertScaleAbs(picture, alpha=NIGHT), np.uint8)

    @staticmethod
    def _brightness(rng: np.random.Generator, kind: str, frames: int) -> NDArray[np.float64]:
        if kind != "changing":
            return np.full(
                frames, rng.uniform(0.75, 0.95) if kind == "night" else rng.uniform(0.85, 1.1)
            )
        low, high = rng.uniform(0.35, 0.55), rng.uniform(1.1, 1.35)
        start, end = rng.uniform(0.2, 0.4), rng.uniform(0.5, 0.8)
        values = [low, low, high, high] if rng.random() < 0.5 else [high, high, low, low]
        t = np.linspace(0, 1, frames)
        flicker = 1 + 0.04 * np.sin(np.arange(frames) * rng.uniform(0.5, 2.0))
        return np.asarray(np.interp(t, [0, start, end, 1], values) * flicker, np.float64)

    def _lamps(self, rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.int16]:
        width, height = size
        ys, xs = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
        out = np.zeros(ys.shape, np.float32)
        for _ in range(int(rng.integers(2, 5))):
            x, y = rng.uniform(0, width), rng.uniform(0.3, 0.6) * height
            radius = rng.uniform(0.015, 0.035) * width
            far = np.hypot(xs - x, ys - y) / radius
            self.blinded.append((x - radius, y - radius, 2 * radius, 2 * radius))
            out += rng.uniform(120, 220) * np.exp(-(far**2)) + 22 * np.exp(-far / 3)
        return np.asarray(cv2.resize(out, size), np.int16)

    def __call__(self, frame: Picture, number: int) -> Picture:
        """``frame`` (RGB) as the camera saw it."""
        levels = np.linspace(0, 1, 256)[:, None] ** self._gamma * 255
        table = np.clip(levels * self._gains[number] * self._tint, 0, 255).astype(np.uint8)
        lit = cv2.LUT(frame, np.ascontiguousarray(table[None]))
        dy, dx = self._shifts[number]
        height, width = frame.shape[:2]
        extra = self._noise[dy : dy + height, dx : dx + width]
        if self._glare is not None:
            extra = extra + self._glare
        three = cv2.merge([extra, extra, extra])
        return np.asarray(cv2.add(lit, three, dtype=cv2.CV_8U), np.uint8)
