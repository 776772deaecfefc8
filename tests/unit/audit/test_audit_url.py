# SPDX-License-Identifier: Apache-2.0
"""``incamera audit --url`` as people and scripts run it: a process of its own, over HTTP."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import warm
from incamera.ids import digest
from incamera.ledger import evidence
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry
from world import World


class Quiet(SimpleHTTPRequestHandler):
    """A static web server as Python has it: a connection for each answer."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""


class Site:
    """A folder served on a port that stays the same while it is shut for a while."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.open()

    def open(self) -> None:
        """Serve."""
        handler = partial(Quiet, directory=str(self.folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def shut(self) -> None:
        """Answer nobody."""
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Where."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A region with 300 capsules."""
    world = World(tmp_path / "world")
    world.append(*capsules(world, 0, 300))
    return world


def capsules(world: World, first: int, count: int) -> list[bytes]:
    names = (digest(b"%d" % number) for number in range(first, first + count))
    return [encode(CapsuleEntry(**world.facts(), capsule=each), world.vault) for each in names]


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    """Its public folder, served."""
    site = Site(world.public)
    yield site
    site.shut()


def incamera(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "incamera", "audit", *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "INCAMERA_HOME"}
    pipe = subprocess.PIPE
    return warm.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = incamera(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


class Following:
    """A process that follows, its output read as it comes."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = incamera(*arguments)
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def until(self, *words: str) -> str:
        """The next line that has all these words."""
        while True:
            try:
                line = self.lines.get(timeout=30)
            except queue.Empty:
                self.process.kill()
                raise AssertionError((words, self.seen, self.process.communicate())) from None
            self.seen.append(line)
            if all(word in line for word in words):
                return line

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and what stood on stderr."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()


def test_a_log_is_audited_by_its_url(world: World, site: Site, tmp_path: Path) -> None:
    """Once without a memory; with a mirror the second time reads only what is new."""
    policy = tmp_path / "policy"
    policy.write_bytes(world.logs.policy.text)
    code, out, err = run("--url", site.url, "--policy", policy)
    assert code == 0, (out, err)
    assert "all well" in out
    assert "--mirror" in err
    mirror = tmp_path / "mirror"
    told: dict[str, Any] = {}
    for since in (0, world.logs.log.size):
        code, out, err = run("--url", site.url, "--mirror", mirror, "--json")
        assert (code, err) == (0, "")
        told = json.loads(out)
        assert told["ok"]
        assert told["since"] == since
    assert told["size"] == world.logs.log.size
    code, out, _ = run("--public", mirror / "public", "--policy", policy)
    assert (code, "all well" in out) == (0, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_following_tells_what_is_new_and_ends_cleanly(
    world: World, site: Site, tmp_path: Path, number: int
) -> None:
    """New entries, a log that is away and comes back, in plain words; a signal ends it with 0."""
    following = Following(
        *("--url", site.url, "--mirror", tmp_path / "mirror", "--follow", "--interval", "0.2")
    )
    size = world.logs.log.size
    following.until(f"{size} new entries, {size} in all: 300 capsule")
    following.until("all well")
    world.append(*capsules(world, 1_000, 7))
    following.until(f"7 new entries, {size + 7} in all: 7 capsule")
    world.request([world.capsule()], reader="pixel")
    following.until("pixel (research, US) asked for 1 capsules")
    site.shut()
    following.until("does not answer", "asking again every 0.2 s")
    site.open()
    following.until("answers again")
    code, err = following.end(number)
    assert (code, err) == (0, "")
    assert "Traceback" not in "".join(following.seen)


def test_following_ends_with_the_proof_of_a_fork(world: World, site: Site, tmp_path: Path) -> None:
    """Exit code 4, and one file that the verb itself, given the policy, confirms."""
    mirror = tmp_path / "mirror"
    following = Following("--url", site.url, "--mirror", mirror, "--follow", "--interval", "0.2")
    following.until("all well")
    entries = [*world.entries(), b"more"]
    entries[3] = b"another"
    fork = world.fork(entries)
    site.shut()
    site.folder = fork.public
    site.open()
    following.until("error", "the log forked", ".fork.json")
    assert following.process.wait(timeout=30) == 4
    (proof,) = evidence.found(mirror / "evidence")
    policy = mirror / "policy"
    code, out, _ = run("--evidence", proof, "--policy", policy)
    assert code == 0
    assert "this log forked: log.example/eu" in out
    assert "no beginning of the larger" in out
    code, out, _ = run("--evidence", proof, "--mirror", mirror, "--json")
    assert json.loads(out)["forked"] is True
    code, out, _ = run("--url", site.url, "--mirror", mirror)
    assert code == 4
    assert str(proof) in out


def test_evidence_that_proves_nothing_is_told_so(world: World, tmp_path: Path) -> None:
    """Two notes that agree convict nobody: exit code 4 and a sentence; rubbish is bad input."""
    note = (world.public / "checkpoint").read_bytes()
    evidence.keep(tmp_path / "evidence", note, note, 1)
    (path,) = evidence.found(tmp_path / "evidence")
    policy = world.public / "tlog-policy"
    code, out, err = run("--evidence", path, "--policy", policy)
    assert (code, out) == (4, "")
    assert "proves nothing" in err
    path.write_bytes(b"{}")
    code, _, err = run("--evidence", path, "--policy", policy, "--json")
    assert code == 3
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 3),
        (("--url", "http://127.0.0.1:9", "--public", "x"), 3),
        (("--public", "x", "--follow"), 2),
        (("--evidence", "x"), 2),
        (("--url", "ftp://example.org"), 3),
        (("--url", "http://127.0.0.1:9"), 6),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], code: int) -> None:
    """The exit codes of the contract."""
    found, _, err = run(*arguments)
    assert found == code, err
    assert "Traceback" not in err
