# SPDX-License-Identifier: Apache-2.0
"""A car's drives, from the stick to the vault, and all that must keep them from it.

Each test lets the same car drive again, and puts back what it changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import stamina

from agents import CAMPAIGN, AgentCar
from incamera.car.exclusion import PATH, Exclusions
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.entries import WithdrawEntry
from incamera.recording.mcap_writer import write_mcap
from incamera.recording.model import Fix
from incamera.sealing.keys import SigningKey
from ingesting import LAT
from videos import film
from world import DAY, EU, quick_folder

NUMBERS = count(1)


@pytest.fixture(scope="module")
def region() -> Iterator[AgentCar]:
    """A car in a region."""
    with quick_folder() as folder:
        made = AgentCar(folder)
        made.parks()
        yield made


@pytest.fixture
def car(region: AgentCar) -> AgentCar:
    """The same car, with no token, no capsule underway, and parked."""
    for path in region.settings.places.consents.iterdir():
        path.unlink()
    for path in region.stick.rglob("*"):
        if path.is_file():
            path.unlink()
    region.link.online = True
    region.link.forged.clear()
    region.settings.places.exclusions.unlink(missing_ok=True)
    region.settings.places.switch.unlink(missing_ok=True)
    region.link.follow()
    region.work()
    region.parks()
    return region


@pytest.fixture(scope="module", autouse=True)
def _no_waiting() -> Iterator[None]:
    """Who cannot be reached is asked once."""
    stamina.set_testing(True)
    yield
    stamina.set_testing(False)


def outcome(car: AgentCar) -> tuple[str, str]:
    """A drive, and a run of the worker: what became of the film, and the code that withheld it."""
    number = next(NUMBERS)
    car.a_drive(f"d{number}", number)
    return worked(car, f"d{number}")


def worked(car: AgentCar, name: str) -> tuple[str, str]:
    """A run of the worker: what became of a film, and the code that withheld it."""
    before = len(car.kept()), len(car.link.sent)
    done = car.work()
    found = car.outcomes()[name]
    if found != "taken":  # then nothing was sealed or sent either
        assert (len(car.kept()), len(car.link.sent)) == before
    return found, done.withheld[0] if done.withheld else ""


def test_a_drive_with_consent_is_ingested_once_the_car_is_parked(car: AgentCar) -> None:
    """Bound as it is recorded, taken when all is quiet, sent, and not looked at again."""
    consent = car.consent()
    assert outcome(car) == ("taken", "")
    assert len(car.kept()) == 1
    assert car.status()["campaign"] == car.campaign
    assert car.status()["worker"]["consent"] == consent
    car.work()
    assert len(car.kept()) == 1


def test_without_a_token_nothing_of_a_drive_is_ingested_ever(car: AgentCar) -> None:
    """Nor by one that is given afterwards: the drive is over, and was not consented to."""
    name = f"d{next(NUMBERS)}"
    car.a_drive(name, 1000)
    car.consent()
    assert worked(car, name) == ("withheld", "")
    assert "no consent held when it was recorded" in str(car.status()["withheld"]["files"])


@pytest.mark.parametrize(
    "change",
    [
        {"not_before": 1, "expires": 2},
        {"not_before": 2**40, "expires": 2**41},
        {"car": Digest("0" * 64)},
        {"owner": Name("bob")},
        {"region": Region("us")},
        {"key": SigningKey.generate()},
    ],
    ids=["expired", "early", "foreign car", "other owner", "other region", "forged"],
)
def test_a_token_that_does_not_hold_is_as_none(car: AgentCar, change: dict[str, Any]) -> None:
    """Nothing of the drive is bound to it, and status says why."""
    car.consent(**change)
    assert outcome(car) == ("withheld", "")
    assert car.status()["consent"]["on"] is False
    assert car.status()["consent"]["why"]


def test_a_damaged_token_is_as_none(car: AgentCar) -> None:
    """Half of it, or a byte of it."""
    car.consent()
    path = car.settings.places.consents / "token"
    data = path.read_bytes()
    for bad in (data[:100], data.replace(b"A", b"B", 1), b""):
        path.write_bytes(bad)
        assert outcome(car) == ("withheld", "")


def test_a_consent_that_was_withdrawn_ends_what_is_on_its_way(car: AgentCar) -> None:
    """What was recorded under it is not ingested, and what was sealed goes unsent, and is said."""
    consent = car.consent(nonce=b"w" * 16)
    car.link.online = False
    assert outcome(car) == ("taken", "")
    car.drives(number := next(NUMBERS))
    car.records(f"d{number}")
    car.parks()
    entry = WithdrawEntry(**car.world.facts(), owner=Name("ada"), consents=(consent,), cars=())
    car.world.say(entry, car.world.owner.signing)
    car.link.online = True
    assert worked(car, f"d{number}") == ("open", "consent")
    spool = car.status()["spool"]
    assert (spool["capsules"], "took the consent back" in str(spool["unsent"])) == (0, True)
    assert outcome(car)[0] == "withheld"


def test_a_token_exchanged_while_parked_does_not_cover_the_drive_before(car: AgentCar) -> None:
    """Recorded under one consent, it is not ingested under another, with other purposes."""
    car.consent(nonce=b"1" * 16)
    car.drives(number := next(NUMBERS))
    car.records(f"d{number}")
    car.parks()
    car.consent(nonce=b"2" * 16, purposes=(Name("advertising"),))
    assert worked(car, f"d{number}") == ("withheld", "")


def test_parked_footage_is_a_ring_of_ten_minutes_and_never_ingested(car: AgentCar) -> None:
    """By the count of seconds, though the clock is set back; what was saved before stays."""
    car.consent()
    path = car.records("SentryClips/2027-01-01_00-00-00/x")
    car.later(60)
    assert worked(car, "x") == ("open", "")
    car.later(480)
    assert path.exists()
    car.clock.advance(-DAY)
    car.later(120)
    assert not path.exists()
    assert car.kept() == car.kept()
    car.clock.advance(DAY)
    car.later(1)


def test_parked_footage_is_ingested_only_with_a_consent_to_that(car: AgentCar) -> None:
    """The token says so; else the ring keeps it, whatever drives are allowed."""
    car.consent(parked=True)
    car.records("SentryClips/2027-01-01_00-00-01/y", begin=car.clock.now() - 600)
    car.later(60)
    car.later(60)
    assert worked(car, "y") == ("taken", "")


def test_what_was_there_before_anybody_watched_is_left_alone(car: AgentCar) -> None:
    """Neither ingested nor removed: a stick comes with a film, during a drive with consent."""
    car.consent()
    path = car.records(f"d{next(NUMBERS)}")
    car.start()
    car.agent._diary.became([path.name], "", "")
    car.agent._diary._database.run("DELETE FROM files")
    car.drives(next(NUMBERS))
    car.parks(700)
    assert worked(car, path.stem)[0] == "withheld"
    assert path.exists()


def test_a_clock_that_is_set_ahead_or_back_ends_every_consent(car: AgentCar) -> None:
    """Set back, an expired token would hold again; set ahead, an early one would hold already."""
    car.consent()
    for jump in (-3 * DAY, 400 * DAY):
        car.drives(next(NUMBERS))
        car.clock.advance(jump)
        number = next(NUMBERS)
        car.records(f"d{number}")
        car.parks()
        found, code = worked(car, f"d{number}")
        assert (found, code) in {("withheld", ""), ("withheld", "clock")}
        car.clock.advance(-jump)
        car.later(1)
        car.work()
        car.later(1)


def test_a_log_that_was_not_read_for_long_withholds_everything(car: AgentCar) -> None:
    """A consent may have been withdrawn since; the drive waits, and is taken when it is read."""
    car.consent()
    car.link.online = False
    number, settings = next(NUMBERS), car.settings
    car.a_drive(f"d{number}", number)
    car.settings = replace(settings, fresh=600)
    car.later(1_200)
    assert worked(car, f"d{number}") == ("open", "log")
    car.link.online = True
    assert worked(car, f"d{number}") == ("taken", "")
    car.settings = settings


def test_an_excluded_car_records_nothing(car: AgentCar) -> None:
    """By the switch in the car, and by the operator's list; a list of before changes nothing."""
    car.consent()
    switch = car.settings.places.switch
    switch.touch()
    assert outcome(car)[0] == "withheld"
    switch.unlink()
    end = car.clock.now() + DAY
    clean, listed = (
        Exclusions(EU, number, end, frozenset(cars)).seal(car.world.operator)
        for number, cars in ((1, []), (2, [car.settings.car]))
    )
    car.link.forged[PATH] = listed
    number = next(NUMBERS)
    car.a_drive(f"d{number}", number)
    assert worked(car, f"d{number}") == ("open", "excluded")
    assert outcome(car)[0] == "withheld"
    car.link.forged[PATH] = clean
    done = car.work()
    assert "an old list" in str(done.errors)
    assert car.status()["exclusion"]["excluded"] is True


