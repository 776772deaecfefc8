# SPDX-License-Identifier: Apache-2.0
"""What can be said of the time, in a car whose clock anybody may set.

Three clocks: the machine's, which may jump; the one that only counts up, which says that it
jumped; and the witnesses', whose signed time is a lower bound of the real one. A consent's times
are compared with the machine's clock only while the others do not contradict it.
"""

from __future__ import annotations

from collections.abc import Callable

from incamera.car.withheld import WithheldError
from incamera.clock import Clock, monotonic

__all__ = ["Leap", "check_clock"]

AHEAD = 3_600
"""Seconds that witnesses' clocks, or the machine's, may differ without anybody being wrong."""

_JUMP = 60.0


def check_clock(now: int, witnessed: int, fresh: int) -> None:
    """:class:`WithheldError` unless the machine's clock can be right, and the log read lately.

    ``witnessed``: the latest witness time that was read. A clock that was set forward looks just
    as a log that was not read for long: both are withheld until the log is read again.
    """
    if not witnessed:
        raise WithheldError("log", "the log was never read here", hint="let the car go online once")
    if now < witnessed - AHEAD:
        raise WithheldError(
            "clock",
            f"the clock of this machine is {witnessed - now} s behind what witnesses signed",
            hint="set the clock",
        )
    if now > witnessed + fresh:
        raise WithheldError(
            "log",
            f"the log was last read as of {now - witnessed} s ago, and {fresh} s are allowed: a "
            "consent may have been withdrawn since",
            hint="let the car go online; if it is, set its clock",
        )


class Leap:
    """Notices that the machine's clock jumped, against the one that only counts up."""

    def __init__(self, clock: Clock, now: Callable[[], float] = monotonic) -> None:
        self._clock, self._now = clock, now
        self._wall, self._count = clock.now(), now()
        self.unsure = False
        """True from a jump on, until :meth:`sure`."""

    def look(self) -> bool:
        """Compare both with the last look; whether the clock is in doubt."""
        wall, count = self._clock.now(), self._now()
        if abs((wall - self._wall) - (count - self._count)) > _JUMP:
            self.unsure = True
        self._wall, self._count = wall, count
        return self.unsure

    def sure(self, witnessed: int) -> bool:
        """The log was read just now, as of ``witnessed``: whether the clock agrees with it."""
        self.unsure = abs(self._clock.now() - witnessed) > AHEAD
        return not self.unsure
