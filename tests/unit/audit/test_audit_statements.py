# SPDX-License-Identifier: Apache-2.0
"""A vault's word to its cars, held against the log by an auditor."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.audit import audit
from incamera.cli.main import _run
from incamera.ids import Name
from incamera.ledger.extract import Extract, Statement, open_statement
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.service.extracts import Extracts
from incamera.tlog import FolderFetch, LogReader
from world import World, quick_folder


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A region in which a trustee was revoked."""
    with quick_folder() as folder:
        made = World(folder)
        made.revoke("trustee", "is")
        yield made


@pytest.fixture(scope="module")
def honest(world: World) -> tuple[Statement, bytes]:
    """What the vault says to car-7 of ada."""
    fetch, path = FolderFetch(world.public), world.home / "vault.db"
    Follower(LogReader(fetch, world.logs.policy), State(path), world.clock).follow()
    told = Extracts(path, fetch, world.logs.policy, world.vault)
    extract = Extract.parse(told.make("car-7", "ada", 0), "test")
    told.close()
    return open_statement(extract.statement, "test")[0], extract.statement


def findings(world: World, *lines: bytes, end: bytes = b"") -> list[str]:
    """What an audit says of these lines."""
    path = world.home / "extracts.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + end)
    fetch, text = FolderFetch(world.public), world.logs.policy.text
    report = audit(fetch, text, world.clock, public=world.public, extracts=[path])
    assert report.counts["extracts checked"] == len([line for line in lines if line])
    return [f"{each.where} {each.what}" for each in report.findings if "extracts" in each.where]


def test_an_honest_vault_is_found_honest(world: World, honest: tuple[Statement, bytes]) -> None:
    """Of the whole log, and of its end; half a line, of a car that lost its power, is none."""
    said, data = honest
    last = tuple(index for index in said.indices if index >= 5)
    later = dataclasses.replace(said, since=5, indices=last).seal(world.vault)
    assert findings(world, data, later, end=data[:50]) == []


def test_what_was_left_out_is_named(world: World, honest: tuple[Statement, bytes]) -> None:
    """The line, the entry and the car; whoever has file and log can see it."""
    said, data = honest
    revoked = said.indices[-1]
    lie = dataclasses.replace(said, indices=said.indices[:-1]).seal(world.vault)
    [found] = findings(world, data, lie)
    assert "line 2" in found
    assert f"left out log entry {revoked}, which concerns car car-7" in found


def test_what_concerns_others_may_be_left_out(
    world: World, honest: tuple[Statement, bytes]
) -> None:
    """The founding's readers are shown to all, and missed by nobody."""
    said, _ = honest
    state = State(world.home / "vault.db")
    needed = state.concerning("car-7", "ada", 0, said.size, founded=0, count=1_000)
    state.close()
    assert len(needed) < len(said.indices)
    less = dataclasses.replace(said, indices=tuple(needed)).seal(world.vault)
    assert findings(world, less) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": Name("us")}, "another region"),
        ({"size": 10_000}, "of a log of 10000 entries"),
    ],
)
def test_a_statement_of_another_log_is_said_to_be_that(
    world: World, honest: tuple[Statement, bytes], change: dict[str, object], message: str
) -> None:
    """It proves nothing here, or that the log went back."""
    other = dataclasses.replace(honest[0], **change)  # type: ignore[arg-type]
    [found] = findings(world, other.seal(world.vault))
    assert message in found


def test_what_the_vault_did_not_sign_convicts_it_of_nothing(
    world: World, honest: tuple[Statement, bytes]
) -> None:
    """A car, or whoever had its file, may have made it up."""
    lie = dataclasses.replace(honest[0], indices=honest[0].indices[:-1])
    forged = lie.seal(SigningKey.generate())
    for line in (forged, b"{}", b"\xff"):
        [found] = findings(world, line)
        assert "no statement of this vault" in found


def test_a_file_that_is_not_there_is_an_error(world: World) -> None:
    """And no silence."""
    fetch, text = FolderFetch(world.public), world.logs.policy.text
    report = audit(fetch, text, world.clock, extracts=[world.home / "none.jsonl"])
    assert any("cannot be read" in each.what for each in report.findings)


def test_the_command_says_it(
    world: World, honest: tuple[Statement, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, and the entry."""
    said, _ = honest
    lie = dataclasses.replace(said, indices=said.indices[:-1]).seal(world.vault)
    path: Path = world.home / "lies.jsonl"
    path.write_bytes(lie + b"\n")
    words = ["audit", "--public", str(world.public), "--extracts", str(path), "--json"]
    with pytest.raises(SystemExit) as ended:
        _run(words)
    assert ended.value.code == 4
    told = json.loads(capsys.readouterr().out)
    assert any("left out" in each["what"] for each in told["findings"])
