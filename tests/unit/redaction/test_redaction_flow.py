# SPDX-License-Identifier: Apache-2.0
"""Boxes follow what is in the pictures, and say so when they cannot."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from incamera.errors import InputError
from incamera.recording.model import Box
from incamera.redaction.flow import Luma, alike, follow
from incamera.redaction.policy import Policy
from incamera.redaction.tracks import Tracker

Grey = NDArray[np.uint8]
LAYOUTS = ["gray", "yuv420p", "yuvj420p", "yuv444p", "yuv420p10le", "nv12", "p010le", "rgb24"]


def texture(seed: int = 1, size: tuple[int, int] = (240, 320)) -> Grey:
    """Soft noise over the whole range of brightness."""
    noise = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray(cv2.normalize(soft, None, 16, 235, cv2.NORM_MINMAX), np.uint8)  # type: ignore[call-overload]


def pasted(patch: Grey, x: float, y: float, scale: float, behind: Grey) -> Grey:
    """``patch`` drawn with its corner at ``x, y``, so many times as large, over ``behind``."""
    size = (behind.shape[1], behind.shape[0])
    place = np.array([[scale, 0, x], [0, scale, y]], np.float32)
    over = cv2.warpAffine(patch, place, size)
    mask = cv2.warpAffine(np.full_like(patch, 255), place, size) > 127
    return np.where(mask, over, behind).astype(np.uint8)


def view(grey: Grey, layout: str = "gray") -> Luma:
    return Luma(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format=layout))


def box(x: float, y: float, w: float, h: float) -> Box:
    return Box(x, y, w, h, "face", 0.9)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-6, 6), st.floats(-6, 6), st.floats(0.95, 1.05), st.sampled_from([20, 36, 90]),
)  # fmt: skip
def test_a_box_follows_what_moves_and_grows(dx: float, dy: float, scale: float, side: int) -> None:
    """Over a street that stands still; to a twentieth of the box or half a pixel."""
    patch, street = texture(2, (side, side)), texture(3)
    before = view(pasted(patch, 100, 80, 1.0, street))
    after = view(pasted(patch, 100 + dx, 80 + dy, scale, street))
    (step,) = follow(before, after, [box(100, 80, side, side)], [(0, 0)])
    assert step is not None
    middle = dx + (scale - 1) * side / 2, dy + (scale - 1) * side / 2
    assert abs(step.dx - middle[0]) <= max(0.6, side / 20)
    assert abs(step.dy - middle[1]) <= max(0.6, side / 20)
    assert abs(step.scale - scale) < 0.05


def test_a_fast_box_is_found_where_it_is_expected() -> None:
    """Two sides a frame are too far to look for; a hint brings them near."""
    patch, street = texture(2, (24, 24)), texture(3)
    before, after = (view(pasted(patch, x, 80, 1.0, street)) for x in (60, 110))
    thing = box(60, 80, 24, 24)
    assert follow(before, after, [thing], [(0, 0)])[0] is None
    step = follow(before, after, [thing], [(47, 1)])[0]
    assert step is not None
    assert abs(step.dx - 50) < 0.6


def test_what_is_covered_up_is_not_followed() -> None:
    """Something else is there: nobody guesses."""
    before, after = view(texture(2)), view(texture(5))
    assert follow(before, after, [box(50, 50, 40, 40)], [(0, 0)]) == [None]


def test_many_boxes_are_followed_each_for_itself() -> None:
    """In one call, of all sizes, each its own way, and some beyond the edge."""
    street, ways = texture(3), [(3.0, 0.0), (0.0, -4.0), (-2.0, 2.0)]
    spots = [(20, 30, 24), (120, 100, 60), (240, 20, 16)]
    before, after = street, street
    for number, ((x, y, side), (dx, dy)) in enumerate(zip(spots, ways, strict=True)):
        patch = texture(10 + number, (side, side))
        before, after = pasted(patch, x, y, 1, before), pasted(patch, x + dx, y + dy, 1, after)
    boxes = [*(box(x, y, s, s) for x, y, s in spots), box(-500, 900, 20, 20)]
    steps = follow(view(before), view(after), boxes, [(0, 0)] * 4)
    assert steps[3] is None
    for step, (dx, dy) in zip(steps, ways, strict=False):
        assert step is not None
        assert abs(step.dx - dx) < 0.6
        assert abs(step.dy - dy) < 0.6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_brightness_is_read_from_every_format(layout: str) -> None:
    """Eight or ten bits, planes or packed: the way is the same."""
    street = texture(3)
    before, after = view(street, layout), view(np.roll(street, 3, axis=1), layout)
    (step,) = follow(before, after, [box(100, 80, 40, 40)], [(0, 0)])
    assert step is not None
    assert abs(step.dx - 3) < 0.2
    assert after.cut(before) is False
    assert view(texture(9), layout).cut(view(np.zeros_like(street), layout)) is True


def test_pixels_that_cannot_be_read_fail_the_film() -> None:
    """As an error about the input, not as one of a library."""

    class Opaque:
        def __init__(self, real: av.VideoFrame) -> None:
            self.format = real.format

        def reformat(self, **_: object) -> None:
            raise ValueError("no such conversion")

    packed = av.VideoFrame.from_ndarray(texture(), format="gray").reformat(format="bgr24")
    with pytest.raises(InputError, match="bgr24"):
        Luma(Opaque(packed))  # type: ignore[arg-type]


def test_patches_are_compared_by_structure_not_by_light() -> None:
    """The same thing in shade is alike, another is not, and two blank ones are if as bright."""
    thing, other = texture(2), texture(7)
    whole = box(40, 40, 60, 60)
    seen = view(thing).patch(whole)
    assert alike(seen, view((thing * 0.5).astype(np.uint8)).patch(whole)) > 0.98
    assert alike(seen, view(other).patch(whole)) < 0.5
    blank = [view(np.full((90, 90), v, np.uint8)).patch(box(0, 0, 60, 60)) for v in (200, 203, 90)]
    assert (alike(blank[0], blank[1]), alike(blank[0], blank[2])) == (1.0, 0.0)
    assert alike(seen, view(thing).patch(box(-50, 40, 60, 60))) == 0.0


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-4, 4), st.floats(-2, 2), st.floats(0.99, 1.01), st.integers(2, 6),
    st.integers(24, 50), st.integers(0, 10**6),
)  # fmt: skip
def test_a_face_seen_in_some_frames_is_covered_in_all(
    dx: float, dy: float, scale: float, stride: int, side: int, seed: int
) -> None:
    """It moves with a tremble no straight line knows of; its box contains it in every frame."""
    rng = np.random.default_rng(seed)
    patch, street = texture(2, (side, side)), texture(3)
    policy = Policy()
    pace = policy.pace([0.0, 1 / (policy.looks * stride)])
    tracker, truth, covers = Tracker(policy, pace), [], []
    x, y, size, count = 140.0, 90.0, float(side), 24
    for number in range(count):
        sight = box(x, y, size, size)
        grey = pasted(patch, x, y, size / side, street)
        tracker.see([sight] if number % pace.stride == 0 else None, view(grey))
        truth.append(sight)
        shake = rng.uniform(-1.5, 1.5, 2)
        x, y, size = x + dx + shake[0], y + dy + shake[1], size * scale
        if not (5 < x < 315 - size and 5 < y < 235 - size):
            dx, dy = -dx, -dy
            x, y = float(np.clip(x, 6, 314 - size)), float(np.clip(y, 6, 234 - size))
    covers = [tracker.settle() for _ in range(count)]
    for sight, cover in zip(truth, covers, strict=True):
        (one,) = {c.track: c.box for c in cover}.values()
        left, top = max(one.x, sight.x), max(one.y, sight.y)
        right = min(one.x + one.w, sight.x + sight.w)
        below = min(one.y + one.h, sight.y + sight.h)
        assert (right - left) * (below - top) >= 0.95 * sight.w * sight.h
