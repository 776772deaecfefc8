# SPDX-License-Identifier: Apache-2.0
"""What a home does as time passes."""

from __future__ import annotations

from pathlib import Path

from incamera.cli.audit import run
from incamera.cli.car import car_home
from incamera.cli.found import DAY, EPOCH_DAYS, found
from incamera.cli.home import Home
from incamera.cli.init import plan_of
from incamera.clock import FixedClock, SystemClock


def test_a_trustee_begins_a_new_epoch_when_its_last_has_ended(tmp_path: Path) -> None:
    """Forty days after the founding cars seal to new keys, which stand in the log."""
    now = SystemClock().now()
    found(tmp_path / "home", plan_of("eu"), FixedClock(now - (EPOCH_DAYS + 10) * DAY))
    first = car_home(Home(tmp_path / "home", FixedClock(now - (EPOCH_DAYS + 9) * DAY)))
    home = Home(tmp_path / "home", FixedClock(now))
    second = car_home(home)
    assert [each.epoch for each in first.trustees] == [1, 1, 1]
    assert [each.epoch for each in second.trustees] == [2, 2, 2]
    assert {each.public for each in first.trustees}.isdisjoint(
        each.public for each in second.trustees
    )
    assert run(home.paths).ok


def test_an_init_that_died_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Half a home lies beside the name, never under it, and is swept by the next try."""
    draft = tmp_path / ".home.init"
    draft.mkdir()
    (draft / "home.toml").write_text("half")
    found(tmp_path / "home", plan_of("eu"), SystemClock())
    assert not draft.exists()
    assert run(Home(tmp_path / "home").paths).ok
