# SPDX-License-Identifier: Apache-2.0
"""A consent that was withdrawn is the end of reads, not only of recordings."""

from __future__ import annotations

import pytest

from incamera.ids import Digest, Name, digest
from incamera.ledger.entries import WithdrawEntry
from incamera.sealing.keys import SigningKey
from incamera.trustee.rules import RefusedError
from world import Member, World

CONSENT = digest(b"a consent token")


def withdraw(world: World, owner: str, key: SigningKey, *consents: Digest) -> None:
    """An owner takes consents back."""
    said = tuple(sorted(consents))
    world.say(WithdrawEntry(**world.facts(), owner=Name(owner), consents=said, cars=()), key)


def test_a_withdrawn_consent_ends_reads(world: World) -> None:
    """Asked before or after it, for what was admitted before; another consent's go on."""
    capsule, other = world.capsule(consent=CONSENT), world.capsule(b"b", consent=digest(b"other"))
    asked, at = world.request([capsule])
    withdraw(world, "ada", world.owner.signing, CONSENT)
    late, after = world.request([capsule])
    for leaf, index in ((asked, at), (late, after)):
        with pytest.raises(RefusedError, match="withdrew the consent") as caught:
            world.decide("ch", leaf, index, capsule)
        assert caught.value.code == "consent-withdrawn"
    assert {each.code for each in world.state().refusals()} == {"consent-withdrawn"}
    leaf, index = world.request([other])
    assert world.decide("ch", leaf, index, other).shares


def test_an_older_consent_is_withdrawn_by_the_digest_of_its_id(world: World) -> None:
    """Headers of before named consents by other texts than digests."""
    capsule = world.capsule(consent="consent-7")
    withdraw(world, "ada", world.owner.signing, digest(b"consent-7"))
    leaf, index = world.request([capsule])
    with pytest.raises(RefusedError, match="withdrew the consent"):
        world.decide("ch", leaf, index, capsule)


def test_attack_another_owner_withdraws_the_consent(world: World) -> None:
    """It touches what is sealed to the one who signed, and nothing else."""
    eve = Member()
    opens = eve.opening.public
    world.append(world.party("owner", "eve", "private", "DE", eve.signing.public, opening=opens))
    capsule = world.capsule(consent=CONSENT)
    withdraw(world, "eve", eve.signing, CONSENT)
    leaf, index = world.request([capsule])
    assert world.decide("ch", leaf, index, capsule).shares


def test_attack_shares_once_granted_asked_for_again_after_the_withdrawal(world: World) -> None:
    """A trustee gives out again what it gave out before, but not against the owner's word."""
    capsule = world.capsule(consent=CONSENT)
    leaf, index = world.request([capsule])
    assert world.decide("ch", leaf, index, capsule).shares
    withdraw(world, "ada", world.owner.signing, CONSENT)
    with pytest.raises(RefusedError, match="withdrew the consent"):
        world.decide("ch", leaf, index, capsule)
