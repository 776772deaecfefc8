# SPDX-License-Identifier: Apache-2.0
"""The worker as a process: started, slowed, and stopped within seconds, at whatever it is.

It runs in a process group of its own, which is stopped and continued in turns: so it takes no more
than its share of time, and nothing of it runs while the machine is busy. If the agent dies, the
kernel continues and hangs up a stopped group that nobody is left for, and the worker itself sees
its standard input end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from incamera.car.settings import Budget
from incamera.clock import monotonic

__all__ = ["WorkerProcess"]

_GRACE = 3.0
_PERIOD = 1.0


class WorkerProcess:
    """At most one worker."""

    def __init__(
        self,
        command: Sequence[str],
        budget: Budget,
        now: Callable[[], float] = monotonic,
        load: Callable[[], tuple[float, float, float]] = os.getloadavg,
    ) -> None:
        """``command``: runs a worker; ``--send-only`` is added where it is only to send."""
        self._command, self._budget, self._now, self._load = list(command), budget, now, load
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self.begun = float("-inf")
        """When the last one began."""
        self.send_only = False
        self.ended = float("-inf")
        """When the last one ended."""
        self._read = False
        self.died = 0
        """How the last one ended (exit code, or minus the signal), if that was not our doing."""

    @property
    def running(self) -> bool:
        """Whether there is one now."""
        if self._process is not None and self._process.poll() is not None:
            self._over()
        return self._process is not None

    def read_log_since(self) -> bool:
        """Whether a worker ended since this was asked last: it read the log, if that was there."""
        read, self._read = self._read, False
        return read

    def start(self, *, send_only: bool) -> None:
        """Start one."""
        command = [*self._command, *(["--send-only"] if send_only else [])]
        nice = self._budget.nice
        self.send_only, self._stopped, self.begun = send_only, False, self._now()
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            ["nice", "-n", str(nice), *command],  # noqa: S607 - coreutils'
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )

    def pace(self) -> None:
        """Stop it or let it go on, as its share and the machine's load say. Call it often."""
        if not self.running:
            return
        self._pause(not self._may_run())

    def _may_run(self) -> bool:
        budget = self._budget
        if budget.load and self._load()[0] > budget.load:
            return False
        phase = (self._now() - self.begun) % _PERIOD
        return budget.share >= 100 or phase < _PERIOD * budget.share / 100

    def _pause(self, stopped: bool) -> None:
        if stopped != self._stopped:
            self._signal(signal.SIGSTOP if stopped else signal.SIGCONT)
            self._stopped = stopped

    def stop(self) -> None:
        """End it: asked first, killed after three seconds. Nothing is lost either way."""
        if not self.running:
            return
        assert self._process is not None
        self._signal(signal.SIGTERM)
        self._pause(False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._over(ours=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _over(self, *, ours: bool = False) -> None:
        assert self._process is not None
        self.died = 0 if ours else self._process.returncode or 0
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process, self._read, self.ended = None, True, self._now()
