# SPDX-License-Identifier: Apache-2.0
"""The review page: what is asked, what its pictures show, and what cannot get out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from incamera.errors import InputError
from incamera.ids import digest
from incamera.recording.model import Box
from incamera.redaction.model import Cover
from incamera.redaction.review import File, Reviewing, check_folder, write
from incamera.redaction.review import collect as collecting
from incamera.redaction.review.collect import Findings
from incamera.redaction.review.page import PAGE, render
from incamera.redaction.review.thumbs import turned
from redacting import GREY, RED, canvas, frame, red_pixels

BLUE_EYES = "</script><img src=x onerror=alert(1)>\"'&\u2028.mp4"

Patch = tuple[int, int, int, int]
Seen = tuple[NDArray[np.uint8], list[Cover], list[Cover]]  # picture, covers, doubts
FACES: list[Patch] = [(100, 60, 24, 30), (136, 70, 24, 30), (60, 60, 20, 20), (104, 100, 20, 24)]


def cover(patch: Patch, track: int, score: float = 0.4, via: str = "detected") -> Cover:
    x, y, w, h = patch
    return Cover(Box(x, y, w, h, "face", score, via), track)  # type: ignore[arg-type]


def review(
    tmp_path: Path,
    frames: list[Seen],
    name: str = "a.mp4",
) -> Findings:
    """What is found when ``frames`` (picture, covers, doubts) go by."""
    path = tmp_path / "film"
    path.write_bytes(b"film")
    reviewing = Reviewing()
    reviewing.begin([File(name, path, len(frames))], digest(b"settings"))
    with reviewing.file(name) as edit:
        for number, (image, covers, doubts) in enumerate(frames):
            assert edit(frame(image, number), covers, doubts) is covers
    return reviewing.findings()


def data(page: bytes) -> Any:
    found = re.search(rb'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def picture(address: str) -> NDArray[np.uint8]:
    kind, _, text = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(text))).convert("RGB"), np.uint8)


def test_a_thumbnail_shows_the_box_in_question_and_no_other_face(tmp_path: Path) -> None:
    """Three neighbours, two destroyed and one not, are grey in it; the face itself is whole."""
    image = canvas(240, 180, FACES)
    covers = [cover(patch, n) for n, patch in enumerate(FACES[:3])]
    doubts = [cover(FACES[3], 3, 0.25)]
    found = review(tmp_path, [(image, covers, doubts)])
    assert len(found.questions.covered) == 3
    assert len(found.questions.missed) == 1
    for question in (*found.questions.covered, *found.questions.missed):
        (view,) = question.views
        height, width = view.image.shape[:2]
        left, top, w, h = view.box
        inside = np.zeros((height, width), bool)
        inside[
            round(top * height) - 3 : round((top + h) * height) + 4,
            round(left * width) - 3 : round((left + w) * width) + 4,
        ] = True
        outside = view.image.copy()
        outside[inside] = GREY
        assert red_pixels(outside) == 0
        shown = red_pixels(view.image) / (w * h * width * height)
        assert shown > 0.9 if question.score > 0.3 else shown > 0.5  # part of it is another's


def test_a_face_within_a_large_box_in_question_stays_hidden(tmp_path: Path) -> None:
    """A wall is doubtful, the face in front of it is not: the wall is shown without the face."""
    image = canvas(240, 180, [(110, 80, 20, 24)])
    covers = [cover((60, 40, 120, 100), 0, 0.3), cover((106, 76, 28, 32), 1, 0.95)]
    found = review(tmp_path, [(image, covers, [])])
    (question,) = found.questions.covered
    assert question.course.keys[0].w == 120
    assert red_pixels(question.views[0].image) == 0


def test_whole_frames_are_as_they_are_written(tmp_path: Path) -> None:
    """What is destroyed is grey; what was not, and would leak, is seen."""
    image = canvas(240, 180, FACES[1:3])
    found = review(tmp_path, [(image, [cover(FACES[1], 0)], [])])
    (still,) = found.stills
    shown = picture(still.image)
    assert shown.shape == (180, 240, 3)
    assert abs(red_pixels(shown) - 400) < 80


def test_tracks_are_asked_about_once_and_the_certain_not_at_all(tmp_path: Path) -> None:
    """Three views a track, by frame; a track that was once sure is no question."""
    frames: list[Seen] = []
    for n in range(30):
        patch = (40 + 2 * n, 60, 24, 30)
        sure = cover((150, 100, 30, 30), 1, 0.95 if n == 20 else 0.3)
        frames.append(
            (canvas(240, 180, [patch]), [cover(patch, 0, 0.3 + 0.1 * (n == 12)), sure], [])
        )
    found = review(tmp_path, frames)
    (question,) = found.questions.covered
    assert (question.score, question.sights) == (0.4, 30)
    assert [view.frame for view in question.views] == [0, 12, 15]
    assert question.clearest == 1
    assert (question.course.first, question.course.last) == (0, 29)
    assert len(question.course.keys) == 2


def test_a_doubt_under_a_destroyed_box_is_no_question(tmp_path: Path) -> None:
    """It is hidden already."""
    image = canvas(240, 180, FACES[:1])
    found = review(tmp_path, [(image, [cover(FACES[0], 0)], [cover((102, 62, 20, 26), 1, 0.2)])])
    assert not found.questions.missed


def test_the_least_certain_come_first_and_the_others_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weak ones of the hidden, strong ones of the visible; memory holds no more than that."""
    monkeypatch.setattr(collecting, "MOST", 4)
    image = canvas(96, 64)
    frames = [
        (
            image,
            [cover((10, 10, 20, 20), n, 0.75 - n / 100)],
            [cover((50, 10, 20, 20), 500 + n, n / 100)],
        )
        for n in range(30)
    ]
    questions = review(tmp_path, frames).questions
    assert [round(q.score, 2) for q in questions.covered] == [0.46, 0.47, 0.48, 0.49]
    assert [round(q.score, 2) for q in questions.missed] == [0.29, 0.28, 0.27, 0.26]
    assert questions.left_out == {True: 26, False: 26}


