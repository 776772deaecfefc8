# SPDX-License-Identifier: Apache-2.0
"""A car's agent and worker killed at each step they take on disk: one capsule a clip, none lost.

As for ingest (``test_ingest_faults``): a row of the table stops the process before or after one
durable step, and nothing reaches the disk from then on. Then agent and worker start anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import stamina
from test_ingest_faults import KilledError, Power

from agents import AgentCar
from incamera.errors import UnavailableError
from incamera.ledger.database import Database
from world import quick_folder

NUMBERS = count(1)


class Fuse(Power):
    """Counts the statements of SQLite as well."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__(patch)
        run = Database.run

        def counted(database: Database, sql: str, *values: Any) -> int:
            done: int = self._step(lambda: run(database, sql, *values))
            return done

        patch.setattr(Database, "run", counted)


@pytest.fixture(scope="module")
def car() -> Iterator[AgentCar]:
    """One car and region for all rows."""
    stamina.set_testing(True)
    with quick_folder() as folder:
        made = AgentCar(folder)
        made.consent()
        made.parks()
        yield made
    stamina.set_testing(False)


def steps(car: AgentCar, act: Callable[[], object]) -> int:
    """How many durable steps an act takes."""
    with pytest.MonkeyPatch.context() as patch:
        power = Fuse(patch)
        act()
    assert car.link.online
    return power.count


def killed(at: int, act: Callable[[], object]) -> None:
    """The act, killed before a step, or after an even one."""
    with pytest.MonkeyPatch.context() as patch:
        power = Fuse(patch)
        power.kill_at, power.after = at, at % 2 == 0
        with contextlib.suppress(KilledError):  # one run may take a step less than another
            act()


def test_a_worker_killed_at_any_step_loses_nothing_and_sends_once(car: AgentCar) -> None:
    """The next worker finds what was done done, and finishes the rest."""

    def recorded() -> str:
        number = next(NUMBERS)
        car.a_drive(f"w{number}", number)
        return f"w{number}"

    recorded()
    total = steps(car, car.work)
    assert total > 20
    for at in range(1, total + 1, 5):
        name, before = recorded(), len(car.kept())
        killed(at, car.work)
        car.vault.close()
        car.vault = car.link.vault = car.open_vault()
        car.start()
        car.work()
        assert car.outcomes()[name] == "taken", at
        assert len(car.kept()) == before + 1, at
        assert not list(car.settings.places.spool.glob("*.capsule")), at
        assert not car.settings.places.stage.exists(), at


def test_an_agent_killed_at_any_step_takes_nothing_for_consented_that_was_not(
    car: AgentCar,
) -> None:
    """Killed as it binds, what it saw is bound or found; nothing changes its consent later."""

    def drive() -> None:
        number = next(NUMBERS)
        car.drives(number)
        car.records(f"g{number}")
        car.parks()

    total = steps(car, drive)
    car.work()
    assert total > 8
    token = car.settings.places.consents / "token"
    for at in range(1, total + 1, 2):
        held = token.read_bytes()
        token.unlink()  # no consent as it is recorded; there is one when it starts anew
        killed(at, drive)
        token.write_bytes(held)
        before = len(car.kept())
        car.start()
        car.later(60)
        car.later(60)
        car.work()
        assert len(car.kept()) == before, at
        assert set(car.outcomes().values()) <= {"taken", "withheld", "unseen"}, at


def test_a_ring_killed_as_it_turns_removes_what_is_old_the_next_time(car: AgentCar) -> None:
    """Gone, or going; and never ingested."""
    for at in range(1, 4):
        path = car.records(f"SentryClips/2027-01-01_00-00-{at:02}/s{at}")
        car.later(60)
        killed(at, lambda: car.later(700))
        car.start()
        car.later(60)
        car.later(600)
        assert not path.exists()


def test_a_worker_on_a_full_disk_says_so_and_the_next_one_goes_on(
    car: AgentCar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is marked as done that was not."""
    number = next(NUMBERS)
    car.a_drive(f"w{number}", number)
    before = len(car.kept())

    def full(*_: Any, **__: Any) -> None:
        raise UnavailableError("no space left on device", hint="make room")

    with monkeypatch.context() as patch:
        patch.setattr("incamera.ingest.spool.seal", full)
        assert "no space left" in str(car.work().errors)
    assert car.outcomes()[f"w{number}"] == "open"
    car.work()
    assert (car.outcomes()[f"w{number}"], len(car.kept())) == ("taken", before + 1)
