# SPDX-License-Identifier: Apache-2.0
"""How many threads to train with on a machine that others use too.

Two threads in step are only as fast as the slower one. When somebody else's work takes a core,
the polite (niced) thread on it all but stops, and one thread alone is quicker.
"""

from __future__ import annotations

import math
import os
import time

import torch

BLOCK = 30
# Every so many blocks the other choice is tried again, briefly: it may be ten times slower.
RETRY = 4
TRIAL = 4
BUSY = 3.0


class Pace:
    """Watches step times and keeps the better number of threads."""

    def __init__(self, most: int) -> None:
        """Start with `most` threads."""
        self.choices = [1, most] if most > 1 else [1]
        self.seconds: dict[int, float] = {}
        self.steps, self.blocks, self.length = 0, 0, TRIAL
        self.started = time.monotonic()
        self._use(self.choices[-1] if os.getloadavg()[0] < BUSY else 1)

    def _use(self, count: int) -> None:
        self.current = count
        torch.set_num_threads(count)

    def step(self) -> None:
        """Note that a training step ended."""
        self.steps += 1
        if self.steps < self.length or len(self.choices) == 1:
            return
        now = time.monotonic()
        self.seconds[self.current] = (now - self.started) / self.steps
        self.steps, self.started = 0, now
        self.blocks += 1
        best = min(self.choices, key=lambda c: self.seconds.get(c, math.inf))
        other = next(c for c in self.choices if c != best)
        # With a queue for the cores, more threads are hopeless: not even a trial.
        trial = self.blocks % RETRY == 0 and (other == 1 or os.getloadavg()[0] < BUSY)
        self.length = TRIAL if trial else BLOCK
        self._use(other if trial else best)
