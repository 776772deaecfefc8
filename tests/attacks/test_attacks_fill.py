# SPDX-License-Identifier: Apache-2.0
"""What an attacker could learn from a fill at best: laws of the fill, and bytes of written files.

Redaction is secure if what was covered does not change what is written. That is stronger than
any attack that fails: it holds for attacks nobody has thought of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from incamera.ids import Digest, digest
from incamera.recording.model import Box, Frame
from incamera.recording.probe import inspect
from incamera.recording.writer import VideoWriter
from incamera.redaction import Redactor, redact_path
from incamera.redaction.fill import Fill, FillKind, snap
from incamera.redaction.model import Cover
from redacting import film, frame

SIZE = (96, 64)
LAYOUTS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "rgb24"]
SAMPLE = {"yuv420p10le": 2, "rgb24": 3}  # bytes of a sample, or of a pixel where one plane has all

boxes = st.builds(
    Box, st.floats(-20, 90), st.floats(-20, 60), st.floats(2, 70), st.floats(2, 50),
    st.just("plate"), st.just(0.9),
)  # fmt: skip


class Fixed:
    """Finds the same box whatever it is shown, so that only what lies under it can differ."""

    digest: Digest = digest(b"what is there is of no consequence")

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """A box in the middle."""
        height, width = image.shape[:2]
        return [Box(width / 4, height / 4, width / 2, height / 2, "face", 0.9)]


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def rows(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    """A plane's bytes, a view: height x bytes of a row."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)


