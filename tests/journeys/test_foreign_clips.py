# SPDX-License-Identifier: Apache-2.0
"""Real footage that we did not make, through the command line."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

import warm
from incamera.recording.sei import find
from videos import nal_types, times

CLIPS = Path(__file__).parents[2] / ".." / "shared" / "data" / "clips"
INCAMERA = Path(sys.executable).with_name("incamera")
SEI = 6
EARTH = 111_320.0  # metres a degree

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="needs ../shared/data/clips"),
]


def incamera(*words: str | Path) -> dict[str, object]:
    """Run a verb with --json; what it said."""
    done = warm.run([INCAMERA, *words, "--json"], text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


def packets(path: Path) -> list[bytes]:
    """The video packets of a file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def gpx(seconds: int) -> str:
    """A drive of 10 m/s to the north, one point a second."""
    points = "".join(
        f'<trkpt lat="{48 + 10 * n / EARTH:.6f}" lon="11.5">'
        f"<time>2026-05-01T10:00:{n:02d}Z</time></trkpt>"
        for n in range(seconds)
    )
    return (
        '<?xml version="1.0"?><gpx version="1.1" creator="x" '
        f'xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    )


def test_redacted_clips_keep_every_frame_and_time_and_lose_what_tells(tmp_path: Path) -> None:
    """Frame count, size and timestamps as in the source; no SEI, no metadata, no other stream."""
    source = tmp_path / "in"
    source.mkdir()
    for name in ("udacity-highway.mp4", "mapillary-gps-h264.mp4"):
        (source / name).write_bytes((CLIPS / name).read_bytes())
    said = incamera("redact", source, tmp_path / "out", "--report", tmp_path / "boxes.jsonl")
    frames = 0
    for path in sorted(source.iterdir()):
        output = tmp_path / "out" / path.name
        wanted, found = times(path), times(output)
        assert found == wanted
        assert all(isinstance(each, Fraction) for each in found)
        frames += len(wanted)
        assert SEI not in nal_types(output)
        assert not any(find(packet, length_size=4) for packet in packets(output))
        with av.open(str(path)) as before, av.open(str(output)) as after:
            size = (before.streams.video[0].width, before.streams.video[0].height)
            assert (after.streams.video[0].width, after.streams.video[0].height) == size
            assert len(after.streams) == 1
            assert "location" not in after.metadata
    assert said["frames"] == frames
    assert len((tmp_path / "boxes.jsonl").read_text().splitlines()) == frames


def test_a_teslacam_tree_of_foreign_clips_is_ingested(tmp_path: Path) -> None:
    """Four cameras of somebody's drive, positions from a GPX file: one capsule, a clean audit."""
    event = tmp_path / "stick" / "SavedClips" / "2026-05-01_12-00-03"
    event.mkdir(parents=True)
    film = (CLIPS / "udacity-lane.mp4").read_bytes()
    for camera in ("front", "back", "left_repeater", "right_repeater"):
        (event / f"2026-05-01_12-00-00-{camera}.mp4").write_bytes(film)
    said = {"timestamp": "2026-05-01T12:00:03", "reason": "user_interaction_dashcam_icon_tapped"}
    (event / "event.json").write_text(json.dumps(said | {"est_lat": "48", "est_lon": 11.5}))
    (tmp_path / "track.gpx").write_text(gpx(30))
    campaign = 'version = 1\nname = "taps"\n[saved]\nbefore = 1\nafter = 1\n'
    (tmp_path / "taps.toml").write_text(campaign)
    home = tmp_path / "home"
    incamera("init", home, "--region", "eu")
    where = ["--positions", str(tmp_path / "track.gpx"), "--align", "start"]
    ends = ["--ends-metres", "0", "--ends-seconds", "0"]
    what = ["--campaign", str(tmp_path / "taps.toml"), "--home", str(home)]
    summary = incamera("ingest", tmp_path / "stick", *where, *ends, *what)
    assert summary["admitted"] == 1
    assert summary["frames"] == 4 * 50
    assert incamera("audit", "--home", home)["ok"]
    # Without positions nothing can be shown to be clear of zones, so nothing is kept.
    other = tmp_path / "other"
    incamera("init", other, "--region", "eu")
    dropped = incamera("ingest", tmp_path / "stick", *ends, "--home", other)
    assert dropped["admitted"] == 0
    assert "no fix" in str(dropped["dropped_s"])
