# SPDX-License-Identifier: Apache-2.0
"""The fleet simulator, small: real processes and a real PostgreSQL, and every kind of lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.fleet.drive import Driver
from bench.fleet.ending import collect
from bench.fleet.fleet import ready
from bench.fleet.ground import Plan
from bench.fleet.jobs import CRIMES, MIX, Mix
from bench.fleet.judge import Verdict, judge
from bench.fleet.rhythm import day, steady
from bench.fleet.sizing import Costs, table

LIMIT = 20
PLAN = Plan(
    cars=40, owners=4, bodies=4, size=4096, postgres=True, limits=f"capsules_per_hour = {LIMIT}"
)
OUTGROWING = Path(__file__).parents[3] / "docs" / "operating" / "outgrowing.md"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """One region for this module."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    with ready(folder, PLAN) as region:
        yield Driver(region, folder, Mix(region.maker, region.crowd, apart=40, remember=1.0))


def test_a_small_fleet_loses_nothing_and_every_lie_is_refused_by_its_code(driver: Driver) -> None:
    """All ways a link can fail, the vault killed meanwhile; then each crime, and a flood."""
    mix = driver.mix
    good = [*(mix.good(road) for road in MIX), *(mix.good("plain") for _ in range(60))]
    vault = driver.ready.region.parties["vault"]

    def kill(marks: dict[str, float]) -> None:
        vault.kill()
        vault.start()

    first = driver.run("good", jobs=good, times=steady(30, 60)[: len(good)], meanwhile=kill)
    crimes = [mix.crime(kind) for kind in CRIMES for _ in range(2)]
    floods = [mix.crime("flood") for _ in range(LIMIT + 4)]
    second = driver.run("lies", jobs=[*crimes, *floods], at_once=4)
    seen = collect(driver.ready)
    for phase in (first, second):
        said = judge(seen, phase.jobs, phase.outcomes)
        assert not said.wrong, said.wrong
        assert (said.lost, said.duplicates, said.unanswered) == (0, 0, 0)
    assert said.refused.keys() >= {"flood: 429", "foreign: 403 wrong-region", "altered: 422"}
    assert {kind.split(":")[0] for kind in said.refused} == CRIMES.keys() - {"replay"}


def test_a_lost_capsule_a_second_entry_and_a_wrong_answer_are_seen(driver: Driver) -> None:
    """The judge is no rubber stamp: evidence with a hole in it is noticed."""
    jobs = [driver.mix.good("plain") for _ in range(3)]
    phase = driver.run("few", jobs=jobs)
    seen = collect(driver.ready)
    whole = judge(seen, phase.jobs, phase.outcomes)
    assert (whole.admitted, whole.lost, whole.duplicates, whole.wrong) == (3, 0, 0, [])
    name = jobs[0].digest
    places = {**seen.places, name: [*seen.places[name], 10**6]}
    assert judge(replace(seen, places=places), phase.jobs, phase.outcomes).duplicates == 1
    gone = replace(seen, blob=lambda _: None)
    assert judge(gone, phase.jobs, phase.outcomes).lost == 3
    rows = {**seen.rows, name: "pending"}
    assert judge(replace(seen, rows=rows), phase.jobs, phase.outcomes).lost == 1
    lies = [replace(each, status=(403,), code="future") for each in phase.jobs]
    assert judge(seen, lies, phase.outcomes).wrong_count >= 3
    assert (whole.holds, judge(gone, phase.jobs, phase.outcomes).holds) == (True, False)


def test_one_thing_that_is_not_as_it_must_be_ends_the_bench_with_1() -> None:
    """Whatever of the four it is, of whichever phase; refusals are as they must be."""
    good = Verdict(sent=9, admitted=8, refused=Counter({"flood: 429": 1}), receipts=8)
    assert good.holds
    for bad in ("lost", "duplicates", "wrong_count", "unanswered"):
        whole, one = Verdict(), Verdict()
        setattr(one, bad, 1)
        for each in (good, one, good):
            whole.add(each)
        assert not whole.holds, bad


def test_the_day_of_a_fleet_has_two_peaks_and_its_mean() -> None:
    """Ten times the mean in the peaks, and about the mean between them."""
    times = day(600.0, mean=46.3, peak=10.0)
    hours = [24 * each / 600 for each in times]
    peak = sum(7.5 <= hour < 8.7 for hour in hours) / 30
    noon = sum(11 <= hour < 16 for hour in hours) / 125
    assert 430 < peak < 500
    assert 40 < noon < 60


def test_the_sizing_table_of_the_docs_is_what_the_costs_give() -> None:
    """`python -m bench.fleet.sizing` prints it."""
    assert table(Costs()) in OUTGROWING.read_text()
