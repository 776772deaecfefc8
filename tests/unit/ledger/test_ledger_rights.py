# SPDX-License-Identifier: Apache-2.0
"""What an owner takes back: who may say it, what follows, and what attackers try with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import Entry, ErasureEntry, PartyEntry, RegionEntry, WithdrawEntry
from incamera.ledger.rights import consent_digest, open_retirement, retire
from incamera.ledger.state import State
from incamera.sealing.keys import OpeningKey, SigningKey, key_id

T = 1_800_000_000
EU = Region("eu")
ADA, EVE = Name("ada"), Name("eve")
CONSENT = digest(b"a consent token")


class Book:
    """A region with two owners, ada and eve, and two cars."""

    def __init__(self) -> None:
        self.state = State()
        self.operator, self.vault = SigningKey.generate(), SigningKey.generate()
        self.keys = {name: SigningKey.generate() for name in ("ada", "eve", "car-1", "car-2")}
        self.openings = {name: OpeningKey.generate() for name in ("ada", "eve")}
        self.said: dict[str, Any] = {"region": EU, "time": T}
        founding = RegionEntry(
            **self.said,
            operator_key=self.operator.public,
            vault_key=self.vault.public,
            log_policy=CONSENT,
            threshold=2,
            notice=60,
            retention=30,
            quota=10,
        )
        assert self.say(founding, self.operator) == ""
        for name in self.keys:
            assert self.say(self.party(name), self.operator) == ""

    def party(self, name: str) -> PartyEntry:
        """An enrolment."""
        role: Any = "car" if name.startswith("car") else "owner"
        opening = self.openings[name].public if role == "owner" else b""
        return PartyEntry(
            **self.said,
            role=role,
            name=Name(name),
            kind=Name("private"),
            country="DE",
            key=self.keys[name].public,
            opening=opening,
        )

    def say(self, entry: Entry, key: SigningKey) -> str:
        """Apply one entry: empty, or why it has no effect."""
        finding = self.state.apply(self.state.size, encode(entry, key), T)
        return finding.text if finding else ""

    def withdrawal(self, owner: Name = ADA, cars: tuple[bytes, ...] = ()) -> WithdrawEntry:
        """Of the one consent, and of cars."""
        return WithdrawEntry(**self.said, owner=owner, consents=(CONSENT,), cars=cars)

    def withdrawn(self, owner: str) -> int | None:
        """Whether the consent is withdrawn for what is sealed to ``owner``."""
        return self.state.withdrawn(CONSENT, self.openings[owner].key_id)


@pytest.fixture
def book() -> Book:
    """A fresh region."""
    return Book()


def test_a_consent_is_withdrawn_for_its_own_owner_alone(book: Book) -> None:
    """Whatever digest an attacker names, nothing that is sealed to somebody else is touched."""
    assert book.say(book.withdrawal(EVE), book.keys["eve"]) == ""
    assert book.withdrawn("ada") is None
    at = book.state.size
    assert book.say(book.withdrawal(), book.keys["ada"]) == ""
    assert book.withdrawn("ada") == at
    assert [each.owner for each in book.state.withdrawals()] == [EVE, ADA]


def test_a_withdrawal_is_the_owners_to_sign(book: Book) -> None:
    """Neither another owner, nor the operator, nor the vault says it for her."""
    for forger in (book.keys["eve"], book.operator, book.vault, book.keys["car-1"]):
        assert "signed by another key" in book.say(book.withdrawal(), forger)
    assert book.withdrawn("ada") is None
    stranger = replace(book.withdrawal(), owner=Name("nobody"))
    assert "no owner nobody is enrolled" in book.say(stranger, book.keys["ada"])


def test_a_withdrawal_holds_for_keys_that_the_owner_changed_since(book: Book) -> None:
    """What was sealed to her former opening key was recorded under the same consent."""
    former = book.openings["ada"].key_id
    book.openings["ada"] = OpeningKey.generate()
    assert book.say(book.party("ada"), book.operator) == ""
    assert book.say(book.withdrawal(), book.keys["ada"]) == ""
    assert book.state.withdrawn(CONSENT, former) == book.withdrawn("ada") is not None


def test_a_car_ends_by_its_own_word_at_its_owners(book: Book) -> None:
    """Its key is nobody's from that entry on, was a car's before, and never comes back."""
    car = book.keys["car-1"]
    at = book.state.size
    assert book.say(book.withdrawal(ADA, (retire(car, EU, ADA),)), book.keys["ada"]) == ""
    assert book.state.holder(car.public) is None
    before = book.state.holder(car.public, at=at - 1)
    assert before is not None
    assert before.name == "car-1"
    assert book.state.holder(book.keys["car-2"].public) is not None
    anew = replace(book.party("car-1"), time=T + 1)
    assert "was used before" in book.say(anew, book.operator)
    said = {(each.kind, each.digest) for each in book.state.withdrawals()}
    assert said == {("consent", CONSENT), ("car", key_id(car.public))}


def test_no_car_ends_without_its_own_word_for_this_owner(book: Book) -> None:
    """Somebody else's retirement, another region's, one of another key: the cars go on."""
    car, eve = book.keys["car-1"], book.keys["eve"]
    for data in (retire(car, EU, ADA), retire(car, Region("us"), EVE)):
        assert "the retirement is for" in book.say(book.withdrawal(EVE, (data,)), eve)
    forged = retire(eve, EU, EVE)
    assert "no car is enrolled" in book.say(book.withdrawal(EVE, (forged,)), eve)
    assert book.state.holder(car.public) is not None


def test_a_retirement_is_signed_by_the_key_it_is_about() -> None:
    """Who does not have the car's key cannot end it."""
    car, other = SigningKey.generate(), SigningKey.generate()
    data = retire(car, EU, ADA)
    assert open_retirement(data, "it").key == car.public
    mixed = retire(other, EU, ADA).partition(b'"signatures"')[2]
    swapped = data.partition(b'"signatures"')[0] + b'"signatures"' + mixed
    with pytest.raises((InputError, IntegrityError)):
        open_retirement(swapped, "it")
    with pytest.raises(InputError):
        open_retirement(data[:-1], "it")


def test_a_withdrawal_said_twice_is_a_repeat(book: Book) -> None:
    """Replayed by anybody, or said anew of the same: nothing changes."""
    entry = book.withdrawal()
    assert book.say(entry, book.keys["ada"]) == ""
    at = book.withdrawn("ada")
    assert "the same bytes" in book.say(entry, book.keys["ada"])
    assert "said before" in book.say(replace(entry, time=T + 9), book.keys["ada"])
    assert book.withdrawn("ada") == at
    nothing = replace(entry, consents=())
    assert "withdraws nothing" in book.say(nothing, book.keys["ada"])


def test_the_vault_may_erase_and_names_nobody(book: Book) -> None:
    """Retention: the vault's own key, no owner's name, and no other key in its place."""
    capsules = (digest(b"a header"),)
    entry = ErasureEntry(**book.said, capsules=capsules, by="vault", name="", reason="expired")
    for forger in (book.operator, book.keys["ada"]):
        assert "signed by another key" in book.say(entry, forger)
    assert "names no owner" in book.say(replace(entry, name="ada"), book.vault)
    assert book.say(entry, book.vault) == ""
    erased = book.state.erased(capsules[0])
    assert erased is not None
    assert (erased.by, erased.name) == ("vault", "")


def test_older_consents_have_a_digest_too() -> None:
    """A token is named by its digest; an id as older headers have it, by the digest of the id."""
    assert consent_digest(CONSENT) == CONSENT
    assert consent_digest("consent-7") == digest(b"consent-7") != Digest("consent-7")
