# SPDX-License-Identifier: Apache-2.0
"""The worker as a process: stopped within seconds, held to its share, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agents import AgentCar, Ticks
from incamera.car.process import WorkerProcess
from incamera.car.settings import Budget
from world import quick_folder

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
BUSY = "import time\nwhile True: time.process_time()"


def state(pid: int) -> str:
    """How the kernel calls what a process does: S, R, T (stopped); empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0].strip("ZX")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def started(code: str, budget: Budget, **more: object) -> tuple[WorkerProcess, int]:
    """A worker that runs some Python, and its process."""
    worker = WorkerProcess([sys.executable, "-c", code], budget, **more)  # type: ignore[arg-type]
    worker.start(send_only=False)
    assert worker._process is not None
    return worker, worker._process.pid


def test_a_worker_is_gone_within_seconds_though_it_will_not_end() -> None:
    """Asked, and killed after three seconds, also while it is stopped."""
    ticks = Ticks()
    worker, pid = started(STUBBORN, Budget(nice=0, share=50), now=ticks)
    time.sleep(0.3)  # until it ignores what it is asked
    ticks.seconds += 0.7
    worker.pace()
    until(lambda: state(pid) == "T")
    begun = time.monotonic()
    worker.stop()
    assert time.monotonic() - begun < 5
    assert (worker.running, state(pid)) == (False, "")


def test_a_worker_is_stopped_for_its_share_and_while_the_machine_is_busy() -> None:
    """Half a second of each second by the share of 50; not at all above the load."""
    ticks, load = Ticks(), [0.0, 0.0, 0.0]
    worker, pid = started(BUSY, Budget(nice=0, share=50, load=2.0), now=ticks, load=lambda: load)
    try:
        for later, busy, wanted in ((0.1, 0, "R"), (0.5, 0, "T"), (0.5, 0, "R"), (0.1, 3, "T")):
            ticks.seconds += later
            load[0] = busy
            worker.pace()
            until(lambda wanted=wanted: (state(pid) == "T") == (wanted == "T"))  # type: ignore[misc]
    finally:
        worker.stop()


def test_a_stopped_worker_whose_agent_is_killed_is_not_left_behind() -> None:
    """The kernel continues and hangs up a stopped group that nobody is left for."""
    agent = (
        "import signal, sys, time\n"
        "from incamera.car.process import WorkerProcess\n"
        "from incamera.car.settings import Budget\n"
        f"w = WorkerProcess([sys.executable, '-c', {BUSY!r}], Budget(nice=0, share=1))\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # a suite under nohup ignores it
        "w.start(send_only=False)\n"
        "while not w._stopped:\n"  # for the first hundredth of each period it may run
        "    time.sleep(0.05)\n"
        "    w.pace()\n"
        "print(w._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", agent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        until(lambda: state(pid) == "T")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: state(pid) == "")


def test_a_drive_that_begins_ends_the_work_at_once() -> None:
    """At the next look, a second later; what only sends goes on, if it may."""
    with quick_folder() as folder:
        car = AgentCar(folder)
        worker = WorkerProcess([sys.executable, "-c", BUSY], Budget(nice=0, share=100), car.ticks)
        car.agent._worker = worker
        car.says.write_text("parked\n")
        car.later(1)
        assert worker.running
        car.drives()
        assert not worker.running
        (car.settings.places.spool / "x.capsule").parent.mkdir(parents=True)
        (car.settings.places.spool / "x.capsule").touch()
        car.later(300)
        assert (worker.running, worker.send_only) == (True, True)
        car.later(1)
        assert worker.running
        car.agent.stop()
        assert not worker.running


def test_what_became_of_files_is_forgotten_once_they_are_gone_for_a_month() -> None:
    """And not before: what is still there would count as new."""
    with quick_folder() as folder:
        car = AgentCar(folder)
        car.consent()
        car.parks()
        car.drives()
        path, stays = car.records("goes"), car.records("stays")
        car.parks()
        car.work()
        path.unlink()
        car.agent._diary.keep("age", 60 * 86_400)
        car.start()
        diary = car.agent._diary
        assert diary.file("goes.mp4") is None
        assert diary.file("stays.mp4") is not None
        assert stays.exists()
