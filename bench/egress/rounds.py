# SPDX-License-Identifier: Apache-2.0
"""What the parties do in each phase: found a region, rest, look, and then everything there is."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.apart.clips import Sealer
from bench.egress.machines import LATER, OTHERS, OUTSIDER, SERVED, FailedError, Machines
from incamera.cli.url_desk import UrlDesk
from incamera.clock import SystemClock
from incamera.ids import Name
from incamera.ledger.receipt import check_receipt
from incamera.sealing.keys import SigningKey
from incamera.service.clients import VaultClient
from incamera.tlog.policy import Policy

FOREIGN = "203.0.113.66"  # TEST-NET-3 (RFC 5737)
_PAUSE = 2.0
_ROUND = 36.0
"""Seconds: at two capsules a round the car stays below what a vault takes of one in an hour."""
_WHOLE = 60.0
_DAY = 86_400


class Rounds:
    """The acts of a region's parties. ``done`` counts them by name."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.done: dict[str, int] = {}
        self.number = 0

    def _did(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def _run(self, name: str, *words: str, expect: int = 0) -> str:
        said = self.machines.run(name, *words, expect=expect)
        self._did(words[0])
        return said

    def _ask(self, name: str, verb: str, *words: str, expect: int = 0) -> str:
        """A verb by a party with its keys, over HTTP."""
        at = ("--url", self.machines.url, "--keys", name)
        return self._run(name, verb, *words, *at, expect=expect)

    # Founding

    def found(self) -> None:
        """Keys on each machine, cards to the operator, a founding, everybody's place in it."""
        m = self.machines
        works: list[tuple[str, list[str]]] = []
        for name, (role, country) in {**SERVED, **LATER}.items():
            words = ["init", name, "--as", role, "--name", name, "--listen", m.at(name)]
            words += ["--country", country] * bool(country)
            words += ["--region", "eu"] * (role == "trustee")
            works.append((name, words))
        for name, role in OTHERS.items():
            kind = ["--kind", "government"] * (name == "ministry")
            seat = ["--country", "DE"] * (role != "operator")
            works.append((name, ["init", name, "--as", role, "--name", name, *seat, *kind]))
        m.together(works)
        cards = [w for name in (*SERVED, "car", "ada", "lab") for w in ("--card", name)]
        allow = ["--allow", f"ch={m.at('ch')}"]
        found = ["init", "op", "--as", "region", "--region", "eu", "--notice", "0"]
        self._run("op", *found, "--addresses", *allow, *cards)
        joining = [name for name in (*SERVED, *LATER, *OTHERS) if name != "log"]
        m.together([(name, ["init", name, "--join", "op"]) for name in joining])
        self.done["init"] += len(works) + len(joining)
        m.start("w1", "w2", "w3")
        self._run("log", "init", "log", "--join", "op")
        m.start("log")
        m.start("vault", "de", "fr", "nl")
        self._did("serve")
        # Over by a full hour that comes: then the vault destroys it, and says so in the log.
        m.within("car", lambda: _upload(m, 1, expires=600))
        self._did("upload")

    # The three states of GB/T 44464 D.8

    def off(self, seconds: float) -> None:
        """The car is off, and nobody asks anything: servers alone."""
        time.sleep(seconds)

    def on(self, seconds: float) -> None:
        """The car is on and waits; people look, and somebody watches the log. Nothing moves."""
        m, until = self.machines, time.monotonic() + seconds
        watch = [sys.executable, "-m", "incamera", "audit", "--url", f"http://{m.at('log')}"]
        watch += ["--policy", "op/tlog-policy", "--mirror", "watched"]
        watch += ["--follow", "--interval", "1"]
        with (m.root / "watching").open("wb") as said:
            watcher = subprocess.Popen(
                [*m.wires.machine(OUTSIDER), *watch], cwd=m.root, stdout=said, stderr=said
            )
        try:
            while True:
                for name in ("ada", "lab"):
                    self._ask(name, "list")
                for name in ("car", "op"):
                    self._ask(name, "addresses")
                left = until - time.monotonic()
                time.sleep(min(_PAUSE, max(0.0, left)))
                if left <= _PAUSE:
                    break
            _wait(lambda: b"all well" in (m.root / "watching").read_bytes(), "the watcher")
        finally:
            watcher.kill()
            watcher.wait()
        self._did("audit --follow")

    def busy(self, seconds: float) -> None:
        """Every function, in turn, until the time is over; a succession in the first round."""
        until = time.monotonic() + seconds
        while True:
            began = time.monotonic()
            self.round()
            if self.number == 1:
                self.succession()
                if seconds >= _WHOLE:  # detectors, decoders, encoders: a minute of work
                    self.demo()
            due = max(began + _ROUND, time.monotonic() + _PAUSE)
            time.sleep(max(0.0, min(due, until) - time.monotonic()))
            if due >= until:
                return

    def round(self) -> None:
        """Once everything that is done in a region every day."""
        self.number += 1
        m, n = self.machines, str(self.number)
        if self.number == 1:
            self._ask("op", "enrol", "ministry/card.json")
        made = m.within("car", lambda: _upload(m, 2)).split()
        self._did("upload")
        self._ask("lab", "list")
        named = [word for each in made for word in ("--capsule", each)]
        self._ask("lab", "request", *named)  # not all there are: a reader has a quota a day
        self._ask("lab", "grant")
        dataset = f"dataset-{n}"
        self._ask("lab", "open", "--to", dataset)
        if self.number == 1:
            self._ask("ministry", "request", *named)
            self._ask("ministry", "grant", expect=5)
        law = ["--authority", "Amtsgericht Musterstadt", "--country", "DE", "--date", "2026-11-02"]
        law += ["--scope", f"{self.number:064x}", "--outcome", "refused"]
        self._ask("op", "demand", "--reference", f"de-{n}", *law)
        self._ask("ada", "list")
        self._ask("ada", "erase", made[0])
        policy = ("--policy", "op/tlog-policy")
        self._run(OUTSIDER, "report", "--url", m.url, *policy)
        manifest = ("--dataset", f"{dataset}/manifest.json")
        self._run(OUTSIDER, "audit", "--url", m.url, *policy, "--mirror", "copy", *manifest)

    def succession(self) -> None:
        """A trustee comes, another leaves: shares pass on."""
        m = self.machines
        self._ask("op", "enrol", "ch")
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 20 * _DAY))
        for name in ("ch", "fr"):
            config = ("--config", f"{name}/serve.toml")
            self._run(name, "succession", "announce", *config, "--until", day)
        seats = ("--seat", "ch=2", "--seat", "fr=2", "--reason", "de leaves")
        at = ("--url", m.url, "--keys", "op")
        self._run("op", "succession", "propose", *at, *seats)
        for name in ("de", "fr"):
            self._run(name, "succession", "deal", "1", "--config", f"{name}/serve.toml")
        for name in ("ch", "fr"):
            self._run(name, "succession", "accept", "1", "--config", f"{name}/serve.toml")
        m.start("ch")

    def demo(self) -> None:
        """The whole journey in one folder on the car's machine: it has no need of a wire.

        An interpreter of its own: detectors and decoders have threads, which a fork has not.
        """
        m = self.machines
        command = [sys.executable, "-m", "incamera", "demo", "--home", "demo"]
        done = subprocess.run(
            [*m.wires.machine("car"), *command], cwd=m.root, capture_output=True, check=False
        )
        if done.returncode:
            raise FailedError(f"the demo ended with {done.returncode}: {done.stderr[-500:]!r}")
        self._did("demo")

    # The planted address

    def plant(self) -> dict[str, bool]:
        """A trustee is told of a log abroad; and a stranger's program runs on its machine."""
        m = self.machines
        config = m.folder("nl") / "serve.toml"
        config.write_text(config.read_text().replace(m.at("log"), f"{FOREIGN}:443"))
        m.stop("nl")
        said = len(m.journal("nl").read_bytes())
        m.start("nl")
        _wait(lambda: FOREIGN.encode() in m.journal("nl").read_bytes()[said:], "the refusal")
        refused = b"not an address of this region" in m.journal("nl").read_bytes()[said:]
        m.stop("nl")
        return {"refused": refused}

    def intrude(self) -> None:
        """Past the party's own rule, as only another program can: for the capture to see."""

        def call() -> int:
            with socket.socket() as sock:
                sock.settimeout(0.3)
                try:
                    sock.connect((FOREIGN, 443))
                except OSError:
                    return 0
            return 1

        self.machines.within("nl", call)


def _upload(machines: Machines, count: int, expires: int = 20 * _DAY) -> int:
    """On the car's machine: seal to what the log says, deliver, check each receipt."""
    car, clock, url = Path("car"), SystemClock(), machines.url
    desk = UrlDesk.at(url, car, policy=None, trust_first=False, ca=None)
    key = SigningKey.load(car / "signing.key")
    sealer = Sealer.of(key, Name("car"), desk.state(), clock.now())
    sealer = replace(sealer, facts=replace(sealer.facts, expires=clock.now() + expires))
    vault, policy = VaultClient(url, key, clock), Policy.parse((car / "tlog-policy").read_bytes())
    for number in range(count):
        path = car / f"{number}.capsule"
        name = sealer.seal(path)
        check_receipt(vault.admit(path), name, desk.region(), policy)
        path.unlink()
        print(name)
    return 0


def _wait(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise FailedError(f"waited {seconds} s for {what}")
        time.sleep(0.05)
