# SPDX-License-Identifier: Apache-2.0
"""Keys that end, shares that pass on, demands: what each entry does, and who may say it."""

from __future__ import annotations

from typing import Any

import pytest

from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import (
    AcceptEntry,
    CapsuleList,
    DemandEntry,
    DestroyEntry,
    Entry,
    EpochEntry,
    PartyEntry,
    RegionEntry,
    ReshareEntry,
    Seat,
    SuccessionEntry,
)
from incamera.ledger.state import State
from incamera.sealing.keys import OpeningKey, SigningKey

T = 1_800_000_000
LISTED = CapsuleList(digest(b"a list"), 65, 1)
FILE = digest(b"a file")
COUNTRIES = {"ch": "CH", "is": "IS", "uy": "UY", "zh": "CH"}


class Book:
    """A region whose four trustees (two of them in one country) each have epoch 1."""

    def __init__(self) -> None:
        self.state = State()
        self.operator, self.vault = SigningKey.generate(), SigningKey.generate()
        self.keys = {name: SigningKey.generate() for name in COUNTRIES}
        self.openings = {name: OpeningKey.generate().public for name in COUNTRIES}
        self.said: dict[str, Any] = {"region": Region("eu"), "time": T}
        founding = RegionEntry(
            **self.said,
            operator_key=self.operator.public,
            vault_key=self.vault.public,
            log_policy=FILE,
            threshold=2,
            notice=60,
            retention=30,
            quota=10,
        )
        assert self.say(founding) == ""
        for name in COUNTRIES:
            assert self.say(self.party(name)) == ""
            assert self.say(self.epoch(name), self.keys[name]) == ""

    def say(self, entry: Entry, key: SigningKey | None = None) -> str:
        """Apply one entry: empty, or why it has no effect."""
        data = encode(entry, key or self.operator)
        finding = self.state.apply(self.state.size, data, T + self.state.size)
        return finding.text if finding else ""

    def party(self, name: str) -> PartyEntry:
        """A trustee's enrolment."""
        return PartyEntry(
            **self.said,
            role="trustee",
            name=Name(name),
            kind=Name("trustee"),
            country=COUNTRIES[name],
            key=self.keys[name].public,
            opening=b"",
        )

    def epoch(self, name: str) -> EpochEntry:
        """Its first opening key."""
        said: dict[str, Any] = {"trustee": Name(name), "epoch": 1, "key": self.openings[name]}
        return EpochEntry(**self.said, **said, not_before=T, not_after=T + 9)

    def destroy(self, name: str, epoch: int = 1, of: str | None = None) -> DestroyEntry:
        """The end of that key."""
        key = digest(self.openings[of or name])
        return DestroyEntry(**self.said, trustee=Name(name), epoch=epoch, key=key)

    def succession(self, number: int, *names: str, **change: Any) -> SuccessionEntry:
        """A new set."""
        facts: dict[str, Any] = {
            "source": 0,
            "threshold": 2,
            "seats": tuple(Seat(Name(name), 1) for name in names),
            "capsules": LISTED,
            "reason": "",
        }
        return SuccessionEntry(**self.said, number=number, **facts | change)

    def reshare(self, name: str, number: int = 1, file: Digest = FILE) -> str:
        """A trustee deals."""
        entry = ReshareEntry(**self.said, trustee=Name(name), succession=number, dealing=file)
        return self.say(entry, self.keys[name])

    def accept(self, name: str, number: int = 1) -> str:
        """A trustee of the new set combines."""
        entry = AcceptEntry(**self.said, trustee=Name(name), succession=number, commitments=FILE)
        return self.say(entry, self.keys[name])


@pytest.fixture
def book() -> Book:
    """A region with trustees."""
    return Book()


