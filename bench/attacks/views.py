# SPDX-License-Identifier: Apache-2.0
"""What an attacker makes of sixty frames of a destroyed thing before trying to recognise it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .scene import Seen

Picture = NDArray[np.uint8]
Stack = NDArray[np.float32]


def stretched(picture: NDArray[Any]) -> Picture:
    """All contrast there is, from the second to the ninety-eighth percentile."""
    low, high = np.percentile(picture, (2, 98))
    wide = (picture - low) * (255 / max(high - low, 1e-3))
    return np.asarray(np.clip(wide, 0, 255), np.uint8)


def aligned(seen: Seen, plane: int, height: int) -> Stack:
    """One plane of every frame, brought to one size by the reported boxes alone."""
    ratio = float(np.median(seen.boxes[:, 2] / seen.boxes[:, 3]))
    size = (max(8, round(height * ratio)), height)
    return np.stack([_sized(planes[plane], size) for planes in seen.planes])


def registered(seen: Seen, height: int) -> Stack:
    """As :func:`aligned`, but along a smooth way through the boxes: below a pixel's exactness.

    Boxes shake; what they cover moves smoothly. A polynomial through their edges finds it.
    """
    time = np.linspace(-1, 1, len(seen.boxes))
    smooth = np.stack(
        [np.polyval(np.polyfit(time, seen.boxes[:, i], 7), time) for i in range(4)], axis=1
    )
    ratio = float(np.median(smooth[:, 2] / smooth[:, 3]))
    size = (max(8, round(height * ratio)), height)
    out = []
    for planes, box, way in zip(seen.planes, seen.boxes, smooth, strict=True):
        scale = way[2:] / size
        matrix = np.array([[scale[0], 0, way[0] - box[0]], [0, scale[1], way[1] - box[1]]])
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        plane = planes[0].astype(np.float32)
        out.append(
            cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        )
    return np.stack(out).astype(np.float32)


def _sized(plane: Picture, size: tuple[int, int]) -> Stack:
    return np.asarray(
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LANCZOS4), np.float32
    )


def sharpened(stack: Stack) -> Stack:
    """The mean of a stack with its fine detail raised: super-resolution's last step."""
    mean = stack.mean(0)
    return np.asarray(mean + 1.5 * (mean - cv2.GaussianBlur(mean, (0, 0), 2.0)), np.float32)


def of(seen: Seen, height: int = 96) -> dict[str, Picture]:
    """Every view, by name: grey pictures."""
    luma, middle = aligned(seen, 0, height), len(seen.planes) // 2
    sub = registered(seen, height)
    around = cv2.cvtColor(seen.around[middle], cv2.COLOR_RGB2GRAY)
    return {
        "one frame": stretched(_sized(seen.planes[middle][0], luma.shape[:0:-1])),
        "mean of 60": stretched(luma.mean(0)),
        "minimum of 60": stretched(luma.min(0)),
        "maximum of 60": stretched(luma.max(0)),
        "change over 60": stretched(luma.std(0)),
        "sub-pixel mean of 60": stretched(sharpened(sub)),
        "chroma blue": stretched(aligned(seen, 1, height).mean(0)),
        "chroma red": stretched(aligned(seen, 2, height).mean(0)),
        "around": stretched(around),
    }
