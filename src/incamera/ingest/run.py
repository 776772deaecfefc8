# SPDX-License-Identifier: Apache-2.0
"""One ingest, whoever cuts: which clips there are to make, and what becomes of their capsules.

Run again after whatever happened: what is done stays done, what was begun is finished, and what a
fault kept out is tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from incamera.clock import Clock
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.geofence import Course, GeofencePolicy, Zones, keep, trips_of
from incamera.ids import Digest
from incamera.ingest.home import Admit, CarHome
from incamera.ingest.journal import ClipId, Journal, Step, clip_id
from incamera.ingest.spool import Spool
from incamera.ingest.stopwatch import Stopwatch
from incamera.ingest.summary import Summary
from incamera.recording import Options, open_recordings
from incamera.recording.clip import measure
from incamera.recording.model import Recording
from incamera.trigger import Campaign, Span, default_campaign, find_spans

__all__ = ["Plan", "Progress", "Reopened", "Run", "recording_digest"]


Progress = Callable[[float, float | None, str | None], None]
"""Called with (seconds of footage done, seconds known so far, what is being worked on)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look for and what to keep away from."""

    zones: Zones
    """:meth:`Zones.empty` says on purpose that there are none."""
    campaign: Campaign = field(default_factory=default_campaign)
    geofence: GeofencePolicy = field(default_factory=GeofencePolicy)


def recording_digest(recording: Recording) -> Digest:
    """Names a recording by the bytes of its files, wherever they lie and however they are called.

    SHA-256 over a label and the sorted, distinct SHA-256 of the files.
    """
    paths = {*recording.sources, *(p for t in recording.tracks.values() for p in t.sources)}
    if not paths:
        raise InputError(f"{recording.name}: says nothing of the files it was read from")
    try:
        found = sorted({measure(path)[1] for path in paths})
    except UnavailableError as error:  # of this recording, not of the machine: the others go on
        raise InputError(f"{recording.name}: {error.message}") from error
    return Digest(hashlib.sha256("\n".join(["incamera-recording-1", *found]).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Reopened:
    """The recordings of a path, opened each time they are gone through: one is held at a time."""

    source: Path
    options: Options | None

    def __iter__(self) -> Iterator[Recording]:
        return open_recordings(self.source, self.options)


class Run(ABC):
    """One ingest, under the lock. Who inherits says how a clip is made."""

    def __init__(
        self,
        home: CarHome,
        plan: Plan,
        admit: Admit,
        clock: Clock,
        progress: Progress | None,
    ) -> None:
        self._home, self._plan, self._progress = home, plan, progress
        self._watch = Stopwatch()
        self._journal = Journal(home.journal)
        self._spool = Spool(home, self._journal, admit, clock)
        self._summary = Summary(zones=len(plan.zones), zones_digest=plan.zones.digest)
        self._trips: list[Course] = []
        self._reachable = True  # the vault; after one failure it is not asked again in this run
        self._done, self._known = 0.0, 0.0  # seconds of footage

    def all(self, recordings: Iterable[Recording]) -> Summary:
        """Ingest ``recordings``, which are gone through twice."""
        summary = self._summary
        for step in self._spool.waiting():
            self._send(step)
        # Before any clip is cut it must be known where trips begin and end, and one trip may lie
        # in several recordings: a saved event is a piece of a drive.
        for recording in self._watch.each("open", recordings):
            self._trips += trips_of(recording, self._plan.geofence)
        for recording in self._watch.each("open", recordings):
            summary.recordings += 1
            summary.faults += [InputError(fault) for fault in recording.faults]
            with self._fault():
                self._recording(recording)
        self._rest()
        summary.waiting = len(self._spool.waiting())
        summary.stages = dict(self._watch.seconds)
        return summary

    @contextlib.contextmanager
    def _fault(self) -> Iterator[None]:
        """What is wrong with one recording or clip is noted, and the rest goes on.

        A full disk or a missing detector (:class:`UnavailableError`) would be wrong with all.
        """
        try:
            yield
        except UnavailableError:
            raise
        except Error as error:
            self._summary.faults.append(error)

    def _recording(self, recording: Recording) -> None:
        if not recording.tracks:
            return
        summary, watch = self._summary, self._watch
        summary.recorded_s += recording.end - recording.start
        with watch.stage("digest"):
            name = recording_digest(recording)
        with watch.stage("select"):
            spans = find_spans(recording, self._plan.campaign)
        with watch.stage("geofence"):
            decision = keep(spans, recording, self._plan.zones, self._plan.geofence, self._trips)
        for span in spans:
            for tag in span.tags:
                summary.add(summary.selected_s, tag, span.end - span.start)
        for each in decision.dropped:
            summary.add(summary.dropped_s, each.reason, each.span.end - each.span.start)
        self._known += sum(span.end - span.start for span in decision.kept)
        for span in decision.kept:
            summary.kept += 1
            summary.kept_s += span.end - span.start
            with self._fault():
                self._clip(recording, span, clip_id(name, span.start, span.end))

    def _tell(self, what: str, more: float = 0.0) -> None:
        if self._progress is not None:
            self._progress(self._done + more, self._known, what)

    def _clip(self, recording: Recording, span: Span, clip: ClipId) -> None:
        step = self._journal.of(clip)
        if step is not None and step.state != "lost":
            self._summary.already += 1
            self._over(recording.name, span)
        else:
            self._make(recording, span, clip)

    @abstractmethod
    def _make(self, recording: Recording, span: Span, clip: ClipId) -> None:
        """Have the clip made, sealed, noted and sent; :meth:`_over` when it is, or failed."""

    def _rest(self) -> None:  # noqa: B027 - whoever makes each clip at once has no rest
        """Wait for what is still being made."""

    def _over(self, what: str, span: Span) -> None:
        """Nothing more is to be done for a span."""
        self._done += span.end - span.start
        self._tell(what)

    def _send(self, step: Step) -> None:
        """Try to hand a capsule over. What the vault refuses stays in the spool, and is told."""
        if not self._reachable:
            return
        try:
            with self._watch.stage("admit"):
                size = self._spool.send(step)
        except UnavailableError as error:
            self._reachable = False
            self._summary.faults.append(error)
        except (InputError, IntegrityError, PolicyError) as error:
            self._summary.faults.append(error)
        else:
            self._summary.admitted += size is not None
            self._summary.already += size is None
            self._summary.bytes += size or 0
