# SPDX-License-Identifier: Apache-2.0
"""Destroys what lies under boxes. The only maker of :class:`RedactedFrame`.

The planes of the decoded picture are worked on as they are: no detour by RGB, so that a pixel
outside every box leaves as it came. Two fills, both constant, never a blur (a blur is undone by
a network that has seen enough blurred faces):

- *solid*: one grey. Nothing of the box is left but where it was.
- *mosaic*: the means of a grid of at most 5 x 5 cells, each of at least 8 x 8 pixels. The grid
  is measured **once**, on the first covered frame of a track, and stretched over the box of all
  later frames: sixty frames of a face reveal no more than one, so averaging or super-resolution
  over time gains nothing.

Boxes are snapped outward to even pixels, since a chroma sample of 4:2:0 spans two by two, and
clipped to the picture. The boxes of the result are these: exactly what was destroyed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from incamera.errors import InputError
from incamera.recording.model import Box, Frame, RedactedFrame
from incamera.redaction.model import Cover

__all__ = ["Fill", "FillKind", "snap"]

FillKind = Literal["solid", "mosaic"]

Plane = NDArray[np.uint8] | NDArray[np.uint16]  # height x width x channels, a view into the picture
Area = tuple[int, int, int, int]  # left, top, right, bottom in whole pixels; right, bottom excluded

# One plane a component (or one packed), one or two bytes a sample: what numpy can address in
# place. The number is the bits of a sample. All else (nv12, palettes, alpha) is converted first.
_NATIVE = {
    "yuv420p": 8, "yuv422p": 8, "yuv444p": 8, "yuvj420p": 8, "yuvj422p": 8, "yuvj444p": 8,
    "yuv420p10le": 10, "yuv422p10le": 10, "yuv444p10le": 10, "gray": 8, "rgb24": 8,
}  # fmt: skip
_CELLS = 5  # at most so many cells a side: 25 means tell no face from another
_CELL = 8  # pixels: in a small box fewer cells, so that a cell never shows a stroke of a letter


def snap(box: Box, width: int, height: int) -> Box | None:
    """``box`` grown to even whole pixels and clipped to the picture; None if nothing is left."""
    left, top = max(0, _even_down(box.x)), max(0, _even_down(box.y))
    right = min(width, _even_up(box.x + box.w))
    bottom = min(height, _even_up(box.y + box.h))
    if right <= left or bottom <= top:
        return None
    return replace(box, x=left, y=top, w=right - left, h=bottom - top)


def _even_down(value: float) -> int:
    return 2 * math.floor(value / 2)


def _even_up(value: float) -> int:
    return 2 * math.ceil(value / 2)


class Fill:
    """Makes redacted frames out of the frames of one camera, in order.

    Holds the mosaic grids of the tracks covered in the last frame; a track is covered without
    interruption, so a grid that is not needed now is never needed again.
    """

    def __init__(self, kind: FillKind = "solid") -> None:
        """``kind``: how boxes are filled."""
        self.kind = kind
        self._grids: dict[int, list[Plane]] = {}

    def __call__(self, frame: Frame, covers: Sequence[Cover]) -> RedactedFrame:
        """``frame`` with everything under ``covers`` destroyed.

        The source picture is not touched (its decoder may still predict from it). A picture
        without boxes is handed on by reference, unless it carries side data, which may hold a
        position (Tesla writes GPS into SEI messages): then its planes are copied out of it.
        """
        picture = _native(frame)
        width, height = picture.width, picture.height
        hit = [Cover(box, c.track) for c in covers if (box := snap(c.box, width, height))]
        if hit or len(picture.side_data):
            source, picture = picture, _copy(picture, frame)
            self._destroy(source, picture, hit)
        else:
            self._grids.clear()
        return RedactedFrame(
            camera=frame.camera,
            index=frame.index,
            pts=frame.pts,
            time_base=frame.time_base,
            time=frame.time,
            picture=picture,
            boxes=tuple(cover.box for cover in hit),
        )

    def _destroy(self, source: av.VideoFrame, picture: av.VideoFrame, hit: list[Cover]) -> None:
        before, after = _planes(source), _planes(picture)
        grey = 1 << (_NATIVE[picture.format.name] - 1)
        grids: dict[int, list[Plane]] = {}
        for cover in hit:
            areas = [_area(cover.box, picture, plane) for plane in after]
            if self.kind == "mosaic":
                grids[cover.track] = self._grids.get(cover.track) or [
                    _grid(_part(plane, area)) for plane, area in zip(before, areas, strict=True)
                ]
            for number, (plane, area) in enumerate(zip(after, areas, strict=True)):
                part = _part(plane, area)
                if self.kind == "mosaic":
                    part[:] = _stretch(grids[cover.track][number], part)
                else:
                    part[:] = grey
        self._grids = grids


def _native(frame: Frame) -> av.VideoFrame:
    """The picture in a format that can be filled in place; the same object if it already is."""
    picture = frame.picture
    if picture.format.name in _NATIVE:
        return picture
    try:
        return picture.reformat(format="yuv420p")
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"{frame.camera}, frame {frame.index}: pixel format {picture.format.name} "
            f"cannot be redacted: {error}"
        ) from error


def _copy(picture: av.VideoFrame, frame: Frame) -> av.VideoFrame:
    """Pixels, ``frame``'s time and the colour description: no side data, no metadata."""
    copy = av.VideoFrame(picture.width, picture.height, picture.format.name)
    for ours, theirs in zip(_planes(copy), _planes(picture), strict=True):
        ours[:] = theirs
    copy.pts, copy.time_base = frame.pts, frame.time_base
    copy.colorspace, copy.color_range = picture.colorspace, picture.color_range
    copy.color_trc, copy.color_primaries = picture.color_trc, picture.color_primaries
    return copy


