# SPDX-License-Identifier: Apache-2.0
"""One phase of load: jobs handed to a sender, the machine watched meanwhile, the figures after."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.fleet.fleet import Ready
from bench.fleet.jobs import Job, Mix
from bench.fleet.sender import Order, Outcome, send_all
from bench.fleet.watch import Watch

__all__ = ["Driver", "Phase", "quantiles"]


@dataclass
class Phase:
    """What one phase of load showed."""

    name: str
    jobs: Sequence[Job]  # without their bytes
    outcomes: Sequence[Outcome]
    #: From the first that was due to the last answer; links that fail are not waited for.
    seconds: float
    cpu: dict[str, float]  # seconds by party; "cars" is the sender
    memory: dict[str, dict[str, Any]]
    #: What was done meanwhile, and when (CLOCK_MONOTONIC).
    marks: dict[str, float] = field(default_factory=dict)

    def good(self, *roads: str) -> list[Outcome]:
        """Of those that must be admitted and were; by road."""
        return [
            each
            for each in self.outcomes
            if each.status == 201
            and self.jobs[each.job].kind == "good"
            and (not roads or self.jobs[each.job].road in roads)
        ]

    @property
    def rate(self) -> float:
        """Admitted a second."""
        return len({self.jobs[each.job].digest for each in self.good()}) / self.seconds

    def latency(self) -> dict[str, float]:
        """Seconds from due to receipt, of capsules whose link did not fail them."""
        return quantiles([each.done - each.due for each in self.good("plain", "twice")])

    def saw(self) -> dict[str, int]:
        """What callers saw before their last answer, where the link itself was well."""
        seen: Counter[str] = Counter()
        for each in self.outcomes:
            if self.jobs[each.job].road in ("plain", "twice"):
                seen.update(each.before)
        return dict(seen.most_common())

    def costs(self) -> dict[str, float]:
        """CPU milliseconds a capsule, by party."""
        count = max(1, len({self.jobs[each.job].digest for each in self.good()}))
        return {name: round(1000 * used / count, 3) for name, used in self.cpu.items()}

    def figures(self) -> dict[str, Any]:
        """For the report."""
        costs = self.costs()
        return {
            "seconds": round(self.seconds, 1),
            "capsules_per_s": round(self.rate, 1),
            **self.latency(),
            "cpu_ms": round(sum(costs.values()), 2),
            "cpu_ms_by": costs,
            "memory_mib": self.memory,
            "saw": self.saw(),
        }


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the longest, in milliseconds."""
    found = sorted(seconds) or [0.0]

    def at(share: float) -> float:
        return round(1000 * found[min(len(found) - 1, int(share * len(found)))], 1)

    return {"p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0)}


class Driver:
    """Drives one region, phase after phase, and keeps what the judge needs."""

    def __init__(self, ready: Ready, folder: Path, mix: Mix) -> None:
        self.ready, self._folder, self.mix = ready, folder, mix
        entry = ready.region.state().region
        assert entry is not None
        self.entry = entry
        self._tails = [each.tail for each in ready.maker.bodies]
        self.phases: list[Phase] = []

    def run(
        self,
        name: str,
        times: Sequence[float] = (),
        *,
        count: int = 0,
        meanwhile: Callable[[dict[str, float]], None] | None = None,
        jobs: Sequence[Job] | None = None,
        **more: Any,
    ) -> Phase:
        """Send jobs at ``times``, or ``count`` of them as fast as they are taken.

        ``meanwhile`` is called once the load runs, and notes what it did when.
        """
        chosen = self.mix.jobs(len(times) or count) if jobs is None else jobs
        context = multiprocessing.get_context("spawn")
        counts = context.Array("q", 4)
        answer = self._folder / "outcomes"
        text = str(self.ready.region.policy.text, "ascii")
        order = Order(self.ready.urls, chosen, self._tails, times, self.entry, text, answer, **more)
        marks: dict[str, float] = {}
        sender = context.Process(target=send_all, args=(order, counts))
        with Watch(self.ready.pids) as watch:
            sender.start()
            if meanwhile is not None:
                while not counts[0] and sender.is_alive():
                    time.sleep(0.05)
                meanwhile(marks)
            while sender.is_alive():
                sender.join(2.0)
                _progress(name, counts[:], len(chosen))
        if sender.exitcode:
            raise RuntimeError(f"the sender ended with {sender.exitcode}")
        with answer.open("rb") as file:
            outcomes, used = pickle.load(file)
        answer.unlink()
        sent = {each.job for each in outcomes}
        self.mix.forget({job.digest for at, job in enumerate(chosen) if at not in sent})
        phase = Phase(
            name,
            [each.spent() for each in chosen],
            outcomes,
            _length(each for each in outcomes if chosen[each.job].road in ("plain", "twice")),
            {**watch.cpu(), "cars": used},
            watch.held(),
            marks,
        )
        self.phases.append(phase)
        return phase


def _length(outcomes: Iterable[Outcome]) -> float:
    found = [each for each in outcomes if each.done]
    if not found:
        return 1e-9
    return max(each.done for each in found) - min(each.due for each in found)


def _progress(name: str, counts: Sequence[int], count: int) -> None:
    if sys.stderr.isatty():
        done = f"{counts[0]} admitted, {counts[1]} refused, {counts[2]} unanswered"
        sys.stderr.write(f"\r{name}: {sum(counts[:3])} of {count}: {done}, {counts[3]} wrong ")
