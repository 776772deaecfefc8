# SPDX-License-Identifier: Apache-2.0
"""What fails during a steady load, one after the other, and what became of it.

For each: capsules acknowledged and lost, duplicates, what the callers saw meanwhile, and how long
after the fault was over (for what is killed: after the kill, as a supervisor starts it again at
once) the last capsule that it had disturbed was acknowledged. Cars that waited come back after up
to two seconds; that is in it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.fleet.drive import Driver, Phase
from bench.fleet.ground import Ground
from bench.fleet.judge import Verdict
from bench.fleet.rhythm import steady
from bench.fleet.watch import tree

__all__ = ["FAULTS", "FEW", "Fault", "chosen", "run", "table"]

_BEFORE, _AFTER = 3.0, 8.0
_LATE = 1.0
"""Seconds; a capsule acknowledged within that was not disturbed."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; ``act`` returns when it is over."""

    name: str
    act: Callable[[Ground], None]
    seconds: float = 0.0
    #: What the plan must have for it to make sense.
    needs: Callable[[Ground], bool] = lambda _: True
    #: Recovery counts from its beginning although it lasts: somebody else has to take over.
    outlasted: bool = False


def _kill(name: str) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        ground.parties[name].kill()
        ground.parties[name].start()

    return act


def _kill_hands(ground: Ground) -> None:
    """The vault starts another itself."""
    process = ground.parties["vault"].process
    assert process is not None
    for pid in tree(process.pid)[1:]:
        os.kill(pid, signal.SIGKILL)


def _kill_leader(ground: Ground) -> None:
    _kill(ground.leader())(ground)


def _kill_standby(ground: Ground) -> None:
    _kill("log" if ground.leader() == "log-2" else "log-2")(ground)


def _stopped(seconds: float) -> Callable[[Ground], None]:
    """The leader frozen, as a machine that swaps or a guest that is moved: it wakes up later."""

    def act(ground: Ground) -> None:
        process = ground.parties[ground.leader()].process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGCONT)

    return act


def _engine(name: str, how: int) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        ground.engines[name].stop(how)
        ground.engines[name].start()

    return act


def _wire(state: str, seconds: float, *names: str) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        cut = [wire for name, wire in ground.wires.items() if name.startswith(names)]
        for wire in cut:
            wire.set(state)  # type: ignore[arg-type]
        time.sleep(seconds)
        for wire in cut:
            wire.set("whole")

    return act


def _full(name: str, seconds: float) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        ground.disks[name].fill()
        time.sleep(seconds)
        ground.disks[name].mend()

    return act


def _slow(milliseconds: int, seconds: float) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        assert ground.slowness is not None
        ground.slowness.set(milliseconds)
        time.sleep(seconds)
        ground.slowness.set(0)

    return act


def _has(*names: str) -> Callable[[Ground], bool]:
    """Parties, engines, wires or disks of these names."""
    return lambda ground: all(
        name in ground.parties or name in ground.engines or name in ground.wires for name in names
    )


def _disk(name: str) -> Callable[[Ground], bool]:
    return lambda ground: name in ground.disks


def _blobs(ground: Ground) -> bool:
    """Capsules lie on a disk that can be filled, and not in a bucket."""
    return _disk("blobs")(ground) and not ground.plan.s3