def test_whole_frames_are_spread_over_films_and_pictures(tmp_path: Path) -> None:
    """A long film has two dozen, a short one a few, a picture itself; together not too many."""
    reviewing = Reviewing()
    path = tmp_path / "x"
    reviewing.begin([File("a", path, 1000), File("b", path, 30), File("c", path, 1)], digest(b""))
    wanted = reviewing._wanted
    assert len(wanted["a"]) == 24
    assert max(wanted["a"]) < 1000
    assert (len(wanted["b"]), wanted["c"]) == (4, frozenset({0}))
    reviewing.begin([File(str(n), path, 1) for n in range(2000)], digest(b""))
    assert abs(sum(map(len, reviewing._wanted.values())) - 600) <= 1
    reviewing.begin([File("e", path, 0)], digest(b""))
    assert reviewing._wanted["e"] == frozenset()


def test_markup_in_a_file_name_stays_a_file_name(tmp_path: Path) -> None:
    """It cannot end the script element it stands in; the page's own markup is all there is."""
    found = review(tmp_path, [(canvas(), [cover((10, 10, 20, 20), 0)], [])], BLUE_EYES)
    page = render(found, f"incamera redact {BLUE_EYES}")
    plain = render(review(tmp_path, [(canvas(), [cover((10, 10, 20, 20), 0)], [])]), "x")
    assert page.count(b"<") == plain.count(b"<")
    assert data(page)["films"][0]["name"] == BLUE_EYES
    assert data(page)["command"].endswith(BLUE_EYES)


def test_the_page_runs_its_own_script_and_style_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    """The policy names both by digest; there is no address in the page but data:."""
    page = render(review(tmp_path, [(canvas(), [], [])]), "x").decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for name in ("style", "script"):
        (body,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        sum_ = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{sum_}'" in policy[1]
    assert "unsafe" not in policy[1]
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", page)
    assert "Do not share this page" in page


def test_the_page_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    """0700 and 0600, also if the folder was there; a second review may replace the first."""
    folder = tmp_path / "check"
    folder.mkdir(mode=0o755)
    found = review(tmp_path, [(canvas(), [], [])])
    for _ in range(2):
        check_folder(folder, tmp_path / "film", tmp_path / "dest")
        path = write(found, folder, "x")
        assert path == folder / PAGE
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}
    assert (folder / ".gitignore").read_text().splitlines()[-1] == "*"


@pytest.mark.parametrize(
    ("folder", "source", "dest"),
    [
        ("out", "in", "out"),
        ("out/check", "in", "out"),
        (".", "in", "out"),
        ("in", "in", "out"),
        ("in/check", "in", "out"),
        ("link/check", "in", "out"),
        ("full", "in", "out"),
        ("film", "in", "out"),
        ("there/check", "film", "there"),
        ("there", "film", "there/b.mp4"),
        ("check", "film", "check"),
    ],
)
def test_the_review_has_a_folder_of_its_own(
    tmp_path: Path, folder: str, source: str, dest: str
) -> None:
    """Not in what is shared, not in the originals, not among files that are not its own."""
    for name in ("in", "full", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "film").touch()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(InputError):
        check_folder(tmp_path / folder, tmp_path / source, tmp_path / dest)


def test_a_review_beside_a_single_result_is_fine(tmp_path: Path) -> None:
    """film.mp4 into safe.mp4, with the review in a folder next to both."""
    (tmp_path / "film").touch()
    check_folder(tmp_path / "check", tmp_path / "film", tmp_path / "safe.mp4")


@pytest.mark.parametrize("turns", range(4))
def test_boxes_turn_with_their_pictures(turns: int) -> None:
    """A camera on its side: its pictures are shown upright, and boxes lie on what they were."""
    image = canvas(96, 64, [(10, 20, 30, 8)])
    upright = np.rot90(image, turns)
    box = turned(Box(10, 20, 30, 8, "face", 0.5), turns, 96, 64)
    part = upright[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)]
    assert (part == RED).all()
    assert red_pixels(part) == 240


def test_a_faulty_file_leaves_nothing_on_the_page(tmp_path: Path) -> None:
    """It has no output, so there is nothing to correct."""
    reviewing = Reviewing()
    reviewing.begin([File("a", tmp_path / "a", 2)], digest(b""))

    def fail() -> None:
        with reviewing.file("a") as edit:
            edit(frame(canvas()), [cover((10, 10, 20, 20), 0)], [])
            raise InputError("cut off")

    with pytest.raises(InputError, match="cut off"):
        fail()
    found = reviewing.findings()
    assert (found.films, found.stills, found.questions.covered) == ({}, [], [])
