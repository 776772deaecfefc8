# SPDX-License-Identifier: Apache-2.0
"""Linking a mosaic to a list of candidates: the strongest attack on pixelation known.

After Hill et al. 2016 and McPherson et al. 2016: nobody reads a mosaic, but who has a list of
candidates makes each into the mosaic it would have given, and takes the nearest. Our attacker
knows the plate's design, the source of the fill, and where in the box the plate was to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from . import chance, plates
from .scene import Film, Seen

Cells = NDArray[np.float64]
Picture = NDArray[np.uint8]

CELLS, CELL = 5, 8  # as the product's fill has them
_FINE = 4  # templates are drawn at so many times the film's size


def grid_of(width: int, height: int, cells: int = CELLS) -> tuple[int, int]:
    """Columns and rows of the mosaic of a box."""
    return min(cells, max(1, width // CELL)), min(cells, max(1, height // CELL))


def cells_of(picture: NDArray[Any], columns: int, rows: int) -> Cells:
    """Means of the cells of a plane, cut as the fill cuts them."""
    return np.array(
        [
            [cell.mean() for cell in np.array_split(row, columns, axis=1)]
            for row in np.array_split(picture.astype(np.float64), rows, axis=0)
        ]
    )


def seen_cells(seen: Seen, frames: Sequence[int]) -> Cells:
    """The mosaic of a thing: the middles of its cells, averaged over ``frames``."""
    columns, rows = grid_of(int(seen.boxes[0, 2]), int(seen.boxes[0, 3]))
    return np.asarray(
        np.mean([_middles(seen.planes[frame][0], columns, rows) for frame in frames], axis=0),
        np.float64,
    )


def _middles(plane: Picture, columns: int, rows: int) -> Cells:
    """The median of the inner quarter of every cell: what the encoder did to edges is left out."""
    tall, wide = plane.shape[0] / rows, plane.shape[1] / columns
    out = np.zeros((rows, columns))
    for r in range(rows):
        band = plane[int(tall * (r + 0.25)) : int(np.ceil(tall * (r + 0.75)))]
        for c in range(columns):
            part = band[:, int(wide * (c + 0.25)) : int(np.ceil(wide * (c + 0.75)))]
            out[r, c] = np.median(part)
    return out


def template(
    text: str, box: NDArray[np.float64], true: NDArray[np.float64], paint: Sequence[int]
) -> Picture:
    """Luma of the candidate as it would have lain in ``box``, on a car of that paint."""
    size = (round(box[2] * _FINE), round(box[3] * _FINE))
    ground = np.float32(paint @ np.array([0.299, 0.587, 0.114]))
    plate = cv2.cvtColor(plates.drawn(text), cv2.COLOR_RGB2GRAY)
    scale = true[2:] / (plate.shape[1], plate.shape[0]) * _FINE
    move = (true[:2] - box[:2]) * _FINE
    matrix = np.array([[scale[0], 0, move[0]], [0, scale[1], move[1]]])
    blur = max(0.01, 0.5 / float(scale.min()))
    soft = cv2.GaussianBlur(plate, (0, 0), blur).astype(np.float32)
    drawn = cv2.warpAffine(soft, matrix, size, borderValue=float(ground))
    return np.asarray(np.clip(drawn, 0, 255), np.uint8)


def likeness(seen: Cells, candidates: Sequence[Cells]) -> NDArray[np.float64]:
    """Correlation after the mean candidate is taken off: what tells them apart is what counts."""
    stack = np.array([c.ravel() for c in candidates])
    mean, probe = stack.mean(0), seen.ravel()
    gain, offset = np.polyfit(mean, probe, 1) if np.ptp(mean) > 1 else (1.0, 0.0)
    rest = (probe - offset) / (gain if abs(gain) > 1e-3 else 1.0) - mean
    stack = stack - mean
    length = np.linalg.norm(stack, axis=1) * np.linalg.norm(rest)
    return np.asarray(stack @ rest / np.maximum(length, 1e-9), np.float64)


def attack(seen: Sequence[Seen], films: Sequence[Film], gallery: Sequence[str]) -> dict[str, Any]:
    """Top-1 and bits, from one frame and from sixty, of the mosaic in the output files."""
    truth = np.concatenate([film.truth for film in films], axis=1)
    things = [thing for film in films for thing in film.things]
    one, sixty = [], []
    for index, (s, thing) in enumerate(zip(seen, things, strict=True)):
        paint = thing.image[2, 2].astype(float)
        box = s.boxes[0]
        columns, rows = grid_of(int(box[2]), int(box[3]))
        candidates = [
            cells_of(template(text, box, truth[0, index], paint), columns, rows) for text in gallery
        ]
        one.append(likeness(seen_cells(s, [len(s.planes) // 2]), candidates))
        sixty.append(likeness(seen_cells(s, range(len(s.planes))), candidates))
    own = [list(gallery).index(thing.name) for thing in things]
    return {
        "gallery": len(gallery),
        "one frame": chance.ranked(np.array(one), own),
        "60 frames": chance.ranked(np.array(sixty), own),
    }


def fresh(
    seen: Sequence[Seen],
    films: Sequence[Film],
    gallery: Sequence[str],
    frames: Sequence[int],
    cells: int = CELLS,
) -> dict[str, float]:
    """The same attack on what other tools do: a new mosaic in every frame, of ``cells`` a side.

    ``seen`` is the unredacted film. Evidence of the frames adds up. One frame is what our mosaic
    would leak with so many cells; several are what measuring the grid only once saves.
    """
    truth = np.concatenate([film.truth for film in films], axis=1)
    things = [thing for film in films for thing in film.things]
    total = np.zeros((len(things), len(gallery)))
    for index, (s, thing) in enumerate(zip(seen, things, strict=True)):
        paint = thing.image[2, 2].astype(float)
        for frame in frames:
            box = s.boxes[frame]
            columns, rows = grid_of(int(box[2]), int(box[3]), cells)
            mosaic = np.floor(cells_of(s.planes[frame][0], columns, rows))
            candidates = [
                cells_of(template(text, box, truth[frame, index], paint), columns, rows)
                for text in gallery
            ]
            total[index] += likeness(mosaic, candidates)
    own = [list(gallery).index(thing.name) for thing in things]
    return chance.ranked(total, own)
