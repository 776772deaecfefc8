# SPDX-License-Identifier: Apache-2.0
"""Videos and pictures on their own, with GPX or DJI's SRT beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from incamera.errors import InputError
from incamera.recording import Options, Recording, gpx, open_recordings, srt
from videos import film

CREATED = 1_777_629_600.0  # 2026-05-01T10:00:00Z
TAG = {"creation_time": "2026-05-01T10:00:00Z"}


def track(hour: str = "10") -> str:
    """GPX with five points, one a second, from ``hour``."""
    points = "".join(
        f'<trkpt lat="{47 + i / 1000}" lon="8.5"><time>2026-05-01T{hour}:00:0{i}Z</time></trkpt>'
        for i in range(5)
    )
    return (
        '<?xml version="1.0"?><gpx version="1.1" creator="x" '
        f'xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    )


def cues(*lines: str) -> str:
    """Subtitles with one cue a second."""
    return "\n\n".join(
        f"{i + 1}\n00:00:0{i},000 --> 00:00:0{i + 1},000\n<font>FrameCnt: {i}</font>\n{line}"
        for i, line in enumerate(lines)
    )


NAMED = cues(
    "[iso: 100] [latitude: 47.1] [longitude: 8.5] [rel_alt: 1.2 abs_alt: 408.1] </font>",
    "[latitude: 0.0] [longitude: 0.0]",
    "[latitude : 47.2] [longtitude : 8.6]",
)


def one(path: Path, options: Options | None = None) -> Recording:
    """The only recording at ``path``."""
    (recording,) = open_recordings(path, options)
    return recording


def test_plain_video(tmp_path: Path) -> None:
    """A video with nothing beside it has no fixes and starts at 0."""
    found = one(film(tmp_path / "a.mp4"))
    assert (found.name, list(found.tracks), found.zoned) == ("a.mp4", ["camera"], False)
    assert found.start == 0
    assert not found.fixes


def test_creation_time(tmp_path: Path) -> None:
    """A video with a creation time has POSIX times."""
    found = one(film(tmp_path / "a.mp4", tags=TAG))
    assert (found.start, found.zoned) == (CREATED, True)


def test_picture(tmp_path: Path) -> None:
    """A picture is a recording of one frame, whatever its name says."""
    Image.new("RGB", (31, 17), (10, 200, 30)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "50%d.jpg")
    found = one(tmp_path / "50%d.jpg")
    (frame,) = found.tracks["camera"].frames()
    assert frame.rgb().shape == (17, 31, 3)
    assert frame.rgb()[0, 0].tolist() == [10, 200, 30]


def test_gpx_by_clock(tmp_path: Path) -> None:
    """GPX is believed where its clock meets the video's creation time."""
    path = film(tmp_path / "a.mp4", tags=TAG)
    (tmp_path / "a.GPX").write_text(track())
    found = one(path)
    assert found.zoned
    assert [(fix.time - CREATED, fix.latitude) for fix in found.fixes[:2]] == [
        (0.0, 47.0),
        (1.0, 47.001),
    ]
    assert found.sources == [path, tmp_path / "a.GPX"]


@pytest.mark.parametrize(("tags", "message"), [({}, "no creation time"), (TAG, "7196 s after")])
def test_gpx_that_does_not_meet(tmp_path: Path, tags: dict[str, str], message: str) -> None:
    """GPX that cannot be aligned is refused with the way out, and accepted when told."""
    path = film(tmp_path / "a.mp4", tags=tags, times=range(100))
    (tmp_path / "a.gpx").write_text(track("12"))
    with pytest.raises(InputError, match=message) as caught:
        one(path)
    assert "align" in (caught.value.hint or "")
    found = one(path, Options(align="start"))
    assert found.start == found.fixes[0].time == CREATED + 7200
    assert found.zoned


def test_positions_named(tmp_path: Path) -> None:
    """A file of positions elsewhere can be named."""
    path = film(tmp_path / "a.mp4", tags=TAG)
    (tmp_path / "walk.gpx").write_text(track())
    assert len(one(path, Options(positions=tmp_path / "walk.gpx")).fixes) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<gpx",
        "<gpx></gpx>",
        track().replace("<time>2026-05-01T10:00:03Z</time>", ""),
        track().replace('lat="47.0"', 'lat="97.0"'),
        track().replace('lat="47.0"', 'lat="nan"'),
        track().replace('lat="47.0"', 'lat="x"'),
        track().replace("2026-05-01T10:00:03Z", "today"),
        track().replace("?>", '?><!DOCTYPE a [<!ENTITY b "c">]>'),
    ],
)
def test_gpx_refused(text: str) -> None:
    """GPX without points, times or sense is refused by name."""
    with pytest.raises(InputError, match=r"^a\.gpx: "):
        gpx.parse(text, "a.gpx")


def test_srt(tmp_path: Path) -> None:
    """DJI's named positions count from the first frame; 0, 0 is no position."""
    path = film(tmp_path / "a.mp4", tags=TAG)
    (tmp_path / "a.SRT").write_text(NAMED)
    found = one(path)
    assert [(f.time - CREATED, f.latitude, f.longitude) for f in found.fixes] == [
        (0.0, 47.1, 8.5),
        (2.0, 47.2, 8.6),
    ]


