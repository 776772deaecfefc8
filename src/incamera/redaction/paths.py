# SPDX-License-Identifier: Apache-2.0
"""A picture, a video, or a folder of them, redacted into a mirror: ``incamera redact``.

What comes out holds pixels and times only. What is neither picture nor video stays behind
(``event.json`` of a TeslaCam folder names the place; so do GPX and SRT files) and is listed in
the outcome. A file that cannot be redacted is a fault: listed, not written, and the rest goes
on. Nothing is ever written into the source's folder, and symbolic links are not followed.

Outputs are replaced as a whole if they exist. A run over a folder that was stopped goes on where
it was, as :mod:`incamera.redaction.journal` tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import incamera
from incamera import durable
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.recording.video import VideoTrack
from incamera.recording.writer import VideoWriter
from incamera.redaction import report as lines
from incamera.redaction.fill import FillKind
from incamera.redaction.journal import Done, Journal, settings_digest
from incamera.redaction.pictures import EXTENSIONS, read_picture, write_picture
from incamera.redaction.plan import (
    Job,
    Plan,
    check_apart,
    check_inside,
    fault,
    plan_file,
    plan_folder,
)
from incamera.redaction.policy import Policy
from incamera.redaction.redactor import Redactor
from incamera.redaction.review.editing import Edit, Editing, File

__all__ = ["Options", "Outcome", "Progress", "redact_path"]


class Progress(Protocol):
    """Is told how far a run is; called in the caller's thread."""

    def __call__(self, done_frames: int, total_frames: int, label: str) -> None:
        """``label``: the file at work. Files that turn out faulty count as done."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How to redact."""

    fill: FillKind = "solid"
    policy: Policy = field(default_factory=Policy)
    threads: int = 2
    editing: Editing | None = None  # a person's eye: collects doubts, or applies corrections


@dataclass(slots=True)
class Outcome:
    """What a run did. With ``faults`` the command ends with exit code 3."""

    files: int = 0  # pictures and videos that lie redacted at the destination
    frames: int = 0
    boxes: int = 0
    kept: int = 0  # of the files: those an earlier, stopped run had finished
    left_out: list[str] = field(default_factory=list)  # neither picture nor video; not copied
    faults: list[str] = field(default_factory=list)  # one sentence each: what and where


def redact_path(
    source: Path,
    dest: Path,
    *,
    report: Path | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    redactor: Redactor | None = None,
) -> Outcome:
    """Redact ``source`` (file or folder) into ``dest`` and report every frame in ``report``.

    ``redactor``: to share one whose models are loaded; else one is made from ``options``.

    Raises :class:`InputError` if nothing can be done at all (no such source, ``dest`` inside
    ``source``, a single file that is faulty), :class:`UnavailableError` if detectors are missing
    or the disk is full: what was finished stays, nothing half-written does.
    """
    options = options or Options()
    check_apart(source, dest, report)
    plan = plan_folder(source, dest) if source.is_dir() else plan_file(source, dest)
    if report is not None:
        _check_report(report, plan)
    if not plan.jobs and not plan.faults:
        raise InputError(f"{source}: no picture and no video in it")
    redactor = redactor or Redactor(
        fill=options.fill, policy=options.policy, threads=options.threads
    )
    if options.editing is not None:
        files = [File(job.relative, job.source, job.frames) for job in plan.jobs]
        options.editing.begin(files, _found_by(redactor))
    run = _Run(redactor, plan, progress, options.editing)
    return run.folder(dest, report) if source.is_dir() else run.file(report)


def _found_by(redactor: Redactor) -> Digest:
    """Of what decides which boxes are found. How they are filled is no part of it."""
    return settings_digest(incamera.__version__, redactor.models(), redactor.policy)


def _check_report(report: Path, plan: Plan) -> None:
    if any(job.output.resolve() == report.resolve() for job in plan.jobs):
        raise InputError(f"{report}: the report would overwrite an output")
    durable.folder(report.parent)


