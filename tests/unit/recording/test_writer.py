# SPDX-License-Identifier: Apache-2.0
"""Encoding: frame count, size and every time as in the source, and nothing else of it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from incamera.errors import InputError
from incamera.recording.model import RedactedFrame
from incamera.recording.probe import Probe, inspect
from incamera.recording.video import Piece, VideoTrack
from incamera.recording.writer import VideoWriter
from videos import clip, film, nal_types, redacted, times

TICK = Fraction(1, 30_000)
UNEVEN = [0, 1500, 3007, 9000, 9001, *(20_000 + 3003 * i for i in range(40))]
EXACT = {"movie_timescale": "30000"}
TAGS = {"title": "secret", "creation_time": "2026-05-01T10:00:00Z", "location": "+47.1+008.5/"}

FILMS: dict[str, tuple[str, dict[str, Any]]] = {
    "b frames": ("a.mp4", {"options": {"bf": "3", "b-adapt": "0"}}),
    "uneven": ("a.mp4", {"times": UNEVEN, "time_base": TICK}),
    "late start": (
        "a.mp4",
        {"times": [t + 777 for t in UNEVEN], "time_base": TICK, "muxing": EXACT},
    ),
    "uneven mkv, two at a time": (
        "a.mkv",
        {"times": [t // 7 for t in UNEVEN], "time_base": Fraction(1, 1000)},
    ),
    "mov": ("a.mov", {}),
    "ts": ("a.ts", {}),
    "flv": ("a.flv", {}),
    "h264 avi": ("a.avi", {"options": {"bf": "0"}}),
    "avi with gaps": ("a.avi", {"times": [0, 1, 2, 5, 6, 12], "options": {"bf": "0"}}),
    "mpeg4 avi": ("a.avi", {"codec": "mpeg4"}),
    "webm": ("a.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
    "h265": ("a.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
    "odd size": ("a.mp4", {"size": (65, 49), "pixel_format": "yuv444p"}),
    "odd size 4:2:0": ("a.mkv", {"codec": "libvpx-vp9", "size": (65, 49)}),
    "ten bits": ("a.mp4", {"pixel_format": "yuv420p10le"}),
    "full range": ("a.mp4", {"pixel_format": "yuvj420p"}),
    "wide pixels": ("a.mp4", {"aspect": Fraction(4, 3)}),
    "turned": ("a.mp4", {"rotation": 90}),
    "turned mkv": ("a.mkv", {"rotation": -90}),
    "upside down": ("a.mov", {"rotation": 180}),
    "rgb": ("a.mp4", {"codec": "libx264rgb", "pixel_format": "rgb24"}),
    "one frame": ("a.mp4", {"times": [0]}),
}


def copy(source: Path, dest: Path) -> Path:
    """``source`` decoded and written to ``dest``."""
    track = VideoTrack.open(source)
    return _write(dest, track.probe, map(redacted, track.frames()))


@pytest.mark.parametrize("name", FILMS)
def test_like_the_source(tmp_path: Path, name: str) -> None:
    """Container, count, size, times, pixel shape, rotation and range stay; the picture is alike."""
    file, options = FILMS[name]
    source = film(tmp_path / file, **options)
    dest = copy(source, tmp_path / f"out-{file}")
    assert times(dest) == times(source)
    before, after = inspect(source), inspect(dest)
    for attribute in ("container", "width", "height", "frames", "sample_aspect", "display_matrix"):
        assert getattr(after, attribute) == getattr(before, attribute), attribute
    assert (before.color_range == 2) == (after.color_range == 2) or name in {"mpeg4 avi", "rgb"}
    pairs = zip(VideoTrack.open(source).frames(), VideoTrack.open(dest).frames(), strict=True)
    for one, two in pairs:
        assert np.abs(one.rgb().astype(float) - two.rgb()).mean() < 12


def test_the_end_is_kept(tmp_path: Path) -> None:
    """The last frame lasts as long as in the source."""
    source = film(tmp_path / "a.mp4", times=UNEVEN, time_base=TICK)
    assert inspect(copy(source, tmp_path / "b.mp4")).end == inspect(source).end


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.flv", "a.avi"])
def test_nothing_else_gets_out(tmp_path: Path, name: str) -> None:
    """No tag, no encoder's name, no SEI message: not even the encoder's own settings."""
    source = film(tmp_path / name, tags=TAGS, times=range(40), options={"bf": "0"})
    dest = copy(source, tmp_path / f"out-{name}")
    data = dest.read_bytes()
    for mark in (b"x264", b"Lavc", b"FFmpeg", b"secret", b"2026", b"+47.1", b"cabac"):
        assert mark not in data
    assert 6 not in nal_types(dest)
    assert 6 in nal_types(source)  # the search finds what there is
    with av.open(dest) as container:
        assert not {"title", "creation_time", "location"} & container.metadata.keys()
        assert [stream.type for stream in container.streams] == ["video"]


def test_sound_is_dropped(tmp_path: Path) -> None:
    """A real clip with sound comes out without."""
    source = clip("udacity-highway.mp4")
    dest = copy(source, tmp_path / "out.mp4")
    with av.open(dest) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert times(dest) == times(source)
    assert b"Core Media" not in dest.read_bytes()


@pytest.mark.data
def test_times_that_do_not_rise(tmp_path: Path) -> None:
    """A phone's file that shows a frame after a later one keeps that, too."""
    probe = inspect(clip("mapillary-h265.mp4"))
    frames = list(itertools.islice(VideoTrack.single(probe).frames(), 10))
    before = [frame.pts * frame.time_base for frame in frames]
    assert before != sorted(before)
    assert times(_write(tmp_path / "out.mp4", probe, map(redacted, frames))) == before


