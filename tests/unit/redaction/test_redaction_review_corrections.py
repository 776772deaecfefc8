# SPDX-License-Identifier: Apache-2.0
"""Corrections: read strictly, bound to their films, applied to the boxes that were meant."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Error, InputError
from incamera.ids import digest
from incamera.recording.model import Box
from incamera.redaction.model import Cover
from incamera.redaction.review import Amending, File, read_corrections
from incamera.redaction.review.corrections import parse_corrections
from incamera.redaction.review.course import Course, Key, overlap, within
from redacting import canvas, frame

FILM = b"a film"
SETTINGS = digest(b"settings")


def box(number: int, x: float = 10, y: float = 10, w: float = 20, h: float = 20) -> dict[str, Any]:
    return {"frame": number, "x": x, "y": y, "w": w, "h": h}


def mark(*boxes: dict[str, Any], kind: str = "face", source: str = "a.mp4") -> dict[str, Any]:
    return {"source": source, "kind": kind, "boxes": list(boxes)}


def said(**more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "settings": SETTINGS,
        "sources": {"a.mp4": digest(FILM)},
        "remove": [],
        "add": [],
    } | more


def parse(value: object) -> Any:
    return parse_corrections(json.dumps(value).encode(), "c.json")


def cover(x: float, y: float = 10, kind: str = "face", track: int = 0) -> Cover:
    return Cover(Box(x, y, 20, 20, kind, 0.5), track)  # type: ignore[arg-type]


def amend(value: dict[str, Any], frames: list[list[Cover]]) -> tuple[list[list[Cover]], Amending]:
    """What is left to destroy in each frame of a.mp4."""
    amending = Amending(parse(value))
    with amending.file("a.mp4") as edit:
        left = [
            list(edit(frame(canvas(), number), covers, [])) for number, covers in enumerate(frames)
        ]
    return left, amending


def test_a_course_is_straight_between_its_keys_and_nowhere_else() -> None:
    """Before the first key and after the last there is no box."""
    course = Course((Key(10, 0, 0, 10, 10), Key(20, 100, 50, 20, 30)))
    assert course.at(15) == Key(15, 50, 25, 15, 20)
    assert course.at(10) == course.keys[0]
    assert course.at(20) == course.keys[1]
    assert course.at(9) is None
    assert course.at(21) is None
    assert Course((Key(3, 1, 2, 3, 4),)).at(3) == Key(3, 1, 2, 3, 4)


@given(
    st.lists(
        st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(1, 300)] * 2), min_size=1, max_size=40
    )
)
def test_few_keys_tell_where_every_box_was(boxes: list[tuple[float, float, float, float]]) -> None:
    """A course overlaps every box it was made through, however wildly they jump."""
    keys = [Key(3 + 2 * number, *each) for number, each in enumerate(boxes)]
    course = Course.through(keys)
    assert set(course.keys) <= set(keys)
    for key in keys:
        there = course.at(key.frame)
        assert there is not None
        assert overlap(there, key) > 0.8


def test_a_steady_walk_needs_two_keys() -> None:
    """A thousand boxes on a line are told by its ends."""
    keys = [Key(n, 3.0 * n, 7.0, 40.0 + n / 10, 50.0) for n in range(1000)]
    assert len(Course.through(keys).keys) == 2


def test_overlap_and_containment() -> None:
    """Half of a box within another; none; the same."""
    a, b = Key(0, 0, 0, 10, 10), Key(0, 5, 0, 10, 10)
    assert overlap(a, b) == pytest.approx(1 / 3)
    assert within(a, b) == pytest.approx(0.5)
    assert overlap(a, a) == 1
    assert overlap(a, Key(0, 10, 0, 5, 5)) == 0


def test_corrections_are_read_as_they_were_saved(tmp_path: Path) -> None:
    """All fields arrive; white space and order make no other digest, a pixel does."""
    value = said(remove=[mark(box(2), box(9))], add=[mark(box(0), kind="plate")])
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps(value, indent=1))
    found = read_corrections(path)
    assert found.settings == SETTINGS
    assert found.sources == {"a.mp4": digest(FILM)}
    assert found.remove[0].course.last == 9
    assert found.add[0].kind == "plate"
    assert parse(dict(reversed(value.items()))).digest == found.digest
    value["add"][0]["boxes"][0]["x"] += 1
    assert parse(value).digest != found.digest


def test_a_name_that_is_not_unicode_is_kept() -> None:
    """File names are bytes; a lone surrogate stands for one that is no UTF-8."""
    name = "b\udcff.mp4"
    found = parse(said(sources={name: digest(FILM)}, add=[mark(box(0), source=name)]))
    assert found.add[0].source == name


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.update(more=1), "unknown more"),
        (lambda v: v.pop("add"), "missing add"),
        (lambda v: v.update(version=2), "version"),
        (lambda v: v.update(version=True), "version"),
        (lambda v: v.update(settings="ab"), "settings"),
        (lambda v: v.update(sources={}), "sources"),
        (lambda v: v.update(sources={"a.mp4": "AB" * 32}), "sources"),
        (lambda v: v.update(remove={}), "list"),
        (lambda v: v["remove"][0].update(note="x"), "unknown note"),
        (lambda v: v["remove"][0].update(source="b.mp4"), "not among"),
        (lambda v: v["remove"][0].update(kind="dog"), "face or plate"),
        (lambda v: v["remove"][0].update(kind=["face"]), "face or plate"),
        (lambda v: v["remove"][0].update(boxes=[]), "one at least"),
        (lambda v: v["remove"][0].update(boxes=[box(3), box(3)]), "order"),
        (lambda v: v["remove"][0].update(boxes=[box(4), box(3)]), "order"),
        (lambda v: v["remove"][0]["boxes"][0].update(frame=1.0), "frame"),
        (lambda v: v["remove"][0]["boxes"][0].update(frame=-1), "frame"),
        (lambda v: v["remove"][0]["boxes"][0].update(frame=2**40), "frame"),
        (lambda v: v["remove"][0]["boxes"][0].update(w=0), "empty"),
        (lambda v: v["remove"][0]["boxes"][0].update(x="1"), "number"),
        (lambda v: v["remove"][0]["boxes"][0].update(x=True), "number"),
        (lambda v: v["remove"][0]["boxes"][0].update(x=1e300), "number"),
        (lambda v: v["remove"][0]["boxes"][0].update(z=1), "unknown z"),
    ],
)
def test_what_is_not_exactly_in_the_format_is_refused(change: Change, told: str) -> None:
    """Unknown fields, other types, empty boxes, frames out of order: each is named."""
    value = copy.deepcopy(said(remove=[mark(box(2), box(9))]))
    change(value)
    with pytest.raises(InputError, match=told):
        parse(value)


@given(st.data())
def test_mangled_corrections_are_our_error_or_a_value(data: st.DataObject) -> None:
    """No byte string leaves the reader as another kind of error."""
    good = json.dumps(said(remove=[mark(box(2), box(9))])).encode()
    at = data.draw(st.integers(0, len(good) - 1))
    more = data.draw(st.binary(max_size=4))
    try:
        parse_corrections(good[:at] + more + good[at + 1 :], "c.json")
    except Error as error:
        assert isinstance(error, InputError)  # noqa: PT017 - or none at all


def test_corrections_of_another_film_are_refused(tmp_path: Path) -> None:
    """A file that changed, one that is gone, other models or thresholds: nothing is done."""
    path = tmp_path / "a.mp4"
    path.write_bytes(FILM)
    amending = Amending(parse(said()))
    amending.begin([File("a.mp4", path, 3)], SETTINGS)
    with pytest.raises(InputError, match="models"):
        amending.begin([File("a.mp4", path, 3)], digest(b"other"))
    with pytest.raises(InputError, match="is not in the source"):
        amending.begin([File("b.mp4", path, 3)], SETTINGS)
    path.write_bytes(FILM + b"!")
    with pytest.raises(InputError, match="SHA-256"):
        amending.begin([File("a.mp4", path, 3)], SETTINGS)


def test_the_track_that_was_meant_is_uncovered_and_no_other() -> None:
    """Another face, a plate at the same place, frames before and after stay destroyed."""
    frames = [
        [cover(10 + n, track=7), cover(60, track=8), cover(10 + n, kind="plate", track=9)]
        for n in range(6)
    ]
    left, amending = amend(said(remove=[mark(box(1, 11), box(4, 14))]), frames)
    assert [{c.track for c in covers} for covers in left] == [
        {7, 8, 9}, {8, 9}, {8, 9}, {8, 9}, {8, 9}, {7, 8, 9},
    ]  # fmt: skip
    assert amending.missed == []


def test_another_track_that_crosses_the_course_stays_destroyed() -> None:
    """Once a removal has met its track, a face that walks into its way is not uncovered."""
    frames = [[cover(10, track=1)], [cover(10, track=1), cover(12, track=2)], [cover(10, track=2)]]
    left, _ = amend(said(remove=[mark(box(0), box(2))]), frames)
    assert [{c.track for c in covers} for covers in left] == [set(), {2}, {2}]


def test_a_track_that_leaves_the_course_is_destroyed_again() -> None:
    """In doubt a box stays: the person has seen it elsewhere."""
    left, _ = amend(said(remove=[mark(box(0), box(2))]), [[cover(10)], [cover(40)], [cover(10)]])
    assert [len(covers) for covers in left] == [0, 1, 0]


def test_a_removal_that_meets_no_box_is_told() -> None:
    """Nothing is uncovered, and the person learns of it."""
    left, amending = amend(said(remove=[mark(box(0, 60))]), [[cover(10)]])
    assert len(left[0]) == 1
    assert amending.missed == ["a.mp4: no face to uncover was found from frame 0 on"]


def test_a_drawn_box_moves_from_key_to_key() -> None:
    """It is destroyed from its first to its last frame, under a number no track has."""
    value = said(add=[mark(box(1, 10), box(3, 30)), mark(box(2), kind="plate")])
    left, _ = amend(value, [[], [], [cover(50)], [], []])
    boxes = [[(c.box.x, c.box.kind, c.box.via, c.box.score) for c in covers] for covers in left]
    assert boxes == [
        [],
        [(10, "face", "detected", 1.0)],
        [(50, "face", "detected", 0.5), (20, "face", "tracked", 1.0), (10, "plate", "detected", 1)],
        [(30, "face", "detected", 1.0)],
        [],
    ]
    assert len({c.track for c in left[2]}) == 3


@pytest.mark.parametrize("way", ["add", "remove"])
def test_a_mark_beyond_the_end_is_refused(way: str) -> None:
    """A film of three frames has no frame 3."""
    with pytest.raises(InputError, match="reaches to frame 3"):
        amend(said(**{way: [mark(box(0), box(3))]}), [[cover(10)]] * 3)


def test_a_drawn_box_outside_of_the_picture_is_refused() -> None:
    """What was drawn elsewhere would hide nothing here."""
    with pytest.raises(InputError, match="outside"):
        amend(said(add=[mark(box(0, 500))]), [[]])


def test_the_digest_of_an_amending_is_that_of_its_corrections() -> None:
    """So a stopped run does not go on with files of other corrections."""
    one, two = parse(said()), parse(said(add=[mark(box(0))]))
    assert Amending(one).digest == one.digest != Amending(two).digest
