# SPDX-License-Identifier: Apache-2.0
"""Capsules into clips, many at a time: in processes, for the work, and in threads, for the disk.

Opening a small clip is some milliseconds of work and would be a dozen waits for the disk: so a
process for each core opens a number of them, which are then synced together. A few capsules are
opened where they are. What is on disk is told by :class:`Opener`; a clip it did not tell of is made
again.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from incamera import durable
from incamera.recording.clip import unpack
from incamera.release.mcap import export
from incamera.release.shares import Usable

__all__ = ["Format", "Job", "Opener", "opening"]

Format = Literal["folder", "mcap"]

_FEW = 48
_CHUNK = 32
_WAITING = 16  # chunks, so that neither jobs nor ciphertext pile up


@dataclass(frozen=True, slots=True)
class Job:
    """One capsule to open, with shares that were checked, into the clip folder ``final``."""

    path: Path
    shares: Usable
    final: Path
    form: Format

    @property
    def result(self) -> Path:
        """What comes of it: a folder, or one file."""
        return self.final if self.form == "folder" else self.final.with_suffix(".mcap")

    def run(self) -> None:
        """Open it; ``result`` has its name when it is complete."""
        bundle = self.final.with_suffix(".tar")
        self.shares.open(self.path, bundle)
        unpack(bundle, self.final)
        durable.remove(bundle)
        if self.form == "mcap":
            export(self.final, self.result)
            shutil.rmtree(self.final)


class Opener:
    """Takes jobs, and tells of each when it is done."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        """``pool``: None to do each job at once, here."""
        self._pool = pool
        self._chunk: list[Job] = []
        self._running: deque[tuple[list[Job], Future[None]]] = deque()

    def add(self, job: Job) -> list[Job]:
        """Hand in a job; those that are done, and on disk, by now. Errors of any are raised."""
        if self._pool is None:
            _run([job])
            return [job]
        self._chunk.append(job)
        if len(self._chunk) == _CHUNK:
            self._send()
        return self._first() if len(self._running) > _WAITING else []

    def finish(self) -> Iterator[list[Job]]:
        """Wait for the rest."""
        if self._chunk:
            self._send()
        while self._running:
            yield self._first()

    def _send(self) -> None:
        assert self._pool is not None
        chunk, self._chunk = self._chunk, []
        self._running.append((chunk, self._pool.submit(_run, chunk)))

    def _first(self) -> list[Job]:
        chunk, done = self._running.popleft()
        done.result()
        return chunk


@contextmanager
def opening(count: int) -> Iterator[Opener]:
    """An opener for ``count`` capsules."""
    if count <= _FEW:
        yield Opener(None)
        return
    # Not forked: this process has threads, and connections that are its own.
    context = multiprocessing.get_context("spawn")
    cores = min(os.cpu_count() or 1, 8)
    pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_quiet)
    try:
        yield Opener(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _quiet() -> None:
    """Ctrl-C is for the process that asked; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(jobs: list[Job]) -> None:
    with durable.together(*(each.result for each in jobs)):
        for each in jobs:
            each.run()
