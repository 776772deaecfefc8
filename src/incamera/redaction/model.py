# SPDX-License-Identifier: Apache-2.0
"""The narrow protocol between those who find and those who destroy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from incamera.ids import Digest
from incamera.recording.model import Box

__all__ = ["Box", "CloseDetector", "Cover", "Detector"]


class Detector(Protocol):
    """Finds faces, plates or both in one picture. Called from several threads at once."""

    @property
    def digest(self) -> Digest:
        """SHA-256 of the weights it runs on: it stands in every capsule's header."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Boxes (not grown) in pixels of ``image``, RGB, uint8, height x width x 3."""
        ...


@runtime_checkable
class CloseDetector(Detector, Protocol):
    """A detector that can take its time with a picture that stands alone."""

    def closely(self, image: NDArray[np.uint8]) -> list[Box]:
        """As ``detect``, slower, and finding more."""
        ...


@dataclass(frozen=True, slots=True)
class Cover:
    """A box to destroy, and the track it belongs to: the same face has one number while seen."""

    box: Box
    track: int
