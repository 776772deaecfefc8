# SPDX-License-Identifier: Apache-2.0
"""Journeys over HTTP, as scripts: ``tests/journeys/scripts/apart/*.txt``.

The scripts are as in ``test_scripts``, and besides: ``& command`` starts a server, which is waited
for until it says that it can be asked; ``stop TEXT`` ends the server whose command has TEXT in it;
``PORT1`` to ``PORT9`` are free ports of this machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_scripts import Step, check, firsts, longest_hex, parse_lines, run

import warm
from serving import free_ports

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((Path(__file__).parent / "scripts" / "apart").glob("*.txt"))


def with_ports(text: str) -> str:
    """``text`` with free ports for PORT1 ..."""
    names = sorted(set(re.findall(r"PORT\d", text)))
    for name, port in zip(names, free_ports(len(names)), strict=True):
        text = text.replace(name, str(port))
    return text


class Servers:
    """The processes that a script started, by command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, command: str) -> None:
        """Run until it says where it can be asked."""
        words = command.split()
        words[0] = str(Path(sys.executable).with_name(words[0]))
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        with tempfile.TemporaryFile() as told:
            process = warm.Popen(
                words, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=told
            )
            assert process.stdout is not None
            self.running[command] = process
            if not process.stdout.readline():
                process.wait(10)
                told.seek(0)
                raise AssertionError(f"{command}\n{told.read().decode()}")

    def stop(self, text: str) -> None:
        """End the one whose command has ``text`` in it."""
        (command,) = [each for each in self.running if text in each]
        self.end(self.running.pop(command))

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM, and after a while SIGKILL."""
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Servers that end with the test."""
    made = Servers(tmp_path)
    yield made
    for each in made.running.values():
        made.end(each)


FIRST = firsts(SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_parties_apart_do_as_the_script_says(
    script: Path, tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command ends with the code and says what its script expects, over real HTTP."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    last = ""
    for step in parse_lines(with_ports(script.read_text()), script.name):
        if step.act == "&":
            servers.start(step.command)
        elif step.act == "stop":
            servers.stop(step.command)
        else:
            done = run(step, tmp_path, last, cold=(script.name, step.line) in FIRST)
            check(step, done, script.name)
            last = longest_hex(done.stdout) or last


def test_the_scripts_say_what_they_wait_for() -> None:
    """A script without an expectation shows nothing."""
    for script in SCRIPTS:
        steps: list[Step] = parse_lines(script.read_text(), script.name)
        assert any(step.expected for step in steps)