def samples(picture: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """A copy of every plane's bytes, without the padding of its rows."""
    wide = SAMPLE.get(picture.format.name, 1)
    return [rows(plane)[:, : plane.width * wide].copy() for plane in picture.planes]


def planted(source: Frame, found: Sequence[Box], seed: int) -> Frame:
    """``source`` with other samples under the boxes, and no other sample changed."""
    picture, layout = source.picture, source.picture.format.name
    copy = frame(noise(0), source.index, layout)
    wide = SAMPLE.get(layout, 1)
    rng = np.random.default_rng(seed)
    for ours, theirs in zip(copy.picture.planes, picture.planes, strict=True):
        rows(ours)[:] = rows(theirs)
        across, down = picture.width // ours.width, picture.height // ours.height
        for box in found:
            if (whole := snap(box, picture.width, picture.height)) is not None:
                top, left = int(whole.y) // down, int(whole.x) // across * wide
                bottom = int(whole.y + whole.h) // down
                part = rows(ours)[top:bottom, left : int(whole.x + whole.w) // across * wide]
                part[:] = rng.integers(0, 256, part.shape, np.uint8)
                if layout == "yuv420p10le":
                    part[:, 1::2] &= 3
    return copy


def covers(found: Sequence[Box]) -> list[Cover]:
    return [Cover(box, number) for number, box in enumerate(found)]


@settings(max_examples=80, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=3), st.sampled_from(LAYOUTS), st.integers(1, 99))
def test_a_solid_fill_is_the_same_whatever_lay_under_it(
    found: list[Box], layout: str, seed: int
) -> None:
    """Two pictures that differ under the boxes only come out equal, sample for sample."""
    one = frame(noise(seed), layout=layout)
    other = planted(one, found, seed)
    first, second = Fill("solid")(one, covers(found)), Fill("solid")(other, covers(found))
    for a, b in zip(samples(first.picture), samples(second.picture), strict=True):
        assert (a == b).all()


@settings(max_examples=60, deadline=None)
@given(boxes, st.lists(st.tuples(boxes, st.integers(1, 99)), min_size=1, max_size=4))
def test_a_mosaic_says_nothing_new_after_its_first_frame(
    start: Box, later: list[tuple[Box, int]]
) -> None:
    """Whatever comes to lie under a track's box later, and wherever it goes, is not written."""
    whole = snap(start, *SIZE)
    if whole is None or any(snap(box, *SIZE) is None for box, _ in later):
        return
    one, other = Fill("mosaic"), Fill("mosaic")
    begun = frame(noise(7))
    one(begun, [Cover(start, 3)])
    other(begun, [Cover(start, 3)])
    for box, seed in later:
        seen = frame(noise(seed))
        first = one(seen, [Cover(box, 3)])
        second = other(planted(seen, [box], seed + 1), [Cover(box, 3)])
        for a, b in zip(samples(first.picture), samples(second.picture), strict=True):
            assert (a == b).all()


@settings(max_examples=60, deadline=None)
@given(boxes, st.integers(0, 99))
def test_a_mosaic_is_made_of_at_most_25_means_and_knows_no_more(box: Box, seed: int) -> None:
    """Pixels may change places within their cell: the mosaic is the same. 25 numbers a plane."""
    whole = snap(box, *SIZE)
    if whole is None:
        return
    source = frame(noise(seed), layout="gray")
    shuffled = planted(source, [], 0)
    rng = np.random.default_rng(seed)
    x, y, w, h = (int(v) for v in (whole.x, whole.y, whole.w, whole.h))
    part = rows(shuffled.picture.planes[0])[y : y + h, x : x + w]
    for band in np.array_split(part, min(5, max(1, h // 8)), axis=0):
        for cell in np.array_split(band, min(5, max(1, w // 8)), axis=1):
            cell[:] = rng.permutation(cell.ravel()).reshape(cell.shape)
    first = samples(Fill("mosaic")(source, [Cover(box, 0)]).picture)[0]
    second = samples(Fill("mosaic")(shuffled, [Cover(box, 0)]).picture)[0]
    assert (first == second).all()
    assert len(np.unique(first[y : y + h, x : x + w])) <= 25


def written(path: Path, like: Path, kind: FillKind, seed: int) -> bytes:
    """A film in which what lies under two moving boxes is drawn from ``seed`` from frame 1 on."""
    fill = Fill(kind)
    with VideoWriter(path, inspect(like)) as writer:
        for index in range(16):
            found = [
                Box(8 + 2 * index, 12, 31, 17, "plate", 1),
                Box(60, 40 - index, 20, 25, "face", 1),
            ]
            source = frame(noise(index // 4), index)
            changed = planted(source, found, seed) if index else source
            writer.write(fill(changed, covers(found)))
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["solid", "mosaic"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.mov"])
def test_the_written_film_is_the_same_byte_for_byte_whatever_was_covered(
    tmp_path: Path, name: str, kind: FillKind
) -> None:
    """Nothing reaches the file past the fill: no residue, no rate control, no size, no time."""
    like = film(tmp_path / "like.mkv", [noise(0)])
    if not name.endswith(("mkv", "webm")):
        like = film(tmp_path / f"like{Path(name).suffix}", [noise(0)])
    first = written(tmp_path / f"1{name}", like, kind, 100)
    assert written(tmp_path / f"2{name}", like, kind, 200) == first
    # The check can fail: where the surroundings differ, the files do.
    fill = Fill(kind)
    with VideoWriter(tmp_path / f"3{name}", inspect(like)) as writer:
        writer.write(fill(frame(noise(1)), covers([Box(8, 12, 31, 17, "plate", 1)])))
    assert (tmp_path / f"3{name}").read_bytes() != first


@pytest.mark.parametrize("name", ["b.png", "b.jpg", "b.webp", "b.bmp", "b.tiff"])
def test_the_written_picture_is_the_same_byte_for_byte_whatever_was_covered(
    tmp_path: Path, name: str
) -> None:
    """The whole way of ``incamera redact``, for every format of pictures."""
    image = noise(1)
    other = image.copy()
    other[16:48, 24:72] = noise(2)[16:48, 24:72]
    files = []
    for number, each in enumerate((image, other)):
        Image.fromarray(each).save(tmp_path / f"{number}.png")
        out = tmp_path / str(number) / name
        redact_path(tmp_path / f"{number}.png", out, redactor=Redactor([Fixed()]))
        files.append(out.read_bytes())
    assert files[0] == files[1]


def test_a_redacted_film_is_the_same_byte_for_byte_whatever_was_covered(tmp_path: Path) -> None:
    """The whole way of ``incamera redact``, for a film: report and file.

    Nothing moves in it, since what carries boxes from frame to frame looks under them too.
    """
    image = np.repeat(np.repeat(noise(1)[::8, ::8], 8, axis=0), 8, axis=1)
    other = image.copy()
    other[16:48, 24:72] = noise(2)[16:48, 24:72]
    files = []
    for number, each in enumerate((image, other)):
        source = lossless(tmp_path / f"{number}.mkv", each)
        out, report = tmp_path / str(number) / "a.mkv", tmp_path / f"{number}.jsonl"
        redact_path(source, out, report=report, redactor=Redactor([Fixed()]))
        said = report.read_text().replace(f"{number}.mkv", "")
        files.append((said, out.read_bytes()))
    assert files[0] == files[1]


def lossless(path: Path, image: NDArray[np.uint8], count: int = 20) -> Path:
    """A film of one picture, kept exactly."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p"
        for index in range(count):
            container.mux(stream.encode(frame(image, index, "yuv444p").picture))
        container.mux(stream.encode(None))
    return path
