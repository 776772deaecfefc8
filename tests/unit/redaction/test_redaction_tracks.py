# SPDX-License-Identifier: Apache-2.0
"""Tracks fill what a detector missed, and stay silent about what it imagined."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from incamera.recording.model import Box
from incamera.redaction.model import Cover
from incamera.redaction.policy import Pace, Policy
from incamera.redaction.tracks import Tracker

LOOSE = Policy()
EXACT = Policy(
    face=dataclasses.replace(LOOSE.face, growth=0),
    plate=dataclasses.replace(LOOSE.plate, growth=0),
    margin=0,
    drift=0,
    stray=0,
)
PACE = Pace(stride=1, reach=8, hold=4, carry=6, ahead=12, step=0.04)
Sights = Sequence[Box] | None


def face(x: float, y: float = 50, score: float = 0.9, size: float = 20) -> Box:
    return Box(x, y, size, size, "face", score)


def follow(sights: Sequence[Sights], pace: Pace = PACE) -> list[list[Cover]]:
    """What is destroyed in each frame, given what is detected in each, as a stream would."""
    tracker, settled = Tracker(EXACT, pace), []
    for number, boxes in enumerate(sights):
        tracker.see(boxes)
        if number >= pace.ahead:
            settled.append(tracker.settle())
    while len(settled) < len(sights):
        settled.append(tracker.settle())
    return settled


def test_what_is_seen_in_every_frame_is_covered_where_it_is_seen() -> None:
    """One track, every box as detected."""
    covers = follow([[face(10 + 4 * i)] for i in range(40)])
    assert [[c.box.x for c in each] for each in covers] == [[10 + 4 * i] for i in range(40)]
    assert {c.track for each in covers for c in each} == {0}
    assert {c.box.via for each in covers for c in each} == {"detected"}


def test_a_gap_is_filled_on_a_straight_line() -> None:
    """Seven frames unseen lie between two sights of the same face."""
    sights: list[Sights] = [[face(10 + 4 * i)] for i in range(40)]
    sights[15:22] = [[]] * 7
    covers = follow(sights)
    assert [each[0].box.x for each in covers] == [10 + 4 * i for i in range(40)]
    assert {each[0].box.via for each in covers[15:22]} == {"tracked"}
    assert {each[0].track for each in covers} == {0}


def test_a_face_is_covered_before_its_first_and_after_its_last_sight() -> None:
    """Hold: four frames each way, moving on as it moved."""
    sights: list[Sights] = [[face(100 + 3 * i)] for i in range(10)]
    sights = [[]] * 20 + sights + [[]] * 20
    covers = follow(sights)
    covered = [i for i, each in enumerate(covers) if each]
    assert covered == list(range(16, 34))
    assert covers[16][0].box.x == 100 - 12
    assert covers[33][0].box.x == 127 + 12


def test_a_single_sure_sight_is_covered() -> None:
    """Recall first: one detection of a high score needs no proof."""
    covers = follow([[]] * 20 + [[face(50, score=0.5)]] + [[]] * 20)
    assert [i for i, each in enumerate(covers) if each] == list(range(16, 25))


def test_unsure_sights_that_nothing_confirms_are_noise() -> None:
    """Weak detections that jump about are left alone."""
    sights = [[face(37 * i % 600, 53 * i % 400, score=0.25)] for i in range(60)]
    assert not any(follow(sights))


def test_unsure_sights_that_move_along_confirm_each_other_back_to_the_first() -> None:
    """Five weak detections on one path are a face, and were one from the start."""
    sights: list[Sights] = [[face(50 + 5 * i, score=0.28)] for i in range(5)]
    sights = [[]] * 10 + sights + [[]] * 10
    covers = follow(sights)
    assert [i for i, each in enumerate(covers) if each] == list(range(6, 19))


def test_unsure_sights_far_apart_prove_little() -> None:
    """A weak detection every eighth frame on one spot stays what it is."""
    assert not any(follow([[face(50, score=0.28)] if i % 8 == 0 else [] for i in range(200)]))


def test_below_the_lowest_score_nothing_counts() -> None:
    """The detector's whispers are not summed up."""
    assert not any(follow([[face(50, score=0.1)]] * 50))


def test_two_faces_that_meet_keep_their_tracks() -> None:
    """Assignment is optimal over all pairs, with prediction: crossing paths do not swap."""
    sights = [[face(100 + 6 * i, 40), face(340 - 6 * i, 60)] for i in range(41)]
    covers = follow(sights)
    for each in covers:
        assert len(each) == 2
    first = [c.box.y for each in covers for c in each if c.track == 0]
    assert set(first) == {40}


def test_a_face_never_becomes_a_plate() -> None:
    """Kinds do not mix in a track."""
    plate = dataclasses.replace(face(10), kind="plate")
    covers = follow([[face(10)], [plate]] * 10)
    assert {c.track for each in covers for c in each if c.box.kind == "face"} == {0}
    assert {c.track for each in covers for c in each if c.box.kind == "plate"} == {1}


def test_lost_for_longer_than_the_gap_is_lost() -> None:
    """After too long a new track begins; nothing is invented in between."""
    covers = follow([[face(50)]] * 5 + [[]] * 30 + [[face(50)]] * 5)
    assert not any(covers[10:30])
    assert {c.track for each in covers for c in each} == {0, 1}


def test_with_a_stride_the_frames_between_are_filled() -> None:
    """Looking at every third frame, each frame is still covered."""
    pace = dataclasses.replace(PACE, stride=3, ahead=18)
    sights: list[Sights] = [[face(10 + 2 * i)] if i % 3 == 0 else None for i in range(40)]
    covers = follow(sights, pace)
    assert [each[0].box.x for each in covers] == [10 + 2 * i for i in range(40)]


def test_boxes_grow_by_kind_and_by_distance() -> None:
    """Faces by 30 %, plates by 20 %, each at least a pixel a side, more away from a sight."""
    policy = Policy()
    grown = policy.grown(Box(100, 100, 40, 20, "face", 1))
    assert (grown.x, grown.y, grown.w, grown.h) == (94, 97, 52, 26)
    plate = policy.grown(Box(100, 100, 40, 20, "plate", 1))
    assert (plate.x, plate.y, plate.w, plate.h) == (96, 98, 48, 24)
    tiny = policy.grown(Box(100, 100, 4, 4, "plate", 1))
    assert (tiny.x, tiny.w) == (99, 6)
    assert policy.grown(Box(100, 100, 40, 20, "face", 1), doubt=0.1).w > grown.w


def test_memory_stays_flat_over_a_long_drive() -> None:
    """Ten thousand frames leave no more behind than a hundred."""
    tracker = Tracker(EXACT, PACE)
    for number in range(10_000):
        tracker.see([face(number % 500), face(37 * number % 900, 300, score=0.3)])
        if number >= PACE.ahead:
            tracker.settle()
    assert len(tracker._tracks) < 60
    assert max(len(track.places) for track in tracker._tracks) < 40


def test_a_large_box_is_proven_by_a_sure_sight_only() -> None:
    """Doubtful sights that fill the picture never add up; one sure sight covers all of them."""
    doubtful = [[face(50, score=0.3, size=40)] for _ in range(30)]
    sure = [*doubtful[:15], [face(50, score=0.6, size=40)], *doubtful[15:]]

    def covered(sights: Sequence[Sights]) -> int:
        tracker = Tracker(EXACT, PACE, area=200 * 200)
        for boxes in sights:
            tracker.see(boxes)
        return sum(bool(tracker.settle()) for _ in sights)

    assert covered(doubtful) == 0
    assert covered(sure) == len(sure)