def test_a_list_of_exclusions_that_is_forged_or_over_its_time_is_not_believed(
    car: AgentCar,
) -> None:
    """A forged one is not kept, and all waits, as it does after the time of the real one."""
    car.consent(expires=car.clock.now() + 5 * DAY)
    forged = Exclusions(EU, 9, car.clock.now() + DAY, frozenset()).seal(SigningKey.generate())
    car.link.forged[PATH] = forged
    done = car.work()
    assert done.errors
    assert done.withheld is not None
    assert done.withheld[0] == "exclusions"
    assert not car.settings.places.exclusions.exists()
    real = Exclusions(EU, 9, car.clock.now() + 600, frozenset()).seal(car.world.operator)
    car.link.forged[PATH] = real
    car.drives(number := next(NUMBERS))
    car.records(f"d{number}")
    car.work()
    car.parks()
    car.later(1_000)
    assert worked(car, f"d{number}") == ("open", "exclusions")


def test_a_campaign_runs_only_in_the_text_that_the_log_names(car: AgentCar) -> None:
    """Handed out in secret, altered on the way, or over: nothing runs, and the drive waits."""
    car.consent()
    number = next(NUMBERS)
    car.a_drive(f"d{number}", number)
    secret = car.publish(CAMPAIGN.replace(b"all", b"secret"), logged=False)
    settings = car.settings
    car.settings = replace(settings, campaign=secret)
    assert worked(car, f"d{number}") == ("open", "campaign")
    car.settings = settings
    altered = CAMPAIGN.replace(b"600", b"599")
    car.link.forged[f"campaign/{car.campaign}.toml"] = altered
    for kept in settings.places.campaigns.iterdir():
        kept.write_bytes(altered)  # nor is a copy believed that was altered here
    assert worked(car, f"d{number}") == ("open", "campaign")
    car.link.forged.clear()
    over = b'version = 1\nname = "old"\nexpires = 2020-01-01T00:00:00Z\n[sentry]\n'
    car.publish(over)
    assert worked(car, f"d{number}") == ("open", "campaign")
    car.settings = replace(settings, campaign=car.campaign)
    assert worked(car, f"d{number}") == ("taken", "")
    assert digest(over) != car.campaign


