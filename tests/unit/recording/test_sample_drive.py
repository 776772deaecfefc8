# SPDX-License-Identifier: Apache-2.0
"""The sample drive: its story holds together, and its files are what a car leaves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import tesla_extractor

from incamera.errors import InputError
from incamera.geofence import GeofencePolicy, Zones, keep
from incamera.recording import teslacam
from incamera.recording.event import read_event
from incamera.recording.model import Event, Frame, Recording
from incamera.recording.sample import Truth, make_sample
from incamera.recording.sample import story as drive
from incamera.recording.sample.scene import Scene
from incamera.recording.sample.view import CAMERAS
from incamera.trigger import Campaign, default_campaign, find_spans

SIZE, RATE, FIRST, SECONDS = (320, 240), 5, 85.0, 6.0
SMALL = ("front", "right_pillar")


@dataclass
class Blind:
    """A track as long as the drive."""

    start: float = 0.0
    end: float = drive.LENGTH
    camera: str = "front"
    width: int = 640
    height: int = 480
    sources: Sequence[Path] = ()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """No frames."""
        yield from ()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Six seconds of two small cameras, over the brake before the crossing."""
    dest = tmp_path_factory.mktemp("drive")
    return make_sample(
        dest, size=SIZE, rate=RATE, first=FIRST, seconds=SECONDS, cameras=SMALL, processes=1
    )


def films(truth: Truth) -> list[Path]:
    return sorted(truth.source.rglob("*.mp4"))


def story_recording(rate: int = 10) -> Recording:
    """The whole drive's telemetry and event, without pictures."""
    count = int(drive.LENGTH * rate)
    telemetry = [drive.telemetry(i / rate, i) for i in range(count)]
    return Recording(
        name="sample",
        tracks={"front": Blind()},
        telemetry=telemetry,
        fixes=[sample.fix for sample in telemetry if sample.fix],
        events=[Event(drive.EVENTS[-1].start, "user_interaction_honk")],
    )


def test_speed_and_place_follow_from_each_other() -> None:
    """The way's slope is the speed, its bend the pull, and the car ends where it stands still."""
    for time in np.arange(0.05, drive.LENGTH, 0.37):
        along, speed, _ = drive.way(float(time))
        ahead, faster, _ = drive.way(float(time) + 1e-3)
        assert (ahead - along) / 1e-3 == pytest.approx(speed, abs=0.02)
        assert faster == pytest.approx(speed, abs=0.02)
    assert drive.way(drive.LENGTH)[1] == 0


def test_fixes_move_as_the_car_does() -> None:
    """Between two fixes lie the metres that the speed says; in the tunnel there is none."""
    for time in (50.0, 84.0, 95.0, 120.0):
        a, b = drive.telemetry(time, 0).fix, drive.telemetry(time + 1, 1).fix
        assert a is not None
        assert b is not None
        north = (b.latitude - a.latitude) * 111_320
        east = (b.longitude - a.longitude) * 111_320 * math.cos(math.radians(a.latitude))
        assert math.hypot(north, east) == pytest.approx(drive.telemetry(time, 0).speed, abs=0.5)
        assert math.degrees(math.atan2(east, north)) == pytest.approx(a.heading, abs=3)
    assert drive.telemetry(drive.NO_FIX[0], 0).fix is None
    assert drive.telemetry(drive.NO_FIX[1], 0).fix is not None


@pytest.mark.parametrize("rate", [5, 10, 36])
def test_triggers_fire_where_the_story_says(rate: int) -> None:
    """Two hard brakes, one take-over and one honk, and nothing else, at any frame rate."""
    recording = story_recording(rate)
    spans = find_spans(recording, default_campaign())
    assert [span.tags for span in spans] == [(event.kind,) for event in drive.EVENTS]
    for span, event in zip(spans, drive.EVENTS, strict=True):
        assert span.start < event.start <= event.end < span.end
        assert span.end - span.start < 14


def test_the_geofence_keeps_what_the_story_says(sample: Truth) -> None:
    """The tunnel and the military site drop out whole; brake and take-over stay whole."""
    recording, zones = story_recording(), Zones.load(sample.zones)
    for campaign in (default_campaign(), Campaign.load(sample.campaign)):
        spans = find_spans(recording, campaign)
        decision = keep(spans, recording, zones, GeofencePolicy())
        kept = [event.kind for event in drive.EVENTS if event.kept]
        assert [span.tags for span in decision.kept] == [(kind,) for kind in kept]
        assert [span for span in spans if span in decision.kept] == list(decision.kept)
        reasons = {(part.span.tags, part.reason) for part in decision.dropped}
        assert reasons == {(("hard-brake",), "no fix"), (("honk",), "zone")}
        assert 10 < sum(span.end - span.start for span in decision.kept) < 25


def test_the_layout_is_teslacams(sample: Truth) -> None:
    """One file a minute and camera, event.json, thumb.png, and RecentClips without a clip."""
    (folder,) = (sample.source / "SavedClips").iterdir()
    names = {path.name for path in folder.iterdir()}
    stamp = "2026-10-14_09-29-25"
    assert names == {"event.json", "thumb.png"} | {f"{stamp}-{camera}.mp4" for camera in SMALL}
    assert list((sample.source / "RecentClips").iterdir()) == []
    event = read_event(folder / "event.json")
    assert event.reason == "user_interaction_honk"
    assert event.time == sample.start - FIRST + drive.EVENTS[-1].start
    assert folder.name == "2026-10-14_09-30-12"


