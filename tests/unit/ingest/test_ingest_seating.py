# SPDX-License-Identifier: Apache-2.0
"""Whom a car seals to, attacked by an operator who enrols puppets, new keys and other flags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.errors import UnavailableError
from incamera.ids import Name
from incamera.ingest.seating import Seating, seated_trustees
from incamera.ledger.entries import EpochEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import OpeningKey, SigningKey, key_id
from incamera.tlog import FolderFetch, LogReader
from world import DAY, EU, World, quick_folder

WEEK = 7 * DAY


class Reading:
    """A car's own reading of a world's log, kept from visit to visit."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder / "world")
        # Something else than trustees and rules ends the founding.
        self.world.capsule()
        self.state = State(folder / "state.db")
        self.follow()

    def follow(self) -> None:
        """Up to the present checkpoint, cosigned just now."""
        self.world.logs.log.refresh(older_than=1)
        reader = LogReader(FolderFetch(self.world.public), self.world.logs.policy)
        Follower(reader, self.state, self.world.clock).follow()

    def later(self, seconds: int) -> None:
        """Time passes, the trustees go on announcing keys, and the car looks again."""
        self.world.clock.advance(seconds)
        self.follow()

    def announce(self, name: str, key: SigningKey, epoch: int = 1, days: int = 60) -> None:
        """An epoch of a trustee, valid long enough for these tests."""
        now = self.world.clock.now()
        entry = EpochEntry(
            region=EU,
            time=now,
            trustee=Name(name),
            epoch=epoch,
            key=OpeningKey.generate().public,
            not_before=now - DAY,
            not_after=now + days * DAY,
        )
        self.world.say(entry, key)

    def enrol(self, name: str, country: str, key: SigningKey | None = None) -> SigningKey:
        """The operator enrols a trustee, who announces a key."""
        key = key or SigningKey.generate()
        self.world.append(self.world.party("trustee", name, "notary", country, key.public))
        return key

    def founded_go_on(self) -> None:
        """The trustees of the founding announce longer epochs."""
        for name, trustee in self.world.trustees.items():
            del trustee
            self.announce(name, SigningKey.load(self.world.home / name / "signing.key"), epoch=5)

    def sealed_to(self, seating: Seating | None = None) -> list[str]:
        """Whom the car would seal to now."""
        policy, now = self.world.logs.policy, self.world.clock.now()
        found = seated_trustees(self.state, policy, seating or Seating(), 2, now)
        return [each.name for each in found]


@pytest.fixture
def reading() -> Iterator[Reading]:
    """A car that knows a region founded with the trustees ch, is and uy."""
    with quick_folder() as folder:
        made = Reading(folder)
        made.founded_go_on()
        made.follow()
        yield made


def test_the_trustees_of_the_founding_are_sealed_to_at_once(reading: Reading) -> None:
    """Their age is not asked: whoever set the car up knows whom the region was founded with."""
    assert reading.sealed_to() == ["ch", "is", "uy"]


def test_an_operator_that_enrols_puppets_gets_nothing_sealed_to_them(reading: Reading) -> None:
    """Nor one day before the week is over; after it, in which everybody could see them, it does."""
    for name in ("pup", "pet"):
        key = reading.enrol(name, "LI")
        reading.announce(name, key)
    reading.follow()
    assert reading.sealed_to() == ["ch", "is", "uy"]
    reading.later(WEEK - DAY)
    assert reading.sealed_to() == ["ch", "is", "uy"]
    reading.later(DAY)
    assert reading.sealed_to() == ["ch", "is", "pet", "pup", "uy"]


def test_an_operator_that_replaces_trustees_by_puppets_stops_the_sealing(reading: Reading) -> None:
    """The old ones revoked, the new ones young: nobody is sealed to, and the error says who."""
    for name in ("ch", "is"):
        reading.world.revoke("trustee", name)
    reading.announce("pup", reading.enrol("pup", "LI"))
    reading.follow()
    with pytest.raises(UnavailableError, match=r"1 trustees may be sealed to.*pup stands"):
        reading.sealed_to()


def test_a_trustee_with_another_key_or_country_is_a_newcomer(reading: Reading) -> None:
    """The same name under the operator's key, or moved to another state, waits its week anew."""
    other = reading.enrol("ch", "CH")
    reading.announce("ch", other, epoch=6)
    reading.follow()
    assert reading.sealed_to() == ["is", "uy"]
    reading.later(WEEK)
    assert reading.sealed_to() == ["ch", "is", "uy"]
    reading.enrol("ch", "LI", other)
    reading.follow()
    assert reading.sealed_to() == ["is", "uy"]


def test_a_clock_set_forward_makes_no_trustee_older(reading: Reading) -> None:
    """Only what witnesses signed counts: a car's clock a year ahead changes nothing."""
    reading.announce("pup", reading.enrol("pup", "LI"), days=800)
    reading.follow()
    policy, now = reading.world.logs.policy, reading.world.clock.now() + 30 * DAY
    found = seated_trustees(reading.state, policy, Seating(), 2, now)
    assert "pup" not in [each.name for each in found]


def test_a_car_that_reads_the_log_for_the_first_time_knows_no_ages(
    reading: Reading, tmp_path: Path
) -> None:
    """A trustee enrolled long ago is new to a new car: it cannot tell, and waits."""
    reading.announce("pup", reading.enrol("pup", "LI"))
    reading.follow()
    reading.later(WEEK)
    assert "pup" in reading.sealed_to()
    reading.state = State(tmp_path / "new.db")
    reading.follow()
    assert reading.sealed_to() == ["ch", "is", "uy"]


def test_pins_are_the_only_trustees_and_must_have_their_key(reading: Reading) -> None:
    """A pinned key is sealed to whatever its age; another key under that name never."""
    key = reading.enrol("new", "LI")
    reading.announce("new", key)
    reading.follow()
    ch = reading.state.party("trustee", "ch")
    assert ch is not None
    pins = {Name("new"): key_id(key.public), Name("ch"): key_id(ch.key)}
    assert reading.sealed_to(Seating(pins=pins)) == ["ch", "new"]
    pins[Name("new")] = key_id(SigningKey.generate().public)
    with pytest.raises(UnavailableError, match="another key than the one pinned"):
        reading.sealed_to(Seating(pins=pins))
