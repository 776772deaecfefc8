# SPDX-License-Identifier: Apache-2.0
"""The only place that asks what time it is, so that tests can say it."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "FixedClock", "SystemClock", "monotonic"]


class Clock(Protocol):
    """Tells POSIX time in whole seconds (UTC)."""

    def now(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        return int(time.time())


class FixedClock:
    """A clock that stands until it is moved; for tests and for reproducible runs."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now(self) -> int:
        """The seconds it was set to."""
        return self.seconds

    def advance(self, seconds: int) -> None:
        """Move the clock by ``seconds`` (negative: back)."""
        self.seconds += seconds


def monotonic() -> float:
    """Seconds of a clock that only goes forward, for measuring how long something takes."""
    return time.perf_counter()
