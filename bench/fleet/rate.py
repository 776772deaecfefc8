# SPDX-License-Identifier: Apache-2.0
"""How many capsules a second, with the 99th in a hundred answered within 250 ms."""

from __future__ import annotations

from typing import Any

from bench.fleet.drive import Driver, Phase
from bench.fleet.rhythm import steady

__all__ = ["LIMIT_MS", "at_most"]

LIMIT_MS = 250.0
_AT_ONCE = (16, 32, 64, 128)


def held(phase: Phase, wanted: float = 0.0) -> bool:
    """True if the phase kept up, within the limit."""
    return phase.latency()["p99_ms"] < LIMIT_MS and phase.rate >= 0.93 * wanted


def at_most(driver: Driver, seconds: float) -> dict[str, Any]:
    """First so many cars at once, each as soon as it has its answer; then at steady rates.

    The figure is the highest steady rate that held: capsules come when they come (Poisson), and
    each one's time runs from when it was due.
    """
    tries: list[dict[str, Any]] = []

    def noted(phase: Phase, **more: Any) -> Phase:
        tries.append({"phase": phase.name, **more, **phase.figures()})
        costs = phase.costs()
        print(
            f"{phase.name:<22}{phase.rate:>8.1f}/s  {phase.latency()}  "
            f"{sum(costs.values()):.2f} ms CPU {costs}",
            flush=True,
        )
        return phase

    most = 50.0  # a guess for how many jobs are needed, corrected by each phase
    for at_once in _AT_ONCE:
        count = int(most * seconds * 1.5)
        name = f"{at_once} at once"
        phase = noted(driver.run(name, count=count, at_once=at_once, until=seconds))
        most = max(most, phase.rate)
    best: Phase | None = None
    rate = most * 0.95
    for _ in range(8):
        phase = noted(driver.run(f"steady {rate:.0f}/s", steady(rate, seconds)), wanted=rate)
        if held(phase, rate):
            best = phase
            break
        rate *= 0.92
    found = {"tries": tries, "most_per_s": round(most, 1)}
    if best is None:
        return {**found, "capsules_per_s": 0.0, "p99_ms": None}
    return {**found, "capsules_per_s": round(best.rate, 1), "p99_ms": best.latency()["p99_ms"]}
