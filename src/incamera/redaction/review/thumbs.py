# SPDX-License-Identifier: Apache-2.0
"""Small pictures for the review page: redacted, but for the one box in question.

Every thumbnail is cut from a frame in which *all* that was found is destroyed, the doubtful too.
Then the box in question is laid back in, except where another face or plate reaches into it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import InputError
from incamera.recording.model import Box, Frame
from incamera.redaction.fill import Fill, snap
from incamera.redaction.model import Cover
from incamera.redaction.review.course import overlap, within

__all__ = ["LARGE", "SMALL", "Scene", "View", "encode", "small", "turned", "whole"]

Image = NDArray[np.uint8]  # RGB, height x width x 3

LARGE = (288, 216)  # width, height
SMALL = (128, 96)
_SAME = 0.5  # boxes that overlap by more (intersection over union) are one face or plate
_INSIDE = 0.8  # a box of which so much lies in another is part of that
_AROUND = 2.6  # widths, or heights, of the box that are shown
_LEAST = 72  # pixels of the frame that are shown across, at least
_BEYOND = 24  # grey beyond the edge of the frame
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class View:
    """One picture of a box in question, upright."""

    frame: int
    image: Image  # LARGE
    box: tuple[float, float, float, float]  # left, top, width, height as shares of the image


class Scene:
    """One frame, with and without what was found in it. Made only if somebody asks for a view."""

    def __init__(self, frame: Frame, covers: Sequence[Cover], doubts: Sequence[Cover]) -> None:
        """``covers``: what is destroyed; ``doubts``: what else was found."""
        self._frame = frame
        self._destroyed = _snapped(frame, covers)
        self._boxes = self._destroyed + _snapped(frame, doubts)
        self._raw = frame.rgb()
        self._redacted = _rgb(frame, [Cover(box, n) for n, box in enumerate(self._boxes)])

    def view(self, cover: Cover) -> View | None:
        """``cover``'s box with its surroundings; None if there is nothing of its own to see."""
        height, width = self._raw.shape[:2]
        box = snap(cover.box, width, height)
        if box is None or any(_swallows(other, box) for other in self._destroyed):
            return None
        image = self._redacted.copy()
        image[_part(box)] = self._raw[_part(box)]
        for other in self._boxes:
            if overlap(other, box) < _SAME and within(box, other) < _INSIDE:
                image[_part(other)] = self._redacted[_part(other)]
        turns = _turns(self._frame)
        upright = np.rot90(image, turns)
        box = turned(box, turns, width, height)
        return _cut(self._frame.index, upright, box)


def _snapped(frame: Frame, covers: Sequence[Cover]) -> list[Box]:
    size = frame.picture.width, frame.picture.height
    return [box for cover in covers if (box := snap(cover.box, *size))]


def _swallows(other: Box, box: Box) -> bool:
    return overlap(other, box) < _SAME and within(box, other) >= _INSIDE


def _rgb(frame: Frame, covers: Sequence[Cover]) -> Image:
    redacted = Fill("solid")(frame, covers)
    return np.asarray(redacted.picture.to_ndarray(format="rgb24"), np.uint8)


def _turns(frame: Frame) -> int:
    return round(frame.picture.rotation / 90) % 4


def _part(box: Box) -> tuple[slice, slice]:
    """Of a snapped box."""
    x, y, w, h = (int(value) for value in (box.x, box.y, box.w, box.h))
    return slice(y, y + h), slice(x, x + w)


def turned(box: Box, turns: int, width: int, height: int) -> Box:
    """``box`` of a picture of ``width`` x ``height``, once that is turned left ``turns`` times."""
    for _ in range(turns):
        box = replace(box, x=box.y, y=width - box.x - box.w, w=box.h, h=box.w)
        width, height = height, width
    return box


def _cut(number: int, image: Image, box: Box) -> View:
    """``box`` in the middle of LARGE, as far as the frame reaches, else grey."""
    height, width = image.shape[:2]
    ratio = LARGE[0] / LARGE[1]
    across = max(round(max(_AROUND * box.w, _AROUND * box.h * ratio)), _LEAST)
    down = round(across / ratio)
    left = _inside(round(box.x + box.w / 2 - across / 2), across, width)
    top = _inside(round(box.y + box.h / 2 - down / 2), down, height)
    piece = image[max(0, top) : top + down, max(0, left) : left + across]
    above, before = max(0, -top), max(0, -left)
    grey = (_BEYOND, _BEYOND, _BEYOND)
    padded = cv2.copyMakeBorder(
        piece, above, down - above - piece.shape[0], before, across - before - piece.shape[1],
        cv2.BORDER_CONSTANT, value=grey,
    )  # fmt: skip
    shares = ((box.x - left) / across, (box.y - top) / down, box.w / across, box.h / down)
    return View(number, _sized(np.asarray(padded, np.uint8), LARGE), shares)


def _inside(start: int, length: int, side: int) -> int:
    """``start`` moved so that the frame fills the picture, if it is large enough."""
    if length >= side:
        return (side - length) // 2
    return min(max(0, start), side - length)


def _sized(image: Image, size: tuple[int, int]) -> Image:
    how = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def small(image: Image) -> Image:
    """A view's picture at SMALL."""
    return _sized(image, SMALL)


def whole(frame: Frame, covers: Sequence[Cover], width: int) -> tuple[Image, int]:
    """The whole frame as it is written, at most ``width`` pixels wide and upright.

    Returns the picture and by how many right angles it was turned left.
    """
    turns = _turns(frame)
    image = np.rot90(_rgb(frame, covers), turns)
    scale = width / image.shape[1]
    if scale >= 1:
        return np.ascontiguousarray(image), turns
    return _sized(image, (width, max(1, round(image.shape[0] * scale)))), turns


def encode(image: Image) -> str:
    """``image`` as a JPEG in a ``data:`` address."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not done:
        raise InputError("a thumbnail could not be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
