# SPDX-License-Identifier: Apache-2.0
"""The narrow protocol between those who find and those who destroy."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from incamera.recording.model import Box

__all__ = ["Box", "Detector"]


class Detector(Protocol):
    """Finds faces, plates or both in one picture."""

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Boxes (not grown) in pixels of ``image``, RGB, uint8, height x width x 3."""
        ...
