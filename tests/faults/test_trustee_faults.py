# SPDX-License-Identifier: Apache-2.0
"""A trustee that dies at any statement of its own files, or at any fetch: what becomes of a grant.

The law: no share leaves unless its grant stands in the log; and however often it died, asking
again gives one grant, counted once, to the same key.
"""

from __future__ import annotations

from typing import Any

import pytest

from incamera.errors import UnavailableError
from incamera.ledger.database import Database
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule
from incamera.tlog import FolderFetch
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

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """As ever, unless dead."""
        self.dying.tick()
        return super().one(sql, *values)


def attempt(world: World, calls: int, persisted: bool, asked: tuple[bytes, int, Capsule]) -> bool:
    """One ask to a trustee that dies after ``calls``; True if it lived to answer."""
    leaf, index, capsule = asked
    dying = Dying(calls)
    inner = FolderFetch(world.public)

    def fetch(path: str) -> bytes:
        dying.tick()
        return inner(path)

    def append(entry: bytes) -> int:
        if persisted:
            at = world.append(entry)
            dying.tick()
            return at
        dying.tick()
        return world.append(entry)

    trustee = world.trustee("ch", fetch=fetch, append=append)
    own = trustee._desk.memory._database
    own.__class__ = DyingDatabase
    own.dying, own.persisted = dying, persisted  # type: ignore[attr-defined]
    try:
        grant = trustee.decide(world.ask("ch", leaf, index, capsule))
    except UnavailableError:
        return False
    else:
        logged = world.state().grants(leaf_digest(leaf))
        assert [each.index for each in logged] == list(grant.entries)
        return True
    finally:
        trustee.close()


@pytest.mark.parametrize("persisted", [False, True])
def test_a_trustee_may_die_anywhere(persisted: bool) -> None:
    """At every step once, twice over: afterwards there is one grant, counted once."""
    with quick_folder() as folder:
        world = World(folder)
        world.trustees["ch"].close()
        calls, answered = 0, False
        while not answered:
            capsule = world.capsule(b"clip %d" % calls)
            asked = (*world.request([capsule]), capsule)
            answered = attempt(world, calls, persisted, asked)
            attempt(world, calls, persisted, asked)
            assert attempt(world, 10**6, persisted, asked)
            calls += 1
        state = world.state()
        assert calls > 10
        assert len(list(state.grants())) == len(list(state.requests())) == calls
        assert [each.kind for each in state.findings()] == []
        world.trustees["ch"] = world.trustee("ch")
        day = world.clock.now() // 86_400
        assert world.trustees["ch"]._desk.memory.granted_on("acme", day) == calls  # type: ignore[arg-type]