class _Run:
    """One call of :func:`redact_path`."""

    def __init__(
        self, redactor: Redactor, plan: Plan, progress: Progress | None, editing: Editing | None
    ) -> None:
        self._redactor = redactor
        self._editing = editing
        self._plan = plan
        self._progress = progress
        self._before = 0  # frames of finished files, for the progress
        self._total = sum(job.frames for job in plan.jobs)
        self.outcome = Outcome(left_out=plan.left_out, faults=plan.faults)

    def file(self, report: Path | None) -> Outcome:
        """A single file: its fault is the caller's."""
        (job,) = self._plan.jobs
        durable.folder(job.output.parent)
        if report is None:
            done = self._redact(job, None)
        else:
            with durable.atomic(report) as file:
                done = self._redact(job, file)
        self._count(job, done)
        return self.outcome

    def folder(self, dest: Path, report: Path | None) -> Outcome:
        """A folder: faults are gathered."""
        settings = settings_digest(
            incamera.__version__,
            self._redactor.models(),
            self._redactor.fill,
            self._redactor.policy,
            self._editing and self._editing.digest,
        )
        journal = Journal(dest, settings)
        good: list[str] = []
        with journal.running():
            for job, result in self._all(dest, journal):
                if isinstance(result, InputError):
                    self.outcome.faults.append(fault(result))
                    self._step(job, job.frames)
                    self._before += job.frames
                else:
                    good.append(job.relative)
                    self._count(job, result)
            if report is not None:
                journal.write_report(good, report)
        return self.outcome

    def _all(self, dest: Path, journal: Journal) -> Iterator[tuple[Job, Done | InputError]]:
        """Every job in order, with its counts or fault. Pictures are done several at a time."""
        ahead = 2 * self._redactor.threads
        with ThreadPoolExecutor(self._redactor.threads, "picture") as pool:
            pending: deque[tuple[Job, Future[Done | InputError]]] = deque()
            try:
                for job in self._plan.jobs:
                    while pending and (job.probe is not None or len(pending) >= ahead):
                        yield self._next(pending)
                    if job.probe is None:
                        pending.append((job, pool.submit(self._one, job, dest, journal)))
                    else:
                        yield job, self._one(job, dest, journal)
                while pending:
                    yield self._next(pending)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _next(
        pending: deque[tuple[Job, Future[Done | InputError]]],
    ) -> tuple[Job, Done | InputError]:
        job, future = pending.popleft()
        return job, future.result()

    def _one(self, job: Job, dest: Path, journal: Journal) -> Done | InputError:
        try:
            check_inside(job.output, dest)
            durable.sweep(job.output)  # the journal's lock keeps other runs away
            done = journal.done(job.relative, job.source, job.output)
            if done is not None and (self._editing is None or self._editing.digest is not None):
                return done
            durable.folder(job.output.parent)
            with journal.lines(job.relative) as file:
                done = self._redact(job, file)
            journal.seal(job.relative, job.source, job.output, done)
        except InputError as error:
            return error
        return done

    def _redact(self, job: Job, report: BinaryIO | None) -> Done:
        return self._picture(job, report) if job.probe is None else self._video(job, report)

    def _edit(self, job: Job) -> AbstractContextManager[Edit | None]:
        return nullcontext() if self._editing is None else self._editing.file(job.relative)

    def _picture(self, job: Job, report: BinaryIO | None) -> Done:
        frame, kind = read_picture(job.source)
        with self._edit(job) as edit:
            redacted = self._redactor.still(frame, edit)
        kind = EXTENSIONS.get(job.output.suffix.lower(), kind)
        with durable.atomic(job.output) as file:
            write_picture(redacted, file, kind)
        if report is not None:
            report.write(lines.line(job.relative, redacted, 0.0))
        return Done(1, len(redacted.boxes))

    def _video(self, job: Job, report: BinaryIO | None) -> Done:
        assert job.probe is not None
        track = VideoTrack.single(job.probe)
        boxes = 0
        with VideoWriter(job.output, job.probe) as writer, self._edit(job) as edit:
            for redacted in self._redactor.redact(track.frames(), edit):
                boxes += len(redacted.boxes)
                if report is not None:
                    report.write(lines.line(job.relative, redacted, redacted.time - track.start))
                writer.write(redacted)
                self._step(job, writer.frames)
        return Done(writer.frames, boxes)

    def _count(self, job: Job, done: Done) -> None:
        self.outcome.files += 1
        self.outcome.kept += done.kept
        self.outcome.frames += done.frames
        self.outcome.boxes += done.boxes
        self._step(job, job.frames)
        self._before += job.frames

    def _step(self, job: Job, frames: int) -> None:
        if self._progress is not None:
            self._progress(self._before + frames, self._total, job.relative)
