# SPDX-License-Identifier: Apache-2.0
"""A region on a machine for each party: commands run in it, servers, and the capture beside it.

A command is incamera's own, run as its operator would: in a process of its own, in that machine's
network. It is forked from this process, which saves the start of an interpreter and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from incamera.cli.main import _MODULES, VERBS, _run
from incamera.clock import SystemClock
from incamera.ledger.addresses import places
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.tlog import FolderFetch, LogReader, Policy
from incamera.wire.egress import Place
from wires import SWITCH, Wires

SERVED = {
    "w1": ("witness", "DE"),
    "w2": ("witness", "FR"),
    "w3": ("witness", "NL"),
    "log": ("log", ""),
    "vault": ("vault", ""),
    "de": ("trustee", "DE"),
    "fr": ("trustee", "FR"),
    "nl": ("trustee", "NL"),
}
OTHERS = {"car": "car", "ada": "owner", "lab": "reader", "ministry": "reader", "op": "operator"}
LATER = {"ch": ("trustee", "CH")}
OUTSIDER = "auditor"
PORT = 8100
_NEW_NET = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)


class FailedError(Exception):
    """A command did not end as it should."""


class Machines:
    """Each party's machine and folder; what runs there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for verb in VERBS:  # once, and not in each process
            importlib.import_module(f"incamera.cli.{_MODULES.get(verb, verb)}")
        self.names = [*SERVED, *LATER, *OTHERS, OUTSIDER]
        self.wires = Wires(self.names)
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        # Whatever is looked up would be asked of a resolver that nobody declared.
        resolv = root / "resolv.conf"
        resolv.write_text(f"nameserver {SWITCH}\noptions timeout:1 attempts:1\n")
        subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)

    def at(self, name: str) -> str:
        """Host and port of a party's server."""
        return f"{self.wires.addresses[name]}:{PORT}"

    def folder(self, name: str) -> Path:
        """Where a party keeps its things."""
        return self.root / name

    @property
    def url(self) -> str:
        """The vault's."""
        return f"http://{self.at('vault')}"

    def run(self, name: str, *words: str, expect: int = 0) -> str:
        """``incamera WORDS`` on a machine; what it printed. Another code is a failure."""
        return self.within(name, lambda: _run(list(words)), expect=expect)

    def within(self, name: str, act: Callable[[], int | None], *, expect: int = 0) -> str:
        """``act`` in a process on a machine."""
        return self._end(name, self._begin(name, act), expect)

    def together(self, works: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Commands on several machines at once."""
        begun = [
            (name, self._begin(name, functools.partial(_run, list(words)))) for name, words in works
        ]
        for name, pid in begun:
            self._end(name, pid, 0)

    def _begin(self, name: str, act: Callable[[], int | None]) -> int:
        """The process."""
        out = self.root / "said" / name
        out.parent.mkdir(exist_ok=True)
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                self._enter(name, out)
                code = act() or 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 70
            except BaseException:  # noqa: BLE001 - nothing of it may go on in the parent's name
                traceback.print_exc()
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        return pid

    def _end(self, name: str, pid: int, expect: int) -> str:
        _, status = os.waitpid(pid, 0)
        said = (self.root / "said" / name).read_text(errors="replace")
        if os.waitstatus_to_exitcode(status) != expect:
            raise FailedError(f"on {name}: ended with {os.waitstatus_to_exitcode(status)}\n{said}")
        return said

    def _enter(self, name: str, out: Path) -> None:
        """In the child: that machine's network, and what is said goes to ``out``."""
        with Path(f"/run/netns/{self.wires.space(name)}").open() as space:
            if _LIBC.setns(space.fileno(), _NEW_NET):
                raise OSError(ctypes.get_errno(), "setns")
        os.chdir(self.root)
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)

    # Servers

    def start(self, *names: str) -> None:
        """Serve these parties, and wait until each can be asked."""
        for name in names:
            role = {**SERVED, **LATER}[name][0]
            serve = [sys.executable, "-m", "incamera", "serve", role, f"{name}/serve.toml"]
            with self.journal(name).open("ab") as told:
                self.servers[name] = subprocess.Popen(
                    [*self.wires.machine(name), *serve],
                    cwd=self.root,
                    stdout=subprocess.PIPE,
                    stderr=told,
                )
        for name in names:
            process = self.servers[name]
            assert process.stdout is not None
            if not process.stdout.readline():
                raise FailedError(f"{name} ended:\n{self.journal(name).read_text()}")

    def journal(self, name: str) -> Path:
        """What a server says on stderr."""
        return self.root / f"{name}.journal"

    def stop(self, *names: str) -> None:
        """SIGTERM to these, or to all."""
        gone = [self.servers.pop(name) for name in names or list(self.servers)]
        for each in gone:
            each.send_signal(signal.SIGTERM)
        for each in gone:
            try:
                each.wait(20)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()

    # What the region says of itself

    def state(self) -> State:
        """An outsider's reading of the log."""
        state = State()
        policy = Policy.parse((self.folder("op") / "tlog-policy").read_bytes())
        fetch = FolderFetch(self.folder("log") / "public")
        Follower(LogReader(fetch, policy), state, SystemClock()).follow()
        return state

    def declared(self) -> tuple[Place, ...]:
        """Every address that any list of the log ever allowed."""
        return tuple({each for made in self.state().addresses() for each in places(made.entry)})

    def close(self) -> None:
        """End what runs, and remove the machines."""
        self.stop()
        self.wires.close()


class Capture:
    """The process that looks at every frame."""

    def __init__(self, machines: Machines, pcap: Path) -> None:
        wires = [f"{name}={machines.wires.wire(name)}" for name in machines.names]
        command = [sys.executable, "-m", "bench.egress.capture", str(pcap), *wires]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer("listening")

    def phase(self, name: str) -> None:
        """What is seen from now on belongs to this phase."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        self._answer(name)

    def _answer(self, wanted: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != wanted:
            raise FailedError("the capture ended")

    def kill(self) -> None:
        """Of a run that failed."""
        self._process.kill()
        self._process.communicate()

    def end(self) -> dict[str, Any]:
        """What it counted."""
        told, _ = self._process.communicate(timeout=60)
        found: dict[str, Any] = json.loads(told)
        return found
