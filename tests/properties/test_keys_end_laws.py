# SPDX-License-Identifier: Apache-2.0
"""Time passes, a trustee dies, its folder comes back from a backup: no key outlives its end.

The model knows what the log and the clock say; the trustee must not do more, whatever lies on
its disk.
"""

from __future__ import annotations

import contextlib
import shutil
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incamera import durable
from incamera.errors import UnavailableError
from incamera.ids import digest
from incamera.ledger.queries import DAY
from incamera.sealing.capsule import Capsule
from incamera.trustee import RefusedError
from world import World, quick_folder

YEAR = 400 * DAY
PARTS = (["epochs"], ["own.db"], ["state.db"], ["epochs", "own.db", "state.db"])
DEATHS = ("shred", "remove", "write")


class Life:
    """One trustee of a region, and what became of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.capsules: list[Capsule] = []
        self.seal()
        self.save(0)

    @property
    def trustee(self):  # type: ignore[no-untyped-def]
        """As opened now."""
        return self.world.trustees["ch"]

    def reopen(self) -> None:
        """A new process."""
        self.trustee.close()
        self.world.trustees["ch"] = self.world.trustee("ch")

    def seal(self, _number: int = 0) -> None:
        """A car seals to the newest keys, if every trustee has one that is valid now."""
        state, now = self.world.state(), self.world.clock.now()
        if all(state.epochs(name, at=now) for name in self.world.trustees):
            data = b"clip %d" % len(self.capsules)
            self.capsules.append(self.world.capsule(data, expires=now + YEAR))

    def wait(self, number: int) -> None:
        """Hours to a month."""
        self.world.clock.advance((6, 24 * 7, 24 * 29, 24 * 33)[number % 4] * 3_600)
        self.world.logs.log.refresh()

    def tend(self, number: int) -> None:
        """The daily run, of all trustees."""
        for name in ("ch", "is", "uy"):
            self.world.trustees[name].tend()
        self.orderly()

    def die(self, number: int) -> None:
        """The daily run is killed, before or after a step on the disk."""
        call, done = DEATHS[number % 3], number % 2 == 0
        real = getattr(durable, call)

        def dead(*args: object, **more: object) -> None:
            if done:
                real(*args, **more)
            raise UnavailableError("the process died here")

        with mock.patch.object(durable, call, dead), contextlib.suppress(UnavailableError):
            self.trustee.tend()
        self.reopen()

    def save(self, _number: int) -> None:
        """An image of the machine is taken (which nobody should)."""
        self.trustee.close()
        shutil.rmtree(self.world.home / "saved", ignore_errors=True)
        shutil.copytree(self.world.home / "ch", self.world.home / "saved")
        self.world.trustees["ch"] = self.world.trustee("ch")

    def restore(self, number: int) -> None:
        """Some of it comes back."""
        self.trustee.close()
        home, saved = self.world.home / "ch", self.world.home / "saved"
        for name in PARTS[number % 4]:
            for path in home.glob(f"{name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if (saved / name).is_dir():
                shutil.copytree(saved / name, home / name)
            elif (saved / name).exists():
                shutil.copy(saved / name, home / name)
        self.world.trustees["ch"] = self.world.trustee("ch")

    def ask(self, number: int) -> None:
        """A reader asks for one capsule: granted, exactly if its key lasts and is here."""
        capsule = self.capsules[number % len(self.capsules)]
        self.world.clock.advance(1)
        self.world.logs.log.refresh()
        leaf, index = self.world.request([capsule])
        share = next(each for each in capsule.header.shares if each.trustee == "ch")
        known = self.world.state().epoch("ch", share.epoch)
        assert known is not None
        over = self.world.clock.now() > known.not_after + 30 * DAY
        over |= self.world.state().destroyed("ch", share.epoch) is not None
        here = self.trustee.keys.has(share.epoch)
        if here and not over:
            assert self.world.decide("ch", leaf, index, capsule).shares
            return
        with pytest.raises(RefusedError) as caught:
            self.world.decide("ch", leaf, index, capsule)
        assert caught.value.code == "epoch-ended"

    def orderly(self) -> None:
        """After a run that was let finish: no ended key here, and cars can seal."""
        state, now = self.world.state(), self.world.clock.now()
        for name in ("ch", "is", "uy"):
            keys = self.world.trustees[name].keys
            for epoch in keys.epochs():
                known = state.epoch(name, epoch)
                assert known is not None
                assert now <= known.not_after + 30 * DAY
                assert state.destroyed(name, epoch) is None
            newest = state.epochs(name, at=now)[-1]
            assert keys.has(newest.epoch)
            assert digest(newest.key) == keys.epoch(newest.epoch).key_id  # type: ignore[union-attr]

    def lawful(self) -> None:
        """The log says nothing twice, nothing bad, and of no key too early that it is gone."""
        state = self.world.state()
        assert list(state.findings()) == []
        for name in ("ch", "is", "uy"):
            for each in state.epochs(name):
                if (gone := state.destroyed(name, each.epoch)) is not None:
                    assert gone.time > each.not_after + 30 * DAY


STEPS = ("wait", "wait", "tend", "die", "ask", "ask", "seal", "save", "restore", "restore")
plans = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 59)), min_size=16, max_size=30)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans)
def test_no_key_outlives_its_end_whatever_comes_back(plan: list[tuple[str, int]]) -> None:
    """Any order of waiting, tending, dying, saving, restoring and asking."""
    with quick_folder() as folder:
        life = Life(World(folder, quota=10_000))
        for step, number in plan:
            getattr(life, step)(number)
        life.tend(0)
        life.ask(len(plan))
        life.lawful()
        for trustee in life.world.trustees.values():
            trustee.close()
