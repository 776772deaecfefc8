# SPDX-License-Identifier: Apache-2.0
"""A spool that is full: what goes from it, what never goes unsaid, and that ingest waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from incamera.errors import UnavailableError
from incamera.ingest.journal import Journal
from incamera.ingest.quota import FullError, Quota
from incamera.ingest.spool import Spool
from incamera.sealing.header import Header
from incamera.trigger import Campaign
from incamera.vault import RefusedError
from ingesting import BEGIN, CAMPAIGN, GEOFENCE, Car, drive, redactor
from world import DAY, quick_folder

SAMPLED = Campaign.parse(
    b'version = 1\nname = "all"\n[sample]\nevery = 1\nlength = 600\n', "campaign"
)


class Full(Car):
    """A car that seals offline, into a spool with a quota."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.films = folder / "films"
        self.number = 0

    def seal(self, campaign: Campaign = CAMPAIGN) -> UnavailableError | None:
        """Another drive is ingested; the vault cannot be reached. What ended it, if anything."""
        self.number += 1
        begin = BEGIN + self.number * 60
        name = f"drive-{self.number}"
        recording = drive(
            self.films, name=name, seconds=2, honks=(1,), cameras=("front",), begin=begin
        )

        def away(path: Path) -> bytes:
            raise UnavailableError(f"{path.name}: no network")

        try:
            self.ingest_with(campaign, recording, away)
        except UnavailableError as error:
            return error
        return None

    def ingest_with(self, campaign: Campaign, recording: object, admit: object) -> None:
        """One ingest of one recording."""
        from incamera.geofence import Zones
        from incamera.ingest import Plan, ingest_recordings

        plan = Plan(Zones.empty(), campaign, GEOFENCE)
        ingest_recordings(
            [recording],  # type: ignore[list-item]
            self.home,
            plan,
            admit=admit,  # type: ignore[arg-type]
            redactor=redactor(),
            clock=self.world.clock,
        )

    def allow(self, **quota: object) -> None:
        """A quota for what comes."""
        self.home = replace(self.home, quota=Quota(**quota))  # type: ignore[arg-type]

    def spool(self) -> Spool:
        """The spool, as the next run finds it."""
        return Spool(self.home, Journal(self.home.journal), self.admit, self.world.clock)

    def states(self) -> list[str]:
        """What the journal says of each clip, in order."""
        journal = Journal(self.home.journal)
        return [step.state for step in journal._steps.values()]


@pytest.fixture
def car() -> Iterator[Full]:
    """A car."""
    with quick_folder() as folder:
        yield Full(folder)


def test_a_full_spool_makes_ingest_wait_and_loses_no_triggered_clip(car: Full) -> None:
    """Not a frame more is cut; when something was sent there is room again."""
    assert car.seal() is None
    used = car.spool().used()
    car.allow(limit=used)
    error = car.seal()
    assert isinstance(error, FullError)
    assert "is full" in error.message
    assert error.hint
    assert car.states() == ["sealed"]
    assert Journal(car.home.journal).dropped() == []
    spool = car.spool()
    spool.send(spool.waiting()[0])
    assert car.seal() is None
    car.allow(free=1 << 60)
    assert isinstance(car.seal(), FullError)


def test_what_chance_asked_for_goes_before_what_a_trigger_did_the_oldest_first(car: Full) -> None:
    """Each with a note, and never made again."""
    for campaign in (CAMPAIGN, SAMPLED, SAMPLED):
        assert car.seal(campaign) is None
    spool = car.spool()
    sampled = [step.capsule for step in spool.waiting()][1]
    car.allow(limit=spool.used())
    assert car.seal() is None
    assert car.states()[:2] == ["sealed", "dropped"]
    assert car.states()[-1] == "sealed"
    note, *_ = Journal(car.home.journal).dropped()
    assert (note.capsule, note.tags) == (sampled, ("sample",))
    assert "to make room" in note.reason


def test_the_oldest_triggered_clip_goes_only_where_the_disk_s_owner_said_so(car: Full) -> None:
    """And it is said: in the notes, and in the journal."""
    for _ in range(2):
        assert car.seal() is None
    car.allow(limit=car.spool().used(), drop_triggered=True)
    assert car.seal() is None
    assert (car.states()[0], car.states()[-1]) == ("dropped", "sealed")
    assert {note.tags for note in Journal(car.home.journal).dropped()} == {("honk",)}


def test_what_nobody_would_take_or_open_goes_first_and_at_once(car: Full) -> None:
    """Its time is over, it was refused for good, its consent was withdrawn; each is said."""
    for _ in range(3):
        assert car.seal() is None
    names = [step.capsule for step in car.spool().waiting()]

    def excluded(path: Path) -> bytes:
        raise RefusedError("excluded", f"{path.name} is excluded")

    car.admit = excluded  # type: ignore[method-assign]
    spool = car.spool()
    with pytest.raises(RefusedError):
        spool.send(spool.waiting()[0])
    withdrawn = read(car, 1)
    car.allow(unwanted=lambda header: "taken back" if header == withdrawn else None)
    assert [note.capsule for note in car.spool().purge()] == names[:2]
    car.world.clock.advance(40 * DAY)
    assert [note.reason[:16] for note in car.spool().purge()] == ["its time is over"]
    assert car.spool().used() == 0
    assert car.spooled() == []
    assert len(Journal(car.home.journal).dropped()) == 3


def read(car: Full, number: int) -> Header:
    """The header of a capsule that waits."""
    spool = car.spool()
    header = spool._header(spool.waiting()[number])
    assert header is not None
    return header


def test_a_refusal_that_can_be_mended_is_kept_with_what_to_do(car: Full) -> None:
    """The capsule stays, `refusals` says why; once it was taken, no more."""
    assert car.seal() is None
    admit = car.admit

    def unknown(path: Path) -> bytes:
        raise RefusedError("unenrolled", path.name, hint="have the operator enrol the car")

    car.admit = unknown  # type: ignore[method-assign]
    spool = car.spool()
    with pytest.raises(RefusedError):
        spool.send(spool.waiting()[0])
    (refusal,) = Journal(car.home.journal).refusals().values()
    assert (refusal.code, refusal.hint) == ("unenrolled", "have the operator enrol the car")
    assert car.spool().purge() == []
    car.admit = admit  # type: ignore[method-assign]
    spool = car.spool()
    spool.send(spool.waiting()[0])
    assert Journal(car.home.journal).refusals() == {}
