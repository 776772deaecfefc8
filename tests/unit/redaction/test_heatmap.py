# SPDX-License-Identifier: Apache-2.0
"""The plate detector finds drawn plates, stays in the picture, and refuses other weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from incamera.errors import IntegrityError, UnavailableError
from incamera.ids import Digest, digest
from incamera.recording.model import Box
from incamera.redaction import heatmap
from incamera.redaction.heatmap import HeatmapDetector, Kind, Model, shipped
from incamera.redaction.policy import Policy


@pytest.fixture(scope="module")
def detector() -> HeatmapDetector:
    return HeatmapDetector()


def car(height: int, width: int, *plates: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A dark back of a car with drawn plates at x, y, w, h."""
    image = np.full((height, width, 3), 70, np.uint8)
    image[: height // 2] = (110, 120, 130)
    for x, y, w, h in plates:
        cv2.rectangle(image, (x, y), (x + w, y + h), (240, 240, 240), -1)
        cv2.rectangle(image, (x, y), (x + w, y + h), (30, 30, 30), 1)
        size, thick = h / 34, max(1, h // 12)
        spot = (x + w // 16, y + h - h // 4)
        cv2.putText(image, "KA 4711", spot, cv2.FONT_HERSHEY_DUPLEX, size, (20, 20, 20), thick)
    return image


def share_covered(label: tuple[int, int, int, int], boxes: list[Box]) -> float:
    """The share of a label under the boxes, grown as the pipeline grows them."""
    x, y, w, h = label
    boxes = [Policy().grown(box) for box in boxes]
    under = np.zeros((h, w), bool)
    for box in boxes:
        left, top = max(0, round(box.x) - x), max(0, round(box.y) - y)
        right, below = max(0, round(box.x + box.w) - x), max(0, round(box.y + box.h) - y)
        under[top:below, left:right] = True
    return float(under.mean())


@pytest.mark.parametrize("label", [(150, 200, 60, 14), (300, 220, 130, 30), (90, 180, 260, 60)])
def test_drawn_plate_is_found(detector: HeatmapDetector, label: tuple[int, int, int, int]) -> None:
    """A drawn plate is covered, far or near."""
    found = detector.detect(car(384, 640, label))
    plates = [box for box in found if box.kind == "plate" and box.score >= 0.3]
    assert share_covered(label, plates) > 0.8


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (301, 33), (97, 1200)])
def test_any_size_of_picture(detector: HeatmapDetector, height: int, width: int) -> None:
    """Sides need not be multiples of anything, and boxes never leave the picture."""
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    for box in detector.detect(noise):
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.w <= width + 1e-6
        assert box.y + box.h <= height + 1e-6
        assert 0.0 < box.score <= 1.0


def test_cut_plate_ends_at_the_edge(detector: HeatmapDetector) -> None:
    """A plate half out of the picture gives a box that stops where the picture does."""
    image = car(384, 640, (300, 220, 130, 30))[:, :400]
    found = [box for box in detector.detect(np.ascontiguousarray(image)) if box.score >= 0.3]
    assert found
    assert all(box.x + box.w <= 400 for box in found)


def test_kinds_restrict_the_report() -> None:
    """Asked for faces only, it is silent about plates."""
    kinds: tuple[Kind, ...] = ("face",)
    only = HeatmapDetector(kinds=kinds, least=0.01)
    found = only.detect(car(384, 640, (300, 220, 130, 30)))
    assert {box.kind for box in found} <= {"face"}


def test_large_pictures_are_shrunk_and_boxes_are_not() -> None:
    """Boxes are in pixels of the picture handed in, whatever the network saw."""
    label = (1200, 900, 520, 120)
    small = HeatmapDetector(longest=640)
    found = small.detect(car(1536, 2560, label))
    assert share_covered(label, [box for box in found if box.kind == "plate"]) > 0.8


def test_threshold_of_a_kind_is_reported_as_a_score_of_its_own() -> None:
    """Whatever the network's threshold, its score there is reported as 0.3."""
    image = car(384, 640, (300, 220, 130, 30))
    base = replace(shipped(), thresholds={"plate": 0.3, "face": 0.3})
    raw = max(b.score for b in HeatmapDetector(base).detect(image) if b.kind == "plate")
    bent = replace(base, thresholds={"plate": raw, "face": 0.3})
    new = max(b.score for b in HeatmapDetector(bent).detect(image) if b.kind == "plate")
    assert new == pytest.approx(0.3, abs=1e-3)


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """One other byte and nothing is detected at all."""
    data = bytearray(shipped().path.read_bytes())
    data[len(data) // 2] ^= 1
    other = tmp_path / "model.onnx"
    other.write_bytes(data)
    with pytest.raises(IntegrityError, match="SHA-256"):
        HeatmapDetector(replace(shipped(), path=other))


def test_missing_weights_are_unavailable(tmp_path: Path) -> None:
    """No file is a failed installation, and says so."""
    gone = Model(tmp_path / "no.onnx", Digest("0" * 64), (1.0,), {"plate": 0.3, "face": 0.3})
    with pytest.raises(UnavailableError, match="cannot read"):
        HeatmapDetector(gone)


def test_shipped_model_is_the_one_described() -> None:
    """The file beside models.toml has the digest written there, and is small."""
    model = shipped()
    data = model.path.read_bytes()
    assert digest(data) == model.sha256 == HeatmapDetector().digest
    assert len(data) < 4_000_000


def test_where_scales_disagree_the_one_that_saw_best_is_heard() -> None:
    """Edges come from the scale that showed the plate at the height the network knows best."""
    boxes = np.array([[10, 10, 40, 10], [6, 9, 40, 12], [12, 12, 40, 20], [200, 50, 9, 9]], float)
    scores, kinds = np.array([0.9, 0.8, 0.3, 0.8]), np.zeros(4, np.int64)
    shown = np.array([8.0, 30.0, 30.0, 9.0])
    agreed = heatmap._agreed(boxes, scores, kinds, shown, np.array([0, 3]))
    assert np.abs(agreed[0] - boxes[1]).max() < 0.3
    assert np.allclose(agreed[1], boxes[3])


def test_a_close_plate_is_left_to_the_smallest_scale() -> None:
    """Enlarged, a piece of a close plate looks like a plate: such boxes do not count."""
    image = np.full((240, 640, 3), 70, np.uint8)
    found = HeatmapDetector(least=0.05, scales=(1.0, 0.25))
    raw = found._look(image, 1.0, np.ones(2), 48.0)
    assert all(height <= 48.0 for height in raw[3])
