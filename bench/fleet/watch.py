# SPDX-License-Identifier: Apache-2.0
"""CPU and memory of each party with all that it started, from /proc, once a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Watch", "cpu_of"]

_TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def tree(pid: int) -> list[int]:
    """``pid`` and all below it."""
    found = [pid]
    for each in found:
        try:
            found += _children(each)
        except OSError:
            continue
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, of its children, and of those that have ended."""
    ticks = 0
    for each in tree(pid):
        try:
            fields = _stat(each)
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # utime, stime, and of children waited for
    return ticks / _TICK


def memory_of(pid: int) -> float:
    """Resident MiB of a process and what it started; pages that they share are counted once."""
    kib = 0
    for each in tree(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        kib += next((int(x.split()[1]) for x in text.splitlines() if x.startswith("Pss:")), 0)
    return kib / 1024


class Watch:
    """Samples while it runs; a process that was started again goes on under its name."""

    def __init__(self, pids: Callable[[], Mapping[str, int]], every: float = 2.0) -> None:
        self._pids, self._every = pids, every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._last: dict[str, tuple[int, float]] = {}
        self._used: dict[str, float] = {}
        #: By name: (seconds, MiB).
        self.memory: dict[str, list[tuple[float, float]]] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Watch:
        for name, pid in self._pids().items():  # what was used before is not this phase's
            self._last[name] = (pid, cpu_of(pid))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._sample()

    def _work(self) -> None:
        while not self._stopping.wait(self._every):
            self._sample()

    def _sample(self) -> None:
        for name, pid in self._pids().items():
            try:
                used, held = cpu_of(pid), memory_of(pid)
            except OSError:
                continue
            before = self._last.get(name, (pid, 0.0))
            self._used[name] = self._used.get(name, 0.0) + used
            self._used[name] -= before[1] if before[0] == pid else 0.0
            self._last[name] = (pid, used)
            self.memory.setdefault(name, []).append((time.monotonic() - self._began, held))

    def cpu(self) -> dict[str, float]:
        """CPU seconds by name since this began."""
        return {name: round(used, 3) for name, used in self._used.items()}

    def held(self) -> dict[str, dict[str, Any]]:
        """By name: the most MiB in each tenth of the time; MiB gained a minute in its second half.

        A process fills its caches, and grows to the largest batch it ever had, in the first peak.
        """
        return {name: _held(points) for name, points in self.memory.items()}


def _held(points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    parts = [points[len(points) * i // 10 : len(points) * (i + 1) // 10] for i in range(10)]
    half = points[len(points) // 2 :]
    minutes = max(half[-1][0] - half[0][0], 1e-9) / 60
    return {
        "tenths": [round(max(mib for _, mib in part), 1) for part in parts if part],
        "most": round(max(mib for _, mib in points), 1),
        "a_minute": round((half[-1][1] - half[0][1]) / minutes, 2),
    }
