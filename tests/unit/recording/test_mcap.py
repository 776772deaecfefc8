# SPDX-License-Identifier: Apache-2.0
"""MCAP files in Foxglove's schemas: read, written, and damaged."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from mcap.writer import CompressionType, IndexType, Writer
from mcap_protobuf.schema import register_schema
from PIL import Image

from incamera.errors import InputError
from incamera.recording import Recording, open_recordings
from incamera.recording.mcap_reader import McapTrack
from incamera.recording.mcap_writer import write_mcap
from incamera.recording.model import Fix, Telemetry
from incamera.recording.video import VideoTrack
from incamera.recording.writer import VideoWriter
from videos import film, redacted, times

START = 1_777_629_600.0
FIXES = [Fix(START + i / 10, 47.0 + i / 1000, 8.5, 90.0) for i in range(10)]
SAID = [
    Telemetry(START + i / 10, speed=float(i), gear=1, brake=i % 2 == 0, acceleration=(0.0, 1.5, i))
    for i in range(10)
]


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film as the writer makes it: H.264 without B-frames, a keyframe every 10 frames."""
    folder = tmp_path_factory.mktemp("mcap")
    source = VideoTrack.open(film(folder / "source.mp4", times=range(40), size=(160, 120)))
    with VideoWriter(folder / "movie.mp4", source.probe) as writer:
        for frame in source.frames():
            writer.write(redacted(frame))
    return folder / "movie.mp4"


@pytest.fixture(scope="module")
def packed(movie: Path) -> Path:
    """An MCAP file with two cameras, fixes and telemetry."""
    path = movie.with_name("packed.mcap")
    keyed = film(
        movie.with_name("keyed.mp4"), times=range(40), options={"bf": "0", "g": "7"}, rate=25
    )
    write_mcap(path, {"front": movie, "back": keyed}, start=START, fixes=FIXES, telemetry=SAID)
    return path


def one(path: Path) -> Recording:
    """The only recording at ``path``."""
    (recording,) = open_recordings(path)
    return recording


def test_round_trip(packed: Path, movie: Path) -> None:
    """What was written is read: both cameras in step, pictures as in the MP4, fixes, telemetry."""
    found = one(packed)
    assert found.zoned
    assert sorted(found.tracks) == ["back", "front"]
    assert found.start == START
    assert found.end == pytest.approx(START + 1.6)
    frames = list(found.tracks["front"].frames())
    assert [frame.time for frame in frames] == [round(START + i / 25, 9) for i in range(40)]
    for one_, two in zip(frames, VideoTrack.open(movie).frames(), strict=True):
        assert np.array_equal(one_.rgb(), two.rgb())
    rounded = [replace(fix, heading=round(fix.heading or 0, 9)) for fix in found.fixes]
    assert rounded == FIXES
    assert found.telemetry == SAID


@pytest.mark.parametrize("number", [0, 6, 7, 20, 39])
def test_a_start_is_met_exactly(packed: Path, number: int) -> None:
    """Frames from a time on begin with the frame of that time, under its own number."""
    track = one(packed).tracks["back"]
    start = list(track.frames())[number].time
    assert [frame.index for frame in track.frames(start=start)] == list(range(number, 40))
    assert not list(track.frames(start=track.end))


def test_a_clip_of_it(tmp_path: Path, packed: Path) -> None:
    """A stretch of an MCAP track can be cut out as a video file."""
    track = one(packed).tracks["front"]
    assert isinstance(track, McapTrack)
    with VideoWriter(
        tmp_path / "a.mp4", track.probe, container="mp4", origin=START + 0.5
    ) as writer:
        for frame in track.frames(START + 0.5, START + 0.7):
            writer.write(redacted(frame))
    found = [float(time) for time in times(tmp_path / "a.mp4")]
    assert found == pytest.approx([0.02, 0.06, 0.10, 0.14, 0.18], abs=2e-6)


