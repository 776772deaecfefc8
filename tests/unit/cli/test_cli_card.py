# SPDX-License-Identifier: Apache-2.0
"""Cards: what a party says of itself, signed by the key it says it of."""

from __future__ import annotations

import base64
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from incamera.cli.card import CARD, CARD_TYPE, Card, CardRole, read_card
from incamera.cli.party import PartyPlan, make_party, party_key
from incamera.clock import FixedClock
from incamera.encoding import canonical
from incamera.errors import Error, InputError, IntegrityError
from incamera.ids import Name, Region
from incamera.ledger.codec import decode
from incamera.ledger.entries import EpochEntry
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import SigningKey

CLOCK = FixedClock(1_800_000_000)
ROLES: tuple[CardRole, ...] = (
    *("witness", "log", "vault", "trustee", "reader", "owner", "car", "operator"),
)


def plan(role: CardRole, name: str = "x", *, country: str = "DE", port: int = 7001) -> PartyPlan:
    served = role in ("witness", "log", "vault", "trustee")
    url = f"http://127.0.0.1:{port}" if served else ""
    return PartyPlan(role, Name(name), Name(role), country, url, Region("eu"))


@pytest.mark.parametrize("role", ROLES)
def test_a_party_makes_its_keys_and_a_card_that_reads_back(role: CardRole, tmp_path: Path) -> None:
    """Private files are 0600, in a folder of 0700, and the card is signed by the party's key."""
    made = make_party(tmp_path / "x", plan(role), CLOCK)
    card, data = read_card(tmp_path / "x")
    assert card == made == Card.open(data, "again")
    assert card.key == party_key(tmp_path / "x", role).public
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o700
    secrets = list((tmp_path / "x").rglob("*.key"))
    assert secrets
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secrets)


def test_made_again_a_card_has_the_same_keys_and_the_new_address(tmp_path: Path) -> None:
    """A party that moves keeps its keys; a log keeps its name."""
    first = make_party(tmp_path / "v", plan("vault"), CLOCK)
    second = make_party(tmp_path / "v", plan("vault", port=7002), CLOCK)
    assert replace(second, url=first.url) == first
    assert second.url.endswith(":7002")
    make_party(tmp_path / "log", plan("log"), CLOCK)
    with pytest.raises(InputError, match="its name cannot change"):
        make_party(tmp_path / "log", plan("log", port=7002), CLOCK)


def test_a_trustees_card_announces_its_first_epoch(tmp_path: Path) -> None:
    """The entry is signed by the trustee and is of its region."""
    card = make_party(tmp_path / "t", plan("trustee", "de"), CLOCK)
    signed = decode(card.entry, "epoch")
    signed.envelope.verify(card.key)
    assert isinstance(signed.entry, EpochEntry)
    assert (signed.entry.region, signed.entry.trustee, signed.entry.epoch) == ("eu", "de", 1)


def test_a_card_of_somebody_elses_key_is_refused(tmp_path: Path) -> None:
    """Who does not hold the key cannot hand it in under his name."""
    victim = make_party(tmp_path / "a", plan("reader", "acme"), CLOCK)
    forged = replace(victim, name=Name("thief")).seal(SigningKey.generate())
    with pytest.raises(IntegrityError, match="signed by another key"):
        Card.open(forged, "card")


def test_every_altered_character_of_a_card_is_seen(tmp_path: Path) -> None:
    """No byte of the file can change."""
    make_party(tmp_path / "a", plan("witness"), CLOCK)
    data = (tmp_path / "a" / CARD).read_bytes()
    for place in range(0, len(data), 7):
        altered = bytearray(data)
        altered[place] ^= 1
        with pytest.raises(Error):
            Card.open(bytes(altered), "card")


@pytest.mark.parametrize(
    ("role", "field", "value"),
    [
        ("reader", "role", "king"),
        ("reader", "name", "Not a name"),
        ("reader", "country", ""),
        ("reader", "country", "Germany"),
        ("reader", "url", "http://127.0.0.1"),
        ("reader", "opening", ""),
        ("reader", "opening", base64.b64encode(bytes(1216)).decode()),
        ("reader", "vkey", "x+00000000+AA=="),
        ("reader", "entry", base64.b64encode(b"{}").decode()),
        ("reader", "time", -1),
        ("witness", "vkey", ""),
        ("witness", "vkey", "nonsense"),
        ("witness", "url", ""),
        ("witness", "url", "ftp://x"),
        ("witness", "url", 7),
        ("trustee", "entry", ""),
        ("witness", "extra", 1),
    ],
)
def test_what_does_not_belong_on_a_card_is_refused(
    role: CardRole, field: str, value: object, tmp_path: Path
) -> None:
    """Each field has its bounds, and each role its fields, whoever signed."""
    make_party(tmp_path / "x", plan(role), CLOCK)
    envelope = json.loads((tmp_path / "x" / CARD).read_bytes())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload[field] = value
    data = seal_envelope(canonical(payload), CARD_TYPE, party_key(tmp_path / "x", role))
    with pytest.raises(InputError):
        Card.open(data, "card")


def test_a_witness_cannot_show_anothers_vkey(tmp_path: Path) -> None:
    """The vkey on a card is of the key that signed it."""
    one = make_party(tmp_path / "1", plan("witness", "w1"), CLOCK)
    other = make_party(tmp_path / "2", plan("witness", "w2"), CLOCK)
    data = replace(one, vkey=other.vkey).seal(party_key(tmp_path / "1", "witness"))
    with pytest.raises(IntegrityError, match="not the key that signed the card"):
        Card.open(data, "card")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PartyPlan("vault", Name("v"), Name("v"), "", "", None), "say where"),
        (PartyPlan("reader", Name("r"), Name("r"), "", "", None), "a reader sits .* say where"),
        (PartyPlan("owner", Name("o"), Name("o"), "", "", None), "an owner sits .* say where"),
        (PartyPlan("trustee", Name("t"), Name("t"), "DE", "http://x", None), "for one region"),
    ],
)
def test_what_a_party_forgot_to_say_is_named(given: PartyPlan, said: str, tmp_path: Path) -> None:
    """Before any key is made."""
    with pytest.raises(InputError, match=said):
        make_party(tmp_path / "x", given, CLOCK)
    assert not (tmp_path / "x").exists()
