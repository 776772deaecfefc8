# SPDX-License-Identifier: Apache-2.0
"""``incamera car``: the agent that runs in a car, and what its owner and the operator say to it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import sdnotify  # type: ignore[import-untyped]  # has no types

from incamera import durable
from incamera.cli import terminal
from incamera.cli.agent_papers import consent, exclude
from incamera.cli.agent_told import told
from incamera.clock import SystemClock, monotonic
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError

if TYPE_CHECKING:
    from incamera.car.agent import Agent
    from incamera.car.process import WorkerProcess
    from incamera.cli.agent_settings import CarFile

__all__ = ["command"]

_LOOK = 1.0
_PACE = 0.1
_ENDED = 143  # by SIGTERM, as a shell says it
_EXITS = {
    each.kind: each.exit_code
    for each in (InputError, IntegrityError, PolicyError, UnavailableError)
}

settings_argument = click.argument("settings", type=click.Path(path_type=Path))


@click.group("car", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Run the agent of a car: ingest what it records while it rests, with its owner's consent.

    It watches the folder that the car records to, works while the car is parked or idle, keeps
    sealed capsules until the vault's receipt is verified, and looks at nothing without consent.
    SETTINGS is a TOML file; docs/operating/car.md explains its keys, and how the car says that it
    drives.

    Example: incamera car run car.toml; incamera car status car.toml --json
    """


@command.command("run")
@settings_argument
@terminal.json_option
def run(settings: Path, as_json: bool) -> None:
    """Run until SIGTERM; under systemd it says when it is ready, and that it lives.

    It may be killed at any moment, and started again.

    Example: incamera car run /etc/incamera/car.toml
    """
    with _agent(settings) as (agent, worker):
        ending = _until_ended()
        systemd = sdnotify.SystemdNotifier()
        _look(agent, systemd)
        systemd.notify("READY=1")
        terminal.result({"watching": str(settings), "pid": os.getpid()}, ["watching"], as_json)
        sys.stdout.flush()
        _loop(agent, worker, ending, systemd)
        systemd.notify("STOPPING=1")


@command.command("once")
@settings_argument
@click.option("--seconds", default=3_600, show_default=True, help="End after so long, whatever is.")
@terminal.json_option
def once(settings: Path, seconds: int, as_json: bool) -> None:
    """Do what there is to do, and end: for a workshop, a depot, or a timer.

    What nobody watched as it was recorded is not taken by this either: it needs `incamera car
    run` while the car drives. What went wrong is said, and the exit code is that of the first; if
    the time was over before all was done, it is 6: run it again.

    Example: incamera car once car.toml
    """
    begun = SystemClock().now()
    with _agent(settings) as (agent, worker):
        ending, end = _until_ended(), monotonic() + seconds
        _loop(agent, worker, ending, None, lambda: agent.idle or monotonic() > end)
        done = agent.idle
    said = _show(settings, as_json)["worker"]
    if said.get("time", 0) >= begun and said["errors"]:
        raise SystemExit(_EXITS.get(said["errors"][0][0], Error.exit_code))
    if not done:
        terminal.note("it ended before all was done: nothing is lost, run it again")
        raise SystemExit(UnavailableError.exit_code)


@command.command("status")
@settings_argument
@terminal.json_option
def status(settings: Path, as_json: bool) -> None:
    """Say what holds and what does not: consent, exclusion, campaign, spool, what is withheld, why.

    Example: incamera car status car.toml --json
    """
    _show(settings, as_json)


@command.command("work", hidden=True)
@settings_argument
@click.option("--send-only", is_flag=True, help="Look at no recording.")
@click.option("--attached", is_flag=True, help="End when standard input does.")
@terminal.json_option
def work(settings: Path, send_only: bool, attached: bool, as_json: bool) -> None:
    """What the agent has done by a process of its own, while the car rests.

    Example: incamera car work car.toml
    """
    from incamera.car.work import Worker, unable
    from incamera.cli.agent_link import HttpLink
    from incamera.cli.agent_settings import load
    from incamera.ledger import addresses
    from incamera.sealing.keys import SigningKey

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_ENDED))
    if attached:
        threading.Thread(target=_end_with_the_agent, daemon=True).start()
    file, clock = load(settings), SystemClock()
    home = file.settings.places.home
    addresses.hold(home)  # from now on only to where the region's log says
    try:
        key = SigningKey.load(home / "signing.key")
        link = HttpLink(file, key, clock)
    except Error as error:
        unable(file.settings, clock.now(), error)
        raise
    done = Worker(file.settings, link, key, clock).run(send_only=send_only)
    terminal.result(done.to_json(), [], as_json)


def _end_with_the_agent() -> None:
    """The agent holds the other end of standard input: when it dies, however, this ends.

    Past ``sys.stdin``, whose lock a thread that still reads would hold as Python ends: it aborts.
    """
    with contextlib.suppress(OSError):
        while os.read(0, 1 << 12):
            pass
    os._exit(_ENDED)


@contextlib.contextmanager
def _agent(settings: Path) -> Iterator[tuple[Agent, WorkerProcess]]:
    """The agent of these settings, alone; stopped in the end."""
    from incamera.car.agent import Agent
    from incamera.car.process import WorkerProcess
    from incamera.cli.agent_link import pinned_policy

    file = _load(settings)
    pinned_policy(file)  # nothing can be taken before it is there
    words = ("car", "work", str(settings), "--attached")
    worker = WorkerProcess([sys.executable, "-m", "incamera", *words], file.settings.budget)
    with durable.lock(file.settings.places.lock):
        agent = Agent(file.settings, SystemClock(), worker)
        try:
            yield agent, worker
        finally:
            agent.stop()


def _load(settings: Path) -> CarFile:
    from incamera.cli.agent_settings import load

    return load(settings)


def _until_ended() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


def _loop(
    agent: Agent,
    worker: WorkerProcess,
    ending: threading.Event,
    systemd: sdnotify.SystemdNotifier | None,
    done: Callable[[], bool] = lambda: False,
) -> None:
    """Look every second, and keep the worker's pace in between."""
    while not ending.is_set():
        _look(agent, systemd)
        if done():
            return
        again = monotonic() + _LOOK
        while monotonic() < again and not ending.wait(_PACE):
            worker.pace()


def _look(agent: Agent, systemd: sdnotify.SystemdNotifier | None) -> None:
    """What goes wrong in one look is said, and the next one comes."""
    try:
        said = agent.look().state
    except Error as error:
        terminal.note(error.message)
        agent.trouble(error)
        said = error.message
    if systemd is not None:
        systemd.notify(f"WATCHDOG=1\nSTATUS={said}")


def _show(settings: Path, as_json: bool) -> dict[str, Any]:
    from incamera.car.status import gather
    from incamera.cli.agent_link import pinned_policy

    file = _load(settings)
    document: dict[str, Any] = gather(file.settings, pinned_policy(file), SystemClock().now())
    terminal.result(document, told(document), as_json)
    return document


command.add_command(consent)
command.add_command(exclude)
