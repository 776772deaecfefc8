# SPDX-License-Identifier: Apache-2.0
"""TeslaCam folders: whole ones, parts of them, and what goes wrong on a car's USB stick."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import pytest

from incamera.errors import InputError
from incamera.recording import open_recordings
from incamera.recording.event import parse_event
from incamera.recording.model import Fix, Recording, Telemetry
from videos import bottomless, film, with_telemetry, with_units

CAMERAS = ("front", "back", "left_repeater", "right_repeater")
START = datetime.datetime(2026, 5, 1, 10, tzinfo=datetime.UTC)
EVENT = {
    "timestamp": "2026-05-01T10:01:30",
    "city": "Zug",
    "est_lat": "47.1662",
    "est_lon": "8.5155",
    "reason": "user_interaction_honk",
    "camera": "0",
}


@pytest.fixture(scope="session")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of a minute, one frame a second, with telemetry: 0, 1, 2 ... m/s going north."""
    path = tmp_path_factory.mktemp("tesla") / "minute.mp4"
    film(path, times=[25 * second for second in range(60)], rate=1)
    said = [
        Telemetry(0.0, speed=second, sequence=second, fix=Fix(0.0, 47.0 + second / 1e4, 8.5, 0.0))
        for second in range(60)
    ]
    return with_telemetry(path, said)