def test_folder(tmp_path: Path, packed: Path) -> None:
    """A folder may hold MCAP files and videos; a broken one is named, the others are read."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.mcap").write_bytes(packed.read_bytes())
    (tmp_path / "c.mcap").write_bytes(packed.read_bytes()[:500])
    film(tmp_path / "d.mp4")
    found = {recording.name: recording for recording in open_recordings(tmp_path)}
    assert [len(found[name].tracks) for name in ("b/a.mcap", "c.mcap", "d.mp4")] == [2, 0, 1]
    assert "cut off or damaged MCAP" in found["c.mcap"].faults[0]


def test_b_frames_are_refused(tmp_path: Path) -> None:
    """A video with B-frames cannot be written: Foxglove would not play it."""
    path = film(tmp_path / "a.mp4", times=range(40), options={"bf": "3", "b-adapt": "0"})
    with pytest.raises(InputError, match="B-frames"):
        write_mcap(tmp_path / "a.mcap", {"front": path}, start=START)
    assert not (tmp_path / "a.mcap").exists()


def test_same_bytes(movie: Path) -> None:
    """Writing the same twice gives the same bytes, with nothing of this machine in them."""
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        write_mcap(file, {"front": movie}, start=START, fixes=FIXES, telemetry=SAID)
    assert files[0].getvalue() == files[1].getvalue()


# --- files of others ----------------------------------------------------------------------------


def jpeg(level: int) -> bytes:
    """A small grey picture."""
    file = io.BytesIO()
    Image.new("RGB", (32, 24), (level, level, level)).save(file, "JPEG")
    return file.getvalue()


def made(path: Path, fill: Callable[[Writer], None], **options: Any) -> Path:
    """An MCAP file filled by ``fill``."""
    with path.open("wb") as file:
        writer = Writer(file, **options)
        writer.start()
        fill(writer)
        writer.finish()  # type: ignore[no-untyped-call]
    return path


def images(writer: Writer) -> None:
    """Five JPEG messages and five fixes in protobuf."""
    schema = register_schema(writer, CompressedImage)
    channel = writer.register_channel("/cam/Front Left", "protobuf", schema)
    where = writer.register_channel("/gps", "protobuf", register_schema(writer, LocationFix))
    for i in range(5):
        message = CompressedImage(data=jpeg(40 * i), format="jpeg")
        message.timestamp.FromNanoseconds(10**18 + i * 10**8)
        writer.add_message(channel, i, message.SerializeToString(), publish_time=i)
        fix = LocationFix(latitude=47.0 if i else float("nan"), longitude=8.0)
        fix.timestamp.FromNanoseconds(10**18 + i * 10**8)
        writer.add_message(where, i, fix.SerializeToString(), publish_time=i)


def json_images(writer: Writer) -> None:
    """Five JPEG messages and a fix in JSON."""
    schema = writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
    channel = writer.register_channel("/cam", "json", schema)
    for i in range(5):
        message = {
            "timestamp": {"sec": 10**9, "nsec": i * 10**8},
            "frame_id": "front",
            "format": "jpeg",
            "data": base64.b64encode(jpeg(40 * i)).decode(),
        }
        writer.add_message(channel, i, json.dumps(message).encode(), publish_time=i)
    schema = writer.register_schema("foxglove.LocationFix", "jsonschema", b"{}")
    channel = writer.register_channel("/gps", "json", schema)
    fix = {"timestamp": {"sec": 10**9, "nsec": 5}, "latitude": 47, "longitude": 8.5}
    writer.add_message(channel, 1, json.dumps(fix).encode(), publish_time=1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": CompressionType.LZ4, "chunk_size": 500},
        {"compression": CompressionType.NONE},
        {"use_chunking": False},
        {"index_types": IndexType.NONE, "repeat_channels": False, "use_statistics": False},
    ],
)
def test_images(tmp_path: Path, options: dict[str, Any]) -> None:
    """JPEG messages are a camera named by its topic; fixes that are no number are left out."""
    found = one(made(tmp_path / "a.mcap", images, **options))
    frames = list(found.tracks["cam-front-left"].frames(start=1e9 + 0.15))
    assert [(frame.index, frame.time) for frame in frames] == [
        (2, 1e9 + 0.2),
        (3, 1e9 + 0.3),
        (4, 1e9 + 0.4),
    ]
    assert abs(int(frames[0].rgb().mean()) - 80) <= 2
    assert [fix.time for fix in found.fixes] == [1e9 + i / 10 for i in range(1, 5)]


def test_json_images(tmp_path: Path) -> None:
    """The same in JSON, with a camera named by its frame_id."""
    found = one(made(tmp_path / "a.mcap", json_images))
    assert len(list(found.tracks["front"].frames())) == 5
    assert [(fix.latitude, fix.longitude) for fix in found.fixes] == [(47.0, 8.5)]


def _json(data: Any) -> Callable[[Writer], None]:
    """One CompressedVideo message in JSON, or whatever ``data`` is."""

    def fill(writer: Writer) -> None:
        schema = writer.register_schema("foxglove.CompressedVideo", "jsonschema", b"{}")
        channel = writer.register_channel("/cam", "json", schema)
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        writer.add_message(channel, 1, raw, publish_time=1)

    return fill


GOOD = {
    "timestamp": {"sec": 1, "nsec": 2},
    "frame_id": "a",
    "format": "h264",
    "data": base64.b64encode(b"\x00\x00\x00\x01\x41\x9a\x00\x11").decode(),
}


@pytest.mark.parametrize(
    "data",
    [
        GOOD,  # not a keyframe
        GOOD | {"format": "vp9"},
        GOOD | {"data": ""},
        GOOD | {"data": "?"},
        GOOD | {"data": None},
        GOOD | {"timestamp": 7},
        GOOD | {"timestamp": {"sec": "1", "nsec": 2}},
        GOOD | {"frame_id": 1},
        GOOD | {"data": base64.b64encode(b"\x00\x00\x00\x01\x65\x9a\x00\x11").decode()},
        [],
        7,
        b"{",
    ],
)
def test_bad_messages(tmp_path: Path, data: Any) -> None:
    """A message that is not what its schema says is refused by file and topic."""
    with pytest.raises(InputError, match=r"a\.mcap: /cam"):
        one(made(tmp_path / "a.mcap", _json(data)))


def test_other_encodings(tmp_path: Path) -> None:
    """A known schema in an unknown encoding, and a file without cameras, are refused."""

    def fill(writer: Writer) -> None:
        schema = writer.register_schema("foxglove.CompressedVideo", "ros2msg", b"x")
        channel = writer.register_channel("/cam", "cdr", schema)
        writer.add_message(channel, 1, b"x", publish_time=1)

    with pytest.raises(InputError, match="neither protobuf nor JSON"):
        one(made(tmp_path / "a.mcap", fill))
    with pytest.raises(InputError, match="no camera"):
        one(made(tmp_path / "b.mcap", lambda _: None))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_cut_off(tmp_path: Path, packed: Path, share: float) -> None:
    """A file cut off anywhere is refused by name."""
    data = packed.read_bytes()
    (tmp_path / "a.mcap").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"a\.mcap"):
        one(tmp_path / "a.mcap")


def test_damaged_frame(tmp_path: Path, movie: Path) -> None:
    """A picture that cannot be decoded fails the track, naming file, topic and frame."""
    units = []
    with av.open(movie) as container:
        annexb = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        for packet in container.demux(container.streams.video[0]):
            units += [bytes(p) for p in annexb.filter(packet if packet.size else None)]
    units[5] = units[5][: len(units[5]) // 2]

    def fill(writer: Writer) -> None:
        schema = writer.register_schema("foxglove.CompressedVideo", "jsonschema", b"{}")
        channel = writer.register_channel("/cam", "json", schema)
        for i, unit in enumerate(units):
            stamp = {"sec": 1000, "nsec": i * 10**7}
            data = GOOD | {"timestamp": stamp, "data": base64.b64encode(unit).decode()}
            writer.add_message(channel, i, json.dumps(data).encode(), publish_time=i)

    track = one(made(tmp_path / "a.mcap", fill)).tracks["a"]
    with pytest.raises(InputError, match=r"a\.mcap: /cam: frame \d"):
        list(track.frames())
