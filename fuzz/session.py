# SPDX-License-Identifier: Apache-2.0
"""A run over many targets: batches spread over processes, kept after each, gone on with later."""

# ruff: noqa: T201 -- progress is printed: this is a command

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fuzz.run import BATCH, Bug, Outcome, batch, bounded, examine, regressions, smallest
from fuzz.targets import TARGETS
from incamera import durable
from incamera.ids import digest

__all__ = ["Tally", "fuzz", "old_bugs"]

_WAYS = 1_000  # of being refused, kept for each target


@dataclass
class Tally:
    """All batches of one target so far."""

    done: list[int] = field(default_factory=list)
    taken: int = 0
    refused: int = 0
    slowest: float = 0.0
    cpu: float = 0.0
    bugs: list[str] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome) -> None:
        """Count a batch."""
        self.done.append(number)
        self.taken += outcome.taken
        self.refused += outcome.refused
        self.slowest = max(self.slowest, outcome.slowest)
        self.cpu += outcome.cpu
        self.ways = sorted({*self.ways, *outcome.ways})[:_WAYS]

    @property
    def inputs(self) -> int:
        """How many inputs were tried."""
        return self.taken + self.refused + len(self.bugs)

    def summary(self) -> dict[str, Any]:
        """For the last line."""
        return {
            "inputs": len(self.done) * BATCH,
            "taken": self.taken,
            "ways_refused": len(self.ways),
            "per_cpu_s": round(len(self.done) * BATCH / self.cpu) if self.cpu else 0,
            "slowest_ms": round(self.slowest * 1000, 1),
            "bugs": len(self.bugs),
        }


def work(task: tuple[str, int]) -> tuple[str, int, Outcome]:
    """One batch, in a process of the pool; bugs are made small there."""
    name, number = task
    with bounded():
        outcome = batch(TARGETS[name], number)
        outcome.bugs = [smallest(TARGETS[name], each) for each in outcome.bugs]
    return name, number, outcome


def tasks(names: list[str], tallies: dict[str, Tally], batches: int) -> Iterator[tuple[str, int]]:
    """What is left to do, every target in turn."""
    for number in range(batches):
        yield from ((name, number) for name in names if number not in tallies[name].done)


def keep(state: Path, tallies: dict[str, Tally]) -> None:
    """So that the next run goes on from here."""
    said = {name: asdict(tally) for name, tally in tallies.items()}
    durable.write(state / "done.json", json.dumps(said).encode())


def taken_up(state: Path) -> dict[str, Tally]:
    """What earlier runs did."""
    path = state / "done.json"
    said = json.loads(path.read_bytes()) if path.exists() else {}
    return {name: Tally(**said.get(name, {})) for name in TARGETS}


def report(bug: Bug, state: Path) -> str:
    """Keep ``bug``'s input; what to call it."""
    name = f"{bug.target}--{digest(bug.data)[:12]}"
    durable.create(state / "found" / name, bug.data)
    print(f"\nBUG {name}: {bug.what}\n  {bug.data!r:.300}", file=sys.stderr)
    return f"{name}: {bug.what}"


def old_bugs(names: list[str]) -> int:
    """Show every input of the corpus again; how many break a parser again."""
    count = 0
    for name in names:
        for path in regressions(name):
            with bounded():
                bug = examine(TARGETS[name], path.read_bytes())[1]
            if bug is not None:
                count += 1
                print(f"BUG again, {path.name}: {bug.what}", file=sys.stderr)
    return count


def fuzz(names: list[str], inputs: int, jobs: int, state: Path) -> dict[str, Tally]:
    """Every target to ``inputs``, kept after each batch."""
    durable.folder(state / "found")
    tallies, begin, did = taken_up(state), time.monotonic(), 0
    todo = list(tasks(names, tallies, -(-inputs // BATCH)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for name, number, outcome in pool.map(work, todo):
            tallies[name].add(number, outcome)
            for bug in outcome.bugs:
                said = report(bug, state)
                kind = said.partition(": ")[2].partition(":")[0]
                if not any(kind in each for each in tallies[name].bugs):
                    tallies[name].bugs.append(said)
            keep(state, tallies)
            did += 1
            rate = did * BATCH / (time.monotonic() - begin)
            left = (len(todo) - did) * BATCH / rate / 60
            line = f"{did}/{len(todo)} batches, {rate:,.0f} inputs/s, {left:.0f} min left, {name}"
            end = "\r" if sys.stderr.isatty() else "\n" if did % 50 == 0 else ""
            if end:
                print(f"{line:<78}", end=end, file=sys.stderr, flush=True)
    return tallies
