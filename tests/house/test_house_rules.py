# SPDX-License-Identifier: Apache-2.0
"""The house of docs/architecture.md, held by tests: sizes, faces, and who may do what."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "incamera"
MODULES = sorted(p for p in SOURCE.rglob("*.py") if not p.name.endswith("_pb2.py"))
PACKAGES = sorted(p.parent.name for p in SOURCE.glob("*/__init__.py"))
FORBIDDEN_NAMES = {"utils", "util", "common", "core", "helpers", "misc"}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(path: Path, name: str) -> bool:
    """True if ``path`` calls ``name`` as a bare name or as an attribute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            if getattr(called, "id", getattr(called, "attr", None)) == name:
                return True
    return False


def replaces_a_file(path: Path) -> bool:
    """True if ``path`` calls ``replace`` with one argument: of all, only a path's takes one."""
    called = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(
        getattr(call.func, "attr", None) == "replace" and len(call.args) == 1 and not call.keywords
        for call in called
    )


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_is_short_licensed_and_well_named(path: Path) -> None:
    """At most 500 lines, 80 a function; the SPDX line first; no drawer of odds and ends."""
    lines = path.read_text().splitlines()
    assert len(lines) <= 500
    assert lines[0] == "# SPDX-License-Identifier: Apache-2.0"
    assert path.stem not in FORBIDDEN_NAMES
    long = [f.name for f in functions(path) if (f.end_lineno or 0) - f.lineno > 80]
    assert not long


@pytest.mark.parametrize("name", PACKAGES)
def test_the_face_of_a_package_is_a_docstring_and_a_short_all(name: str) -> None:
    """Each package says what it is for and offers at most eight names, all of them real."""
    module = importlib.import_module(f"incamera.{name}")
    assert module.__doc__
    assert len(module.__doc__) > 40
    offered = getattr(module, "__all__", [])
    assert 1 <= len(offered) <= 8
    for each in offered:
        assert hasattr(module, each)


def test_every_test_says_in_a_sentence_what_it_shows() -> None:
    """A test without a docstring is found by name."""
    silent = [
        f"{path.name}: {function.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for function in functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert not silent


def test_only_the_fill_makes_a_redacted_frame() -> None:
    """A frame cannot reach the writer without passing through redaction.fill."""
    makers = {p.relative_to(SOURCE).as_posix() for p in MODULES if calls(p, "RedactedFrame")}
    assert makers == {"redaction/fill.py"}


def test_only_durable_syncs_and_renames() -> None:
    """The order of write, fsync and rename stands in one place."""
    for name in ("fsync", "rename", "renames"):
        users = {p.relative_to(SOURCE).as_posix() for p in MODULES if calls(p, name)}
        assert users <= {"durable.py"}, name
    replacing = {p.relative_to(SOURCE).as_posix() for p in MODULES if replaces_a_file(p)}
    assert replacing <= {"durable.py"}


def test_only_clock_asks_for_the_time() -> None:
    """Every other module is told the time, so that a test can tell it."""
    users = {p.relative_to(SOURCE).as_posix() for p in MODULES if "time" in imports(p)}
    assert users <= {"clock.py"}
    for name in ("now", "utcnow", "today"):
        asking = {
            p.relative_to(SOURCE).as_posix()
            for p in MODULES
            if f"datetime.{name}(" in p.read_text() or f"date.{name}(" in p.read_text()
        }
        assert not asking


def test_no_secret_comes_from_a_weak_source() -> None:
    """Keys, nonces and ids come from the operating system, never from ``random``."""
    assert not [path for path in MODULES if "random" in imports(path)]


def test_the_import_contracts_hold_and_a_planted_breach_is_seen(tmp_path: Path) -> None:
    """import-linter keeps the layers; a keeper that looks at a picture is reported."""
    linter = Path(sys.executable).with_name("lint-imports")
    kept = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert kept.returncode == 0, kept.stdout
    assert "3 kept, 0 broken" in kept.stdout

    copy = tmp_path / "src" / "incamera"
    copy.parent.mkdir(parents=True)
    subprocess.run(["cp", "-r", SOURCE, copy], check=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    face = copy / "trustee" / "__init__.py"
    face.write_text(face.read_text() + "\nfrom incamera.redaction import model as _model\n")
    broken = subprocess.run(
        [linter, "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": "/usr/bin:/bin"},
    )
    assert broken.returncode != 0
    assert "the keepers never see a picture BROKEN" in broken.stdout
