# SPDX-License-Identifier: Apache-2.0
"""Makes the sample drive's folder: eight cameras' films, and what belongs to them."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from incamera import durable
from incamera.errors import InputError
from incamera.recording.model import Box
from incamera.recording.sample.film import Film
from incamera.recording.sample.scene import Scene
from incamera.recording.sample.story import (
    EVENTS,
    LENGTH,
    NO_FIX,
    Moment,
    place,
    telemetry,
    way,
    zone,
)
from incamera.recording.sample.view import CAMERAS, Camera

__all__ = ["START", "Truth", "make_sample"]

START = datetime.datetime(2026, 10, 14, 9, 28, 0, tzinfo=datetime.UTC)  # local time, read as UTC
_STAMP = "%Y-%m-%d_%H-%M-%S"
_MINUTE = 60.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Truth:
    """What was made, and what really happens in it. Times are the recording's clock."""

    source: Path  # hand this to ``incamera ingest``
    zones: Path  # GeoJSON of the military site
    campaign: Path  # keeps 3 s around each moment: a quick first look
    boxes: Path  # JSON Lines in the form of a redaction report: every face and plate to be seen
    start: float
    end: float
    no_fix: tuple[float, float]
    events: tuple[Moment, ...]
    cameras: tuple[str, ...]
    frames: int
    faces: int
    plates: int


@dataclass(frozen=True)
class _Reel:
    """One file to be made: a minute of one camera."""

    camera: Camera
    size: tuple[int, int]
    rate: int
    frames: range  # of the drive
    path: Path


def _reels(
    cameras: Sequence[Camera], size: tuple[int, int], rate: int, frames: range, folder: Path
) -> Iterator[_Reel]:
    """The files of all cameras, minute by minute."""
    minute = round(_MINUTE * rate)
    for camera in cameras:
        for start in range(frames.start, frames.stop, minute):
            stamp = (START + datetime.timedelta(seconds=start / rate)).strftime(_STAMP)
            these = range(start, min(start + minute, frames.stop))
            yield _Reel(camera, size, rate, these, folder / f"{stamp}-{camera.name}.mp4")


