# SPDX-License-Identifier: Apache-2.0
"""GB/T 44464-2024, annex B: hit rule, size filters, set sizes, and no verdict on less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.redaction import annexb
from bench.redaction.annexb import Look
from incamera.errors import InputError

ROOT = Path(__file__).parents[3]
FACE = ((10.0, 10.0, 40.0, 50.0), "face", True)
PLATE = ((100.0, 10.0, 60.0, 20.0), "plate", True)
FACE_MASK = (10, 10, 40, 50, "face", 0.9, "detected")
PLATE_MASK = (100, 10, 60, 20, "plate", 0.9, "detected")


def looks(count: int = 500, apart: float = 1.0, **more: Any) -> list[Look]:
    """Pictures of one camera with a face and a plate each."""
    return [
        Look(f"{i}.jpg", None, "front", i * apart, more.get("boxes", (FACE, PLATE)))
        for i in range(count)
    ]


def report(count: int = 500, masks: Any = (FACE_MASK, PLATE_MASK)) -> dict[str, Any]:
    """A report in which every picture has the same masks."""
    return {f"{i}.jpg": {0: list(masks)} for i in range(count)}


@pytest.mark.parametrize(
    ("mask", "hit"),
    [
        ((10, 10, 40, 25), True),  # half of it, exactly
        ((10, 10, 40, 24), False),
        ((0, 0, 200, 200), True),
        ((50, 10, 40, 50), False),  # beside it
    ],
)
def test_a_box_is_hit_if_half_of_it_is_covered(mask: tuple[int, ...], hit: bool) -> None:
    """By area, whatever else the mask covers."""
    assert annexb.hit(FACE[0], [mask]) is hit


def test_two_masks_hit_together() -> None:
    """A quarter and a quarter are a half; the same quarter twice is not."""
    left, right = (10, 10, 10, 50), (20, 10, 10, 50)
    assert annexb.hit(FACE[0], [left, right])
    assert not annexb.hit(FACE[0], [left, left])


@pytest.mark.parametrize(
    ("box", "needed"),
    [
        (((0, 0, 32, 90), "face", True), True),
        (((0, 0, 31, 90), "face", True), False),
        (((0, 0, 90, 16), "plate", True), True),
        (((0, 0, 90, 15), "plate", True), False),
        (((0, 0, 90, 90), "face", False), False),  # marked as hidden, an advert, a reflection
    ],
)
def test_small_and_excluded_boxes_are_not_asked_for(box: Any, needed: bool) -> None:
    """Faces from 32 pixels of the short side, plates from 16."""
    assert annexb.needed(*box) is needed


def test_a_full_set_gets_its_rates_and_a_verdict() -> None:
    """All hit: passed; the interval says how sure that is."""
    result = annexb.verdict(looks(), report())
    assert result["pass"]
    assert result["pass_beyond_doubt"]
    assert result["face"]["rate"] == 1.0
    assert result["face"]["interval95"][0] == pytest.approx(0.9924, abs=1e-3)


def test_one_class_below_ninety_per_cent_fails() -> None:
    """All faces hit, 88 % of the plates."""
    told = report()
    for i in range(60):
        told[f"{i}.jpg"][0] = [FACE_MASK]
    result = annexb.verdict(looks(), told)
    assert result["plate"]["rate"] == 0.88
    assert not result["pass"]


def test_just_above_ninety_per_cent_passes_but_not_beyond_doubt() -> None:
    """91 % of 500: the interval reaches below 90 %."""
    told = report()
    for i in range(45):
        told[f"{i}.jpg"][0] = [FACE_MASK]
    result = annexb.verdict(looks(), told)
    assert result["pass"]
    assert not result["pass_beyond_doubt"]


def test_masks_on_nothing_are_false_and_on_small_labels_are_not() -> None:
    """Every second mask lies on the road; then on a face too small to be asked for."""
    road = (300, 300, 30, 30, "face", 0.4, "detected")
    result = annexb.verdict(looks(), report(masks=(FACE_MASK, PLATE_MASK, road)))
    assert result["face"]["false_rate"] == 0.5
    assert not result["false_detections_ok"]
    small = ((300.0, 300.0, 20.0, 20.0), "face", True)
    seen = looks(boxes=(FACE, PLATE, small))
    assert annexb.verdict(seen, report(masks=(FACE_MASK, PLATE_MASK, road)))["false_detections_ok"]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (looks(499), "499 of 500 pictures"),
        (looks(apart=0.5), "250 of 500 pictures"),
        (looks(boxes=(FACE,)), "0 of 200 plates"),
        (looks(boxes=(PLATE, ((0.0, 0.0, 31.0, 31.0), "face", True))), "0 of 200 faces"),
        ([*looks(), Look("x.jpg", None, "rear", 0.0, ())], "camera rear: 1 of 10 pictures"),
    ],
)
def test_a_smaller_set_gets_no_verdict(seen: list[Look], words: str) -> None:
    """What is lacking is said in one sentence; nothing is judged."""
    with pytest.raises(InputError, match="too small a set") as error:
        annexb.verdict(seen, report())
    assert words in str(error.value)


def frames(step: float, until: float, camera: str = "front", film: str = "a.mp4") -> list[Look]:
    """A film looked at every ``step`` seconds."""
    count = int(until / step) + 1
    return [Look(film, i, camera, i * step, (FACE, PLATE)) for i in range(count)]


def test_a_thousand_seconds_of_video_do_too_if_looked_at_often_enough() -> None:
    """Every two seconds is enough; every two and a half is not; pieces under ten s are nothing."""
    assert annexb.lacking(frames(2.0, 1000.0)) == []
    assert any("of 1000 s" in words for words in annexb.lacking(frames(2.5, 1000.0)))
    short = [look for i in range(300) for look in frames(2.0, 8.0, film=f"{i}.mp4")]
    assert any("0 of 1000 s" in words for words in annexb.lacking(short))


def test_wilsons_interval_is_the_known_one() -> None:
    """45 of 50: 0.786 to 0.957; none of nothing: anything."""
    low, high = annexb.wilson(45, 50)
    assert (round(low, 3), round(high, 3)) == (0.786, 0.957)
    assert annexb.wilson(0, 0) == (0.0, 1.0)


def test_a_labelled_picture_the_report_lacks_is_an_error() -> None:
    """Else a file that was left out would count neither way."""
    told = report()
    del told["7.jpg"]
    with pytest.raises(InputError, match=r"7\.jpg, frame 0: labelled, but not in the report"):
        annexb.verdict(looks(), told)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        '{"image": "a", "camera": "c", "time": 0, "boxes": [{"x": 1}]}',
        '{"image": "a", "time": 0, "boxes": []}',
        '{"image": "a", "camera": "c", "time": 0, "boxes": [{"x": 0, "y": 0, "w": 0, "h": 1}]}',
        '{"image": "a", "camera": "c", "time": 0, "boxes": 7}',
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, line: str) -> None:
    """File and line number stand in the message."""
    path = tmp_path / "labels.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="line 1"):
        annexb.read_labels(path)


def test_the_command_refuses_in_one_sentence_and_exits_with_three(tmp_path: Path) -> None:
    """On a set of one picture: the last line of stdout is JSON and tells what is lacking."""
    box = {"x": 10, "y": 10, "w": 40, "h": 50, "kind": "face"}
    label = {"image": "a.jpg", "camera": "front", "time": 0, "boxes": [box]}
    (tmp_path / "labels.jsonl").write_text(json.dumps(label) + "\n")
    line = {"source": "a.jpg", "frame": 0, "time": 0, "width": 99, "height": 99, "boxes": []}
    (tmp_path / "r.jsonl").write_text(json.dumps(line) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "bench.redaction", "--parts", "annexb",
         "--labels", tmp_path / "labels.jsonl", "--report", tmp_path / "r.jsonl"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert "1 of 200 faces" in told["annexb"]["not_run"]
