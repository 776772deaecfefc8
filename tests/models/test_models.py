# SPDX-License-Identifier: Apache-2.0
"""The models of the protocol say what the code does, and a broken one is noticed.

That all of their rows come out is ``models/check`` itself, a part of ``make check``.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
MODELS = REPO / "models"
ANCHOR = re.compile(r'code: (\S+)::(\S+) "([^"]+)"')
spin = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")), reason="apt-get install spin gcc"
)


def texts() -> dict[str, str]:
    """The models by name."""
    return {path.stem: path.read_text("utf-8") for path in sorted(MODELS.glob("*.pml"))}


def source_of(path: str, qualname: str) -> str | None:
    """The text of a function or method, or None where there is none of that name."""
    text = (REPO / path).read_text("utf-8")
    found: list[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for name in qualname.split("."):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        node = next((each for each in found if isinstance(each, kinds) and each.name == name), None)
        if node is None:
            return None
        found = node.body
    return ast.get_source_segment(text, node) if node else None


def test_each_step_of_a_model_names_code_that_is_there() -> None:
    """File, function and a piece of its text: who changes that code meets its model."""
    for name, text in texts().items():
        anchors = ANCHOR.findall(text)
        assert len(anchors) == len(re.findall(r"\bcode: ", text)), f"{name}: a malformed anchor"
        assert len(anchors) >= 10
        for path, qualname, piece in anchors:
            source = source_of(path, qualname)
            assert source is not None, f"{name}.pml: no {qualname} in {path}"
            assert piece in source, f"{name}.pml: no {piece!r} in {qualname} of {path}"


def test_each_guard_that_can_be_taken_out_is_taken_out_by_a_row() -> None:
    """Each name that a model asks for is in a row of the table, and no row names another."""
    rows = (MODELS / "check").read_text("utf-8")
    for name, text in texts().items():
        asked = set(re.findall(r"#(?:ifdef|ifndef) (\w+)", text))
        asked |= set(re.findall(r"defined\((\w+)\)", text))
        told = re.findall(rf'"{name}", \(([^)]*)\)', rows)
        used = {each for variant in told for each in re.findall(r'"(\w+)[="]', variant)}
        numbers = {"NW", "QUORUM", "SIZE"} if name == "log" else set()
        assert used <= asked, f"{name}: a row takes out {used - asked}, which is not there"
        assert asked - numbers <= used, f"{name}: no row takes out {asked - numbers - used}"


def check(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the table of ``folder``."""
    return subprocess.run(
        [sys.executable, str(folder / "check"), *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ) | environment,
        check=False,
    )


def test_without_spin_the_table_is_skipped_and_says_so(tmp_path: Path) -> None:
    """A machine without Spin checks all else."""
    done = check(MODELS, PATH=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout == "skipped: spin is not installed (apt-get install spin gcc)\n"


@spin
def test_claims_and_taken_guards_come_out_as_expected() -> None:
    """Two rows of each kind; all of them are ``make check``'s."""
    for words, rows in ((["recipient"], 4), (["FORKING", "BAD"], 2)):
        done = check(MODELS, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(" states ") == rows
        assert "all as expected" in done.stdout


BROKEN = {
    "a witness that compares nothing": (
        "log",
        "has(said, x) && extends(w_last[me], x)",
        "has(said, x)",
        "log that forks",
    ),
    "a trustee that releases what it has not seen granted": (
        "release",
        ":: read(d_intent)\n          :: else -> goto refuse",
        ":: true",
        "a share leaves: witnessed",
    ),
    "a model in which nothing can happen": (
        "release",
        "#define LONG 4 ",
        "#define LONG 1 ",
        "alive: a share leaves, witnesses",
    ),
    "a model that does not compile": ("release", "#define LONG 4 ", "#define LONK 4 ", "alive: a"),
}


@spin
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_model_fails_the_table(what: str, tmp_path: Path) -> None:
    """Not by a define: the text itself is broken, and the row that must hold does not."""
    name, good, bad, row = BROKEN[what]
    shutil.copytree(MODELS, tmp_path / "models")
    path = tmp_path / "models" / f"{name}.pml"
    text = path.read_text("utf-8")
    assert good in text
    path.write_text(text.replace(good, bad), "utf-8")
    done = check(tmp_path / "models", row)
    assert done.returncode == 1, done.stdout
    assert "NOT as expected" in done.stdout


@spin
def test_a_counterexample_can_be_shown() -> None:
    """Step by step, so that a person can see the attack."""
    done = check(MODELS, "--show", "does not see its own grant")
    assert done.returncode == 0
    assert "d_intent" in done.stdout
    assert "assert" in done.stdout
