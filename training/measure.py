# SPDX-License-Identifier: Apache-2.0
"""How much of what must go is covered, and how much else: one measure for all detectors.

A label counts as covered when 80 % of its area lies under boxes of its kind. False area is the
share of all pixels that boxes cover outside the labels (labels grown by half, so that a box a
little too large is not called false). Both are kept for every threshold at once: each pixel
remembers the highest score that covers it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
# x, y, w, h, score
Found = Sequence[tuple[float, float, float, float, float]]

COVERED = 0.8
LABEL_GROWTH = 0.5
GROWTH = {"plate": 0.2, "face": 0.3}
BINS = ((0, 16), (16, 32), (32, 64), (64, 100000))
LEVELS = 1000


@dataclass
class Tally:
    """What was measured so far, for one kind and one detector."""

    heights: list[float] = field(default_factory=list)
    # The threshold below which each label is covered: as reported, and with boxes grown.
    bare: list[float] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)
    # Pixels outside the labels by the score that covers them.
    false: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LEVELS + 1, np.int64))
    pixels: int = 0


def _edges(
    box: Sequence[float], growth: float, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    x, y, w, h = box[:4]
    dx, dy = w * growth / 2, h * growth / 2
    left, top = max(0, round(x - dx)), max(0, round(y - dy))
    right, below = min(shape[1], round(x + w + dx)), min(shape[0], round(y + h + dy))
    return left, top, max(right, left), max(below, top)


def score_map(found: Found, growth: float, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return for each pixel the highest score among the boxes over it."""
    out = np.zeros(shape[:2], np.float32)
    for box in sorted(found, key=lambda b: b[4]):
        left, top, right, below = _edges(box, growth, shape)
        out[top:below, left:right] = box[4]
    return out


def critical(scores: NDArray[np.float32], label: Sequence[float]) -> float:
    """Return the highest threshold at which the label is still covered."""
    left, top, right, below = _edges(label, 0.0, scores.shape)
    inside = np.sort(scores[top:below, left:right], axis=None)
    if not inside.size:
        return 0.0
    return float(inside[int((1 - COVERED) * inside.size)])


def add(
    tally: Tally, kind: str, found: Found, labels: Sequence[Sequence[float]], shape: tuple[int, ...]
) -> None:
    """Count one picture."""
    bare = score_map(found, 0.0, shape)
    grown = score_map(found, GROWTH[kind], shape)
    outside = np.ones(shape[:2], bool)
    for label in labels:
        tally.heights.append(float(label[3]))
        tally.bare.append(critical(bare, label))
        tally.grown.append(critical(grown, label))
        left, top, right, below = _edges(label, LABEL_GROWTH, shape)
        outside[top:below, left:right] = False
    levels = (grown[outside] * LEVELS).astype(np.int64)
    tally.false += np.bincount(levels, minlength=LEVELS + 1)[: LEVELS + 1]
    tally.pixels += int(shape[0] * shape[1])


def false_area(tally: Tally, threshold: float) -> float:
    """Return the share of pixels covered wrongly at a threshold."""
    return float(tally.false[max(1, int(np.ceil(threshold * LEVELS))) :].sum() / tally.pixels)


def threshold_at(tally: Tally, share: float) -> float:
    """Return the lowest threshold whose false area is at most `share`."""
    above = np.cumsum(tally.false[::-1])[::-1] / tally.pixels
    fits = np.nonzero(above[1:] <= share)[0]
    return float((fits[0] + 1) / LEVELS) if len(fits) else 1.0


def recall(tally: Tally, threshold: float, *, grown: bool) -> dict[str, float]:
    """Return the share of labels covered, in all and by height of the label."""
    hit = np.array(tally.grown if grown else tally.bare) >= max(threshold, 1e-6)
    height = np.array(tally.heights)
    out = {"all": round(float(hit.mean()), 3)}
    for low, high in BINS:
        chosen = (height >= low) & (height < high)
        name = f"{low}-{high}" if high < 1000 else f">{low}"
        out[name] = round(float(hit[chosen].mean()), 3) if chosen.any() else float("nan")
    return out


def labels_of(folder: Path) -> list[dict[str, Any]]:
    """Read a folder's labels.jsonl."""
    return [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]


def run(
    detect: Callable[[Picture], dict[str, Found]],
    folder: Path,
    kind: str,
    entries: list[dict[str, Any]],
) -> Tally:
    """Run a detector over pictures and count."""
    tally = Tally()
    for entry in entries:
        bgr = np.asarray(cv2.imread(str(folder / "images" / entry["image"])), np.uint8)
        image = np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)
        labels = [(b["x"], b["y"], b["w"], b["h"]) for b in entry["boxes"]]
        add(tally, kind, detect(image).get(kind, []), labels, image.shape)
    return tally
