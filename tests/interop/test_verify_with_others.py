# SPDX-License-Identifier: Apache-2.0
"""Every block of docs/verify-with-others.md, run again by the tools it names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from foreign import ROOT, TOOLS, Sample, attempt, go_programs, run, sample_log, static_server, tool

PAGE = (ROOT / "docs" / "verify-with-others.md").read_text()
BLOCK = re.compile(r"<!-- needs: ([^\n]+) -->.*?```sh\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
BLOCKS = [match.groups() for match in BLOCK.finditer(PAGE)]
PREPARE = re.search(r"## Prepare\n.*?```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The log that outsiders look at."""
    return sample_log(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def url(sample: Sample) -> Iterator[str]:
    """Its address."""
    with static_server(sample.public) as address:
        yield address


def need(names: str) -> None:
    """Skip unless every tool is installed."""
    for name in names.split():
        if name.startswith("@"):
            tool("python")
            if not (TOOLS / "node_modules" / name).exists() or not shutil.which("node"):
                pytest.skip(f"{name} is not installed: see docs/verify-with-others.md")
        else:
            tool(name)


def shape(output: str) -> list[str]:
    """``output`` without what differs from log to log: digests, numbers."""
    text = re.sub(r"[A-Za-z0-9+/]{43}=", "<root>", output)
    text = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", text)
    return re.sub(r"[0-9]+", "<n>", text).split("\n")


def script(public: Path, url: str, block: str) -> str:
    """The block after the page's preparation, with this log for its example."""
    assert PREPARE is not None
    prepare = re.sub(r"^PUBLIC=.*", f"PUBLIC={public}", PREPARE[1], flags=re.MULTILINE)
    prepare = re.sub(r"^URL=.*", f"URL={url}", prepare, flags=re.MULTILINE)
    return f"{prepare}\n{block}"


def block_at(number: int, folder: Path) -> tuple[str, str]:
    """A block's commands and what it shows, with ``folder`` made ready to run it in."""
    needs, block, shown = BLOCKS[number]
    need(needs)
    (folder / "docs").mkdir()
    programs = go_programs() if "go" in needs.split() else ROOT / "docs" / "verify"
    (folder / "docs" / "verify").symlink_to(programs)
    return block, shown


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_of_the_page_prints_what_the_page_shows(
    sample: Sample, url: str, tmp_path: Path, number: int
) -> None:
    """The commands succeed, and say of this log what the page says of its own."""
    block, shown = block_at(number, tmp_path)
    shutil.copy(sample.home / "earlier", tmp_path / "earlier")
    commands = script(sample.public, url, block)
    printed = run(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path)
    assert shape(printed.strip()) == shape(shown.strip())


def test_the_page_has_a_block_for_every_tool() -> None:
    """A page whose blocks were not found would test nothing."""
    assert [needs for needs, _, _ in BLOCKS] == [
        "go",
        "tlog-tiles",
        "tlog-tiles aics-tlog",
        "tlog-tiles @sigstore/verify",
        "aics-tlog",
        "aics-tlog",
        "aics-tlog @noble/post-quantum",
        "tlog-tiles",
    ]


def flip(path: Path, at: int) -> None:
    """Alter the byte at ``at``: base64 stays base64, and a letter a letter."""
    data = bytearray(path.read_bytes())
    data[at] = ord("B") if data[at] == ord("A") else ord("A")
    path.write_bytes(data)


def altered_entry(public: Path) -> None:
    """One letter of entry 5, as in its bundle."""
    bundle = public / "tile" / "entries" / "000"
    data, at = bundle.read_bytes(), 0
    for _ in range(5):
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    flip(bundle, at + 60)


def altered_tile(public: Path) -> None:
    """One byte of the leaf hash beside that of entry 5."""
    flip(public / "tile" / "0" / "000", 4 * 32)


def altered_root(public: Path) -> None:
    """One letter of the root in the checkpoint."""
    checkpoint = public / "checkpoint"
    flip(checkpoint, checkpoint.read_bytes().index(b"\n316\n") + 5)


def altered_cosignature(public: Path) -> None:
    """One letter of the post-quantum witness's signature."""
    flip(public / "checkpoint", (public / "checkpoint").stat().st_size - 1000)


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        *((altered_entry, number) for number in (0, 2, 3, 5, 7)),
        *((altered_tile, number) for number in (0, 2, 3, 4)),
        *((altered_root, number) for number in (0, 2, 3, 4, 5, 6)),
        *((altered_cosignature, number) for number in (0, 6)),
    ],
)
def test_an_altered_log_is_refused_by_the_tools_that_look_there(
    sample: Sample, tmp_path: Path, damage: Callable[[Path], None], number: int
) -> None:
    """They do check: with one letter altered, the same commands fail."""
    block, _ = block_at(number, tmp_path)
    public = tmp_path / "public"
    shutil.copytree(sample.public, public)
    shutil.copy(sample.home / "earlier", tmp_path / "earlier")
    damage(public)
    with static_server(public) as address:
        commands = script(public, address, block)
        done = attempt(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path)
    assert done.returncode != 0, done.stdout