def make_sample(
    dest: Path,
    *,
    size: tuple[int, int] = (640, 480),
    rate: int = 8,
    seconds: float | None = None,
    first: float = 0.0,
    cameras: Sequence[str] | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Truth:
    """Make the sample drive in the new or empty folder ``dest``.

    ``size`` in pixels (even), ``rate`` in frames a second; ``first`` and ``seconds`` choose a
    part of the drive, ``cameras`` some of the eight. ``progress`` is told frames done and to do.
    The same arguments give the same bytes on the same machine. With ``processes=1`` nothing is
    started beside this process; otherwise a script that calls this needs the usual
    ``if __name__ == "__main__":``, as for all of Python's ``multiprocessing``.

    ``dest`` gets ``TeslaCam/`` (one event folder: a film a minute and camera, ``event.json``,
    ``thumb.png``), ``zones.geojson``, ``campaign.toml``, ``truth.jsonl`` and ``truth.json``.
    """
    chosen = _chosen(cameras)
    last = min(LENGTH, LENGTH if seconds is None else first + seconds)
    _check(dest, size, rate, first, last)
    stamp = (START + datetime.timedelta(seconds=EVENTS[-1].start)).strftime(_STAMP)
    source = dest / "TeslaCam"
    folder = durable.folder(source / "SavedClips" / stamp)
    durable.folder(source / "RecentClips")
    frames = range(round(first * rate), round(last * rate))
    reels = list(_reels(chosen, size, rate, frames, folder))
    parts = _film_all(reels, processes or min(os.cpu_count() or 1, len(reels)), progress)
    listed = [line for part in parts for line in part]
    durable.write(dest / "truth.jsonl", "".join(line + "\n" for line in listed).encode())
    _write_event(folder, size)
    span = (frames.start / rate, frames.stop / rate)
    return _write_truth(dest, source, span, [each.name for each in chosen], listed)


def _chosen(names: Sequence[str] | None) -> list[Camera]:
    known = {camera.name: camera for camera in CAMERAS}
    if unknown := [name for name in names or () if name not in known]:
        raise InputError(
            f"sample drive: no camera {unknown[0]!r}", hint=f"cameras are {', '.join(known)}"
        )
    return [known[name] for name in known if names is None or name in names]


def _check(dest: Path, size: tuple[int, int], rate: int, first: float, last: float) -> None:
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise InputError(f"{dest}: is not an empty folder", hint="name a new folder")
    if not all(64 <= side <= 4096 and side % 2 == 0 for side in size):
        raise InputError(f"sample drive: {size[0]}x{size[1]}: sides are even, from 64 to 4096")
    if not 1 <= rate <= 60:
        raise InputError(f"sample drive: {rate} frames a second: 1 to 60 can be made")
    if not 0 <= first < last:
        raise InputError(f"sample drive: it lasts from 0 to {LENGTH:g} s")


def _film_all(reels: Sequence[_Reel], processes: int, progress: Progress | None) -> list[list[str]]:
    """Film every reel; the truth's lines, in the order of the reels."""
    total, done = sum(len(reel.frames) for reel in reels), 0
    found: dict[_Reel, list[str]] = {}
    for reel, lines in _filmed(reels, processes):
        found[reel] = lines
        done += len(reel.frames)
        if progress:
            progress(done, total)
    return [found[reel] for reel in reels]


def _filmed(reels: Sequence[_Reel], processes: int) -> Iterator[tuple[_Reel, list[str]]]:
    """Each reel when it is done."""
    if processes == 1:
        for reel in reels:
            yield reel, _film(reel)
        return
    # A fresh interpreter each: forking a process that has threads may hang it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running = {pool.submit(_film, reel): reel for reel in reels}
        for future in as_completed(running):
            yield running[future], future.result()


def _film(reel: _Reel) -> list[str]:
    """Make one file."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        scene = Scene(reel.camera, reel.size)
        lines: list[str] = []
        source = reel.path.relative_to(reel.path.parents[2]).as_posix()
        with Film(reel.path, reel.size, reel.rate) as film:
            for index, frame in enumerate(reel.frames):
                picture, boxes = scene.frame(frame / reel.rate)
                film.write(picture, telemetry(frame / reel.rate, frame))
                lines.append(_line(source, index, index / reel.rate, reel.size, boxes))
        return lines
    finally:
        cv2.setNumThreads(threads)


def _line(source: str, frame: int, time: float, size: tuple[int, int], boxes: list[Box]) -> str:
    width, height = size
    listed = [{"x": b.x, "y": b.y, "w": b.w, "h": b.h, "kind": b.kind} for b in boxes]
    value = {"source": source, "frame": frame, "time": round(time, 3)}
    return json.dumps({**value, "width": width, "height": height, "boxes": listed})


def _write_event(folder: Path, size: tuple[int, int]) -> None:
    """``event.json`` and ``thumb.png``: the honk beside the military site."""
    when = EVENTS[-1].start
    latitude, longitude = place(1.65, way(when)[0])
    event = {
        "timestamp": (START + datetime.timedelta(seconds=when)).strftime("%Y-%m-%dT%H:%M:%S"),
        "city": "Sampleton",
        "street": "Demonstration Avenue",
        "est_lat": str(latitude),
        "est_lon": str(longitude),
        "reason": "user_interaction_honk",
        "camera": "0",
    }
    durable.write(folder / "event.json", json.dumps(event, indent=2).encode() + b"\n")
    picture, _ = Scene(CAMERAS[0], size).frame(when)
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done
    durable.write(folder / "thumb.png", data.tobytes())


_CAMPAIGN = """\
# The sample drive's campaign: as incamera's own, with fewer seconds around each moment.
version = 1
name = "sample-drive"

[hard-brake]
before = 3.0
after = 3.0

[take-over]
before = 3.0
after = 3.0

[honk]
before = 3.0
after = 3.0
"""


def _write_truth(
    dest: Path,
    source: Path,
    span: tuple[float, float],
    cameras: Sequence[str],
    listed: Sequence[str],
) -> Truth:
    feature = {
        "type": "Feature",
        "properties": {"name": "Sample military site", "landuse": "military"},
        "geometry": {"type": "Polygon", "coordinates": [zone()]},
    }
    zones = {"type": "FeatureCollection", "features": [feature]}
    durable.write(dest / "zones.geojson", json.dumps(zones, indent=2).encode() + b"\n")
    durable.write(dest / "campaign.toml", _CAMPAIGN.encode())
    zero, (start, end) = START.timestamp(), span
    truth = Truth(
        source=source,
        zones=dest / "zones.geojson",
        campaign=dest / "campaign.toml",
        boxes=dest / "truth.jsonl",
        start=zero + start,
        end=zero + end,
        no_fix=(zero + NO_FIX[0], zero + NO_FIX[1]),
        events=tuple(
            Moment(e.kind, zero + e.start, zero + e.end, e.kept, e.why)
            for e in EVENTS
            if start <= e.start < end
        ),
        cameras=tuple(cameras),
        frames=len(listed),
        faces=sum(line.count('"face"') for line in listed),
        plates=sum(line.count('"plate"') for line in listed),
    )
    plain = {
        key: str(value.relative_to(dest)) if isinstance(value, Path) else value
        for key, value in asdict(truth).items()
    }
    durable.write(dest / "truth.json", json.dumps(plain, indent=2).encode() + b"\n")
    return truth
