# SPDX-License-Identifier: Apache-2.0
"""Documentation that cannot drift: links lead somewhere, tables match the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from incamera import errors
from incamera.cli.main import VERBS, cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/*.md")])
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """A relative link names a file that exists."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_path_of_code_named_in_a_page_exists(page: Path) -> None:
    """`src/...`, `tests/...`, `bench/...`, `training/...` in backticks are there."""
    named = re.findall(r"`((?:src|tests|bench|training|docs)/[\w./-]+)`", page.read_text())
    for path in named:
        if "<" not in path:
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_option_in_a_command_of_a_page_exists(page: Path) -> None:
    """`incamera VERB --option` is what the command line understands."""
    shown = re.findall(r"incamera (\w+)((?: +[^\s`|\\]+)*)", page.read_text())
    for verb, rest in shown:
        if verb not in VERBS:
            continue
        offered = "".join(CliRunner().invoke(cli, words).output for words in _helps(verb, rest))
        for option in re.findall(r"(?<![\w-])--[a-z-]+", rest):
            assert option in offered, f"{verb} {option}"


def _helps(verb: str, rest: str) -> list[list[str]]:
    """Ask the verb for help, and its step where it has steps: `incamera succession deal`."""
    step = rest.split()[:1]
    steps = step if step and re.fullmatch(r"[a-z]+", step[0]) else []
    return [[verb, "--help"], *([[verb, *steps, "--help"]] if steps else [])]


def test_the_readme_tells_the_story_in_three_commands_within_thirty_lines() -> None:
    """A newcomer has run something before the first heading."""
    first = "\n".join(README.splitlines()[:30])
    commands = re.findall(r"^\$ (.+)$", first, re.MULTILINE)
    assert len(commands) >= 3
    assert commands[0] == "make demo"


def test_the_readme_lists_every_verb() -> None:
    """No verb is hidden, none is invented."""
    listed = set(re.findall(r"^\| `(\w+)[ `]", README, re.MULTILINE))
    assert listed == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_teaches(verb: str) -> None:
    """Each verb says what it does, shows an example, and offers --json."""
    shown = CliRunner().invoke(cli, [verb, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "--json" in shown.output
    assert "Example" in shown.output


def test_each_exit_code_has_its_page() -> None:
    """Codes 3 to 6 are the error families, and each page is named after its code."""
    families = (
        errors.InputError,
        errors.IntegrityError,
        errors.PolicyError,
        errors.UnavailableError,
    )
    assert [family.exit_code for family in families] == [3, 4, 5, 6]
    for family in families:
        assert (ROOT / "docs" / "errors" / f"{family.exit_code}-{family.kind}.md").exists()
