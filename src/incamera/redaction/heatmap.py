# SPDX-License-Identifier: Apache-2.0
"""Our own detector of plates and faces, trained in ``training/``: a heat map and boxes.

The network marks the middle of each plate or face in cells of 4 x 4 pixels. It is shown the
picture at several scales, because a close plate is larger than what it can take in at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import IntegrityError, UnavailableError
from incamera.ids import Digest, digest, parse_digest
from incamera.recording.model import Box
from incamera.redaction.runtime import Network

__all__ = ["HeatmapDetector", "Kind", "Model", "shipped"]

Kind = Literal["face", "plate"]

_USUAL_KINDS: tuple[Kind, ...] = ("plate",)
_KINDS: tuple[Kind, ...] = ("plate", "face")  # in the order of the network's channels
_FOLDER = Path(__file__).parent / "models"
_NAME = "incamera-2"
_OVERLAP = 0.4  # boxes of a kind that overlap by more (intersection over union) are one
_VOICE = 0.5  # of the best score: a weaker box has no say about edges
_BEST, _SHARP = 30.0, 0.5  # pixels of height at which edges are exact; how fast that falls, in log
_TALL = 48.0  # pixels of height, above which a smaller scale sees better: there, pieces look whole
_MIDDLE, _SPREAD = 127.5, 64.0  # pixels go in as (value - middle) / spread


@dataclass(frozen=True, slots=True)
class Model:
    """A model file and how to use it."""

    path: Path
    sha256: Digest
    scales: tuple[float, ...]
    # The network's score that raises about 0.5 % false area; reported as _USUAL.
    thresholds: Mapping[Kind, float]
    # For a picture that stands alone; empty: as the others.
    close_scales: tuple[float, ...] = ()
    close_thresholds: Mapping[Kind, float] = field(default_factory=dict)


_USUAL = 0.3
# A false alarm costs its area, so that large boxes must be surer: scores fall by the fourth root
# of the height above so many pixels.
_CALM = 40.0


def shipped(name: str = _NAME) -> Model:
    """The model in this package, as ``models.toml`` beside it says."""
    entry = tomllib.loads((_FOLDER / "models.toml").read_text(encoding="utf-8"))[name]
    return Model(
        path=_FOLDER / entry["file"],
        sha256=parse_digest(entry["sha256"], f"models.toml: {name}"),
        scales=tuple(float(scale) for scale in entry["scales"]),
        close_scales=tuple(float(scale) for scale in entry["close_scales"]),
        thresholds={kind: float(entry["thresholds"][kind]) for kind in _KINDS},
        close_thresholds={kind: float(entry["close_thresholds"][kind]) for kind in _KINDS},
    )


class HeatmapDetector:
    """Plates and faces in one picture. Safe to call from several threads at once."""

    def __init__(
        self,
        model: Model | None = None,
        *,
        kinds: Collection[Kind] = _USUAL_KINDS,
        scales: Sequence[float] | None = None,
        longest: int = 1920,
        least: float = 0.2,
        threads: int = 1,
    ) -> None:
        """Load the weights.

        ``model``: other than the shipped one. ``kinds``: what to report; CenterFace is still
        better at faces (see the model card). ``scales``: other than
        the model's own. ``longest``: pixels of the longer side; larger pictures are made smaller.
        ``least``: score below which nothing is reported. ``threads``: for one picture.

        Scores are bent so that 0.3 stands for the model's threshold of each kind.

        Raises :class:`UnavailableError` without weights, :class:`IntegrityError` with others.
        """
        self.model = model or shipped()
        self.kinds = frozenset(kinds)
        self.scales = tuple(scales or self.model.scales)
        self.longest = longest
        self.least = least
        self._network = Network(
            _read(self.model),
            ["scores", "boxes"],
            middle=_MIDDLE,
            spread=_SPREAD,
            threads=threads,
        )

    @property
    def digest(self) -> Digest:
        """SHA-256 of the weights."""
        return self.model.sha256

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """What is seen in ``image``: RGB, uint8, height x width x 3. Boxes not grown."""
        return self._found(image, self.scales, self.model.thresholds)

    def closely(self, image: NDArray[np.uint8]) -> list[Box]:
        """The same at the scales for a picture that stands alone."""
        model = self.model
        scales, usual = model.close_scales, model.close_thresholds
        return self._found(image, scales or self.scales, usual or model.thresholds)

    def _found(
        self, image: NDArray[np.uint8], scales: Sequence[float], usual: Mapping[Kind, float]
    ) -> list[Box]:
        height, width = image.shape[:2]
        fit = min(1.0, self.longest / max(height, width))
        bend = np.array([np.log(_USUAL) / np.log(usual[kind]) for kind in _KINDS])
        seen = [
            self._look(image, fit * scale, bend, _TALL if scale > min(scales) else np.inf)
            for scale in scales
        ]
        boxes, scores, kinds, shown = (np.concatenate([part[i] for part in seen]) for i in range(4))
        if not len(boxes):
            return []
        keep = cv2.dnn.NMSBoxesBatched(
            boxes.tolist(), scores.tolist(), kinds.tolist(), 0.0, _OVERLAP
        )
        agreed = _agreed(boxes, scores, kinds, shown, np.asarray(keep, np.int64).reshape(-1))
        found = [
            _box(edges, kinds[i], scores[i], width, height)
            for i, edges in zip(keep, agreed, strict=True)
        ]
        return [box for box in found if box.w > 0 and box.h > 0]

    def _look(
        self, image: NDArray[np.uint8], scale: float, bend: NDArray[np.float64], tall: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Boxes in pixels of ``image``, bent scores, kinds and heights in what was shown.

        Of those that are not taller than ``tall`` there.
        """
        height, width = image.shape[:2]
        goal = (max(1, round(width * scale)), max(1, round(height * scale)))
        heat, sides = self._network(image, goal)
        wanted = [kind in self.kinds for kind in _KINDS]
        floor = np.where(wanted, self.least ** (1 / bend), 2.0).astype(np.float32)
        kinds, rows, columns = np.nonzero(heat[0] > floor[:, None, None])
        boxes = sides[0][:, rows, columns].T.astype(np.float64)
        shown = boxes[:, 3].copy()
        boxes *= np.array([width / goal[0], height / goal[1]] * 2)
        scores = heat[0][kinds, rows, columns].astype(np.float64)
        scores *= np.minimum(1.0, _CALM / np.maximum(boxes[:, 3], 1.0)) ** 0.25
        scores **= bend[kinds]
        right = (scores >= self.least) & (shown <= tall)
        return boxes[right], scores[right], kinds[right], shown[right]


