# SPDX-License-Identifier: Apache-2.0
"""Laws of reading: altered input gives our error or a value; written times come back exactly."""

from __future__ import annotations

import functools
import json
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from incamera.errors import InputError
from incamera.recording import gpx, open_recordings, srt
from incamera.recording.event import parse_event
from incamera.recording.mcap_writer import write_mcap
from incamera.recording.model import Fix
from incamera.recording.video import VideoTrack
from incamera.recording.writer import VideoWriter
from videos import film, redacted, times

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = ("a.mp4", "a.mkv", "a.ts", "a.avi", "a.flv", "a.jpg", "a.mcap")


@functools.cache
def seed(name: str) -> bytes:
    """A small whole file of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        if name == "a.jpg":
            Image.new("RGB", (40, 30), (9, 99, 200)).save(path)
        elif name == "a.mcap":
            movie = film(Path(folder, "a.mp4"), times=range(6), options={"bf": "0"})
            write_mcap(path, {"front": movie}, start=1e9, fixes=[Fix(1e9, 47.0, 8.0)])
        else:
            film(path, times=range(6))
        return path.read_bytes()


@st.composite
def altered(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` with a few bytes changed, taken out or put in, mostly where the structure is."""
    result = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        near = draw(st.sampled_from((len(result), min(len(result), 400))))
        at = draw(st.integers(0, max(0, near - 1)))
        at = at if draw(st.booleans()) else max(0, len(result) - 1 - at)
        kind = draw(st.sampled_from(("change", "change", "cut", "insert")))
        if kind == "change" and result:
            result[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del result[at : at + draw(st.integers(1, 60))]
        else:
            result[at:at] = draw(st.binary(max_size=20))
    return bytes(result)


@pytest.mark.parametrize("name", SEEDS)
@FEW
@given(data=st.data())
def test_altered_files(name: str, data: st.DataObject) -> None:
    """A file with altered bytes is read to its end, or refused: nothing else is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        path.write_bytes(data.draw(altered(seed(name))))
        try:
            for recording in open_recordings(path):
                for track in recording.tracks.values():
                    assert all(frame.picture.width == track.width for frame in track.frames())
        except InputError as error:
            assert "x: " in str(error)  # noqa: PT017 - either outcome is fine


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {"timestamp": st.just("2026-05-01T10:01:30") | JSON, "reason": st.just("honk") | JSON},
        optional={"camera": JSON, "est_lat": JSON, "est_lon": JSON, "city": JSON},
    )
)
def test_any_event(value: object) -> None:
    """Whatever an event.json says, it is an event on Earth, or refused."""
    try:
        event = parse_event(json.dumps(value).encode(), "event.json")
    except InputError:
        return
    assert (event.latitude is None) == (event.longitude is None)
    assert abs(event.latitude or 0) <= 90


GPX = (
    '<gpx version="1.1" creator="x"><trk><trkseg><trkpt lat="47.1" lon="8.5"><ele>4</ele>'
    "<time>2026-05-01T10:00:00Z</time></trkpt></trkseg></trk></gpx>"
)
SRT = "1\n00:00:00,000 --> 00:00:01,000\n[latitude: 47.1] [longitude: 8.5]\nGPS(8.5,47.1,15)\n"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_altered_positions(data: st.DataObject) -> None:
    """Altered GPX and SRT give fixes on Earth, by time, or are refused."""
    text, parse = data.draw(st.sampled_from([(GPX, gpx.parse), (SRT, srt.parse)]))
    changed = data.draw(altered(text.encode())).decode("utf-8", "replace")
    try:
        fixes = parse(changed, "x")
    except InputError:
        return
    assert fixes == sorted(fixes, key=lambda fix: fix.time)
    assert all(abs(fix.latitude) <= 90 and abs(fix.longitude) <= 180 for fix in fixes)


@settings(max_examples=25, deadline=None)
@given(
    first=st.integers(0, 10**6),
    steps=st.lists(st.integers(1, 10**5), min_size=1, max_size=40),
    rate=st.sampled_from([25, 600, 12_800, 30_000, 90_000, 1_000_000]),
)
def test_written_times_come_back(first: int, steps: list[int], rate: int) -> None:
    """Any rising times, from any first one on, in any time base, are kept by MP4 to the tick."""
    ticks = [first + sum(steps[:i]) for i in range(len(steps) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        source = VideoTrack.open(
            film(Path(folder, "a.mp4"), times=range(len(ticks)), size=(16, 16))
        )
        like = replace(source.probe, time_base=Fraction(1, rate))
        with VideoWriter(Path(folder, "b.mp4"), like) as writer:
            for frame, tick in zip(source.frames(), ticks, strict=True):
                frame.pts, frame.time_base = tick, like.time_base
                writer.write(redacted(frame))
        assert times(Path(folder, "b.mp4")) == [tick * like.time_base for tick in ticks]
