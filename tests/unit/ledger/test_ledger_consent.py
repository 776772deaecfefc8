# SPDX-License-Identifier: Apache-2.0
"""Consent tokens: who may give one, for which car, when it holds, and what a damaged one is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from incamera.encoding import canonical, parse_canonical
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.consent import (
    CONSENT_TYPE,
    Consent,
    ConsentError,
    check_consent,
    open_consent,
)
from incamera.ledger.state import State
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey, key_id
from world import World
from world_tlog import START


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A region with the owner ada and one car."""
    return World(tmp_path_factory.mktemp("world"))


def given(world: World, **change: object) -> Consent:
    """What ada allows her car."""
    plain = Consent(
        region=Region("eu"),
        owner=Name("ada"),
        car=key_id(world.car.public),
        purposes=(Name("mapping"), Name("perception")),
        not_before=START,
        expires=START + 3_600,
        parked=False,
        nonce=bytes(16),
    )
    return replace(plain, **change)  # type: ignore[arg-type]


def refusal(world: World, data: bytes, now: int = START, state: State | None = None) -> str:
    """The code with which a token is refused; empty if it holds."""
    token, car = open_consent(data), key_id(world.car.public)
    try:
        check_consent(token, state or world.state(), owner=Name("ada"), car=car, now=now)
    except ConsentError as error:
        return error.code
    return ""


def test_a_token_says_what_was_given_and_holds_in_its_time(world: World) -> None:
    """Sealed and opened it is the same, its id the SHA-256 of its bytes; at its end it is over."""
    consent = given(world)
    data = consent.seal(world.owner.signing)
    assert open_consent(data).consent == consent
    assert open_consent(data).digest == digest(data)
    times = (START - 1, START, START + 3_599, START + 3_600)
    assert [refusal(world, data, now) for now in times] == ["early", "", "", "expired"]


def test_a_token_for_another_car_region_or_owner_allows_nothing(world: World) -> None:
    """Each is refused by its code, though the signature holds."""
    cases: tuple[tuple[dict[str, object], str], ...] = (
        ({"car": Digest("0" * 64)}, "foreign"),
        ({"region": Region("us")}, "foreign"),
        ({"owner": Name("bob")}, "owner"),
    )
    for change, code in cases:
        assert refusal(world, given(world, **change).seal(world.owner.signing)) == code


def test_only_the_key_that_the_owner_has_now_gives_consent(tmp_path: Path) -> None:
    """A stranger's signature, and the owner's own after the enrolment ended, give none."""
    world = World(tmp_path)
    data = given(world).seal(world.owner.signing)
    with pytest.raises(IntegrityError):
        refusal(world, given(world).seal(SigningKey.generate()))
    assert refusal(world, data) == ""
    world.revoke("owner", "ada")
    assert refusal(world, data) == "owner"


def test_a_damaged_or_odd_token_is_refused_by_name(world: World) -> None:
    """A flipped byte, a missing field, unsorted purposes, an empty span: never a default."""
    data = given(world).seal(world.owner.signing)
    plain = parse_canonical(open_envelope(data, "consent").payload, "consent")
    cases: tuple[dict[str, object], ...] = (
        {"v": 2},
        {"parked": 1},
        {"purposes": []},
        {"purposes": ["perception", "mapping"]},
        {"expires": START},
        {"nonce": "00"},
        {"more": 1},
    )
    for change in cases:
        odd = seal_envelope(canonical(plain | change), CONSENT_TYPE, world.owner.signing)
        with pytest.raises(InputError):
            open_consent(odd)
    with pytest.raises(InputError):
        given(world, purposes=()).seal(world.owner.signing)
    flipped = data.replace(b'"sig":"', b'"sig":"A', 1)
    with pytest.raises(InputError):
        open_consent(flipped)
