# SPDX-License-Identifier: Apache-2.0
"""A car's agent as a process, against a region of processes, through cut links and killed power.

The sample drive is copied onto the car's stick while the agent watches; a link that can be cut lies
between car and vault.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import warm
from incamera.car.status import gather
from incamera.cli.agent_settings import load
from incamera.cli.card import Card
from incamera.cli.party import PartyPlan, make_party
from incamera.ids import Name
from incamera.ledger.codec import decode
from incamera.ledger.entries import CapsuleEntry
from incamera.ledger.extract import open_statement
from incamera.recording.folders import walk
from incamera.tlog import LogReader
from serving import CLOCK, Region, region

CUT = float(os.environ.get("INCAMERA_CUT", "5"))
"""Seconds that the link is cut; set INCAMERA_CUT for more."""


class Link:
    """A TCP relay to the vault: it can be cut, and drop what is under way after some bytes."""

    def __init__(self, target: str) -> None:
        host, port = target.split("//")[1].split(":")
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.cut = False
        #: Bytes to the vault after which each connection breaks; None: none does.
        self.breaks: int | None = None
        self.passed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        """Bytes both ways, until somebody ends it or the link is cut."""
        try:
            if self.cut:
                return
            with socket.create_connection(self._target) as far:
                sent = 0
                while not self.cut:
                    for each in select.select([near, far], [], [], 0.1)[0]:
                        data = each.recv(1 << 14)
                        if not data:
                            return
                        if each is near:
                            sent += len(data)
                            self.passed += len(data)
                            if self.breaks is not None and sent > self.breaks:
                                return
                        (far if each is near else near).sendall(data)
        except OSError:
            return
        finally:
            near.close()

    def close(self) -> None:
        """No more connections."""
        self._server.close()


class Car:
    """The region's car with an agent that is a process."""

    def __init__(self, there: Region, folder: Path) -> None:
        self.region, self.folder = there, folder
        self.link = Link(there.urls["vault"])
        self.home, self.stick = folder / "car", folder / "stick" / "TeslaCam"
        self.says, self.config = folder / "drive", folder / "car.toml"
        self.stick.mkdir(parents=True)
        self._party(self.home, "car", there.home.car / "signing.key")
        (self.home / "tlog-policy").write_bytes(there.home.log_policy.read_bytes())
        self._party(there.home.owner, "owner", there.home.owner / "signing.key")
        self.configure()
        self.says.write_text("parked\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(f"\0incamera-test-{os.getpid()}")
        self.notified: set[str] = set()
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        """As systemd does: what is not read would hold the agent up."""
        while data := self.systemd.recv(4096):
            self.notified |= {line.split("=")[0] for line in data.decode().splitlines()}

    def _party(self, place: Path, role: Any, key: Path) -> Card:
        place.mkdir(exist_ok=True)
        if not (place / "signing.key").exists():
            shutil.copy(key, place / "signing.key")
        plan = PartyPlan(role, Name(role), Name("private"), "DE", "", None)
        return make_party(place, plan, CLOCK)

    def configure(self, more: str = "", top: str = "") -> None:
        """The settings' file; ``top``: keys of no section, ``more``: of ``[disk]``, or sections."""
        self.config.write_text(
            f'home = "{self.home}"\nowner = "owner"\nwatch = "{self.stick}"\nzones = ""\n'
            f'vault = "{self.link.url}"\nlog = "{self.region.urls["log"]}"\nquiet = 2\n{top}'
            f'[drive]\nfile = "{self.says}"\nstale = 0\n'
            f"[work]\nnice = 0\nshare = 100\nevery = 1\n[disk]\nfree = 0\n{more}"
        )

    def run(self, *words: str, check: bool = True) -> dict[str, Any]:
        """One command of the car's; its JSON."""
        command = [sys.executable, "-m", "incamera", "car", *words, "--json"]
        done = warm.run(command, timeout=120)
        assert done.returncode == 0 or not check, done.stderr
        told: dict[str, Any] = json.loads(done.stdout or b"{}")
        return told

    def consent(self) -> None:
        """The owner's token, in the car's folder."""
        keys, out = str(self.region.home.owner), str(self.home / "consents" / "token")
        (self.home / "consents").mkdir(exist_ok=True)
        words = ("--keys", keys, "--region", "eu", "--purpose", "driver-assistance", "--out", out)
        self.run("consent", str(self.home / "card.json"), *words)

    def start(self) -> None:
        """The agent, until it watches."""
        command = [sys.executable, "-m", "incamera", "car", "run", str(self.config), "--json"]
        env = os.environ | {"NOTIFY_SOCKET": f"@incamera-test-{os.getpid()}"}
        with (self.folder / "agent.stderr").open("ab") as said:
            self.process = warm.Popen(command, stdout=subprocess.PIPE, stderr=said, env=env)
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["pid"] == self.process.pid

    def end(self, number: int = signal.SIGTERM) -> int:
        """The agent ends; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def status(self) -> dict[str, Any]:
        """What there is to say of it: `incamera car status`, without a process for each look."""
        return gather(load(self.config).settings, self.region.policy, CLOCK.now())

    def records(self, source: Path, name: str) -> None:
        """An event folder of a drive comes into being, file by file."""
        place = self.stick / "SavedClips" / name
        place.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            if "front" in path.name or path.name == "event.json":
                shutil.copyfile(path, place / path.name)

    def logged(self) -> list[str]:
        """Capsules in the log."""
        reader = LogReader(self.region.fetch(), self.region.policy)
        size = reader.checkpoint().checkpoint.size
        entries = [decode(data, "entry").entry for data in reader.entries(0, size, size)]
        return [entry.capsule for entry in entries if isinstance(entry, CapsuleEntry)]


def wait_for(what: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Until ``what`` is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError("it never came to pass")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region of processes."""
    with region(tmp_path_factory.mktemp("region")) as made:
        yield made


@pytest.fixture
def car(there: Region, tmp_path: Path) -> Iterator[Car]:
    """Its car."""
    made = Car(there, tmp_path)
    try:
        yield made
    finally:
        made.end(signal.SIGKILL)
        made.link.close()
        made.systemd.shutdown(socket.SHUT_RDWR)
        made.systemd.close()


def event_of(drive: Path) -> Path:
    """An event folder of the sample drive."""
    return next(here for here, names in walk(drive) if "event.json" in names)


def test_a_car_reads_what_concerns_it_or_all_of_its_log(car: Car) -> None:
    """By extracts it keeps the vault's word; not to go on from one to the whole is said."""
    once = ("once", str(car.config), "--seconds", "30")
    size = LogReader(car.region.fetch(), car.region.policy).checkpoint().checkpoint.size
    assert car.run(*once)["log"]["entries"] == size
    [said] = (car.home / "extracts.jsonl").read_bytes().splitlines()
    assert open_statement(said, "extract")[0].size == size
    car.configure(top='reads = "log"\n')
    refused = car.run(*once, check=False)
    assert "not a whole log" in str(refused), refused
    for path in car.home.glob("state.db*"):
        path.unlink()
    assert car.run(*once)["log"]["entries"] == size
    car.configure(top='reads = "some"\n')
    assert "'extract' or 'log'" in str(car.run(*once, check=False))


def test_a_drive_reaches_the_vault_through_a_cut_link_and_killed_agents(
    car: Car, drive: Path
) -> None:
    """Cut as it is sent, killed in mid upload: each clip is admitted once; the spool empties."""
    car.start()
    wait_for(lambda: car.status()["log"]["entries"])
    car.consent()
    car.says.write_text("driving 1\n")
    time.sleep(1.5)
    car.records(event_of(drive), "2026-05-01_10-09-30")
    wait_for(lambda: car.status()["withheld"]["files_waiting"])
    car.link.breaks = 40_000  # the radio drops every connection in the middle of a capsule
    before = len(car.logged())
    car.says.write_text("parked\n")
    wait_for(lambda: car.status()["spool"]["capsules"])
    wait_for(lambda: car.link.passed > 80_000)
    car.end(signal.SIGKILL)  # in mid upload
    car.link.cut = True
    car.start()
    cut = time.monotonic()
    wait_for(lambda: "does not answer" in str(car.status()["worker"]))
    time.sleep(max(0.0, CUT - (time.monotonic() - cut)))
    car.link.cut, car.link.breaks = False, None
    wait_for(lambda: car.status()["spool"].get("sent"))
    wait_for(lambda: not car.status()["withheld"]["files_waiting"])
    wait_for(lambda: not car.status()["spool"]["capsules"])
    status = car.run("status", str(car.config))
    assert status["spool"]["last_receipt"] is not None
    assert status["withheld"]["rule"] is None
    clips = status["spool"]["sent"]
    assert len(car.logged()) == before + clips
    assert len(set(car.logged())) == len(car.logged())
    assert car.end(signal.SIGTERM) == 0
    assert car.notified == {"READY", "STATUS", "STOPPING", "WATCHDOG"}
    again = car.run("once", str(car.config), "--seconds", "60")
    assert (again["spool"]["sent"], again["withheld"]["files_waiting"]) == (clips, 0)
