# SPDX-License-Identifier: Apache-2.0
"""A witness's configuration: which logs it knows."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.errors import InputError
from incamera.service.journal import Journal
from incamera.service.settings import WitnessSettings
from incamera.service.witness import open_witness
from incamera.tlog import Signer, Witness
from incamera.tlog.keys import generate_cosigner, save
from world_tlog import ORIGIN, START, ed25519_key, log_world


class Quiet(SimpleHTTPRequestHandler):
    """A static web server as Python has it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a static server over ``folder``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_two_keys_for_one_log_are_refused(tmp_path: Path) -> None:
    """The second must not silently take the place of the first."""
    save(tmp_path / "note.key", generate_cosigner("witness.example/w"))
    keys = [Signer(ORIGIN, ed25519_key(name)).vkey for name in ("old", "new")]
    logs = "".join(f'[[log]]\nvkey = "{each}"\n' for each in keys)
    file = tmp_path / "witness.toml"
    file.write_text(f'listen = "127.0.0.1:0"\nstate = "state"\nkey = "note.key"\n{logs}')
    with pytest.raises(InputError, match="two keys for the log"):
        open_witness(
            WitnessSettings.load(file), FixedClock(START), Journal("witness", FixedClock(START))
        )


def test_a_restored_witness_looks_at_the_log_for_what_it_forgot(tmp_path: Path) -> None:
    """State of an old backup goes on from its own cosignature on the log's checkpoint."""
    world = log_world(tmp_path / "world")
    world.log.append([b"one"])
    shutil.copytree(world.home / "w1", tmp_path / "old")
    world.log.append([b"two"])
    save(tmp_path / "note.key", world.cosigners[0])
    file, clock = tmp_path / "witness.toml", FixedClock(START)
    with served(world.public) as url:
        log = f'[[log]]\nvkey = "{world.signer.vkey}"\nurl = "{url}"\n'
        file.write_text(f'listen = "127.0.0.1:0"\nstate = "old"\nkey = "note.key"\n{log}')
        open_witness(WitnessSettings.load(file), clock, Journal("witness", clock))
    logs = {ORIGIN: world.signer.verifier}
    published = Witness(tmp_path / "old", world.cosigners[0], logs, clock).published(ORIGIN)
    assert published is not None
    assert published.split(b"\n")[1] == b"2"


def test_a_witness_starts_while_its_log_does_not_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A log that begins waits for its witnesses: one must come first. It is told."""
    save(tmp_path / "note.key", generate_cosigner("witness.example/w"))
    key = Signer(ORIGIN, ed25519_key("log")).vkey
    file = tmp_path / "witness.toml"
    log = f'[[log]]\nvkey = "{key}"\nurl = "http://127.0.0.1:9"\n'
    file.write_text(f'listen = "127.0.0.1:0"\nstate = "state"\nkey = "note.key"\n{log}')
    clock = FixedClock(START)
    open_witness(WitnessSettings.load(file), clock, Journal("witness", clock))
    assert "not-recalled" in capfd.readouterr().err
