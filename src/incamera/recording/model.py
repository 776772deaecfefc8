# SPDX-License-Identifier: Apache-2.0
"""What a car recorded, as data: plaintext, and never to leave the car.

``Frame`` and ``RedactedFrame`` are different types on purpose. The video writer takes only the
second and only :mod:`incamera.redaction.fill` makes it (a house test looks for other makers), so
a path from camera to file that skips redaction does not type-check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Event", "Fix", "Frame", "Recording", "RedactedFrame", "Telemetry", "Track"]


@dataclass(frozen=True, slots=True)
class Fix:
    """One position sample. WGS 84 degrees; heading in degrees clockwise from north; m/s."""

    time: float  # POSIX seconds, or seconds of the recording's own clock (Recording.zoned)
    latitude: float
    longitude: float
    heading: float | None = None
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the car says of itself at one moment (Tesla's ``SeiMetadata``; facts per frame)."""

    time: float
    speed: float = 0.0  # m/s
    steering: float = 0.0  # degrees, positive to the right
    accelerator: float = 0.0  # pedal position, 0..100 %
    brake: bool = False
    gear: int = 0  # 0 P, 1 D, 2 R, 3 N
    blinker_left: bool = False
    blinker_right: bool = False
    autopilot: int = 0  # 0 none, 1 self driving, 2 autosteer, 3 traffic-aware cruise control
    acceleration: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m/s2: x, y, z
    sequence: int = 0  # frame_seq_no
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Why the car kept the recording: honk, Sentry, a tap on the icon (``event.json``)."""

    time: float
    reason: str
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its source frame. ``x, y`` is the upper left corner."""

    x: float
    y: float
    w: float
    h: float
    kind: Literal["face", "plate"]
    score: float  # 0..1
    via: Literal["detected", "tracked"] = "detected"


@dataclass(slots=True)
class Frame:
    """One decoded picture with everything in it. Never written anywhere."""

    camera: str
    index: int  # 0, 1, 2 ... within its track
    pts: int  # presentation time in units of time_base, as in the source
    time_base: Fraction
    time: float  # same clock as Track.start
    picture: av.VideoFrame

    def rgb(self) -> NDArray[np.uint8]:
        """The picture as RGB, uint8, height x width x 3."""
        return np.asarray(self.picture.to_ndarray(format="rgb24"), np.uint8)


@dataclass(slots=True)
class RedactedFrame:
    """One picture whose faces and plates are destroyed; ``boxes`` is exactly what was."""

    camera: str
    index: int
    pts: int
    time_base: Fraction
    time: float
    picture: av.VideoFrame
    boxes: tuple[Box, ...] = ()


class Track(Protocol):
    """One camera's video: a run of files or messages, read as one stream.

    ``frames`` may be called again and reads from the start; it holds a few frames at most.
    An undecodable or missing frame raises :class:`incamera.errors.InputError`: it is never
    skipped.
    """

    camera: str
    width: int
    height: int
    start: float  # time of the first frame
    end: float  # time just after the last frame
    sources: Sequence[Path]

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames with ``start <= time < end`` (all by default), in order of presentation."""
        ...


@dataclass(frozen=True)
class Recording:
    """What one drive, or one event, left: tracks in step, fixes, telemetry, events."""

    name: str  # unique within its source folder; a relative path
    tracks: Mapping[str, Track]  # by camera name
    fixes: Sequence[Fix] = ()  # by time
    telemetry: Sequence[Telemetry] = ()  # by time
    events: Sequence[Event] = ()
    zoned: bool = False  # True: times are POSIX (UTC); False: local wall time read as if UTC
    sources: Sequence[Path] = ()  # every file read, for the recording's digest
    faults: Sequence[str] = field(default=())  # files set aside, one sentence each

    @property
    def start(self) -> float:
        """Time of the earliest frame; 0 without tracks, when every file was set aside."""
        return min((track.start for track in self.tracks.values()), default=0.0)

    @property
    def end(self) -> float:
        """Time just after the latest frame; 0 without tracks."""
        return max((track.end for track in self.tracks.values()), default=0.0)
