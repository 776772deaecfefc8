# SPDX-License-Identifier: Apache-2.0
"""Pictures, speed and memory: small inputs whose right answers are known."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bench.redaction import pictures, processes, reports, speed
from bench.redaction.__main__ import parsed
from incamera.errors import UnavailableError
from incamera.redaction import Redactor
from redacting import GREY, RED, Colours
from videos import film

LABEL = {"x": 40, "y": 40, "w": 20, "h": 20, "kind": "face"}
ENTRY = {"image": "a.png", "width": 200, "height": 100, "boxes": [LABEL]}


def tally(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """The figures of one picture with one label, at the highest false area there is."""
    found = pictures.reported({"a.png": {0: rows}}, "face", [ENTRY])
    told: dict[str, Any] = pictures.figures(found, 1.0)["all"]
    return told


def test_a_reported_box_covers_and_is_not_grown_again() -> None:
    """17 of 20 rows are more than the 80 % that are asked; 15, grown by 30 %, would be too."""
    assert tally([(40, 40, 20, 17, "face", 0.9, "detected")])["covered"]["all"] == 1.0
    assert tally([(40, 40, 20, 15, "face", 0.9, "detected")])["covered"]["all"] == 0.0
    assert tally([])["covered"]["all"] == 0.0


def test_a_box_of_the_other_kind_neither_covers_nor_is_false() -> None:
    """Plates in the face set are nobody's labels."""
    told = tally(
        [(40, 40, 20, 20, "plate", 0.9, "detected"), (0, 0, 9, 9, "plate", 0.9, "detected")]
    )
    assert told["covered"]["all"] == 0.0
    assert told["false_area"] == 0.0


def test_false_area_is_the_share_of_pixels_beside_the_grown_label() -> None:
    """100 of 20,000 pixels; a box a little larger than its label is not called false."""
    told = tally(
        [(38, 38, 24, 24, "face", 0.9, "detected"), (100, 0, 10, 10, "face", 0.3, "detected")]
    )
    assert told["false_area"] == 0.005
    assert told["covered"]["16-32"] == 1.0


def test_at_a_lower_false_area_the_unsure_box_is_given_up() -> None:
    """The threshold rises until the false box is gone; the true one stays."""
    rows = [(40, 40, 20, 20, "face", 0.9, "detected"), (100, 0, 10, 10, "face", 0.3, "detected")]
    found = pictures.reported({"a.png": {0: rows}}, "face", [ENTRY])
    told = pictures.figures(found, 0.001)["at_share"]
    assert told["threshold"] > 0.3
    assert told["false_area"] == 0.0
    assert told["covered"]["all"] == 1.0


def test_the_report_of_pictures_is_what_the_still_path_destroys(tmp_path: Path) -> None:
    """Two pictures, of which one is asked for: its red patch is reported, grown."""
    image = np.full((100, 200, 3), GREY, np.uint8)
    image[40:60, 40:60] = RED
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), image[:, :, ::-1])
    report = reports.redacted_files([tmp_path / "a.png"], Redactor([Colours()]))
    assert list(report) == ["a.png"]
    told = pictures.at(pictures.reported(report, "face", [ENTRY]), 0.001)
    assert told["covered"]["all"] == 1.0
    assert told["false_area"] == 0.0


def test_a_limit_spreads_over_the_whole_set(tmp_path: Path) -> None:
    """Not the first ones: they may be of one source."""
    lines = [json.dumps({"image": str(i), "boxes": []}) for i in range(10)]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    assert [e["image"] for e in pictures.entries_of(tmp_path, 4)] == ["0", "3", "6", "9"]
    assert len(pictures.entries_of(tmp_path, None)) == 10


def test_a_process_is_measured_alone_and_its_failure_is_told() -> None:
    """The memory it held, the time it took; its last words if it fails."""
    took = processes.spent(
        [sys.executable, "-c", "x = bytearray(200_000_000); x[::4096] = x[::4096]"]
    )
    assert 200e6 < took.peak < 500e6
    assert 0 < took.cpu <= took.wall * 8
    small = processes.spent([sys.executable, "-c", "pass"])
    assert small.peak < 100e6
    with pytest.raises(UnavailableError, match="out of luck"):
        processes.spent([sys.executable, "-c", "raise SystemExit('out of luck')"])


def test_frames_and_sizes_of_outputs_are_counted_and_plain_keeps_them(tmp_path: Path) -> None:
    """Decode and encode with nothing between: the yardstick loses no frame."""
    source = film(tmp_path / "a.mp4", times=range(9))
    speed.plain(source, tmp_path / "b.mp4")
    assert speed.facts(tmp_path / "b.mp4") == {"frames": 9, "size": [64, 48]}


def test_an_unknown_part_is_a_usage_error() -> None:
    """Else a typing error would look like a measurement that is not there."""
    with pytest.raises(SystemExit) as error:
        parsed(["--parts", "picture"])
    assert error.value.code == 2
    assert parsed([]).parts == "pictures,composites,speed,memory,annexb"
