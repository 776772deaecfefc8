# SPDX-License-Identifier: Apache-2.0
"""From recordings to admitted capsules: select, geofence, redact, seal, send, note; in one process.

What is decided, and in which order things are kept, is in :mod:`incamera.ingest.run`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from incamera.clock import Clock, SystemClock
from incamera.ingest.cut import Cutter
from incamera.ingest.home import Admit, CarHome
from incamera.ingest.journal import ClipId, Step
from incamera.ingest.run import Plan, Progress, Reopened, Run, recording_digest
from incamera.ingest.spool import alone
from incamera.ingest.summary import Summary
from incamera.recording import Options
from incamera.recording.model import Recording
from incamera.redaction import Redactor
from incamera.trigger import Span

__all__ = ["Plan", "Progress", "ingest", "ingest_recordings", "recording_digest"]


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
        Reopened(source, options),
        home,
        plan,
        admit=admit,
        redactor=redactor,
        clock=clock,
        wait=wait,
        progress=progress,
    )


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


class _Run(Run):
    """Clips are cut one after another, here."""

    def __init__(
        self,
        home: CarHome,
        plan: Plan,
        admit: Admit,
        redactor: Redactor,
        clock: Clock,
        progress: Progress | None,
    ) -> None:
        super().__init__(home, plan, admit, clock, progress)
        zones, campaign = plan.zones.digest, plan.campaign.digest
        self._cutter = Cutter(redactor, zones, campaign, self._watch, clock.now())

    def _make(self, recording: Recording, span: Span, clip: ClipId) -> None:
        try:
            self._cut(recording, span, clip)
        finally:
            self._over(recording.name, span)

    def _cut(self, recording: Recording, span: Span, clip: ClipId) -> None:
        summary = self._summary
        with self._spool.work(clip) as folder:
            packed, contents, tally = self._cutter.cut(
                recording,
                span,
                folder,
                lambda share: self._tell(recording.name, share * (span.end - span.start)),
            )
            with self._watch.stage("seal"):
                capsule = self._spool.seal(clip, packed, contents)
        summary.sealed += 1
        summary.frames += tally.frames
        summary.boxes.update(tally.boxes)
        self._send(Step(clip, "sealed", capsule))
