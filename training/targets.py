# SPDX-License-Identifier: Apache-2.0
"""What the network is asked for: Gaussian heatmaps, box sides, and where it is asked nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import Boxes
from training.geometry import View
from training.net import STRIDE

Map = NDArray[np.float32]

# The bump's standard deviation as a share of the box, but never sharper than a cell.
SIGMA = 1 / 6
MIN_SIGMA = 0.6
# Cells this far up the bump also learn the box.
BOX_FROM = 0.25


@dataclass
class Target:
    """Heat (2, h, w), sides (4, h, w), box weight (h, w) and loss mask (2, h, w)."""

    heat: Map
    sides: Map
    weight: Map
    mask: Map


def _silence(mask: Map, boxes: Boxes) -> None:
    high, wide = mask.shape
    for x, y, w, h in boxes:
        x0, y0 = max(0, int(x / STRIDE)), max(0, int(y / STRIDE))
        x1, y1 = min(wide, int((x + w) / STRIDE) + 1), min(high, int((y + h) / STRIDE) + 1)
        mask[y0:y1, x0:x1] = 0


def _draw(target: Target, kind: int, box: NDArray[np.float32]) -> None:
    """Raise one bump and set the sides under it; called from large boxes to small."""
    x, y, w, h = (float(v) for v in box)
    cx, cy = (x + w / 2) / STRIDE - 0.5, (y + h / 2) / STRIDE - 0.5
    sx = max(w / STRIDE * SIGMA, MIN_SIGMA)
    sy = max(h / STRIDE * SIGMA, MIN_SIGMA)
    high, wide = target.weight.shape
    x0, x1 = max(0, int(cx - 3 * sx)), min(wide, int(cx + 3 * sx) + 2)
    y0, y1 = max(0, int(cy - 3 * sy)), min(high, int(cy + 3 * sy) + 2)
    xs = np.arange(x0, x1, dtype=np.float32)
    ys = np.arange(y0, y1, dtype=np.float32)[:, None]
    bump = np.exp(-0.5 * (((xs - cx) / sx) ** 2 + ((ys - cy) / sy) ** 2))
    px = min(max(round(cx), 0), wide - 1)
    py = min(max(round(cy), 0), high - 1)
    bump[py - y0, px - x0] = 1.0
    window = (slice(y0, y1), slice(x0, x1))
    np.maximum(target.heat[kind][window], bump, out=target.heat[kind][window])
    # A label always counts, even inside someone else's silent area.
    target.mask[kind][window][bump > 0.1] = 1
    mine = bump > BOX_FROM
    left = ((xs + 0.5) * STRIDE - x) + 0 * ys
    top = ((ys + 0.5) * STRIDE - y) + 0 * xs
    for channel, values in enumerate((left, top, w - left, h - top)):
        target.sides[channel][window][mine] = np.maximum(values[mine], 0.3)
    # Weights sum to about one a box, so that a close plate does not outvote ten far ones.
    target.weight[window][mine] = bump[mine] / bump[mine].sum()


def make(view: View) -> Target:
    """Return the target of a view."""
    high, wide = view.image.shape[0] // STRIDE, view.image.shape[1] // STRIDE
    target = Target(
        heat=np.zeros((2, high, wide), np.float32),
        sides=np.ones((4, high, wide), np.float32),
        weight=np.zeros((high, wide), np.float32),
        mask=np.ones((2, high, wide), np.float32),
    )
    _silence(target.mask[0], view.plate_ignore)
    _silence(target.mask[1], view.face_ignore)
    pairs = [(0, b) for b in view.plates] + [(1, b) for b in view.faces]
    for kind, box in sorted(pairs, key=lambda p: -float(p[1][2] * p[1][3])):
        _draw(target, kind, box)
    return target