def stamp(seconds: float) -> str:
    """The name of a file that starts ``seconds`` after ten."""
    return (START + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%d_%H-%M-%S")


def fill(folder: Path, minute: Path, starts: list[int], cameras: tuple[str, ...] = CAMERAS) -> Path:
    """``folder`` with a file of each camera at each of ``starts`` seconds past ten."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in starts:
        for camera in cameras:
            shutil.copy(minute, folder / f"{stamp(start)}-{camera}.mp4")
    return folder


def one(path: Path) -> Recording:
    """The only recording at ``path``."""
    (recording,) = open_recordings(path)
    return recording


def test_event_folder(tmp_path: Path, minute: Path) -> None:
    """An event folder is one recording: cameras in step, minutes chained, event and telemetry."""
    folder = fill(tmp_path / "SavedClips" / stamp(100), minute, [0, 60])
    (folder / "event.json").write_text(json.dumps(EVENT))
    (folder / "thumb.png").write_bytes(b"x")
    found = one(tmp_path)
    assert found.name == f"SavedClips/{stamp(100)}"
    assert tuple(found.tracks) == CAMERAS
    assert not found.zoned
    assert found.start == START.timestamp()
    assert found.end == START.timestamp() + 120
    assert not found.faults
    assert len(found.sources) == 9
    times = [frame.time - found.start for frame in found.tracks["back"].frames()]
    assert times == [float(second) for second in range(120)]
    assert [t.time - found.start for t in found.telemetry] == times
    assert [t.speed for t in found.telemetry] == [float(s % 60) for s in range(120)]
    assert found.fixes[59] == Fix(found.start + 59, 47.0059, 8.5, 0.0, 59.0)
    (event,) = found.events
    assert (event.time - found.start, event.reason, event.camera) == (
        90.0,
        "user_interaction_honk",
        "front",
    )


def test_flat_folder_is_split_at_stops(tmp_path: Path, minute: Path) -> None:
    """RecentClips are split into drives where nothing was recorded for a while."""
    fill(tmp_path / "TeslaCam" / "RecentClips", minute, [0, 61, 600], ("front", "back"))
    found = list(open_recordings(tmp_path))
    assert [r.name for r in found] == [
        f"TeslaCam/RecentClips/{stamp(0)}",
        f"TeslaCam/RecentClips/{stamp(600)}",
    ]
    assert [round(r.end - r.start) for r in found] == [121, 60]
    times = [f.time - found[0].start for f in found[0].tracks["front"].frames()]
    assert times[58:62] == [58.0, 59.0, 61.0, 62.0]


def test_whole_stick(tmp_path: Path, minute: Path) -> None:
    """Saved, Sentry and Recent clips of one stick come out one after the other."""
    for part in (f"SavedClips/{stamp(0)}", f"SentryClips/{stamp(600)}", "RecentClips"):
        fill(tmp_path / "TeslaCam" / part, minute, [0], ("front",))
    assert [r.name.split("/")[1] for r in open_recordings(tmp_path)] == [
        "RecentClips",
        "SavedClips",
        "SentryClips",
    ]
    assert len(list(open_recordings(tmp_path / "TeslaCam" / "SavedClips" / stamp(0)))) == 1


def test_damaged_files_are_named(tmp_path: Path, minute: Path) -> None:
    """Empty, cut-off, foreign and encrypted files are set aside and named; the rest goes on."""
    folder = fill(tmp_path / stamp(0), minute, [0, 60])
    encrypted = bytearray(0x2000)
    encrypted[0x14:0x18] = (0x1000).to_bytes(4, "big")
    encrypted[0x1000:0x1041] = b"\x04" + bytes(range(64))
    bad = {
        f"{stamp(0)}-back.mp4": b"",
        f"{stamp(60)}-front.mp4": minute.read_bytes()[:-900],
        f"{stamp(60)}-left_repeater.mp4": b"not a video at all",
        f"{stamp(60)}-right_repeater.mp4": bytes(encrypted),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    found = one(tmp_path)
    assert {
        name: len(list(track.frames())) for name, track in found.tracks.items()
    } == dict.fromkeys(CAMERAS, 60)
    assert len(found.faults) == 4
    for name in bad:
        assert sum(name in fault for fault in found.faults) == 1
    assert sum("Encrypt Dashcam Recordings" in fault for fault in found.faults) == 1
    assert len(found.telemetry) == 120  # of the back camera, where there is no front


def test_only_damaged_files(tmp_path: Path) -> None:
    """A folder of damaged files only is a recording without tracks that names them."""
    folder = tmp_path / stamp(0)
    folder.mkdir()
    (folder / f"{stamp(0)}-front.mp4").touch()
    found = one(tmp_path)
    assert not found.tracks
    assert len(found.faults) == 1
    assert found.start == found.end == 0


def test_missing_camera(tmp_path: Path, minute: Path) -> None:
    """A camera without a file in one of the minutes is named, with the minute."""
    folder = fill(tmp_path / stamp(0), minute, [0, 60])
    (folder / f"{stamp(60)}-back.mp4").unlink()
    assert one(tmp_path).faults == [f"{folder}: no file of back at {stamp(60)}"]


def test_cameras_out_of_step(tmp_path: Path, minute: Path) -> None:
    """A camera that starts late, or stops early, is named and kept."""
    folder = fill(tmp_path / stamp(0), minute, [0], ("front", "left_repeater", "right_repeater"))
    shutil.copy(minute, folder / f"{stamp(3)}-back.mp4")
    film(folder / f"{stamp(0)}-left_repeater.mp4", times=[25 * s for s in range(50)], rate=1)
    found = one(tmp_path)
    assert len(found.tracks) == 4
    assert sorted(fault.split("-")[-1][:25] for fault in found.faults) == [
        "back.mp4: starts 3.0 s mo",
        "left_repeater.mp4: lasts ",
    ]


def test_whole_second_names_never_turn_time_back(tmp_path: Path, minute: Path) -> None:
    """A minute whose name lies before the last one's end is moved behind it."""
    found = one(fill(tmp_path / stamp(0), minute, [0, 59], ("front",)))
    times = [frame.time for frame in found.tracks["front"].frames()]
    assert times == sorted(set(times))
    pts = [frame.pts for frame in found.tracks["front"].frames()]
    assert pts == sorted(set(pts))
    assert not found.faults


def test_overlapping_minutes(tmp_path: Path, minute: Path) -> None:
    """A file that runs over another one of its camera (a clock turned back) is set aside."""
    found = one(fill(tmp_path / stamp(0), minute, [0, 30], ("front",)))
    assert len(list(found.tracks["front"].frames())) == 60
    assert "overlaps" in found.faults[0]


def test_without_telemetry(tmp_path: Path) -> None:
    """Clips of older firmware have no fixes."""
    (tmp_path / stamp(0)).mkdir()
    film(tmp_path / stamp(0) / f"{stamp(0)}-front.mp4", times=range(200))
    found = one(tmp_path)
    assert not found.telemetry
    assert not found.fixes


def test_unreadable_telemetry(tmp_path: Path) -> None:
    """Telemetry that is no message is a fault, and gives no fix; the film is kept."""
    (tmp_path / stamp(0)).mkdir()
    path = film(tmp_path / stamp(0) / f"{stamp(0)}-front.mp4")
    with_units(path, [b"\x06\x05\x06\x42\x42\x69\xff\xff\xff\x80"] * 12)
    found = one(tmp_path)
    assert len(list(found.tracks["front"].frames())) == 12
    assert not found.fixes
    assert found.faults == [f"{path}: telemetry of 12 frames cannot be read"]


def test_a_damaged_film_fails_when_it_is_read(tmp_path: Path, minute: Path) -> None:
    """A picture damaged inside a film stops its track with the file and the frame."""
    folder = fill(tmp_path / stamp(0), minute, [0], ("front", "back"))
    path = folder / f"{stamp(0)}-back.mp4"
    data = bytearray(path.read_bytes())
    data[5000:5400] = bytes(400)
    path.write_bytes(data)
    found = one(tmp_path)
    assert len(list(found.tracks["front"].frames())) == 60
    with pytest.raises(InputError, match=r"back\.mp4: frame \d+"):
        list(found.tracks["back"].frames())


def test_other_files_are_no_clips(tmp_path: Path, minute: Path) -> None:
    """Thumbnails, event films and the hidden files of a Mac are not taken for clips."""
    folder = fill(tmp_path / stamp(0), minute, [0], ("front",))
    for name in ("event.mp4", f"._{stamp(0)}-back.mp4", f"{stamp(0)}-front.mp4.part"):
        (folder / name).write_bytes(b"x")
    found = one(tmp_path)
    assert list(found.tracks) == ["front"]
    assert not found.faults


# --- event.json ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "camera", "place"),
    [
        ({}, "front", (47.1662, 8.5155)),
        ({"est_lat": 47.1662, "est_lon": 8.5155, "camera": 5}, "left_pillar", (47.1662, 8.5155)),
        ({"est_lat": "", "est_lon": "", "camera": ""}, None, (None, None)),
        ({"est_lat": "0", "est_lon": "0", "camera": "12"}, "12", (None, None)),
        ({"street": "Bahnhofstrasse", "new": [1]}, "front", (47.1662, 8.5155)),
    ],
)
def test_event_variants(
    change: dict[str, object], camera: str | None, place: tuple[float | None, float | None]
) -> None:
    """Numbers or texts, streets, empty and unknown fields: all seen, all read."""
    event = parse_event(json.dumps(EVENT | change).encode(), "event.json")
    assert event.time == START.timestamp() + 90
    assert (event.camera, (event.latitude, event.longitude)) == (camera, place)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"timestamp": "2026-05-01T10:01:30"}',
        json.dumps(EVENT | {"timestamp": "yesterday"}).encode(),
        json.dumps(EVENT | {"est_lat": "north"}).encode(),
        json.dumps(EVENT | {"est_lat": 91}).encode(),
        json.dumps(EVENT | {"est_lat": True}).encode(),
        json.dumps(EVENT | {"camera": [1]}).encode(),
        b'{"timestamp": "2026-05-01T10:01:30", "reason": "x", "reason": "y"}',
    ],
)
def test_event_refused(data: bytes) -> None:
    """An event.json that Tesla would not write is refused by name."""
    with pytest.raises(InputError, match=r"event\.json"):
        parse_event(data, "event.json")


