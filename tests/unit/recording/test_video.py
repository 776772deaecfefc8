# SPDX-License-Identifier: Apache-2.0
"""Decoding: exact times, exact seeks, and no damaged file passes."""

from __future__ import annotations

import resource
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from incamera.errors import InputError
from incamera.recording.probe import inspect
from incamera.recording.video import Piece, VideoTrack
from videos import clip, film, times, with_units

UNEVEN = [0, 1500, 3007, 9000, 9001, *(20_000 + 3003 * i for i in range(20))]
TICK = Fraction(1, 30_000)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with uneven times, B-frames and several keyframes."""
    path = tmp_path_factory.mktemp("video") / "uneven.mp4"
    options = {"g": "8", "bf": "2"}
    return film(path, times=UNEVEN, time_base=TICK, options=options, size=(320, 240))


def test_frames_keep_their_exact_times(uneven: Path) -> None:
    """Every frame of a film with uneven times and B-frames comes out with its own time."""
    assert times(uneven) == [pts * TICK for pts in UNEVEN]


@pytest.mark.parametrize("number", range(len(UNEVEN)))
def test_a_start_is_met_exactly(uneven: Path, number: int) -> None:
    """Frames from a frame's own time on begin with that frame, under its own number."""
    track = VideoTrack.open(uneven, zero=1_700_000_000.0)
    start = 1_700_000_000.0 + float(UNEVEN[number] * TICK)
    found = [(f.index, f.pts) for f in track.frames(start=start)]
    assert found == list(enumerate(UNEVEN))[number:]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=8"}}),
        ("a.mkv", {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=8"}}),
        ("a.ts", {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=8"}}),
        ("a.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=8"}}),
        ("a.mp4", {"muxing": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "8"}}),
        ("a.mkv", {"codec": "libvpx-vp9", "options": {"g": "8", "cpu-used": "8"}}),
    ],
)
def test_a_start_is_met_in_open_groups(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """Where pictures lean on ones across keyframes, too, a start is met exactly."""
    track = VideoTrack.open(film(tmp_path / name, times=range(40), **options))
    frames = [(f.index, f.time, f.rgb().mean()) for f in track.frames()]
    assert len(frames) == 40
    for number in (1, 7, 8, 9, 15, 20, 39):
        start = frames[number][1]
        found = [(f.index, f.time, f.rgb().mean()) for f in track.frames(start=start)]
        assert found == frames[number:]


def test_what_an_edit_list_cuts_away_is_not_shown(tmp_path: Path) -> None:
    """Frames before an MP4's edit list begins are needed to decode, and are no frames."""
    film(tmp_path / "a.mp4", times=range(40), options={"g": "12"})
    path = tmp_path / "b.mp4"
    with av.open(tmp_path / "a.mp4") as source, av.open(path, "w") as dest:
        stream = source.streams.video[0]
        copy = dest.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                assert packet.pts is not None
                assert packet.dts is not None
                packet.pts, packet.dts = packet.pts - 512 * 5, packet.dts - 512 * 5
                packet.stream = copy
                dest.mux(packet)
    track = VideoTrack.open(path)
    assert [(frame.index, frame.time) for frame in track.frames()] == [
        (i, i / 25) for i in range(35)
    ]
    assert [frame.index for frame in track.frames(start=0.6)] == list(range(15, 35))
    assert track.probe.frames == 35


def test_an_end_is_left_out(uneven: Path) -> None:
    """Frames end before the first one at the end time."""
    track = VideoTrack.open(uneven)
    end = float(UNEVEN[7] * TICK)
    assert [f.index for f in track.frames(start=0.05, end=end)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.flv", "h264.avi"])
def test_containers(tmp_path: Path, name: str) -> None:
    """Each container gives all frames, numbered, and its extent covers them."""
    path = film(tmp_path / name, options={"g": "5"})
    track = VideoTrack.open(path)
    frames = list(track.frames())
    assert [frame.index for frame in frames] == list(range(12))
    assert track.start == frames[0].time
    assert track.end > frames[-1].time
    assert [f.index for f in track.frames(start=frames[8].time)] == [8, 9, 10, 11]


def test_content_not_name(tmp_path: Path) -> None:
    """A Matroska file called .mp4 is read as what it is."""
    path = film(tmp_path / "a.mkv").rename(tmp_path / "a.mp4")
    assert inspect(path).container == "matroska"


def test_probe_facts(tmp_path: Path) -> None:
    """Size, pixel shape, rotation and creation time are read."""
    path = film(
        tmp_path / "a.mp4",
        size=(66, 50),
        aspect=Fraction(4, 3),
        rotation=90,
        tags={"creation_time": "2026-05-01T10:00:00Z"},
    )
    probe = inspect(path)
    assert (probe.width, probe.height, probe.codec, probe.frames) == (66, 50, "h264", 12)
    assert probe.sample_aspect == Fraction(4, 3)
    assert probe.display_matrix is not None
    assert probe.created == 1_777_629_600.0


def test_chain_of_files(tmp_path: Path) -> None:
    """Files of one camera read as one stream: numbers and pts go on, times follow the clock."""
    first = film(tmp_path / "1.mp4")
    second = film(tmp_path / "2.mp4")
    track = VideoTrack("front", [Piece(inspect(first), 100.0), Piece(inspect(second), 160.0)])
    frames = list(track.frames())
    assert [f.index for f in frames] == list(range(24))
    assert [f.time for f in frames[11:13]] == [100.44, 160.0]
    assert frames[12].pts * frames[12].time_base == 60
    assert [f.index for f in track.frames(start=160.04, end=160.12)] == [13, 14]
    assert (track.start, track.end) == (100.0, 160.48)


def test_a_chain_must_go_forward(tmp_path: Path) -> None:
    """Files of one camera that overlap are refused."""
    probe = inspect(film(tmp_path / "1.mp4", times=range(100)))
    with pytest.raises(InputError, match="starts before"):
        VideoTrack("front", [Piece(probe, 100.0), Piece(probe, 101.0)])


def test_a_chain_has_one_size(tmp_path: Path) -> None:
    """Files of one camera with different picture sizes are refused."""
    one = inspect(film(tmp_path / "1.mp4"))
    two = inspect(film(tmp_path / "2.mp4", size=(32, 32)))
    with pytest.raises(InputError, match="picture size"):
        VideoTrack("front", [Piece(one, 0.0), Piece(two, 60.0)])


def _resident() -> int:
    """Bytes of memory this process has now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_memory_stays_flat(tmp_path: Path) -> None:
    """However long the film, memory does not grow: 100 pictures more would be 46 MB."""
    path = film(
        tmp_path / "a.mp4", times=range(140), size=(640, 480), options={"preset": "ultrafast"}
    )
    before = 0
    for frame in VideoTrack.open(path).frames():
        if frame.index == 40:
            before = _resident()
    assert _resident() - before < 20_000_000


# --- files that must not pass -------------------------------------------------------------------


def test_empty_file(tmp_path: Path) -> None:
    """A file of no bytes is refused as empty."""
    path = tmp_path / "a.mp4"
    path.touch()
    with pytest.raises(InputError, match="is empty"):
        inspect(path)


@pytest.mark.parametrize("data", [b"hello", b"\x00" * 5000, b"\xff\xd8\xff" + b"x" * 99, b"RIFF"])
def test_no_video(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no video are refused by name."""
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.mp4"):
        inspect(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """A missing file, or a folder, is refused by name."""
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            inspect(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.flv", "a.avi"])
@pytest.mark.parametrize("share", [0.05, 0.6, 0.99])
def test_cut_off(tmp_path: Path, name: str, share: float) -> None:
    """A file cut off anywhere is refused when it is opened, or when its end is read."""
    path = film(tmp_path / name, times=range(50), size=(160, 120), options={"g": "20"})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"a\.\w+: "):
        list(VideoTrack.open(path).frames())


def test_cut_off_behind_the_index(tmp_path: Path) -> None:
    """An MP4 with its index in front is refused at once when its frames are cut off."""
    path = film(tmp_path / "a.mp4", times=range(100), muxing={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="cut off"):
        inspect(path)


def _damage(path: Path, number: int, hurt: str) -> Path:
    """The same film with one packet hurt or left out."""
    other = path.with_name(f"{hurt}.mkv")
    with av.open(path) as source, av.open(other, "w") as dest:
        stream = source.streams.video[0]
        copy = dest.add_stream_from_template(stream)
        for at, packet in enumerate(source.demux(stream)):
            if not packet.size or (at == number and hurt == "missing"):
                continue
            data = bytearray(bytes(packet))
            if at == number:
                half = len(data) // 2
                data[half:] = bytes(len(data) - half) if hurt == "zeroed" else b""
            made = av.Packet(bytes(data))
            made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
            made.duration, made.is_keyframe = packet.duration, packet.is_keyframe
            made.stream = copy
            dest.mux(made)
    return other


@pytest.mark.parametrize(
    ("codec", "hurt"),
    [
        ("libx264", "zeroed"),
        ("libx264", "halved"),
        ("libx265", "zeroed"),
        ("libx265", "halved"),
        ("libx265", "missing"),  # H.264 does not tell of a frame that was never in the file
    ],
)
def test_damaged_frame(tmp_path: Path, codec: str, hurt: str) -> None:
    """A damaged or missing frame fails the film and is named: FFmpeg would have mended it."""
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {"bf": "0"}
    path = film(
        tmp_path / "a.mkv",
        codec=codec,
        times=range(30),
        size=(320, 240),
        options=quiet | {"g": "50"},
    )
    with pytest.raises(InputError, match=r"frame \d+"):
        list(VideoTrack.open(_damage(path, 9, hurt)).frames())


def test_lost_transport_packets(tmp_path: Path) -> None:
    """MPEG-TS packets lost on the way are noticed by their counters."""
    path = film(tmp_path / "a.ts", times=range(30), size=(320, 240), options={"bf": "0"})
    data = path.read_bytes()
    at = len(data) // 2 // 188 * 188
    path.write_bytes(data[:at] + data[at + 3 * 188 :])
    with pytest.raises(InputError, match=r"frame \d+"):
        list(VideoTrack.open(path).frames())


def test_short_user_data_is_no_damage(tmp_path: Path) -> None:
    """A parked Tesla's telemetry can be shorter than FFmpeg allows; its pictures are whole."""
    path = film(tmp_path / "a.mp4", times=range(30))
    with_units(path, [b"\x06\x05\x04\x42\x42\x42\x69\x80"] * 30)
    assert len(times(path)) == 30


def test_two_cameras_in_one_file(tmp_path: Path) -> None:
    """A file with two videos is refused: one of them would be lost without a word."""
    with av.open(film(tmp_path / "a.mp4")) as source, av.open(tmp_path / "b.mp4", "w") as dest:
        stream = source.streams.video[0]
        copies = [dest.add_stream_from_template(stream) for _ in range(2)]
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copies[(packet.pts or 0) // 512 % 2]
                dest.mux(packet)
    with pytest.raises(InputError, match="2 videos"):
        inspect(tmp_path / "b.mp4")


def test_raw_stream_is_refused_with_a_hint(tmp_path: Path) -> None:
    """A raw H.264 stream has no times; the refusal says how to give it some."""
    path = film(tmp_path / "a.h264")
    with pytest.raises(InputError, match="no times") as caught:
        inspect(path)
    assert "ffmpeg" in (caught.value.hint or "")


def test_encrypted_clip(tmp_path: Path) -> None:
    """A clip encrypted by Tesla's firmware is named as such, with how to switch that off."""
    data = bytearray(0x3000)
    data[0:8] = (0x2000).to_bytes(8, "big")
    data[0x14:0x18] = (0x1000).to_bytes(4, "big")
    data[0x1010:0x1051] = b"\x04" + bytes(range(64))
    data[0x1060:0x1071] = b"5YJ3E1EA7KF000000"
    path = tmp_path / "2026-05-01_10-00-00-front.mp4"
    path.write_bytes(data)
    with pytest.raises(InputError, match="encrypted Tesla clip") as caught:
        inspect(path)
    assert "Encrypt Dashcam Recordings" in (caught.value.hint or "")


@pytest.mark.data
def test_a_phone_that_shows_frames_out_of_order() -> None:
    """A real HEVC file whose times do not rise keeps them all (mapillary-h265)."""
    found = times(clip("mapillary-h265.mp4"))
    assert len(found) == 146
    assert found != sorted(found)
