# SPDX-License-Identifier: Apache-2.0
"""Which frames are looked at, and that nothing else decides what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from incamera.recording.model import Box, Frame
from incamera.redaction import Policy, Redactor
from redacting import RED, Colours, canvas, frame, red_pixels, walk

NOISE = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
TEXTURE = np.asarray(cv2.GaussianBlur(NOISE, (0, 0), 2), np.uint8)


class Noting(Colours):
    """Remembers the brightness of the upper left pixel of what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[int] = []

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """As ever."""
        self.shown.append(round(image.mean()))
        return super().detect(image)


def numbered(count: int, rate: float = 30.0) -> Iterator[Frame]:
    """Grey frames, each a little brighter, so many a second."""
    yield from timed((np.full((32, 48, 3), n * 2 + 1, np.uint8) for n in range(count)), rate)


def timed(images: Iterable[NDArray[np.uint8]], rate: float) -> Iterator[Frame]:
    """So many a second."""
    for number, image in enumerate(images):
        yield replace(frame(image, number), time=number / rate)


def street(count: int, seed: int = 0) -> list[Frame]:
    """A textured street with a red face that trembles through it."""
    rng = np.random.default_rng(seed)
    out, x, y = [], 20.0, 60.0
    for number in range(count):
        image = TEXTURE.copy()
        image[round(y) : round(y) + 24, round(x) : round(x) + 20] = RED
        image[round(y) + 8 : round(y) + 12, round(x) + 5 : round(x) + 15] = (160, 10, 10)
        out.append(frame(image, number))
        x, y = x + 4 + rng.uniform(-2, 2), y + rng.uniform(-2, 2)
    return out


@pytest.mark.parametrize(("rate", "stride"), [(2, 1), (8, 1), (30, 5), (36, 6), (120, 18)])
def test_as_many_looks_a_second_at_every_rate(rate: int, stride: int) -> None:
    """A fast camera's frames are not looked at more often than a slow one's."""
    detector = Noting()
    list(Redactor([detector], threads=1).redact(numbered(100, rate)))
    assert [shown // 2 for shown in detector.shown] == [*range(0, 99, stride), 99]


def test_where_two_looks_differ_the_frame_midway_is_looked_at() -> None:
    """Somebody came between two looks: once more is looked, and only there."""
    bright = [np.full((64, 96, 3), number * 2 + 1, np.uint8) for number in range(41)]
    for image in bright[17:]:
        image[20:40, 40:56] = RED
    detector = Noting()
    done = list(Redactor([detector], threads=1).redact(timed(bright, 30.0)))
    assert len(detector.shown) == 10  # every fifth, and one more
    assert next(each.index for each in done if each.boxes) <= 17
    assert all(each.boxes for each in done[17:])


def test_the_last_frame_is_looked_at() -> None:
    """Who is there only after the last regular look is seen all the same."""
    images = [canvas() for _ in range(22)] + [canvas(patches=[(30, 20, 16, 20)]) for _ in range(2)]
    done = list(Redactor([Colours()]).redact(frame(i, n) for n, i in enumerate(images)))
    assert all(done[number].boxes for number in (22, 23))


def test_a_scene_shorter_than_a_stride_is_looked_at() -> None:
    """Both sides of a cut are: somebody shown for two frames between two of them is covered."""
    dark = np.zeros((64, 96, 3), np.uint8)
    face = canvas(patches=[(30, 20, 16, 20)])
    images = [dark] * 13 + [face] * 2 + [dark] * 13
    done = list(Redactor([Colours()]).redact(frame(i, n) for n, i in enumerate(images)))
    for number in (13, 14):
        colours = np.asarray(done[number].picture.to_ndarray(format="rgb24"), np.uint8)
        assert red_pixels(colours) == 0


def test_a_trembling_face_is_covered_between_the_looks() -> None:
    """Each frame, though one of four is looked at."""
    for each in Redactor([Colours()]).redact(street(60)):
        assert red_pixels(np.asarray(each.picture.to_ndarray(format="rgb24"), np.uint8)) == 0


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_is_destroyed_does_not_depend_on_the_number_of_threads(threads: int) -> None:
    """The same boxes, whoever looked first."""

    def boxes(redactor: Redactor) -> list[Sequence[Box]]:
        return [each.boxes for each in redactor.redact(street(40, seed=3))]

    assert boxes(Redactor([Colours()], threads=threads)) == boxes(Redactor([Colours()], threads=3))


@pytest.mark.parametrize("count", [1, 2, 8, 9, 10])
def test_streams_too_short_to_have_a_pace_come_out_whole(count: int) -> None:
    """One frame is a stream, too."""
    done = list(Redactor([Colours()]).redact(walk(count)))
    assert [each.index for each in done] == list(range(count))
    assert all(each.boxes for each in done)


def test_times_that_stand_still_or_fall_do_no_harm() -> None:
    """Some phones' files have them: the usual rate is taken."""
    same = [replace(each, time=0.0) for each in walk(30)]
    fallen = [replace(each, time=-each.time) for each in walk(30)]
    for frames in (same, fallen):
        done = list(Redactor([Colours()]).redact(frames))
        assert [each.index for each in done] == list(range(30))
        assert all(each.boxes for each in done)
    assert Policy().pace([0.0, 0.0, 0.0]) == Policy().pace()


def test_frames_held_are_bounded_at_any_rate() -> None:
    """A camera of a thousand frames a second fills no memory."""
    for rate in (1, 10, 36, 240, 1000):
        pace = Policy().pace([i / rate for i in range(9)])
        assert pace.ahead + 6 * pace.stride <= 200
        assert pace.ahead >= pace.reach + pace.stride