def test_bad_event_is_a_fault(tmp_path: Path, minute: Path) -> None:
    """A folder with a broken event.json keeps its films and names the file."""
    folder = fill(tmp_path / stamp(0), minute, [0], ("front",))
    (folder / "event.json").write_text("{")
    found = one(tmp_path)
    assert found.tracks
    assert not found.events
    assert "event.json" in found.faults[0]


# --- beside it ------------------------------------------------------------------------------------


def test_what_lies_loose_beside_a_drive_is_read_too(tmp_path: Path, minute: Path) -> None:
    """A film in the stick's folder, and a copy among the clips; the car's own extras are none."""
    folder = fill(tmp_path / "TeslaCam" / "SavedClips" / stamp(0), minute, [0], ("front",))
    shutil.copy(minute, folder / "front (1).mp4")
    for name in ("event.mp4", "thumb.png"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "song.flac").write_bytes(b"x")
    film(tmp_path / "dash.mp4")
    (tmp_path / "cut.mp4").write_bytes(b"")
    found = {recording.name: recording for recording in open_recordings(tmp_path)}
    event = f"TeslaCam/SavedClips/{stamp(0)}"
    assert sorted(found) == [event, f"{event}/front (1).mp4", "cut.mp4", "dash.mp4"]
    assert [len(each.tracks) for each in found.values()] == [1, 0, 1, 1]
    assert "cut.mp4: the file is empty" in found["cut.mp4"].faults[0]


def test_a_name_that_is_no_date_costs_one_file(tmp_path: Path, minute: Path) -> None:
    """A camera whose clock is nonsense: its file is named, the rest goes on."""
    fill(tmp_path / "RecentClips", minute, [0], ("front",))
    shutil.copy(minute, tmp_path / "RecentClips" / "2026-02-31_10-00-00-front.mp4")
    good, named = open_recordings(tmp_path)
    assert list(good.tracks) == ["front"]
    assert "2026-02-31" in str(named.faults)


def test_a_folder_that_cannot_be_looked_into_costs_what_is_in_it(
    tmp_path: Path, minute: Path
) -> None:
    """It is named, the rest goes on: among TeslaCam clips as among loose files."""
    fill(tmp_path / "RecentClips", minute, [0], ("front",))
    deep = bottomless(tmp_path)
    found = list(open_recordings(tmp_path))
    assert [len(each.tracks) for each in found] == [1, 0]
    assert "File name too long" in str(found[1].faults)
    shutil.rmtree(tmp_path / "RecentClips")
    film(tmp_path / "z.mp4")
    found = list(open_recordings(tmp_path))
    assert [len(each.tracks) for each in found] == [1, 0]
    assert found[1].faults[0].startswith(f"set aside: {deep}/")