FAULTS: tuple[Fault, ...] = (
    Fault("kill -9 vault", _kill("vault")),
    Fault("kill -9 the process that admits", _kill_hands, needs=lambda g: g.plan.postgres),
    Fault("kill -9 second vault", _kill("vault-2"), needs=_has("vault-2")),
    Fault("kill -9 log (the leader)", _kill_leader),
    Fault("kill -9 the standby log", _kill_standby, needs=_has("log-2")),
    Fault("the leading log frozen 30 s, then awake", _stopped(30), 30, _has("log-2"), True),
    Fault("kill -9 one witness of three", _kill("witness-1")),
    Fault("kill -9 trustee", _kill("trustee-de"), needs=lambda g: g.plan.trustees),
    Fault("PostgreSQL restarted", _engine("postgres", signal.SIGINT), 0, _has("postgres")),
    Fault("PostgreSQL kill -9", _engine("postgres", signal.SIGKILL), 0, _has("postgres")),
    Fault("NATS restarted", _engine("nats", signal.SIGTERM), 0, _has("nats")),
    Fault("NATS kill -9", _engine("nats", signal.SIGKILL), 0, _has("nats")),
    Fault("S3 answers 500, 10 s", _wire("errors", 10, "s3"), 10, _has("s3")),
    Fault("S3 slow (1 s a piece), 10 s", _wire("slow", 10, "s3"), 10, _has("s3")),
    Fault("S3 cut off, 30 s", _wire("cut", 30, "s3"), 30, _has("s3")),
    Fault("disk slow: 200 ms an fsync, 10 s", _slow(200, 10), 10, lambda g: g.slowness is not None),
    Fault("disk full: blobs, 10 s", _full("blobs", 10), 10, _blobs),
    Fault("disk full: log, 10 s", _full("log", 10), 10, _disk("log")),
    Fault("cut 30 s: vaults from the log", _wire("cut", 30, "log"), 30, _has("log")),
    Fault(
        "cut 30 s: vaults and log from PostgreSQL",
        _wire("cut", 30, "postgres"),
        30,
        _has("postgres"),
    ),
    Fault("cut 30 s: two witnesses of three", _wire("cut", 30, "witness-1", "witness-2"), 30),
    Fault("connections reset: vaults to the log", _wire("broken", 2, "log"), 2, _has("log")),
)

FEW = ("kill -9 vault", "kill -9 log (", "PostgreSQL kill -9", "disk full: blobs, 10 s")
"""For the short round."""


def chosen(ground: Ground, words: Sequence[str]) -> list[Fault]:
    """Those that this region can have; with ``words``: whose name has one of them."""
    return [
        each
        for each in FAULTS
        if each.needs(ground) and (not words or any(word in each.name for word in words))
    ]


def run(driver: Driver, ground: Ground, fault: Fault, rate: float) -> Phase:
    """Load for some seconds before, during and after."""

    def meanwhile(marks: dict[str, float]) -> None:
        time.sleep(_BEFORE)
        marks["began"] = time.monotonic()
        fault.act(ground)
        marks["over"] = time.monotonic()

    seconds = _BEFORE + fault.seconds + _AFTER
    phase = driver.run(fault.name, steady(rate, seconds), meanwhile=meanwhile)
    print(f"{fault.name}: {recovery(phase, fault):.1f} s, {phase.saw()}", flush=True)
    return phase


def disturbed(phase: Phase) -> list[float]:
    """When those were acknowledged that came late, or not at the first try."""
    return [
        each.done
        for each in phase.good("plain", "twice")
        if each.done > phase.marks["began"] and (each.before or each.done - each.due > _LATE)
    ]


def recovery(phase: Phase, fault: Fault) -> float:
    """Seconds until the last capsule that was disturbed was acknowledged; 0.0 if none was."""
    since = phase.marks["over" if fault.seconds and not fault.outlasted else "began"]
    return max([0.0, *(each - since for each in disturbed(phase))])


def table(rows: Sequence[tuple[Fault, Phase, Verdict]]) -> tuple[str, list[dict[str, Any]]]:
    """As Markdown, and as figures."""
    head = (
        "| fault | acknowledged | lost | duplicates | disturbed | recovered after | callers saw |"
    )
    lines, found = [head, "|---|---|---|---|---|---|---|"], []
    for fault, phase, said in rows:
        saw = ", ".join(f"{count} x {what}" for what, count in phase.saw().items()) or "nothing"
        after, late = recovery(phase, fault), len(disturbed(phase))
        lines.append(
            f"| {fault.name} | {said.admitted} | {said.lost} | {said.duplicates} | {late} "
            f"| {after:.1f} s | {saw} |"
        )
        found.append(
            {
                "fault": fault.name,
                "admitted": said.admitted,
                "unanswered": said.unanswered,
                "lost": said.lost,
                "duplicates": said.duplicates,
                "wrong": said.wrong_count,
                "disturbed": late,
                "recovery_s": round(after, 2),
                "saw": phase.saw(),
            }
        )
    return "\n".join(lines), found
