# SPDX-License-Identifier: Apache-2.0
"""The stream: every frame comes out once, in order, redacted, or the whole stream fails."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from incamera.errors import InputError, UnavailableError
from incamera.recording.model import Box, Frame, RedactedFrame
from incamera.redaction import Policy, Redactor
from incamera.redaction.detectors import look, look_closely
from redacting import Broken, Colours, canvas, frame, red_pixels, walk


def colours(done: RedactedFrame) -> NDArray[np.uint8]:
    return np.asarray(done.picture.to_ndarray(format="rgb24"), np.uint8)


def test_every_frame_comes_out_once_in_order_and_redacted() -> None:
    """A face that walks through is covered in each of its frames."""
    done = list(Redactor([Colours()]).redact(walk(25)))
    assert [each.index for each in done] == list(range(25))
    assert [each.pts for each in done] == list(range(25))
    assert all(len(each.boxes) == 1 for each in done)
    assert max(red_pixels(colours(each)) for each in done) == 0


def test_what_the_detector_missed_is_covered_all_the_same() -> None:
    """A look in which it goes unseen, and no flicker."""

    class Blinking(Colours):
        def detect(self, image: NDArray[np.uint8]) -> list[Box]:
            boxes = super().detect(image)
            return boxes if not boxes or int(boxes[0].x) % 5 else []

    done = list(Redactor([Blinking()]).redact(walk(25)))
    assert {box.via for each in done for box in each.boxes} == {"detected", "tracked"}
    assert max(red_pixels(colours(each)) for each in done) == 0


def test_fewer_looks_cover_as_much() -> None:
    """Of every three frames one is looked at."""

    class Counting(Colours):
        looks = 0

        def detect(self, image: NDArray[np.uint8]) -> list[Box]:
            self.looks += 1
            return super().detect(image)

    detector = Counting()
    redactor = Redactor([detector], policy=Policy(looks=25 / 3), threads=1)
    done = list(redactor.redact(walk(26)))
    assert detector.looks == 10  # every third, and the last
    assert max(red_pixels(colours(each)) for each in done) == 0


def test_cameras_may_be_mixed_and_are_followed_apart() -> None:
    """Tracks of one camera know nothing of another's."""

    def mixed() -> Iterator[Frame]:
        for number, each in enumerate(walk(20)):
            yield each
            yield dataclasses.replace(frame(canvas(), number), camera="back")

    done = list(Redactor([Colours()]).redact(mixed()))
    for camera, boxes in (("front", 1), ("back", 0)):
        lane = [each for each in done if each.camera == camera]
        assert [each.index for each in lane] == list(range(20))
        assert all(len(each.boxes) == boxes for each in lane)


@pytest.mark.parametrize("at", [0, 1, 15])
def test_a_failing_detector_fails_the_stream(at: int) -> None:
    """No frame passes that was not looked at, whatever the runtime raised."""
    with pytest.raises(UnavailableError, match="detector failed"):
        list(Redactor([Colours(), Broken(at)]).redact(walk(60)))


def test_a_failing_decoder_fails_the_stream() -> None:
    """The reader's error comes through as it is."""

    def cut() -> Iterator[Frame]:
        yield from walk(5)
        raise InputError("frame 5 cannot be decoded")

    with pytest.raises(InputError, match="frame 5"):
        list(Redactor([Colours()]).redact(cut()))


def test_a_stream_that_is_left_leaves_no_thread_behind() -> None:
    """Closing the generator stops its workers."""
    before = threading.active_count()
    stream = Redactor([Colours()]).redact(walk(200))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_few_frames_are_held_however_long_the_stream() -> None:
    """Memory is bounded by the look-ahead, not by the drive."""
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for each in walk(200, step=0):
            taken += 1
            yield each

    redactor = Redactor([Colours()])
    most = 0
    for given, _ in enumerate(redactor.redact(counted())):
        most = max(most, taken - given)
    pace = redactor.policy.pace([i / 25 for i in range(9)])
    assert most <= pace.ahead + (redactor.threads + 4) * pace.stride + 2


def test_without_a_detector_nothing_runs() -> None:
    """An empty list is a mistake, not a wish."""
    with pytest.raises(UnavailableError):
        Redactor([])


def test_models_are_named_by_their_digests() -> None:
    """What looked at the frames stands in the capsule's header."""
    assert Redactor([Colours(), Colours()]).models() == [Colours.digest]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_camera_on_its_side_is_looked_at_upright(turns: int) -> None:
    """Boxes come back where they lie in the stored picture."""

    class Upright(Colours):
        def detect(self, image: NDArray[np.uint8]) -> list[Box]:
            assert image.shape[:2] == ((64, 96) if turns % 2 == 0 else (96, 64))
            return super().detect(image)

    stored = canvas(patches=[(10, 20, 16, 24)])

    class Turned:
        def __init__(self, real: object) -> None:
            self.real = real
            self.rotation = 90 * turns if turns < 3 else -90

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    lying = frame(stored)
    lying.picture = Turned(lying.picture)  # type: ignore[assignment]
    (box,) = Redactor([Upright()])._look(lying)
    assert abs(box.x - 10) <= 2
    assert abs(box.y - 20) <= 2
    assert abs(box.w - 16) <= 2
    assert abs(box.h - 24) <= 2


@pytest.mark.parametrize("size", [(200, 150), (1280, 700), (1281, 700), (3000, 2200)])
def test_a_picture_alone_is_looked_at_closely_at_any_size(size: tuple[int, int]) -> None:
    """Enlarged or in tiles, patches in corners and on seams are found in their place."""
    width, height = size
    spots = [(2, 2), (width - 30, height - 32), (width // 2 - 9, height // 2 - 11)]
    image = canvas(width, height, patches=[(x, y, 24, 28) for x, y in spots])
    boxes = look_closely([Colours()], image)
    for x, y in spots:
        assert any(abs(b.x - x) <= 1 and abs(b.y - y) <= 1 and b.w >= 22 for b in boxes), (x, y)


def test_two_detectors_that_agree_make_one_box() -> None:
    """The surer of two boxes of a kind on one spot stays."""
    boxes = look([Colours(0.5), Colours(0.8)], canvas(patches=[(10, 10, 20, 20)]))
    assert [box.score for box in boxes] == [0.8]


def test_a_still_is_judged_by_its_own_threshold() -> None:
    """No track can confirm what one picture shows: a lower score is enough than for a video."""
    least = Policy().face.still
    still = frame(canvas(patches=[(10, 10, 20, 20)]), layout="rgb24")
    assert len(Redactor([Colours(least)]).still(still).boxes) == 1
    assert len(Redactor([Colours(least - 0.01)]).still(still).boxes) == 0


def test_time_bases_pass_through() -> None:
    """Whatever clock the source has, the redacted frame has."""
    odd = dataclasses.replace(frame(canvas()), pts=90090, time_base=Fraction(1, 90000))
    (done,) = Redactor([Colours()]).redact([odd])
    assert (done.pts, done.time_base) == (90090, Fraction(1, 90000))
