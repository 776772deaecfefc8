# SPDX-License-Identifier: Apache-2.0
"""A second look at doubtful places: laid out side by side, and found again in the picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from incamera.redaction.again import Canvas, places

BOX = st.tuples(st.floats(-5, 630), st.floats(-5, 470), st.floats(2, 60), st.floats(2, 60))


@given(st.lists(BOX, min_size=1, max_size=12))
def test_what_is_shown_again_comes_back_to_its_place(boxes: list[tuple[float, ...]]) -> None:
    """From the picture to the canvas and back, no box moves by more than a pixel's rounding."""
    rows = np.array(boxes)
    image = np.zeros((480, 640, 3), np.uint8)
    chosen = places(rows, (640, 480), 12)
    assert chosen
    canvas = Canvas(image, chosen)
    for place, (left, top) in zip(canvas.places, canvas._corners, strict=True):
        x, y = place.x + place.w / 4, place.y + place.h / 4
        shown = np.array(
            [
                [
                    left + (x - place.x) * place.zoom,
                    top + (y - place.y) * place.zoom,
                    place.w / 2 * place.zoom,
                    place.h / 2 * place.zoom,
                ]
            ]
        )
        back, inside = canvas.back(shown)
        assert inside.all()
        assert np.allclose(back[0], [x, y, place.w / 2, place.h / 2], atol=1e-6)


@given(st.lists(BOX, min_size=1, max_size=12))
def test_places_do_not_lie_on_one_another(boxes: list[tuple[float, ...]]) -> None:
    """Each place has pixels of its own on the canvas, and lies within it."""
    canvas = Canvas(np.zeros((480, 640, 3), np.uint8), places(np.array(boxes), (640, 480), 12))
    taken = np.zeros(canvas.pixels.shape[:2], int)
    for place, (left, top) in zip(canvas.places, canvas._corners, strict=True):
        width, height = place.shown
        assert left + width <= canvas.pixels.shape[1]
        assert top + height <= canvas.pixels.shape[0]
        taken[top : top + height, left : left + width] += 1
    assert taken.max() == 1


def test_pixels_of_a_place_are_those_of_the_picture() -> None:
    """Enlarged at most twice, and nothing from beside it."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:50, 40:50] = 200
    (place,) = places(np.array([[40.0, 40, 10, 10]]), (100, 100), 5)
    canvas = Canvas(image, [place])
    assert place.zoom == 2.0
    assert canvas.pixels.max() == 200
    bright = (canvas.pixels[:, :, 0] > 150).sum()
    assert 300 <= bright <= 450


def test_two_boxes_of_one_place_are_shown_once() -> None:
    """Neighbours that one cut-out shows in full need no second one."""
    near = np.array([[100.0, 100, 40, 40], [102.0, 101, 38, 39]])
    assert len(places(near, (640, 480), 10)) == 1


def test_no_more_places_than_allowed_and_the_first_come_first() -> None:
    """A crowd does not make the second look as dear as looking everywhere."""
    far = np.array([[x * 100.0, 50, 20, 20] for x in range(6)])
    chosen = places(far, (640, 480), 2)
    assert [place.x for place in chosen] == [0, 80]
