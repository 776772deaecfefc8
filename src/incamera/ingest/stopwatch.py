# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: each moment belongs to the innermost stage that runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

from incamera.clock import monotonic

__all__ = ["Stopwatch"]

T = TypeVar("T")


class Stopwatch:
    """Seconds by stage, of one thread. Stages nest; the outer one stands while the inner runs."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._now = now
        self._running: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        """Credit the time since the last turn to the innermost stage."""
        now = self._now()
        if self._running:
            stage = self._running[-1]
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time spent inside counts for ``name``, but for stages inside of it."""
        self._turn()
        self._running.append(name)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def each(self, name: str, items: Iterable[T]) -> Generator[T, None, None]:
        """``items``, with the time it takes to get each counted for ``name``."""
        iterator = iter(items)
        try:
            while True:
                with self.stage(name):
                    try:
                        item = next(iterator)
                    except StopIteration:
                        return
                yield item
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                close()  # a generator given up half-way frees its threads now, not some day
