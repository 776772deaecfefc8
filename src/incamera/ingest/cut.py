# SPDX-License-Identifier: Apache-2.0
"""Cutting one clip: the frames of every camera in a span, redacted, encoded, reported, packed.

Frames stream through one at a time, camera after camera. If one frame cannot be decoded or looked
at, the clip fails as a whole: there is no frame in it that was not looked at.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Digest, Name
from incamera.ingest import thin
from incamera.ingest.stopwatch import Stopwatch
from incamera.recording.clip import measure, pack
from incamera.recording.contents import Contents, Footage, Report
from incamera.recording.model import Frame, Recording, Track
from incamera.recording.probe import Probe
from incamera.recording.writer import VideoWriter
from incamera.redaction import Redactor, report
from incamera.trigger import Span

__all__ = ["Cutter", "Tally"]

_REPORT = "report.jsonl"


@dataclass(slots=True)
class Tally:
    """What went into one clip."""

    cameras: int = 0
    frames: int = 0
    boxes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Cutter:
    """The tools that all clips of one run are cut with."""

    redactor: Redactor
    zones: Digest  # of the set that was kept away from; no worker has to know the zones
    campaign: Digest | None
    watch: Stopwatch
    now: int  # POSIX seconds

    def cut(
        self, recording: Recording, span: Span, folder: Path, tell: Callable[[float], None]
    ) -> tuple[Path, Contents, Tally]:
        """Cut ``span`` in the empty ``folder``: the packed clip, what it says, what it took.

        ``tell`` is called with the share (0..1) that is done.
        :class:`InputError` if anything of it cannot be read, :class:`UnavailableError` if the
        disk is full.
        """
        tally = Tally()
        names = thin.camera_names(recording)
        hour, clock = thin.hour_of(recording, span, self.now)
        footage = []
        with durable.atomic(folder / _REPORT, mode=0o600) as lines:
            for name, camera in sorted((name, camera) for camera, name in names.items()):
                job = _Job(recording.tracks[camera], name, span, folder, lines, tally)
                taken = self._camera(job)
                footage += [] if taken is None else [taken]
                tally.cameras += 1
                tell(tally.cameras / len(names))
        if not footage:
            raise InputError(f"{recording.name}: no camera has a frame in this span")
        size, found = measure(folder / _REPORT)
        contents = Contents(
            hour=hour,
            clock=clock,
            duration=round(span.end - span.start, 6),
            tags=tuple(Name(tag) for tag in span.tags),
            footage=tuple(footage),
            report=Report(tally.frames, size, found),
            events=thin.events(recording, span),
            telemetry=thin.telemetry(recording, span),
            fixes=thin.fixes(recording, span),
            fill=self.redactor.fill,
            models=tuple(self.redactor.models()),
            zones=self.zones,
            campaign=self.campaign,
        )
        packed = folder / "clip.tar"
        with self.watch.stage("pack"), durable.atomic(packed, mode=0o600) as out:
            pack(folder, contents, out)
        return packed, contents, tally

    def _camera(self, job: _Job) -> Footage | None:
        """One camera's part of the clip; None if it has no frame in the span."""
        track, span = job.track, job.span
        path, times = job.folder / f"{job.name}.mp4", array("d")
        decoded = self.watch.each("decode", track.frames(span.start, span.end))
        with closing(self.watch.each("redact", self.redactor.redact(_numbered(decoded)))) as safe:
            for head in safe:  # one turn at most: a file is begun only once there is a frame
                with (
                    self.watch.stage("encode"),
                    VideoWriter(path, _like(track), container="mp4", origin=span.start) as writer,
                ):
                    for frame in chain([head], safe):
                        times.append(max(0.0, frame.time - span.start))
                        job.lines.write(report.line(path.name, frame, times[-1]))
                        job.tally.boxes.update(box.kind for box in frame.boxes)
                        writer.write(frame)
        if not times:
            return None
        job.tally.frames += len(times)
        size, found = measure(path)
        return Footage(
            camera=job.name,
            width=track.width,
            height=track.height,
            frames=len(times),
            first=round(times[0], 6),
            last=round(times[-1], 6),
            size=size,
            digest=found,
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """One camera of one clip."""

    track: Track
    name: Name
    span: Span
    folder: Path
    lines: BinaryIO  # the report
    tally: Tally


def _numbered(frames: Generator[Frame, None, None]) -> Generator[Frame, None, None]:
    """Frames counted within the clip: how far into a drive it was cut is nobody's business."""
    with closing(frames):
        for index, frame in enumerate(frames):
            frame.index = index
            yield frame


def _like(track: Track) -> Probe:
    probe = getattr(track, "probe", None)
    if not isinstance(probe, Probe):
        raise InputError(f"{track.camera}: cannot tell how its pictures are coded")
    return probe
