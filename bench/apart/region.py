# SPDX-License-Identifier: Apache-2.0
"""A region apart, founded and run: every party a process of its own, by `incamera serve`."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from incamera.cli.card import CardRole, read_card
from incamera.cli.ceremony import Rules, enrolment, found_region
from incamera.cli.join import join
from incamera.cli.party import PartyPlan, make_party
from incamera.clock import SystemClock
from incamera.ids import Name, Region
from incamera.ledger.policies import default_policy

INCAMERA = Path(sys.executable).with_name("incamera")
EU = Region("eu")
SERVED: tuple[tuple[CardRole, str, str], ...] = (
    ("witness", "w1", "DE"),
    ("witness", "w2", "FR"),
    ("witness", "w3", "NL"),
    ("log", "log", ""),
    ("vault", "vault", ""),
    ("trustee", "de", "DE"),
    ("trustee", "fr", "FR"),
    ("trustee", "nl", "NL"),
)
OTHERS: tuple[tuple[CardRole, str, str], ...] = (
    ("car", "car", "DE"),
    ("owner", "ada", "DE"),
    ("reader", "lab", "DE"),
)
__all__ = ["EU", "INCAMERA", "SERVED", "Parties", "enrolment"]


class Parties:
    """Folders below ``root``, one for each party, and the servers that run."""

    def __init__(self, root: Path, *, quota: int = 100_000) -> None:
        self.root = root
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        clock = SystemClock()
        for (role, name, country), port in zip(SERVED, free_ports(len(SERVED)), strict=True):
            plan = PartyPlan(role, Name(name), Name(role), country, f"http://127.0.0.1:{port}", EU)
            make_party(root / name, plan, clock)
        for role, name, country in OTHERS:
            kind = {"reader": "research"}.get(role, role)
            make_party(
                root / name, PartyPlan(role, Name(name), Name(kind), country, "", None), clock
            )
        make_party(
            root / "op",
            PartyPlan("operator", Name("operator"), Name("operator"), "", "", None),
            clock,
        )
        cards = [read_card(root / name) for _, name, _ in (*SERVED, *OTHERS)]
        rules = Rules(EU, 2, 0, 365, quota, default_policy(EU))
        found_region(root / "op", rules, cards, clock)
        for role, name, _ in (*SERVED, *OTHERS):
            if role != "log":  # whose witnesses must answer
                join(root / name, root / "op", clock)
        for name in ("w1", "w2", "w3"):
            self.start(name)
        join(root / "log", root / "op", clock)
        self.start("log")

    @property
    def url(self) -> str:
        """The vault's."""
        return read_card(self.root / "vault")[0].url

    def start(self, name: str) -> None:
        """Serve one party, and wait until it can be asked."""
        role = next(role for role, known, _ in SERVED if known == name)
        words = [str(INCAMERA), "serve", role, str(self.root / name / "serve.toml")]
        with (self.root / f"{name}.log").open("ab") as told:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=told)
        self.running[name] = process
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError((self.root / f"{name}.log").read_text())

    def stop(self) -> None:
        """End all."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def cpu(self) -> dict[str, float]:
        """CPU seconds that each server has used so far, and this process with what it ran."""
        found = {name: cpu_of(process.pid) for name, process in self.running.items()}
        return {**found, "reader": sum(os.times()[:4])}


def cpu_of(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that outgoing connections take."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            port = 10_000 + secrets.randbelow(20_000)
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found