def test_a_trustee_says_once_that_its_key_is_gone(book: Book) -> None:
    """Only the trustee itself, only of a key it announced, and once."""
    assert "signed by another key" in book.say(book.destroy("ch"), book.keys["is"])
    assert "no such key" in book.say(book.destroy("ch", epoch=2), book.keys["ch"])
    assert "no such key" in book.say(book.destroy("ch", of="is"), book.keys["ch"])
    assert book.state.destroyed("ch", 1) is None
    assert book.say(book.destroy("ch"), book.keys["ch"]) == ""
    gone = book.state.destroyed("ch", 1)
    assert gone is not None
    assert (gone.trustee, gone.epoch, gone.index) == ("ch", 1, book.state.size - 1)
    assert "said before" in book.say(
        DestroyEntry(region=Region("eu"), time=0, trustee=Name("ch"), epoch=1, key=book_key(book)),
        book.keys["ch"],
    )


def book_key(book: Book) -> Digest:
    """The digest of ch's key."""
    return digest(book.openings["ch"])


def test_a_new_set_is_named_by_the_operator_with_keys_that_stand(book: Book) -> None:
    """Numbered without a gap, seated with keys that are there, no country holding the threshold."""
    assert "1 comes next" in book.say(book.succession(2, "ch", "is"))
    assert "signed by another key" in book.say(book.succession(1, "ch", "is"), book.keys["ch"])
    assert "CH alone" in book.say(book.succession(1, "ch", "zh", "is"))
    assert "no threshold" in book.say(book.succession(1, "ch", "is", threshold=3))
    seats = (Seat(Name("ch"), 2), Seat(Name("is"), 1))
    assert "no key for epoch 2" in book.say(book.succession(1, seats=seats))
    assert book.say(book.destroy("uy"), book.keys["uy"]) == ""
    assert "no key for epoch 1" in book.say(book.succession(1, "ch", "uy"))
    assert list(book.state.successions()) == []
    assert book.say(book.succession(1, "ch", "is")) == ""
    kept = book.state.succession(1)
    assert kept is not None
    assert kept.entry.seats == (Seat(Name("ch"), 1), Seat(Name("is"), 1))
    assert "a later one" in book.say(book.succession(2, "ch", "is", source=2))
    assert book.say(book.succession(2, "ch", "is", source=1)) == ""


def test_shares_pass_on_in_the_order_of_the_log(book: Book) -> None:
    """Each old trustee deals once, each new one accepts once, and only after two have dealt."""
    assert "no succession 1" in book.reshare("ch")
    assert book.say(book.succession(1, "is", "uy")) == ""
    assert book.reshare("uy") == ""
    assert "fewer than two" in book.accept("is")
    assert book.reshare("ch") == ""
    assert "said before" in book.reshare("ch", file=digest(b"another deal"))
    assert [each.trustee for each in book.state.reshared(1)] == ["uy", "ch"]
    assert "no seat" in book.accept("ch")
    assert book.accept("is") == ""
    assert [each.file for each in book.state.accepted(1)] == [FILE]


def test_only_who_has_shares_of_a_succession_passes_them_on(book: Book) -> None:
    """For shares that were passed on before, the log itself tells who holds them."""
    assert book.say(book.succession(1, "is", "uy")) == ""
    assert book.say(book.succession(2, "ch", "is", source=1)) == ""
    assert "no seat in succession 1" in book.reshare("ch", 2)
    assert book.reshare("uy", 2) == ""


def test_every_step_of_a_demand_stays(book: Book) -> None:
    """The operator alone tells; a later outcome stands beside the earlier one."""
    facts: dict[str, Any] = {
        "reference": Name("de-7"),
        "authority": "Amtsgericht Musterstadt",
        "country": "DE",
        "date": "2026-11-02",
        "scope": FILE,
    }
    first = DemandEntry(**book.said, **facts, outcome="pending")
    assert "signed by another key" in book.say(first, book.keys["ch"])
    assert book.say(first) == ""
    assert book.say(DemandEntry(**book.said, **facts, outcome="refused")) == ""
    assert [each.entry.outcome for each in book.state.demands()] == ["pending", "refused"]
