# SPDX-License-Identifier: Apache-2.0
"""Which detectors look at pictures and frames, and how closely. None may be missing.

A frame of a video is looked at quickly: what is missed there is found in its neighbours. A picture
that stands alone has no neighbours, so it is looked at more closely: each detector enlarges what
is small, as it knows best, and large pictures are looked at in overlapping tiles besides the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import UnavailableError
from incamera.recording.model import Box
from incamera.redaction.model import CloseDetector, Detector

__all__ = ["default_detectors", "look", "look_closely"]

Image = NDArray[np.uint8]

_SAME = 0.5  # boxes of one kind that overlap by more (intersection over union) are one sight
_TILE = 1280  # pixels of the longer side, as much as a detector takes in at full size
_SHARED = 160  # pixels by which tiles overlap at least: what lies on a seam is whole in one


def default_detectors() -> list[Detector]:
    """Faces and plates; :class:`incamera.errors.UnavailableError` if weights are missing.

    To redact with half of the detectors would look the same and betray the other half.
    """
    try:
        from incamera.redaction.centerface import CenterFace
        from incamera.redaction.heatmap import HeatmapDetector

        # On faces CenterFace alone is better: the other's few more are bought with cars and trees.
        plates = HeatmapDetector(kinds=["plate"])
        return [CenterFace(), plates]
    except (ImportError, OSError) as error:
        raise UnavailableError(
            f"a detector cannot be loaded: {error}",
            hint="install incamera with its dependencies again",
        ) from error


def look(detectors: Sequence[Detector], image: Image) -> list[Box]:
    """What all detectors see in ``image`` (RGB), each face or plate once."""
    return _once([box for detector in detectors for box in detector.detect(image)])


def look_closely(detectors: Sequence[Detector], image: Image) -> list[Box]:
    """As :func:`look`, for a picture that stands alone: each detector as closely as it can.

    Large pictures are looked at in overlapping tiles besides the whole.
    """
    boxes = _closely(detectors, image)
    if max(image.shape[:2]) > _TILE:
        for left, top, tile in _tiles(image):
            boxes += [_moved(box, left, top) for box in _closely(detectors, tile)]
    return _once(boxes)


def _closely(detectors: Sequence[Detector], image: Image) -> list[Box]:
    found: list[Box] = []
    for detector in detectors:
        see = detector.closely if isinstance(detector, CloseDetector) else detector.detect
        found += see(image)
    return _once(found)


def _tiles(image: Image) -> Iterator[tuple[int, int, Image]]:
    """Left, top and pixels of pieces that cover ``image`` evenly."""
    for top, bottom in _cuts(image.shape[0]):
        for left, right in _cuts(image.shape[1]):
            yield left, top, np.ascontiguousarray(image[top:bottom, left:right])


def _cuts(side: int) -> list[tuple[int, int]]:
    count = max(1, -(-(side - _SHARED) // (_TILE - _SHARED)))
    length = -(-(side + (count - 1) * _SHARED) // count)
    starts = [round(i * (side - length) / max(1, count - 1)) for i in range(count)]
    return [(start, start + length) for start in starts]


def _moved(box: Box, left: int, top: int) -> Box:
    return replace(box, x=box.x + left, y=box.y + top)


def _once(boxes: list[Box]) -> list[Box]:
    if len(boxes) < 2:
        return boxes
    keep = cv2.dnn.NMSBoxesBatched(
        [(box.x, box.y, box.w, box.h) for box in boxes],
        [box.score for box in boxes],
        [int(box.kind == "face") for box in boxes],
        0.0,
        _SAME,
    )
    return [boxes[i] for i in keep]
