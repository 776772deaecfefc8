# SPDX-License-Identifier: Apache-2.0
"""Capsules into clips, many at a time: in processes, for the work, and in threads, for the disk.

Opening a small clip is a millisecond or three of work and a dozen waits for the disk. So a process
for each core opens in several threads, which wait together. A few capsules, or large ones on one
core, are opened where they are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
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
_THREADS = 8
_CHUNK = 32
_WAITING = 16  # chunks, so that neither jobs nor ciphertext pile up


@dataclass(frozen=True, slots=True)
class Job:
    """One capsule to open, with shares that were checked, into the clip folder ``final``."""

    path: Path
    shares: Usable
    final: Path
    form: Format

    def run(self) -> None:
        """Open it, unless an earlier run did. ``final`` appears whole or not at all."""
        if not self.final.exists():
            bundle = self.final.with_suffix(".tar")
            self.shares.open(self.path, bundle)
            unpack(bundle, self.final)
            durable.remove(bundle)
        if self.form == "mcap" and not (mcap := self.final.with_suffix(".mcap")).exists():
            export(self.final, mcap)


class Opener:
    """Takes jobs, and tells of each when it is done."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        """``pool``: None to do each job at once, here."""
        self._pool = pool
        self._chunk: list[Job] = []
        self._running: deque[tuple[list[Job], Future[None]]] = deque()

    def add(self, job: Job) -> Iterator[Job]:
        """Hand in a job; the jobs that are done by now. Errors of any of them are raised here."""
        if self._pool is None:
            job.run()
            yield job
            return
        self._chunk.append(job)
        if len(self._chunk) == _CHUNK:
            self._send()
        while len(self._running) > _WAITING:
            yield from self._first()

    def finish(self) -> Iterator[Job]:
        """Wait for the rest."""
        if self._chunk:
            self._send()
        while self._running:
            yield from self._first()

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
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(Job.run, jobs):
            pass