def _planes(picture: av.VideoFrame) -> list[Plane]:
    """Views into the picture, one a plane."""
    channels = 3 if picture.format.name == "rgb24" else 1
    kind = np.dtype(np.uint8 if _NATIVE[picture.format.name] == 8 else "<u2")
    return [
        np.ndarray(
            (plane.height, plane.width, channels),
            kind,
            buffer=memoryview(plane),
            strides=(plane.line_size, channels * kind.itemsize, kind.itemsize),
        )
        for plane in picture.planes
    ]


def _area(box: Box, picture: av.VideoFrame, plane: Plane) -> Area:
    """Where ``box`` (snapped) lies in a plane, whose samples may span two pixels each way."""
    across = 2 if plane.shape[1] < picture.width else 1
    down = 2 if plane.shape[0] < picture.height else 1
    right, bottom = box.x + box.w, box.y + box.h
    return (
        int(box.x) // across,
        int(box.y) // down,
        math.ceil(right / across),
        math.ceil(bottom / down),
    )


def _part(plane: Plane, area: Area) -> Plane:
    left, top, right, bottom = area
    return plane[top:bottom, left:right]


def _grid(part: Plane) -> Plane:
    """Means of the cells of ``part``: at most 5 x 5 x channels."""
    rows, columns = (min(_CELLS, max(1, side // _CELL)) for side in part.shape[:2])
    means = np.array(
        [
            [cell.mean((0, 1)) for cell in np.array_split(row, columns, axis=1)]
            for row in np.array_split(part, rows, axis=0)
        ]
    )
    return means.astype(np.uint8) if part.dtype == np.uint8 else means.astype(np.uint16)


def _stretch(grid: Plane, part: Plane) -> Plane:
    """``grid`` drawn over an area of the shape of ``part``."""
    rows = np.arange(part.shape[0]) * grid.shape[0] // part.shape[0]
    columns = np.arange(part.shape[1]) * grid.shape[1] // part.shape[1]
    return grid[np.ix_(rows, columns)]
