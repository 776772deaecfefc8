# SPDX-License-Identifier: Apache-2.0
"""A TeslaCam drive, or any part of it: what the car's USB stick holds.

::

    TeslaCam/
      RecentClips/                2026-05-01_10-00-00-front.mp4 ...            flat, hours of it
      SavedClips/  SentryClips/
        2026-05-01_10-09-30/      2026-05-01_10-00-00-front.mp4 ... event.json  one event

One event folder is one recording. A flat folder is split where the car stood still or was off.
Each file is about a minute of one camera; its name is the local wall time of its pts 0, so times
here are wall times (``Recording.zoned`` is False). Files that cannot be read are set aside, a
minute of a camera at a time, and named in ``Recording.faults``.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from incamera.errors import InputError
from incamera.recording.event import read_event, wall_time
from incamera.recording.folders import walk
from incamera.recording.model import Event, Recording, Telemetry
from incamera.recording.probe import inspect
from incamera.recording.telemetry import read_telemetry
from incamera.recording.video import Piece, VideoTrack

__all__ = ["others", "read", "recognise"]

_STAMP = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d"
_FORM = "%Y-%m-%d_%H-%M-%S"
_CLIP = re.compile(rf"({_STAMP})-([a-z][a-z_]{{0,30}})\.mp4", re.ASCII)
_CAMERAS = {"rear_view": "back", "rear": "back"}  # older names of the same camera
_ORDER = ("front", "back", "left_repeater", "right_repeater", "left_pillar", "right_pillar")
_SAME_MINUTE = 5.0  # seconds that the cameras' file names of one minute may lie apart
_NEW_DRIVE = 10.0  # seconds without any picture that end a recording in a flat folder
_IN_STEP = 1.0  # seconds by which cameras of one minute may differ before it is a fault
_BESIDE = frozenset(("event.json", "event.mp4", "thumb.png"))  # what the car puts beside clips


@dataclass(frozen=True, slots=True)
class _Clip:
    path: Path
    time: float
    camera: str


_Minute = dict[str, _Clip]  # by camera


@dataclass(slots=True)
class _Drive:
    """What is gathered while the files of one recording are looked at."""

    minutes: list[_Minute]
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    telemetry: list[Telemetry] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def recognise(path: Path) -> bool:
    """Whether ``path`` is a folder with TeslaCam clips in it."""
    return path.is_dir() and next(_folders(path, []), None) is not None


def read(path: Path) -> Iterator[Recording]:
    """The recordings under ``path``, by folder and time."""
    refused: list[str] = []
    for folder in _folders(path, refused):
        clips = _clips(folder, refused)
        name = folder.relative_to(path).as_posix()
        name = folder.name if name == "." else name
        if re.fullmatch(_STAMP, folder.name, re.ASCII) or (folder / "event.json").exists():
            if clips:
                yield _recording(name, folder, _minutes(clips))
            continue
        for drive in _drives(_minutes(clips)):
            first = min(clip.time for clip in drive[0].values())
            stamp = next(c.path.name for c in drive[0].values() if c.time == first)[:19]
            yield _recording(f"{name}/{stamp}", folder, drive)
    if refused:
        yield Recording(path.name, {}, sources=[path], faults=refused)


def others(names: Sequence[str]) -> list[str]:
    """Of the files of one folder those that :func:`read` does not take, nor the car wrote."""
    if not any(_CLIP.fullmatch(name) for name in names):
        return list(names)
    return [name for name in names if not _CLIP.fullmatch(name) and name not in _BESIDE]


def _folders(path: Path, refused: list[str]) -> Iterator[Path]:
    """Folders that hold clips themselves, in order of their names; ``refused``: see ``walk``."""
    for here, names in walk(path, refused=lambda _, why: refused.append(f"set aside: {why}")):
        if any(_CLIP.fullmatch(name) for name in names):
            yield here


def _clips(folder: Path, refused: list[str]) -> list[_Clip]:
    clips = []
    for path in sorted(folder.iterdir()):
        if (match := _CLIP.fullmatch(path.name)) and path.is_file():
            camera = _CAMERAS.get(match[2], match[2])
            try:
                clips.append(_Clip(path, wall_time(match[1], _FORM, str(path)), camera))
            except InputError as error:  # 31 February: the camera's clock was not set
                refused.append(f"set aside: {error}")
    return sorted(clips, key=lambda clip: (clip.time, clip.camera))


def _minutes(clips: Sequence[_Clip]) -> list[_Minute]:
    """Clips in groups of all cameras over the same minute."""
    minutes: list[_Minute] = []
    start = float("-inf")
    for clip in clips:
        if clip.time - start > _SAME_MINUTE or clip.camera in minutes[-1]:
            minutes.append({})
            start = clip.time
        minutes[-1][clip.camera] = clip
    return minutes


def _drives(minutes: Sequence[_Minute]) -> Iterator[list[_Minute]]:
    """Minutes in groups without a long gap. A minute's length is in its files, not their names."""
    drive: list[_Minute] = []
    end = float("-inf")
    for minute in minutes:
        start = min(clip.time for clip in minute.values())
        if drive and start - end > _NEW_DRIVE:
            yield drive
            drive = []
        drive.append(minute)
        end = _end(next(iter(minute.values())))
    if drive:
        yield drive


