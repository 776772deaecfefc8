# SPDX-License-Identifier: Apache-2.0
"""Review and corrections through ``redact_path``: what is looked at, kept, and destroyed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from incamera.errors import InputError, UnavailableError
from incamera.redaction import Box, Options, Policy, Redactor, redact_path
from incamera.redaction.fill import FillKind
from incamera.redaction.journal import file_digest
from incamera.redaction.report import Line, read_report
from incamera.redaction.review import Amending, Editing, Reviewing
from incamera.redaction.review.collect import Findings
from incamera.redaction.review.corrections import parse_corrections
from redacting import BLUE, Broken, Colours, canvas, film, pictures, red_pixels

WALK = (20, 20, 16, 20)


class Doubting(Colours):
    """Half sure of faces; of plates so little that one sight is not enough."""

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """As Colours, with other scores."""
        return [
            Box(b.x, b.y, b.w, b.h, b.kind, 0.5 if b.kind == "face" else 0.25)
            for b in super().detect(image)
        ]


def images(count: int = 30) -> list[NDArray[np.uint8]]:
    """A face that walks, another that stands, and a plate that is there for one frame."""
    made = [canvas(160, 96, [(8 + 2 * n, 20, 16, 20), (120, 60, 16, 20)]) for n in range(count)]
    made[0][70:80, 20:44] = BLUE
    return made


def source(folder: Path) -> Path:
    folder.mkdir()
    film(folder / "a.mp4", images())
    Image.fromarray(canvas(120, 80, [(30, 20, 24, 28)])).save(folder / "b.png")
    return folder


def run(
    tmp_path: Path, dest: str, editing: Editing | None = None, fill: FillKind = "solid"
) -> list[Line]:
    report = tmp_path / f"{dest}.jsonl"
    redact_path(
        tmp_path / "in",
        tmp_path / dest,
        report=report,
        options=Options(editing=editing),
        redactor=Redactor([Doubting()], fill=fill),
    )
    return list(read_report(report))


def corrections(found: Findings, **more: Any) -> Amending:
    value = {
        "version": 1,
        "settings": found.settings,
        "sources": {name: said.digest for name, said in found.films.items()},
        "remove": [],
        "add": [],
    } | more
    return Amending(parse_corrections(json.dumps(value).encode(), "c.json"))


def boxes(lines: list[Line]) -> list[tuple[Box, ...]]:
    return [line.boxes for line in lines]


def test_a_review_changes_nothing_and_finds_what_is_doubtful(tmp_path: Path) -> None:
    """The same report with and without; both faces, the picture and the plate are asked about."""
    source(tmp_path / "in")
    plain = run(tmp_path, "plain")
    reviewing = Reviewing()
    assert run(tmp_path, "reviewed", reviewing) == plain
    found = reviewing.findings()
    assert set(found.films) == {"a.mp4", "b.png"}
    assert found.films["a.mp4"].digest == file_digest(tmp_path / "in" / "a.mp4")
    assert (found.films["a.mp4"].frames, found.films["b.png"].frames) == (30, 1)
    asked = sorted((q.source, q.kind, q.course.first) for q in found.questions.covered)
    assert asked == [("a.mp4", "face", 0), ("a.mp4", "face", 0), ("b.png", "face", 0)]
    (missed,) = found.questions.missed
    assert (missed.source, missed.kind, missed.score) == ("a.mp4", "plate", 0.25)
    assert [(s.source, s.frame) for s in found.stills][-1] == ("b.png", 0)
    assert pictures(tmp_path / "reviewed" / "a.mp4")[0].shape == (96, 160, 3)


def test_one_face_is_uncovered_and_a_miss_is_covered(tmp_path: Path) -> None:
    """What the second run writes differs by just these two."""
    source(tmp_path / "in")
    reviewing = Reviewing()
    plain = run(tmp_path, "plain", reviewing)
    found = reviewing.findings()
    walker = next(q for q in found.questions.covered if len({k.x for k in q.course.keys}) > 1)
    (plate,) = found.questions.missed

    def mark(question: Any) -> dict[str, Any]:
        keys = [
            {"frame": k.frame, "x": k.x, "y": k.y, "w": k.w, "h": k.h} for k in question.course.keys
        ]
        return {"source": question.source, "kind": question.kind, "boxes": keys}

    amending = corrections(found, remove=[mark(walker)], add=[mark(plate)])
    better = run(tmp_path, "better", amending)
    assert amending.missed == []
    for frame, (before, after) in enumerate(zip(plain[:30], better[:30], strict=True)):
        assert len(set(before.boxes) - set(after.boxes)) == 1, frame
        assert {b.kind for b in set(after.boxes) - set(before.boxes)} == (
            {"plate"} if frame <= plate.course.last else set()
        )
    assert better[30] == plain[30]
    shown = pictures(tmp_path / "better" / "a.mp4")
    assert all(abs(red_pixels(image) - 320) < 90 for image in shown)
    assert not red_pixels(np.asarray(Image.open(tmp_path / "better" / "b.png")))


def test_nothing_pressed_changes_nothing(tmp_path: Path) -> None:
    """Empty corrections give the very same boxes, whichever way these are filled."""
    source(tmp_path / "in")
    reviewing = Reviewing()
    plain = run(tmp_path, "plain", reviewing)
    assert run(tmp_path, "same", corrections(reviewing.findings()), "mosaic") == plain


def test_corrections_of_other_films_or_thresholds_write_nothing(tmp_path: Path) -> None:
    """The destination does not even appear."""
    source(tmp_path / "in")
    reviewing = Reviewing()
    run(tmp_path, "plain", reviewing)
    amending = corrections(reviewing.findings())
    with pytest.raises(InputError, match="thresholds"):
        redact_path(
            tmp_path / "in",
            tmp_path / "other",
            options=Options(editing=amending),
            redactor=Redactor([Doubting()], policy=Policy(margin=3.0)),
        )
    film(tmp_path / "in" / "a.mp4", images(12))
    with pytest.raises(InputError, match="SHA-256"):
        run(tmp_path, "other", amending)
    assert not (tmp_path / "other").exists()


def test_a_stopped_run_goes_on_only_with_the_same_corrections(tmp_path: Path) -> None:
    """Another correction, or a review: what was finished is made again."""
    source(tmp_path / "in")
    (tmp_path / "in" / "b.png").rename(tmp_path / "in" / "0.png")
    reviewing = Reviewing()
    run(tmp_path, "plain", reviewing)
    found = reviewing.findings()
    key = {"frame": 0, "x": 4, "y": 4, "w": 10, "h": 10}
    mark = {"source": "0.png", "kind": "face", "boxes": [key]}
    policy = Policy()

    def stopped() -> None:
        class Failing(Broken):
            digest = Doubting.digest

            def detect(self, image: NDArray[np.uint8]) -> list[Box]:
                super().detect(image)
                return Doubting().detect(image)

        with pytest.raises(UnavailableError):
            redact_path(
                tmp_path / "in",
                tmp_path / "out",
                options=Options(editing=corrections(found)),
                redactor=Redactor([Failing(1)], policy=policy, threads=1),
            )

    def go(editing: Editing | None) -> int:
        options = Options(editing=editing)
        done = redact_path(
            tmp_path / "in", tmp_path / "out", options=options, redactor=Redactor([Doubting()])
        )
        return done.kept

    for editing, kept in (
        (corrections(found), 1),
        (corrections(found, add=[mark]), 0),
        (None, 0),
        (Reviewing(), 0),
    ):
        stopped()
        assert go(editing) == kept


def test_a_correction_beyond_the_end_spoils_one_file_only(tmp_path: Path) -> None:
    """That film has no output and is told; the others are done."""
    source(tmp_path / "in")
    reviewing = Reviewing()
    run(tmp_path, "plain", reviewing)
    key = {"frame": 99, "x": 4, "y": 4, "w": 10, "h": 10}
    mark = {"source": "a.mp4", "kind": "face", "boxes": [key]}
    outcome = redact_path(
        tmp_path / "in",
        tmp_path / "out",
        options=Options(editing=corrections(reviewing.findings(), add=[mark])),
        redactor=Redactor([Doubting()]),
    )
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b.png"]
    (fault,) = outcome.faults
    assert "ends with frame 29" in fault