def _write(
    dest: Path, probe: Probe, frames: Iterable[RedactedFrame], container: str | None = None
) -> Path:
    """``frames`` written to ``dest``."""
    with VideoWriter(dest, probe, container=container) as writer:
        for frame in frames:
            writer.write(frame)
    return dest


def test_takes_redacted_frames_only(tmp_path: Path) -> None:
    """A plain frame is refused at run time too, and no file appears."""
    track = VideoTrack.open(film(tmp_path / "a.mp4"))
    with pytest.raises(TypeError):
        _write(tmp_path / "out.mp4", track.probe, track.frames())  # type: ignore[arg-type]
    assert not (tmp_path / "out.mp4").exists()


def test_no_file_on_failure(tmp_path: Path) -> None:
    """An error on the way leaves no file, not even a part of one."""
    track = VideoTrack.open(film(tmp_path / "a.mp4"))

    def frames() -> Iterator[RedactedFrame]:
        yield from map(redacted, itertools.islice(track.frames(), 5))
        raise InputError("frame 6 is damaged")

    with pytest.raises(InputError, match="damaged"):
        _write(tmp_path / "out.mp4", track.probe, frames())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_no_frames(tmp_path: Path) -> None:
    """A film without frames is an error, not an empty file."""
    probe = inspect(film(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="no frame"), VideoWriter(tmp_path / "b.mp4", probe):
        pass
    assert not (tmp_path / "b.mp4").exists()


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    """A frame of another size than the source's is refused."""
    probe = inspect(film(tmp_path / "a.mp4"))
    other = VideoTrack.open(film(tmp_path / "b.mp4", size=(32, 32)))
    with pytest.raises(InputError, match="32x32"), VideoWriter(tmp_path / "c.mp4", probe) as writer:
        writer.write(redacted(next(other.frames())))


def test_pictures_cannot_be_written_as_video(tmp_path: Path) -> None:
    """A source whose kind cannot be written is refused before a frame is."""
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    probe = inspect(tmp_path / "a.png")
    with pytest.raises(InputError, match="cannot write picture"), VideoWriter(io.BytesIO(), probe):
        pass


def test_into_an_open_file(tmp_path: Path) -> None:
    """A file that is open for reading and writing is filled and stays open."""
    track = VideoTrack.open(film(tmp_path / "a.mp4"))
    with (tmp_path / "b.mp4").open("w+b") as file:
        with VideoWriter(file, track.probe) as writer:
            for frame in track.frames():
                writer.write(redacted(frame))
        assert not file.closed
    assert times(tmp_path / "b.mp4") == times(tmp_path / "a.mp4")


def test_cutting_a_clip_out_of_a_drive(tmp_path: Path) -> None:
    """With an origin, that moment of the recording's clock is 0, across files of a track."""
    pieces = [
        Piece(inspect(film(tmp_path / "1.mp4", times=range(100))), 1000.0),
        Piece(inspect(film(tmp_path / "2.mp4", times=range(100))), 1004.0),
    ]
    track = VideoTrack("front", pieces)
    with VideoWriter(tmp_path / "c.mp4", track.probe, container="mp4", origin=1003.9) as writer:
        for frame in track.frames(start=1003.9, end=1004.2):
            writer.write(redacted(frame))
    assert [round(float(t), 3) for t in times(tmp_path / "c.mp4")] == [
        0.02, 0.06, 0.1, 0.14, 0.18, 0.22, 0.26
    ]  # fmt: skip


def test_times_that_the_container_cannot_hold(tmp_path: Path) -> None:
    """Matroska counts in thousandths: finer times are refused, not rounded."""
    track = VideoTrack.open(film(tmp_path / "a.mp4", times=UNEVEN, time_base=TICK))
    with pytest.raises(InputError, match="cannot hold the times"):
        _write(tmp_path / "b.mkv", track.probe, map(redacted, track.frames()), "matroska")
    assert not (tmp_path / "b.mkv").exists()