@pytest.mark.parametrize(
    ("line", "given", "near", "expected"),
    [
        ("GPS(8.5,47.1,15)", "lon-lat", None, (47.1, 8.5)),
        ("GPS (47.1, 8.5, 15)", "lat-lon", None, (47.1, 8.5)),
        ("HOME(149.0,-20.2) GPS(149.02,-20.25,16)", None, None, (-20.25, 149.02)),
        ("GPS(-20.25,149.02,16)", None, None, (-20.25, 149.02)),
        ("GPS(8.5,47.1,15)", None, (47.0, 8.4), (47.1, 8.5)),
        ("GPS(47.1,8.5,15)", None, (47.0, 8.4), (47.1, 8.5)),
    ],
)
def test_old_srt(
    line: str,
    given: srt.Axes | None,
    near: tuple[float, float] | None,
    expected: tuple[float, float],
) -> None:
    """The order of unnamed positions comes from the caller, from the values, or a second source."""
    (fix,) = srt.parse(cues(line), "a.srt", given, near)
    assert (fix.latitude, fix.longitude) == expected


@pytest.mark.parametrize("near", [None, (0.0, 0.0), (8.6, 8.6)])
def test_old_srt_is_not_guessed(near: tuple[float, float] | None) -> None:
    """Where nothing tells latitude from longitude, the file is refused with the way out."""
    line = "GPS(8.5,8.7,15)" if near and near[0] else "GPS(8.5,47.1,15)"
    with pytest.raises(InputError, match="latitude or longitude first") as caught:
        srt.parse(cues(line), "a.srt", None, near)
    assert "axes" in (caught.value.hint or "")


def test_old_srt_with_gpx_beside(tmp_path: Path) -> None:
    """A GPX file beside tells the order of the subtitles' positions."""
    path = film(tmp_path / "a.mp4", tags=TAG)
    (tmp_path / "a.srt").write_text(cues("GPS(8.5,47.0,15)"))
    (tmp_path / "a.gpx").write_text(track())
    assert [(f.latitude, f.longitude) for f in one(path).fixes] == [(47.0, 8.5)]


@pytest.mark.parametrize("text", ["", "1\n00:00:00,000 --> 00:00:01,000\nHello", cues("GPS(1,2")])
def test_srt_without_positions(text: str) -> None:
    """Subtitles without positions are refused by name."""
    with pytest.raises(InputError, match=r"^a\.srt: no position"):
        srt.parse(text, "a.srt")


def test_folder(tmp_path: Path) -> None:
    """Each video of a folder is a recording; what cannot be read is named, the rest goes on."""
    (tmp_path / "b").mkdir()
    film(tmp_path / "b" / "a.mp4", tags=TAG)
    (tmp_path / "b" / "a.gpx").write_text(track())
    film(tmp_path / "c.mkv")
    (tmp_path / "d.mp4").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"x")
    found = {recording.name: recording for recording in open_recordings(tmp_path)}
    assert sorted(found) == ["b/a.mp4", "c.mkv", "d.mp4"]
    assert len(found["b/a.mp4"].fixes) == 5
    assert not found["d.mp4"].tracks
    assert "is empty" in found["d.mp4"].faults[0]


def test_nothing_there(tmp_path: Path) -> None:
    """A missing path, an empty folder and a file that is no recording are refused."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("hello")
    for name, message in (("none", "no such"), ("empty", "no recording"), ("a.txt", "not a video")):
        with pytest.raises(InputError, match=message):
            one(tmp_path / name)


def old_teslacam(folder: Path) -> Path:
    """A TeslaCam event folder of before the telemetry: five seconds of one camera."""
    event = folder / "SavedClips" / "2026-05-01_12-00-05"
    event.mkdir(parents=True)
    film(event / "2026-05-01_12-00-00-front.mp4", times=[25 * n for n in range(5)], rate=1)
    return folder


def test_old_teslacam_clips_take_positions_from_a_file(tmp_path: Path) -> None:
    """With --align start the first track point belongs to the first frame, whatever the zone."""
    (tmp_path / "track.gpx").write_text(track())
    options = Options(positions=tmp_path / "track.gpx", align="start")
    (found,) = open_recordings(old_teslacam(tmp_path / "stick"), options)
    assert [fix.time - found.start for fix in found.fixes] == [0, 1, 2, 3, 4]
    assert tmp_path / "track.gpx" in found.sources


def test_positions_of_another_time_are_a_fault(tmp_path: Path) -> None:
    """By the clock, local time and UTC do not meet: said, and no fix is invented."""
    (tmp_path / "track.gpx").write_text(track())
    options = Options(positions=tmp_path / "track.gpx")
    (found,) = open_recordings(old_teslacam(tmp_path / "stick"), options)
    assert not found.fixes
    assert "says nothing of its time" in found.faults[-1]
