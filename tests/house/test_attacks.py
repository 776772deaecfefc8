# SPDX-License-Identifier: Apache-2.0
"""The page of attacks names tests that exist, and no test of an attack is missing from it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "attacks.md").read_text()
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))


def names_of_tests(path: Path) -> set[str]:
    """The names of the test functions of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}


def test_every_test_that_the_page_of_attacks_names_exists() -> None:
    """By file and name."""
    assert len(NAMED) > 60
    for path, name in sorted(NAMED):
        assert name in names_of_tests(ROOT / path), f"{path}::{name}"


def test_every_row_of_the_page_of_attacks_names_a_test() -> None:
    """And says what stops the attack."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
    rows_of_tables = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and not line.startswith("| attack |")
    ]
    assert rows == rows_of_tables
    assert all(len(row.strip("| ").split(" | ")) == 3 for row in rows)


def test_every_test_of_an_attack_stands_on_the_page() -> None:
    """A test that is called after an attack is listed with what stops it."""
    listed = {name for _, name in NAMED}
    for path in sorted((ROOT / "tests" / "unit" / "trustee").glob("test_*.py")):
        attacks = {name for name in names_of_tests(path) if name.startswith("test_attack_")}
        assert attacks <= listed, (path.name, sorted(attacks - listed))
