# SPDX-License-Identifier: Apache-2.0
"""The fault table of Log.append: each durable step and each witness call fails once.

| breaks | how | then expected |
|---|---|---|
| any write of the log or a witness | before or after it, the process dies | reopen: all that was |
| any witness call | before it, or its answer is lost | acknowledged is there |
| any of these | as an UnavailableError, before or after | call again: each entry once |

In every row: no two checkpoints of one size ever have different roots, whoever saw them.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from incamera import durable
from incamera.errors import UnavailableError
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import split_note
from world_tlog import LogWorld, check_log, log_world

FIRST = [b"acknowledged %d" % number for number in range(254)]
BATCH = [b"at risk %d" % number for number in range(5)]  # fills a tile: all kinds of writes
NEXT = [b"afterwards"]


class Crash(BaseException):
    """The process dies here."""


class Faults:
    """Counts the steps, fails one of them, and remembers each tree a witness was shown."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.count = 0
        self.at = -1
        self.after = False
        self.error: Callable[[], BaseException] = Crash
        self.roots: dict[int, set[bytes]] = {}

    def step(self, act: Callable[[], Any]) -> Any:
        """Do ``act``, or fail before or after it if its turn has come."""
        with self.turn:  # witnesses are asked at once
            number, self.count = self.count, self.count + 1
        if number != self.at:
            return act()
        if self.after:
            act()
        raise self.error()

    def see(self, body: bytes) -> None:
        """Remember the tree in a request to a witness."""
        text, _ = split_note(body.partition(b"\n\n")[2])
        tree = Checkpoint.parse(text)
        self.roots.setdefault(tree.size, set()).add(tree.root)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with 254 acknowledged entries."""
    home = tmp_path_factory.mktemp("base")
    log_world(home).log.append(FIRST)
    return home


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Every durable write counts as a step; afterwards, no size has two roots."""
    faults = Faults()
    write = durable.write
    # The faults come between steps, not within them, so waiting for a disk shows nothing here.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(
        durable,
        "write",
        lambda path, data, mode=0o644: faults.step(lambda: write(path, data, mode=mode)),
    )
    create_all = durable.create_all

    def one_by_one(files: Sequence[tuple[Path, bytes]]) -> None:
        """Each tile a step: a crash leaves those before it."""
        for each in files:
            faults.step(partial(create_all, [each]))

    monkeypatch.setattr(durable, "create_all", one_by_one)
    yield faults
    assert all(len(roots) == 1 for roots in faults.roots.values()), "two roots for one size"


def open_world(home: Path, faults: Faults) -> LogWorld:
    """The world at ``home``, each of its witness calls a step."""
    world = log_world(home)
    for witness in world.witnesses:
        inner = witness.inner.add_checkpoint

        def add_checkpoint(body: bytes, inner: Any = inner) -> tuple[int, bytes]:
            faults.see(body)
            answer: tuple[int, bytes] = faults.step(lambda: inner(body))
            return answer

        witness.inner.add_checkpoint = add_checkpoint  # type: ignore[method-assign]
    return world


def steps(base: Path, home: Path, faults: Faults) -> int:
    """How many steps an undisturbed append takes."""
    shutil.copytree(base, home)
    world = open_world(home, faults)
    faults.count = 0
    world.log.append(BATCH)
    return faults.count


def test_a_crash_at_any_step_loses_nothing(base: Path, tmp_path: Path, faults: Faults) -> None:
    """Die at each step, before or after it took effect, and start again with other entries."""
    total = steps(base, tmp_path / "dry", faults)
    assert total >= 14
    for number in range(total):
        for after in (False, True):
            home = tmp_path / f"{number}-{after}"
            shutil.copytree(base, home)
            world = open_world(home, faults)
            faults.count, faults.at, faults.after = 0, number, after
            with pytest.raises(Crash):
                world.log.append(BATCH)
            faults.at = -1
            world = open_world(home, faults)
            assert world.log.append(NEXT).size in (255, 260)
            known = check_log(world)
            assert known in (FIRST + NEXT, FIRST + BATCH + NEXT), (number, after)
            shutil.rmtree(home)


def test_an_error_at_any_step_can_be_retried(base: Path, tmp_path: Path, faults: Faults) -> None:
    """Fail at each step with an error: the same call again answers, and no entry stands twice."""
    total = steps(base, tmp_path / "dry", faults)
    faults.error = lambda: UnavailableError("injected")
    for number in range(total):
        for after in (False, True):
            home = tmp_path / f"{number}-{after}"
            shutil.copytree(base, home)
            world = open_world(home, faults)
            faults.count, faults.at, faults.after = 0, number, after
            try:
                world.log.append(BATCH)
            except UnavailableError:
                assert world.log.append(BATCH).first_index == 254
            faults.at = -1
            world.log.append(NEXT)
            check_log(world, FIRST + BATCH + NEXT)
            shutil.rmtree(home)


def test_a_crash_while_creating(tmp_path: Path, faults: Faults) -> None:
    """Die at any step of making a log: making or opening it again works."""
    number = 0
    while True:
        home = tmp_path / str(number)
        faults.count, faults.at, faults.after = 0, number, number % 2 == 1
        try:
            log_world(home)
        except Crash:
            faults.at = -1
            world = open_world(home, faults)
            world.log.append(NEXT)
            check_log(world, NEXT)
            number += 1
        else:
            break
    assert number >= 6


def test_crashes_in_a_row(base: Path, tmp_path: Path, faults: Faults) -> None:
    """Recovery itself may die at any step, again and again, and still ends well."""
    total = steps(base, tmp_path / "dry", faults)
    home = tmp_path / "home"
    shutil.copytree(base, home)
    for number in range(total):
        try:
            faults.count, faults.at, faults.after = 0, number, number % 3 == 0
            open_world(home, faults).log.append(BATCH)
        except Crash:
            continue
    faults.at = -1
    world = open_world(home, faults)
    world.log.append(NEXT)
    known = check_log(world)
    assert known[:254] == FIRST
    assert known[-1:] == NEXT
    assert set(known[254:-1]) <= set(BATCH)


def test_old_partials_that_cannot_be_removed(base: Path, tmp_path: Path, faults: Faults) -> None:
    """Clearing up comes before the next batch is begun: it fails without harm, and later works."""
    home = tmp_path / "home"
    shutil.copytree(base, home)
    world = open_world(home, faults)
    world.log.append(BATCH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path: (_ for _ in ()).throw(OSError(5, "broken")))
        with pytest.raises(UnavailableError, match="cannot remove"):
            world.log.append(NEXT)
    world.log.append(NEXT)
    check_log(world, FIRST + BATCH + NEXT)
    assert not (world.public / "tile/0/000.p").exists()