def test_the_reader_of_teslacam_reads_it(sample: Truth) -> None:
    """One recording of two cameras without a fault, with telemetry for each frame."""
    (recording,) = teslacam.read(sample.source)
    assert set(recording.tracks) == set(SMALL)
    assert not recording.faults
    assert recording.start == pytest.approx(sample.start)
    assert len(recording.telemetry) == RATE * SECONDS
    assert len(recording.fixes) == RATE * SECONDS
    assert [event.reason for event in recording.events] == ["user_interaction_honk"]
    spans = find_spans(recording, default_campaign())
    assert [span.tags for span in spans] == [("hard-brake",)]


def test_teslas_own_way_of_reading_finds_the_telemetry(sample: Truth) -> None:
    """The peer finds one message a frame in every film, and it says what the story says."""
    for path in films(sample):
        messages = tesla_extractor.extract(path)
        assert len(messages) == RATE * SECONDS
        for index, message in enumerate(messages):
            told = drive.telemetry(FIRST + index / RATE, index)
            assert told.fix is not None
            assert message["frame_seq_no"] == FIRST * RATE + index
            assert message["vehicle_speed_mps"] == pytest.approx(told.speed, rel=1e-6)
            assert message.get("brake_applied", 0) == told.brake
            assert message["latitude_deg"] == told.fix.latitude


def test_the_films_are_plain_h264(sample: Truth) -> None:
    """Every frame decodes, in order, at its size and rate, without B-frames and sound."""
    for path in films(sample):
        with av.open(str(path)) as container:
            assert [stream.type for stream in container.streams] == ["video"]
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == SIZE
            assert stream.codec_context.name == "h264"
            assert not stream.codec_context.has_b_frames
            times = [frame.time for frame in container.decode(stream)]
        assert times == pytest.approx([i / RATE for i in range(int(RATE * SECONDS))])


def test_the_truth_lists_what_can_be_seen(sample: Truth) -> None:
    """A line a frame, in the form of a redaction report, with boxes inside the picture."""
    lines = [json.loads(line) for line in sample.boxes.read_text().splitlines()]
    assert len(lines) == sample.frames == 2 * RATE * SECONDS
    assert [line["frame"] for line in lines] == [*range(30), *range(30)]
    assert {line["source"] for line in lines} == {
        path.relative_to(sample.source).as_posix() for path in films(sample)
    }
    boxes = [box for line in lines for box in line["boxes"]]
    for box in boxes:
        assert 0 <= box["x"] <= box["x"] + box["w"] <= SIZE[0]
        assert 0 <= box["y"] <= box["y"] + box["h"] <= SIZE[1]
    kinds = [box["kind"] for box in boxes]
    assert (kinds.count("face"), kinds.count("plate")) == (sample.faces, sample.plates)
    assert sample.faces > 20
    assert sample.plates >= 1
    said = json.loads((sample.boxes.parent / "truth.json").read_text())
    assert [event["kind"] for event in said["events"]] == ["hard-brake"]


def test_the_same_arguments_give_the_same_bytes(sample: Truth, tmp_path: Path) -> None:
    """Made again, by two processes, every file is the same to the last byte."""
    again = make_sample(
        tmp_path, size=SIZE, rate=RATE, first=FIRST, seconds=SECONDS, cameras=SMALL, processes=2
    )
    one, two = sample.boxes.parent, again.boxes.parent
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert [path for path in files if (one / path).read_bytes() != (two / path).read_bytes()] == []


def test_faces_and_plates_come_near() -> None:
    """In what is kept, faces of 40 pixels and plates of 24 are seen, and smaller ones too."""
    seen: dict[str, list[float]] = {"face": [], "plate": []}
    for camera in CAMERAS:
        if camera.name not in {"front_narrow", "back", "right_pillar"}:
            continue
        scene = Scene(camera, (640, 480))
        for time in (88.4, 89.2, 105.4):
            picture, boxes = scene.frame(time)
            assert picture.shape == (480, 640, 3)
            for box in boxes:
                seen[box.kind].append(box.h)
    assert sum(height >= 40 for height in seen["face"]) >= 2
    assert sum(height >= 24 for height in seen["plate"]) >= 2
    assert min(seen["face"]) < 20
    assert min(seen["plate"]) < 12


def test_progress_is_told(tmp_path: Path) -> None:
    """Frames done and to do, up to all."""
    told: list[tuple[int, int]] = []
    make_sample(
        tmp_path,
        size=(64, 64),
        rate=2,
        seconds=1,
        cameras=["back", "front"],
        processes=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(2, 4), (4, 4)]


def test_what_cannot_be_made_is_refused(sample: Truth, tmp_path: Path) -> None:
    """A folder in use, an odd size, an absurd rate or time, an unknown camera."""
    with pytest.raises(InputError, match="empty folder"):
        make_sample(sample.source)
    for wrong in ({"size": (641, 480)}, {"rate": 0}, {"first": 500.0}, {"cameras": ["roof"]}):
        with pytest.raises(InputError, match="sample drive"):
            make_sample(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
