# SPDX-License-Identifier: Apache-2.0
"""A trustee that dies at any statement or commit of its own file, any fetch, any append.

The law: no share leaves unless its grant stands in the log; and however often it died, asking
again gives one grant, counted once, to the same key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from incamera.errors import UnavailableError
from incamera.ids import Name
from incamera.ledger.database import Database
from incamera.ledger.grant import Grant
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule
from incamera.tlog import FolderFetch
from incamera.trustee import Trustee
from world import World, quick_folder


class Dying:
    """A countdown that all parts of one trustee share: at zero, each call fails."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def tick(self) -> None:
        """Count one call."""
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("the process died here")


class DyingDatabase(Database):
    """A trustee's own file, on which each statement counts; before it or after it is kept."""

    dying: Dying
    persisted: bool

    def run(self, sql: str, *values: Any) -> int:
        """As ever, unless dead."""
        if self.persisted:
            done = super().run(sql, *values)
            self.dying.tick()
            return done
        self.dying.tick()
        return super().run(sql, *values)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """As ever; the end of the outermost counts, before it is committed or after."""
        outermost = not self.in_transaction
        with super().transaction():
            yield
            if outermost and not self.persisted:
                self.dying.tick()
        if outermost and self.persisted:
            self.dying.tick()

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """As ever, unless dead."""
        self.dying.tick()
        return super().one(sql, *values)


Asked = Sequence[tuple[bytes, int, Capsule]]


def attempt(world: World, calls: int, persisted: bool, asked: Asked) -> bool:
    """One ask to a trustee that dies after ``calls``; True if it lived to answer all of it."""
    dying = Dying(calls)
    inner = FolderFetch(world.public)

    def fetch(path: str) -> bytes:
        dying.tick()
        return inner(path)

    def append(entries: Sequence[bytes]) -> None:
        if persisted:
            world.append(*entries)
        dying.tick()
        if not persisted:
            world.append(*entries)

    home, policy, clock = world.home / "ch", world.logs.policy, world.clock
    parts = (home, Name("ch"), fetch, policy, clock, world.append_one)
    trustee = Trustee(*parts, append_many=append)
    own = trustee._desk.memory._database
    own.__class__ = DyingDatabase
    own.dying, own.persisted = dying, persisted  # type: ignore[attr-defined]
    try:
        answers = trustee.decide_many([world.ask("ch", *each) for each in asked])
    finally:
        trustee.close()
    for (leaf, _, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, Grant):
            logged = world.state().grants(leaf_digest(leaf))
            assert [each.index for each in logged] == list(answer.entries)
        else:
            assert isinstance(answer, UnavailableError)
    return all(isinstance(each, Grant) for each in answers)


def wish(world: World, name: bytes) -> tuple[bytes, int, Capsule]:
    """A capsule and a logged request for it."""
    capsule = world.capsule(name)
    return (*world.request([capsule]), capsule)


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("persisted", [False, True])
def test_a_trustee_may_die_anywhere(persisted: bool, together: int) -> None:
    """At every step once, twice over: afterwards there is one grant for each, counted once."""
    with quick_folder() as folder:
        world = World(folder)
        world.trustees["ch"].close()
        calls, answered = 0, False
        while not answered:
            asked = [wish(world, b"clip %d of %d" % (i, calls)) for i in range(together)]
            answered = attempt(world, calls, persisted, asked)
            attempt(world, calls, persisted, asked[::-1])
            assert attempt(world, 10**6, persisted, asked)
            calls += 1
        state = world.state()
        assert calls > 10
        asked_for = calls * together
        assert len(list(state.grants())) == len(list(state.requests())) == asked_for
        assert [each.kind for each in state.findings()] == []
        world.trustees["ch"] = world.trustee("ch")
        day, memory = world.clock.now() // 86_400, world.trustees["ch"]._desk.memory
        assert memory.granted_on(Name("acme"), day) == asked_for