def _end(clip: _Clip) -> float:
    try:
        return clip.time + inspect(clip.path).end
    except InputError:
        return clip.time + 60.0  # it is named in the faults when its drive is read


def _recording(name: str, folder: Path, minutes: list[_Minute]) -> Recording:
    drive = _Drive(minutes)
    for minute in minutes:
        _read_minute(drive, minute)
    _note_missing(drive, folder)
    events = _events(folder, drive.faults)
    ordered = sorted(drive.pieces, key=lambda c: (_ORDER.index(c) if c in _ORDER else 9, c))
    sources = [clip.path for minute in minutes for clip in minute.values()]
    return Recording(
        name=name,
        tracks={camera: VideoTrack(camera, drive.pieces[camera]) for camera in ordered},
        fixes=[t.fix for t in drive.telemetry if t.fix is not None],
        telemetry=drive.telemetry,
        events=events,
        zoned=False,
        sources=[*sources, *([folder / "event.json"] if events else [])],
        faults=drive.faults,
    )


def _read_minute(drive: _Drive, minute: _Minute) -> None:
    found: dict[str, Piece] = {}
    for camera, clip in minute.items():
        try:
            piece = Piece(inspect(clip.path), clip.time)
            found[camera] = _after(drive.pieces.get(camera, []), piece)
        except InputError as error:
            drive.faults.append(f"set aside: {error}" + (f" ({error.hint})" if error.hint else ""))
    _note_out_of_step(drive, found)
    ordered = sorted(found, key=lambda c: _ORDER.index(c) if c in _ORDER else 9)
    drive.telemetry += read_telemetry([found[camera] for camera in ordered], drive.faults)
    for camera, piece in found.items():
        drive.pieces.setdefault(camera, []).append(piece)


def _after(before: Sequence[Piece], piece: Piece) -> Piece:
    """``piece`` as the next of its camera; InputError if it does not fit there.

    File names are whole seconds, so a minute may seem to begin a little before the last one's
    end: it is then moved behind it, so that time never runs backwards.
    """
    if not before:
        return piece
    last, probe = before[-1], piece.probe
    if (probe.width, probe.height) != (last.probe.width, last.probe.height):
        raise InputError(f"{probe.path}: another picture size than the camera's other files")
    overlap = last.end - piece.start
    if overlap > _IN_STEP:
        raise InputError(f"{probe.path}: overlaps {last.probe.path.name} by {overlap:.1f} s")
    return Piece(probe, piece.zero + max(0.0, overlap))


def _note_out_of_step(drive: _Drive, found: dict[str, Piece]) -> None:
    if len(found) < 2:
        return
    start = statistics.median(piece.start for piece in found.values())
    length = statistics.median(piece.end - piece.start for piece in found.values())
    for piece in found.values():
        for what, off in (
            ("starts", piece.start - start),
            ("lasts", piece.end - piece.start - length),
        ):
            if abs(off) > _IN_STEP:
                drive.faults.append(
                    f"{piece.probe.path}: {what} {abs(off):.1f} s {'more' if off > 0 else 'less'} "
                    "than the other cameras' files of that minute"
                )


def _note_missing(drive: _Drive, folder: Path) -> None:
    cameras = {camera for minute in drive.minutes for camera in minute}
    for minute in drive.minutes:
        if missing := sorted(cameras - minute.keys()):
            stamp = next(iter(minute.values())).path.name[:19]
            drive.faults.append(f"{folder}: no file of {', '.join(missing)} at {stamp}")


def _events(folder: Path, faults: list[str]) -> list[Event]:
    path = folder / "event.json"
    if not path.exists():
        return []
    try:
        return [read_event(path)]
    except InputError as error:
        faults.append(f"set aside: {error}")
        return []
