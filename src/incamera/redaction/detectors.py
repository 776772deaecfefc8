# SPDX-License-Identifier: Apache-2.0
"""Which detectors look at every frame. There are no fewer: without one of them nothing runs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import UnavailableError
from incamera.recording.model import Box
from incamera.redaction.model import Detector

__all__ = ["default_detectors", "look"]

_OVERLAP = 0.5  # boxes of one kind from two detectors that overlap by more are one sight


def default_detectors() -> list[Detector]:
    """Faces and plates; :class:`incamera.errors.UnavailableError` if weights are missing.

    To redact with half of the detectors would look the same and betray the other half.
    """
    try:
        from incamera.redaction.centerface import CenterFace
        from incamera.redaction.heatmap import HeatmapDetector

        return [CenterFace(), HeatmapDetector()]
    except ImportError as error:
        raise UnavailableError(
            f"a detector cannot be loaded: {error}",
            hint="install incamera with its dependencies again",
        ) from error


def look(detectors: Sequence[Detector], image: NDArray[np.uint8]) -> list[Box]:
    """What all detectors see in ``image`` (RGB), each face or plate once."""
    boxes = [box for detector in detectors for box in detector.detect(image)]
    if len(detectors) < 2 or len(boxes) < 2:
        return boxes
    keep = cv2.dnn.NMSBoxesBatched(
        [(box.x, box.y, box.w, box.h) for box in boxes],
        [box.score for box in boxes],
        [int(box.kind == "face") for box in boxes],
        0.0,
        _OVERLAP,
    )
    return [boxes[i] for i in keep]