def _agreed(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    kinds: NDArray[np.int64],
    shown: NDArray[np.float64],
    keep: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The kept boxes, each the mean of those it stands for.

    The scales disagree about edges, most of all of close plates. The word of the scale that
    showed the plate at its best height counts most: on held-out pictures as many are covered as
    by a box around all of them, at half of the false area.
    """
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    sides = np.minimum(high[keep, None], high[None]) - np.maximum(low[keep, None], low[None])
    inter = np.clip(sides, 0, None).prod(axis=2)
    area = boxes[:, 2] * boxes[:, 3]
    one = inter > _OVERLAP * (area[keep, None] + area[None] - inter)
    one &= (kinds[keep, None] == kinds[None]) & (scores[None] >= _VOICE * scores[keep, None])
    one[np.arange(len(keep)), keep] = True
    off = (np.log(np.maximum(shown, 1.0)) - np.log(_BEST)) / _SHARP
    voice = one * (scores * np.exp(-(off**2) / 2) + 1e-9)[None]
    voice /= voice.sum(axis=1, keepdims=True)
    start, end = voice @ low, voice @ high
    return np.concatenate([start, end - start], axis=1)


def _read(model: Model) -> bytes:
    try:
        weights = model.path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"{model.path}: cannot read the plate detector: {error}",
            hint="install incamera again: pip install --force-reinstall incamera",
        ) from error
    if digest(weights) != model.sha256:
        raise IntegrityError(
            f"{model.path}: not the plate detector incamera was tested with (SHA-256 differs)",
            hint="install incamera again, and find out who changed the file",
        )
    return weights


def _box(edges: NDArray[np.float64], kind: int, score: float, width: int, height: int) -> Box:
    """A box clipped to the picture."""
    x, y, w, h = (float(edge) for edge in edges)
    left, top = min(max(x, 0.0), width), min(max(y, 0.0), height)
    right, bottom = min(max(x + w, 0.0), width), min(max(y + h, 0.0), height)
    return Box(left, top, right - left, bottom - top, _KINDS[kind], float(score))
