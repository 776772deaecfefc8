# SPDX-License-Identifier: Apache-2.0
"""What the tests with foreign software need: the tools, a log to show them, and plain servers.

The tools live in a folder of their own, never in the project's environment::

    python3 -m venv .interop
    .interop/bin/pip install --ignore-requires-python -r tests/interop/requirements.txt
    npm install --prefix .interop @sigstore/verify@3.1.1 @noble/post-quantum@0.7.1

``INCAMERA_INTEROP`` names another folder. A test whose tool is missing is skipped and says which.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from incamera.clock import SystemClock
from incamera.ids import Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import PolicyEntry, RegionEntry
from incamera.sealing.keys import SigningKey
from incamera.tlog import Log, Policy, Signer, Witness
from incamera.tlog.note import Cosigner
from world_tlog import ed25519_key

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("INCAMERA_INTEROP", ROOT / ".interop"))
ENTRIES = 316
ORIGIN = "log.example/eu"


def tool(name: str) -> Path:
    """The installed program ``name``; else the test is skipped."""
    path = TOOLS / "bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not installed in {TOOLS.name}: see docs/verify-with-others.md")
    return path


def environment() -> dict[str, str]:
    """For commands of the page: the tools first in PATH; Go builds from what it ships, offline."""
    return {
        "PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}",
        "HOME": str(TOOLS),
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(TOOLS / "gocache"),
        "NODE_PATH": str(TOOLS / "node_modules"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def attempt(
    command: Sequence[str | Path], *, cwd: Path | None = None, seconds: int = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``command``, whatever comes of it."""
    return subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def run(command: Sequence[str | Path], *, cwd: Path | None = None, seconds: int = 120) -> str:
    """What ``command`` prints; the test fails with its errors if it fails."""
    done = attempt(command, cwd=cwd, seconds=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def go_programs() -> Path:
    """A copy of docs/verify that builds offline; ``bin`` has its programs, verify and feed."""
    go = tool("go")
    folder = TOOLS / "verify"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "verify", folder)
    modules = Path(run([go, "env", "GOROOT"]).strip()) / "src/cmd/vendor/golang.org/x/mod"
    shutil.copytree(modules, folder / "mod")
    (folder / "mod" / "go.mod").write_text("module golang.org/x/mod\n\ngo 1.25\n")
    run([go, "mod", "edit", "-replace", "golang.org/x/mod=./mod"], cwd=folder)
    run([go, "build", "-o", "bin/", "./..."], cwd=folder, seconds=280)
    return folder


@dataclass(frozen=True)
class Sample:
    """A log of real entries with three witnesses, the third post-quantum."""

    home: Path
    log: Log
    signer: Signer
    cosigners: list[Cosigner]
    operator: SigningKey

    @property
    def public(self) -> Path:
        """The folder that any web server may show."""
        return self.home / "public"


def sample_log(home: Path) -> Sample:
    """The sample, made under ``home``: grown in two steps, so that an older checkpoint exists."""
    clock = SystemClock()
    signer = Signer(ORIGIN, ed25519_key("log"))
    cosigners = [
        Cosigner("witness.example/w1", ed25519_key("w1")),
        Cosigner("witness.example/w2", ed25519_key("w2")),
        Cosigner("witness.example/w3", MLDSA44PrivateKey.from_seed_bytes(bytes(32))),
    ]
    lines = [f"witness w{n} {each.vkey}\n" for n, each in enumerate(cosigners, 1)]
    policy = Policy.parse(
        f"log {signer.vkey}\n{''.join(lines)}group all-three all w1 w2 w3\nquorum all-three\n"
    )
    logs = {ORIGIN: signer.verifier}
    witnesses = [Witness(home / f"w{n}", each, logs, clock) for n, each in enumerate(cosigners, 1)]
    log = Log.create(home / "public", home / "state", signer, witnesses, policy, clock)
    operator = SigningKey(bytes(range(32)))
    facts = {"region": Region("eu"), "time": clock.now()}
    region = RegionEntry(
        **facts,  # type: ignore[arg-type]
        operator_key=operator.public,
        vault_key=SigningKey(bytes(32)).public,
        log_policy=digest(policy.text),
        threshold=2,
        notice=0,
        retention=30,
        quota=100,
    )
    entries = [encode(region, operator)] + [
        encode(PolicyEntry(**facts, policy=digest(b"%d" % number)), operator)  # type: ignore[arg-type]
        for number in range(1, ENTRIES)
    ]
    log.append(entries[:200])
    shutil.copy(home / "public" / "checkpoint", home / "earlier")
    log.append(entries[200:])
    return Sample(home, log, signer, cosigners, operator)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: what is asked is the test's own."""


@contextlib.contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """``folder`` on the loopback, as any static web server would show it."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def incamera_serves(party: str, config: Path, *more: str) -> Iterator[str]:
    """``incamera serve`` as a process of its own; its address."""
    command = [sys.executable, "-m", "incamera", "serve", party, str(config), "--json", *more]
    said = config.with_suffix(".stderr")
    for _ in range(3):  # on a busy machine a new log may wait too long for its witness: exit 6
        with (
            said.open("wb") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process,
        ):
            assert process.stdout is not None
            if line := process.stdout.readline():
                try:
                    yield str(json.loads(line)["url"])
                finally:
                    process.terminate()
                return
        assert process.returncode == 6, said.read_text()
    pytest.fail(said.read_text())