def test_what_waits_is_sent_when_the_region_can_be_reached_again(car: AgentCar) -> None:
    """Sealed offline, kept, sent on the next run, and only then removed."""
    car.consent()
    car.link.online = False
    assert outcome(car) == ("taken", "")
    assert car.status()["spool"]["capsules"] == 1
    before = len(car.kept())
    car.link.online = True
    car.work(send_only=True)
    assert car.status()["spool"]["capsules"] == 0
    assert len(car.kept()) == before + 1
    assert car.status()["spool"]["last_receipt"] is not None


def test_a_recorder_that_writes_mcap_is_taken_as_well(car: AgentCar) -> None:
    """One file with its fixes in it, through the links of the stage."""
    car.consent()
    number = next(NUMBERS)
    car.drives(number)
    begin = float(car.clock.now() - 600)
    source = film(car.folder / f"{number}.mp4", times=range(50), options={"bf": "0", "g": "10"})
    fixes = [Fix(begin + i / 10, 45 + 2 * i * LAT, 10.0, 0.4, 20.0) for i in range(21)]
    path = car.stick / "logs" / "drive.mcap"
    path.parent.mkdir(exist_ok=True)
    write_mcap(path, {"front": source}, start=begin, fixes=fixes)
    os.utime(path, (car.clock.now(), car.clock.now()))
    car.later(1)
    car.parks()
    before = len(car.kept())
    assert car.work().errors == []
    file = car.agent._diary.file("logs/drive.mcap")
    assert file is not None
    assert (file.outcome, file.why, len(car.kept())) == ("taken", "1 clip, 2 s", before + 1)
