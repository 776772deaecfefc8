# SPDX-License-Identifier: Apache-2.0
"""What lies under a box is gone, what lies outside is untouched, whatever the pixel format."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from incamera.recording.model import Box, RedactedFrame
from incamera.redaction.fill import Fill, FillKind, snap
from incamera.redaction.model import Cover
from redacting import GREY, canvas, frame, red_pixels

LAYOUTS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "rgb24", "gray",
           "bgr24", "yuva420p", "yuv411p", "gbrp", "p010le", "yuv444p12le"]  # fmt: skip


def cover(x: float, y: float, w: float, h: float, track: int = 0) -> Cover:
    return Cover(Box(x, y, w, h, "face", 0.9), track)


def noise(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def luma(picture: av.VideoFrame) -> NDArray[np.uint8]:
    grey = picture.reformat(format="gray").to_ndarray()
    return np.asarray(grey, np.uint8)


def inside(frame: RedactedFrame) -> NDArray[np.uint8]:
    (box,) = frame.boxes
    x, y = int(box.x), int(box.y)
    return luma(frame.picture)[y : y + int(box.h), x : x + int(box.w)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(96, 64), (97, 65)])
def test_a_solid_box_is_one_colour_in_every_format(layout: str, size: tuple[int, int]) -> None:
    """After a solid fill the box holds one value only, odd sizes included."""
    done = Fill("solid")(frame(noise(*size), layout=layout), [cover(20, 10, 30, 22)])
    assert (done.picture.width, done.picture.height) == size
    assert np.ptp(inside(done)) <= 1
    # Seen in colour, players draw chroma of the edge a little into the box: not further.
    assert np.ptp(done.picture.to_ndarray(format="rgb24")[14:28, 24:46].astype(int)) <= 3


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "rgb24"])
def test_what_lies_outside_is_untouched(layout: str) -> None:
    """Every sample outside of the box is the source's own."""
    source = frame(noise(97, 65), layout=layout)
    done = Fill("solid")(source, [cover(21, 11, 30, 21)])
    (box,) = done.boxes
    before, after = luma(source.picture).astype(int), luma(done.picture).astype(int)
    changed = np.argwhere(before != after)
    assert changed[:, 1].min() >= box.x
    assert changed[:, 0].min() >= box.y
    assert changed[:, 1].max() < box.x + box.w
    assert changed[:, 0].max() < box.y + box.h


def test_the_source_picture_is_not_changed() -> None:
    """The decoder may predict from the picture it gave: the fill works on a copy."""
    source = frame(noise(96, 64))
    before = source.picture.to_ndarray().copy()
    Fill()(source, [cover(0, 0, 96, 64)])
    assert (source.picture.to_ndarray() == before).all()


def test_a_frame_without_boxes_is_handed_on_by_reference() -> None:
    """Nothing to destroy, nothing to copy."""
    source = frame(canvas())
    assert Fill()(source, []).picture is source.picture


def test_side_data_stays_behind(tmp_path: object) -> None:
    """A frame that carries side data (GPS in SEI messages) is copied without it."""

    class Picture:
        def __init__(self, real: av.VideoFrame) -> None:
            self.real = real
            self.side_data = ["48.85837 N"]

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    source = frame(canvas())
    source.picture = Picture(source.picture)  # type: ignore[assignment]
    done = Fill()(source, [])
    assert isinstance(done.picture, av.VideoFrame)
    assert len(done.picture.side_data) == 0
    assert (done.picture.to_ndarray() == source.picture.to_ndarray()).all()


def test_boxes_snap_outward_and_are_clipped() -> None:
    """The reported box is what was destroyed: even edges, inside the picture."""
    assert snap(Box(3.2, 5.9, 4, 4, "face", 1), 97, 65) == Box(2, 4, 6, 6, "face", 1)
    assert snap(Box(-9, -9, 12, 12, "face", 1), 97, 65) == Box(0, 0, 4, 4, "face", 1)
    assert snap(Box(90, 60, 50, 50, "face", 1), 97, 65) == Box(90, 60, 7, 5, "face", 1)
    assert snap(Box(98, 0, 5, 5, "face", 1), 97, 65) is None
    assert snap(Box(-9, 0, 9, 5, "face", 1), 97, 65) is None


def test_a_mosaic_shows_at_most_five_by_five_means() -> None:
    """25 values of a face are left, and fewer of a small one."""
    slope = np.repeat((np.arange(96 * 64) // 24).astype(np.uint8).reshape(64, 96, 1), 3, 2)
    done = Fill("mosaic")(frame(slope, layout="gray"), [cover(0, 0, 60, 50)])
    assert 15 <= len(np.unique(inside(done))) <= 25
    small = Fill("mosaic")(frame(slope, layout="gray"), [cover(0, 0, 16, 10)])
    assert len(np.unique(inside(small))) <= 2


def test_a_mosaic_does_not_change_while_a_track_lasts() -> None:
    """Sixty frames reveal no more than the first: the grid is measured once."""
    fill = Fill("mosaic")
    first = fill(frame(noise(96, 64, 0)), [cover(10, 10, 40, 40)])
    for number in range(1, 60):
        later = fill(frame(noise(96, 64, number)), [cover(10 + 2 * (number % 7), 10, 40, 40)])
        assert (inside(later) == inside(first)).all()
    other = fill(frame(noise(96, 64, 60)), [cover(10, 10, 40, 40, track=1)])
    assert (inside(other) != inside(first)).any()


def test_the_mosaics_of_overlapping_boxes_are_measured_before_any_is_drawn() -> None:
    """What one box destroyed is not the material of the next."""
    image = canvas(patches=[(20, 20, 20, 20)])
    done = Fill("mosaic")(frame(image), [cover(20, 20, 20, 20), cover(22, 22, 20, 20, track=1)])
    assert len(done.boxes) == 2


@pytest.mark.parametrize("kind", ["solid", "mosaic"])
def test_ten_bits_stay_ten_bits(kind: FillKind) -> None:
    """High dynamic range is filled as it is, without losing two bits everywhere else."""
    done = Fill(kind)(frame(noise(96, 64), layout="yuv420p10le"), [cover(20, 10, 30, 22)])
    assert done.picture.format.name == "yuv420p10le"
    plane = np.frombuffer(memoryview(done.picture.planes[0]), np.uint16)
    assert plane.max() < 1024


def test_time_and_colours_are_kept() -> None:
    """A redacted frame is shown when and as its source was."""
    source = frame(canvas(), index=7)
    source.picture.colorspace, source.picture.color_range = 1, 2
    done = Fill()(source, [cover(0, 0, 10, 10)])
    assert (done.pts, done.index, done.time) == (7, 7, 7 / 25)
    assert (done.picture.pts, done.picture.time_base) == (7, source.picture.time_base)
    assert (done.picture.colorspace, done.picture.color_range) == (1, 2)


def test_the_face_is_gone_and_the_street_is_not() -> None:
    """The plainest case, in colour."""
    image = canvas(patches=[(20, 20, 16, 20)])
    done = Fill()(frame(image, layout="yuv444p"), [cover(20, 20, 16, 20)])
    result = np.asarray(done.picture.to_ndarray(format="rgb24"), np.uint8)
    assert red_pixels(image) == 320
    assert red_pixels(result) == 0
    assert np.abs(result[0, 0].astype(int) - np.array(GREY)).max() <= 3
