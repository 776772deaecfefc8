# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: each camera before and after, one PNG a person can judge at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera import durable
from incamera.errors import InputError

__all__ = ["Pair", "contact_sheet"]

Image = NDArray[np.uint8]
Pair = tuple[str, Image, Image]
"""A camera's name, its frame before and after, RGB, uint8, height x width x 3, of one size."""

CELL = (400, 300)  # width, height in pixels
GAP = 10
LABEL = 26
TITLE = 56
COLUMNS = 4
PAPER = (250, 249, 246)
INK = (32, 33, 36)
SOFT = (110, 112, 116)


def _text(sheet: Image, text: str, x: int, y: int, scale: float, colour: tuple[int, ...]) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, colour, 1, cv2.LINE_AA)


def _fit(image: Image) -> Image:
    """``image`` scaled into a cell, its shape kept, on a dark ground."""
    height, width = image.shape[:2]
    scale = min(CELL[0] / width, CELL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    cell = np.full((CELL[1], CELL[0], 3), 24, np.uint8)
    top, left = (CELL[1] - size[1]) // 2, (CELL[0] - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    return cell


def _blank(pairs: int) -> Image:
    rows = -(-pairs // COLUMNS)
    width = GAP + min(pairs, COLUMNS) * (CELL[0] + GAP)
    height = TITLE + rows * (LABEL + 2 * CELL[1] + 2 * GAP) + GAP
    return np.full((height, max(width, 900), 3), PAPER, np.uint8)


def contact_sheet(pairs: Sequence[Pair], dest: Path, title: str) -> None:
    """Write ``dest`` (PNG): the pairs in a grid, before above after."""
    sheet = _blank(len(pairs))
    _text(sheet, title, GAP, 26, 0.7, INK)
    _text(sheet, "above: as recorded    below: what left the car", GAP, 48, 0.5, SOFT)
    for number, (camera, before, after) in enumerate(pairs):
        x = GAP + (number % COLUMNS) * (CELL[0] + GAP)
        y = TITLE + (number // COLUMNS) * (LABEL + 2 * CELL[1] + 2 * GAP)
        _text(sheet, camera, x, y + 18, 0.55, INK)
        for row, image in enumerate((before, after)):
            top = y + LABEL + row * (CELL[1] + 4)
            sheet[top : top + CELL[1], x : x + CELL[0]] = _fit(image)
    done, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not done:
        raise InputError(f"{dest}: the contact sheet could not be encoded as PNG")
    durable.write(dest, data.tobytes())
