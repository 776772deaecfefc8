# SPDX-License-Identifier: Apache-2.0
"""Journeys as scripts that anyone can read: ``tests/journeys/scripts/*.txt``.

``$ command`` must end with exit code 0, ``3$ command`` with 3. Lines below it say what has to be
in its output: ``> text`` on stdout, ``2> text`` on stderr, ``>! text`` nowhere. ``drive`` is the
sample drive, ``bad`` a TeslaCam tree with broken files. ``LAST`` stands for the longest hex word
of the last command's stdout.

A plain ``incamera ...`` is forked (``tests/warm.py``), except where a verb is used for the first
time in all scripts; what needs a shell has one.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import warm

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))
COMMAND = re.compile(r"(\d*)\$ (.+)")
SERVER = re.compile(r"(&|stop) (.+)")  # see test_url
PLAIN = re.compile(r"incamera [^$`&|;<>(){}*?~#!\\]+")  # nothing that a shell has to do


@dataclass
class Step:
    """One command and what is expected of it."""

    line: int
    command: str
    code: int
    act: str = "$"  # in scripts of parties apart also "&" and "stop"
    expected: list[tuple[str, str]] = field(default_factory=list)


def parse_lines(text: str, name: str) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := COMMAND.fullmatch(line):
            steps.append(Step(number, match[2], int(match[1] or 0)))
        elif match := SERVER.fullmatch(line):
            steps.append(Step(number, match[2], 0, match[1]))
        elif line.startswith((">", "2>")):
            where, _, text = line.partition(" ")
            steps[-1].expected.append((where, text))
        elif line and not line.startswith("#"):
            raise ValueError(f"{name}, line {number}: neither command, expectation nor #")
    return steps


def firsts(scripts: Sequence[Path]) -> set[tuple[str, int]]:
    """Script and line where each verb is used for the first time."""
    found: dict[str, tuple[str, int]] = {}
    for script in scripts:
        for step in parse_lines(script.read_text(), script.name):
            if PLAIN.fullmatch(step.command) and step.act == "$":
                found.setdefault(step.command.split()[1], (script.name, step.line))
    return set(found.values())


def run(step: Step, folder: Path, last: str, *, cold: bool) -> subprocess.CompletedProcess[str]:
    command = step.command.replace("LAST", shlex.quote(last))
    words = ["sh", "-c", command]
    if PLAIN.fullmatch(command) and not cold:
        program, *arguments = shlex.split(command)
        words = [str(Path(sys.executable).with_name(program)), *arguments]
    environment = dict(os.environ, HOME=str(folder))
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment.pop("INCAMERA_HOME", None)
    return warm.run(words, cwd=folder, env=environment, text=True, timeout=240)


def check(step: Step, done: subprocess.CompletedProcess[str], name: str) -> None:
    told = f"{name}, line {step.line}: {step.command}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == step.code, told
    assert "Traceback" not in done.stderr, told
    streams = {">": done.stdout, "2>": done.stderr}
    for where, text in step.expected:
        if where == ">!":
            assert text not in done.stdout + done.stderr, told
        else:
            assert text in streams[where], f"{text!r} is missing\n{told}"


def longest_hex(said: str) -> str:
    return max(re.findall(r"\b[0-9a-f]{12,64}\b", said), key=len, default="")


FIRST = firsts(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_journey_goes_as_its_script_says(script: Path, drive: Path, tmp_path: Path) -> None:
    """Every command ends with the code and says what its script expects."""
    (tmp_path / "drive").symlink_to(drive)
    last = ""
    for step in parse_lines(script.read_text(), script.name):
        done = run(step, tmp_path, last, cold=(script.name, step.line) in FIRST)
        check(step, done, script.name)
        last = longest_hex(done.stdout) or last
