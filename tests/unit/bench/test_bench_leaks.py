# SPDX-License-Identifier: Apache-2.0
"""The leak metrics see what leaks: each is shown a planted leak, and its absence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.redaction import leaks

SHAPE = (100, 200)


def film(
    sights: list[list[float]],
    kind: str = "face",
    hidden: Mapping[str, Sequence[Sequence[float]]] | None = None,
) -> dict[str, Any]:
    """A film of 200 x 100 with one track; a sight is frame, x, y, w, h."""
    rows = [[*sight, 0.0, 0.0] for sight in sights]
    return {
        "film": "a.mp4", "width": 200, "height": 100, "frames": 10, "rate": 25, "light": "day",
        "hidden": hidden or {},
        "tracks": [{"track": 0, "kind": kind, "style": "pass", "cut": "", "sights": rows}],
    }  # fmt: skip


def still(count: int = 10) -> list[list[float]]:
    """A face of 40 x 40 that stays where it is."""
    return [[frame, 50, 30, 40, 40] for frame in range(count)]


def test_a_track_that_is_covered_in_every_frame_has_no_leak() -> None:
    """The whole of the face under one box, or under two halves."""
    boxes = {frame: [(45, 25, 50, 50)] for frame in range(10)}
    boxes[3] = [(50, 30, 20, 40), (70, 30, 20, 40)]
    (result,) = leaks.judged(film(still()), boxes)
    assert result.leaked == []
    assert result.frames == list(range(10))
    assert leaks.summary([result])["face"]["tracks_without_leak"] == 1.0


def test_a_single_bare_frame_is_a_leak_of_the_whole_track() -> None:
    """One frame without a box: one frame of ten leaks, and no track is without."""
    boxes = {frame: [(45, 25, 50, 50)] for frame in range(10) if frame != 6}
    (result,) = leaks.judged(film(still()), boxes)
    assert result.leaked == [6]
    told = leaks.summary([result])["face"]
    assert told["frames_leaked"] == 0.1
    assert told["tracks_without_leak"] == 0.0


@pytest.mark.parametrize(("width", "leaked"), [(32, 0), (31, 10)])
def test_eighty_per_cent_of_the_box_must_be_covered(width: int, leaked: int) -> None:
    """32 of 40 columns are enough, 31 are not."""
    boxes = {frame: [(50, 30, width, 40)] for frame in range(10)}
    (result,) = leaks.judged(film(still()), boxes)
    assert len(result.leaked) == leaked


@pytest.mark.parametrize(
    ("kind", "box", "counts"),
    [
        ("face", (50, 30, 32, 40), True),
        ("face", (50, 30, 31, 60), False),
        ("plate", (50, 30, 60, 16), True),
        ("plate", (50, 30, 60, 15), False),
    ],
)
def test_only_what_is_large_enough_counts(kind: str, box: tuple[float, ...], counts: bool) -> None:
    """Faces by their short side, plates by their height."""
    one = film([[frame, *box] for frame in range(5)], kind)
    assert bool(leaks.judged(one, {})) is counts


def test_what_stands_in_front_need_not_be_covered() -> None:
    """A pole over a quarter of the face: covering the other three quarters is enough."""
    hidden = {str(frame): [[50, 0, 10, 100]] for frame in range(10)}
    boxes = {frame: [(60, 30, 30, 40)] for frame in range(10)}
    (covered,) = leaks.judged(film(still(), hidden=hidden), boxes)
    assert covered.leaked == []
    assert "occluded" in covered.tags
    (bare,) = leaks.judged(film(still()), boxes)
    assert len(bare.leaked) == 10


def test_a_face_mostly_hidden_does_not_count() -> None:
    """Behind a pole that leaves less than half of it visible."""
    hidden = {str(frame): [[50, 0, 21, 100]] for frame in range(10)}
    assert leaks.judged(film(still(), hidden=hidden), {}) == []


def test_frames_cut_off_by_the_border_are_told_apart() -> None:
    """Three frames inside, two half outside: the latter are no leak of the track."""
    sights: list[list[float]] = [[f, 0, 30, 40, 40] for f in range(3)]
    sights += [[f, -15, 30, 40, 40] for f in (3, 4)]
    boxes = {f: [(0, 30, 40, 40)] for f in range(3)}
    (result,) = leaks.judged(film(sights), boxes)
    assert result.leaked == []
    assert result.border == [0.0, 0.0]
    assert leaks.summary([result])["face"]["border"] == {"frames": 2, "leaked": 1.0}


def test_false_area_is_what_is_covered_beside_all_objects() -> None:
    """A box of 10 x 10 far away is false; one on the face is not, however often it is covered."""
    one = film(still(1))
    assert leaks.false_area(one, {0: [(50, 30, 40, 40), (50, 30, 45, 40)]}) == (0, 200_000)
    assert leaks.false_area(one, {0: [(0, 0, 10, 10), (5, 0, 10, 10)]}) == (150, 200_000)
    assert leaks.false_area(one, {0: [(0, 0, 10, 10)]}, {0: [(0, 0, 10, 5)]}) == (50, 200_000)
    # Just outside the grown object, and away from it.
    assert leaks.false_area(one, {0: [(100, 30, 10, 10)]}) == (100, 200_000)
    assert leaks.false_area(one, {0: [(100, 30, 10, 10)]}, margin=leaks.AWAY) == (0, 200_000)
    # After the object is gone, a box left where it was is false.
    assert leaks.false_area(one, {1: [(50, 30, 40, 40)]}) == (1600, 200_000)


def test_shares_are_grouped_by_what_makes_a_track_hard() -> None:
    """Size, light, way and length are told for each track and summed up."""
    (result,) = leaks.judged(film(still()), {})
    assert set(result.tags) == {"32-48 px", "day", "pass", "short"}
    by = leaks.summary([result])["face"]["by"]
    assert by["short"] == {"tracks": 1, "without_leak": 0.0}
