# SPDX-License-Identifier: Apache-2.0
"""From recordings to admitted capsules: select, geofence, redact, seal, send, note.

Run again after whatever happened: what is done stays done, what was begun is finished, and what a
fault kept out is tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from incamera.clock import Clock, SystemClock
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.geofence import Course, GeofencePolicy, Zones, keep, trips_of
from incamera.ids import Digest
from incamera.ingest.cut import Cutter
from incamera.ingest.home import Admit, CarHome
from incamera.ingest.journal import ClipId, Journal, Step, clip_id
from incamera.ingest.spool import Spool, alone
from incamera.ingest.stopwatch import Stopwatch
from incamera.ingest.summary import Summary
from incamera.recording import Options, open_recordings
from incamera.recording.clip import measure
from incamera.recording.model import Recording
from incamera.redaction import Redactor
from incamera.trigger import Campaign, Span, default_campaign, find_spans

__all__ = ["Plan", "Progress", "ingest", "ingest_recordings", "recording_digest"]

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


def ingest(
    source: Path,
    home: CarHome,
    plan: Plan,
    *,
    admit: Admit,
    options: Options | None = None,
    redactor: Redactor | None = None,
    clock: Clock | None = None,
    wait: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Ingest every recording at ``source`` (a file or folder; ``options`` for what it leaves open).

    ``admit`` hands a capsule to the vault. ``wait``: for another ingest of this car to end.
    Returns what was done, with the faults of single recordings, clips and capsules in it; see
    :meth:`Summary.error`. Raises :class:`PolicyError` without a consent, :class:`InputError` if
    there is nothing to read at ``source``, :class:`UnavailableError` if the disk is full, a
    detector is missing or another ingest runs. Nothing is lost in any case: run it again.
    """
    return ingest_recordings(
        _Reopened(source, options),
        home,
        plan,
        admit=admit,
        redactor=redactor,
        clock=clock,
        wait=wait,
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class _Reopened:
    """The recordings of a path, opened each time they are gone through: one is held at a time."""

    source: Path
    options: Options | None

    def __iter__(self) -> Iterator[Recording]:
        return open_recordings(self.source, self.options)


def ingest_recordings(
    recordings: Iterable[Recording],
    home: CarHome,
    plan: Plan,
    *,
    admit: Admit,
    redactor: Redactor | None = None,
    clock: Clock | None = None,
    wait: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """As :func:`ingest`, for recordings that are open already; they are gone through twice."""
    home.check_consent()
    if isinstance(recordings, Iterator):  # of which a second time would find nothing
        recordings = list(recordings)
    with alone(home, wait):
        run = _Run(home, plan, admit, redactor or Redactor(), clock or SystemClock(), progress)
        return run.all(recordings)


class _Run:
    """One ingest, under the lock."""

    def __init__(
        self,
        home: CarHome,
        plan: Plan,
        admit: Admit,
        redactor: Redactor,
        clock: Clock,
        progress: Progress | None,
    ) -> None:
        self._plan, self._progress = plan, progress
        self._watch = Stopwatch()
        self._journal = Journal(home.journal)
        self._spool = Spool(home, self._journal, admit, clock)
        zones, campaign = plan.zones.digest, plan.campaign.digest
        self._cutter = Cutter(redactor, zones, campaign, self._watch, clock.now())
        self._summary = Summary(zones=len(plan.zones), zones_digest=plan.zones.digest)
        self._trips: list[Course] = []
        self._reachable = True  # the vault; after one failure it is not asked again in this run
        self._done, self._known = 0.0, 0.0  # seconds of footage

    def all(self, recordings: Iterable[Recording]) -> Summary:
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
            self._done += span.end - span.start
            self._tell(recording.name)

    def _tell(self, what: str, more: float = 0.0) -> None:
        if self._progress is not None:
            self._progress(self._done + more, self._known, what)

    def _clip(self, recording: Recording, span: Span, clip: ClipId) -> None:
        summary, watch = self._summary, self._watch
        step = self._journal.of(clip)
        if step is not None and step.state != "lost":
            summary.already += 1
            return
        with self._spool.work(clip) as folder:
            packed, contents, tally = self._cutter.cut(
                recording,
                span,
                folder,
                lambda share: self._tell(recording.name, share * (span.end - span.start)),
            )
            with watch.stage("seal"):
                capsule = self._spool.seal(clip, packed, contents)
        summary.sealed += 1
        summary.frames += tally.frames
        summary.boxes.update(tally.boxes)
        self._send(Step(clip, "sealed", capsule))

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
