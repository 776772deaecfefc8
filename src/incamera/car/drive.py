# SPDX-License-Identifier: Apache-2.0
"""Whether the car drives, as the car says. What cannot be told counts as driving.

The file, or the command's first line of output, is one line::

    driving 17      the 17th drive; the number may be left out
    parked
    idle            switched on, standing, nothing else to do

A file is written anew (or touched) at least every ``stale`` seconds; the car that stops doing so
may be anywhere.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from incamera.car.settings import DriveSource
from incamera.clock import Clock, monotonic

__all__ = ["DriveWatch", "Moment"]

_LINE = re.compile(rb"(driving|parked|idle)(?: ([0-9]{1,15}))?\n?", re.ASCII)
_SECONDS = 5.0
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Moment:
    """What the car does now."""

    state: str  # driving, parked or idle
    number: int | None = None  # of the drive, if the car counts them
    doubt: str = ""  # why it counts as driving, where the car did not say so

    @property
    def resting(self) -> bool:
        """True if there may be work."""
        return self.state in ("parked", "idle")


class DriveWatch:
    """Asks the car again and again."""

    def __init__(
        self, source: DriveSource, clock: Clock, now: Callable[[], float] = monotonic
    ) -> None:
        self._source, self._clock, self._now = source, clock, now
        #: Stamp and content of the file at the last look, and when it was first seen so.
        self._last: tuple[int, bytes] | None = None
        self._since = 0.0

    def look(self) -> Moment:
        """What the car says now; driving where it says nothing that can be understood."""
        if self._source.command:
            return self._ask()
        return self._read()

    def _read(self) -> Moment:
        path = self._source.file
        assert path is not None
        try:
            stamp, said = path.stat().st_mtime_ns, path.read_bytes()[:_MOST]
        except OSError as error:
            return Moment("driving", doubt=f"{path}: {error.strerror}")
        if (stamp, said) != self._last:
            first = self._last is None
            self._last = (stamp, said)
            # The machine's clock may jump, so age is counted here; only the first look needs it.
            behind = max(0.0, self._clock.now() - stamp / 1e9) if first else 0.0
            self._since = self._now() - behind
        stale = self._source.stale
        if stale and self._now() - self._since > stale:
            return Moment("driving", doubt=f"{path}: not written for {stale} s")
        return _parse(said, str(path))

    def _ask(self) -> Moment:
        command = list(self._source.command)
        try:
            done = subprocess.run(  # noqa: S603 - the settings' own command, no shell
                command, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Moment("driving", doubt=f"{command[0]}: {type(error).__name__}")
        if done.returncode:
            return Moment("driving", doubt=f"{command[0]}: ended with {done.returncode}")
        return _parse(done.stdout[:_MOST], command[0])


def _parse(said: bytes, where: str) -> Moment:
    match = _LINE.fullmatch(said)
    if match is None:
        return Moment("driving", doubt=f"{where}: says neither driving, parked nor idle")
    number = None if match[2] is None else int(match[2])
    return Moment(match[1].decode("ascii"), number)
