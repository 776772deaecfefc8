# SPDX-License-Identifier: Apache-2.0
"""Ingest over many workers: the same clips as one process makes, and the same journal.

This process alone selects, geofences, sends and writes the journal; workers cut, redact and seal.

=====================================  ==========================================================
dead right after                       what is there, and what happens next
=====================================  ==========================================================
a worker began to cut                  a folder of its own in ``work``: removed when its death is
                                       noticed, or by the next start; another worker makes the clip
a worker sealed                        a capsule under the worker's name: removed the same way
its capsule was taken over             a capsule that nobody noted: removed by the next start
journal: ``sealed``                    it is sent by the next run (:mod:`incamera.ingest.spool`)
=====================================  ==========================================================

So of each clip the vault is shown one capsule, however many workers died at it.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from incamera.clock import Clock, SystemClock, monotonic
from incamera.errors import InputError
from incamera.ingest.cluster import Cluster, Crew, check_installed, gathered
from incamera.ingest.home import Admit, CarHome
from incamera.ingest.journal import ClipId, Step
from incamera.ingest.run import Plan, Progress, Reopened, Run
from incamera.ingest.spool import alone
from incamera.ingest.summary import Summary
from incamera.ingest.terms import Terms
from incamera.ingest.worker import Made, Orders, Piece
from incamera.recording import Options
from incamera.recording.model import Recording
from incamera.redaction import Redactor
from incamera.trigger import Span

__all__ = ["ingest_over"]

_EVERY = 1.0  # seconds between two looks at the workers


def ingest_over(
    cluster: Cluster,
    source: Path,
    home: CarHome,
    plan: Plan,
    *,
    key: Path,
    admit: Admit,
    options: Options | None = None,
    redactor: Callable[[], Redactor] | None = None,
    clock: Clock | None = None,
    wait: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """As :func:`incamera.ingest.ingest`, with clips made by the workers of ``cluster``.

    ``key``: file of the car's signing key, which each worker loads for itself. ``redactor`` makes
    one in a worker. Besides what ingest raises: :class:`InputError` if Ray is not installed,
    :class:`UnavailableError` if there is no such cluster.
    """
    home.check_consent()
    clock = clock or SystemClock()
    source, key = source.absolute(), key.absolute()
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    orders = Orders(
        source=source,
        options=options,
        terms=Terms.of(home),
        key=key,
        spool=home.spool.absolute(),
        zones=plan.zones.digest,
        campaign=plan.campaign.digest,
        now=clock.now(),
    )
    check_installed()
    with alone(home, wait), contextlib.ExitStack() as stack:

        def gather() -> Crew:
            return stack.enter_context(gathered(cluster, orders, redactor))

        return _Spread(home, plan, admit, clock, progress, gather).all(Reopened(source, options))


class _Spread(Run):
    """Clips are made by a crew; what is finished is taken over here, in any order."""

    def __init__(
        self,
        home: CarHome,
        plan: Plan,
        admit: Admit,
        clock: Clock,
        progress: Progress | None,
        gather: Callable[[], Crew],
    ) -> None:
        super().__init__(home, plan, admit, clock, progress)
        self._gather = gather
        self._out: dict[ClipId, Piece] = {}
        self._looked = 0.0

    @functools.cached_property
    def _crew(self) -> Crew:
        """Gathered for the first clip: where there is nothing to do, nobody is started."""
        return self._gather()

    def _make(self, recording: Recording, span: Span, clip: ClipId) -> None:
        if clip in self._out:  # the same recording lies there twice
            self._summary.already += 1
            self._over(recording.name, span)
            return
        while not self._crew.has_room:
            self._take(self._crew.made(_EVERY))
        piece = Piece(recording.name, span, clip, secrets.token_hex(8))
        self._out[clip] = piece
        self._crew.give(piece)
        self._take(self._crew.made(0.0))

    def _rest(self) -> None:
        while self._out:
            self._take(self._crew.made(_EVERY))

    def _take(self, found: list[Made]) -> None:
        for made in found:
            piece = self._out.pop(made.clip)
            with self._fault():
                self._adopt(piece, made)
            self._over(piece.recording, piece.span)
        if self._out and monotonic() - self._looked > _EVERY and self._progress is not None:
            shares = self._crew.shares()
            spans = {clip: piece.span for clip, piece in self._out.items()}
            lengths = {clip: span.end - span.start for clip, span in spans.items()}
            more = sum(share * lengths.get(clip, 0.0) for clip, share in shares.items())
            self._tell(f"{len(self._out)} clips", more)
            self._looked = monotonic()

    def _adopt(self, piece: Piece, made: Made) -> None:
        summary = self._summary
        if (error := made.error()) is not None:
            raise error
        assert made.capsule is not None
        sealed = replace(piece, nonce=made.nonce).sealed(self._home.spool)
        self._spool.adopt(made.clip, sealed, made.capsule)
        for stage, seconds in made.stages.items():
            self._watch.seconds[stage] = self._watch.seconds.get(stage, 0.0) + seconds
        summary.sealed += 1
        summary.frames += made.frames
        summary.boxes.update(made.boxes)
        self._send(Step(made.clip, "sealed", made.capsule))
