# SPDX-License-Identifier: Apache-2.0
"""A video or picture on its own, with its positions in a file beside it (GPX, DJI's SRT).

``drive.mp4`` takes ``drive.srt`` or else ``drive.gpx``, any case of the ending, or the file named
in :class:`Options`. How they are brought onto one clock:

* SRT counts from the first frame: nothing to do.
* GPX is in UTC, and so is the video's creation time. Where they overlap, both are believed.
* Otherwise nobody knows, and a wrong guess would put the car in another street: it is an error,
  unless ``Options.align`` says that the first track point belongs to the first frame.

A video with a creation time, or aligned to GPX, has POSIX times (``zoned`` is True). Without any
it starts at 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from incamera.errors import InputError
from incamera.recording import gpx, srt
from incamera.recording.model import Fix, Recording
from incamera.recording.probe import Probe, inspect
from incamera.recording.video import VideoTrack

__all__ = ["Options", "read", "recognise", "without_sidecars"]

_SUFFIXES = (".srt", ".gpx")
_CASES = {
    suffix: sorted({"".join(each) for each in product(*zip(suffix, suffix.upper(), strict=True))})
    for suffix in _SUFFIXES
}
"""Every way to write an ending, the small letters last: they win where there are two."""
_NEAR = 30.0  # seconds that GPX may begin late or end early and still be of the same drive
_NO_OVERLAP_HINT = (
    "cameras often write local time as UTC; if the first track point belongs to the first frame, "
    "say so: --align start"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What files alone cannot tell."""

    positions: Path | None = None  # the GPX or SRT file, if not beside the video by name
    align: Literal["clock", "start"] = "clock"  # how GPX meets the video, see above
    axes: srt.Axes | None = None  # the order in old DJI "GPS(...)" lines


def recognise(path: Path) -> bool:
    """Whether ``path`` is a file: what is in it, reading shows."""
    return path.is_file()


def without_sidecars(names: Sequence[str]) -> list[str]:
    """Of the files of one folder those that are not the positions of another one of them."""
    films = {stem for stem, ending in map(os.path.splitext, names) if not _is_ending(ending)}
    return [
        name
        for name, (stem, ending) in zip(names, map(os.path.splitext, names), strict=True)
        if not (_is_ending(ending) and stem in films)
    ]


def _is_ending(ending: str) -> bool:
    return ending.lower() in _SUFFIXES


def read(path: Path, options: Options) -> Iterator[Recording]:
    """The video or picture ``path``; InputError if it, or what is beside it, cannot be read."""
    probe = inspect(path)
    positions = options.positions or _beside(path)
    fixes: list[Fix] = []
    zero, zoned = (probe.created or 0.0) - probe.start, probe.created is not None
    if positions is not None and positions.suffix.lower() == ".srt":
        cues = srt.read(positions, options.axes, probe.location or _somewhere(path))
        first = zero + probe.start  # a cue's time counts from the first frame
        fixes = [replace(fix, time=fix.time + first) for fix in cues]
    elif positions is not None:
        fixes = gpx.read(positions)
        zero, zoned = _aligned(probe, positions, fixes, options), True
    yield Recording(
        name=path.name,
        tracks={"camera": VideoTrack.single(probe, zero=zero)},
        fixes=fixes,
        zoned=zoned,
        sources=[path] if positions is None else [path, positions],
    )


def place(recordings: Iterator[Recording], options: Options) -> Iterator[Recording]:
    """``recordings`` of a format with positions of its own, with those of a GPX file instead.

    For old TeslaCam clips, which carry none. Their clock is local time: ``align="start"`` puts
    the first track point at the first frame of the first recording. InputError if a recording
    has positions already: two truths would have to be weighed.
    """
    fixes = [] if options.positions is None else gpx.read(options.positions)
    offset: float | None = None if options.align == "start" else 0.0
    for recording in recordings:
        if options.positions is None or not recording.tracks:
            yield recording
            continue
        if recording.fixes:
            raise InputError(
                f"{recording.name}: has positions of its own, so {options.positions} is not needed",
                hint="leave --positions out",
            )
        if offset is None:
            offset = recording.start - fixes[0].time
        moved = [replace(fix, time=fix.time + offset) for fix in fixes]
        near = [f for f in moved if recording.start - _NEAR <= f.time <= recording.end + _NEAR]
        unmet = [] if near else [f"{recording.name}: {options.positions} says nothing of its time"]
        yield replace(
            recording,
            fixes=near,
            sources=[*recording.sources, options.positions],
            faults=[*recording.faults, *unmet],
        )


def _aligned(probe: Probe, positions: Path, fixes: list[Fix], options: Options) -> float:
    """The POSIX time of the video's pts 0."""
    if options.align == "start":
        return fixes[0].time - probe.start
    if probe.created is None:
        raise InputError(
            f"{probe.path}: has no creation time, so {positions.name} cannot be aligned to it",
            hint=_NO_OVERLAP_HINT,
        )
    zero = probe.created - probe.start
    before = fixes[0].time - (zero + probe.end)
    after = zero + probe.start - fixes[-1].time
    if max(before, after) > _NEAR:
        raise InputError(
            f"{positions}: lies {max(before, after):.0f} s "
            f"{'after' if before > after else 'before'} {probe.path.name}",
            hint=_NO_OVERLAP_HINT,
        )
    return zero


def _somewhere(path: Path) -> tuple[float, float] | None:
    """A place of this drive from a GPX file beside ``path``, to tell latitude from longitude."""
    beside = _sidecars(path).get(".gpx")
    fix = gpx.read(beside)[0] if beside else None
    return (fix.latitude, fix.longitude) if fix else None


def _beside(path: Path) -> Path | None:
    """The sidecar of ``path`` by name: SRT first, since it came from the same camera."""
    found = _sidecars(path)
    return next((found[suffix] for suffix in _SUFFIXES if suffix in found), None)


def _sidecars(path: Path) -> dict[str, Path]:
    found = {}
    for suffix in _SUFFIXES:
        for ending in _CASES[suffix]:  # asked for by name: a folder may hold thousands
            file = path.with_suffix(ending)
            if file != path and file.exists():
                found[suffix] = file
    return found
