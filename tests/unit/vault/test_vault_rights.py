# SPDX-License-Identifier: Apache-2.0
"""What an owner took back, at the vault: withdrawn consents, retired keys, and who sees what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.ids import Name, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import ErasureEntry, WithdrawEntry
from incamera.ledger.rights import retire
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey
from incamera.tlog import FolderFetch
from incamera.vault import RefusedError, Vault
from world import EU, Member, World, quick_folder

CONSENT = digest(b"a consent token")


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own."""
    with quick_folder() as folder:
        yield World(folder)


@pytest.fixture
def vault(world: World) -> Iterator[Vault]:
    """Its vault."""
    public = FolderFetch(world.public)
    opened = Vault(world.home / "vault", world.vault, world.logs.log, public, world.clock)
    yield opened
    opened.close()


def withdrawal(world: World, key: SigningKey, **change: Any) -> bytes:
    """Of the one consent, as ada's."""
    said: dict[str, Any] = {"owner": Name("ada"), "consents": (CONSENT,), "cars": ()} | change
    return encode(WithdrawEntry(**world.facts(), **said), key)


def refusal(vault: Vault, path: Path) -> str:
    """The code under which a capsule is refused."""
    with pytest.raises(RefusedError) as caught:
        vault.admit(path)
    return caught.value.code


def test_nothing_comes_in_under_a_withdrawn_consent(world: World, vault: Vault) -> None:
    """Sealed before or after; what was admitted before stays, and another consent is fine."""
    before = world.seal(consent=CONSENT)
    vault.admit(before)
    late = world.seal(consent=CONSENT)
    vault.submit(withdrawal(world, world.owner.signing))
    assert refusal(vault, late) == "consent-withdrawn"
    assert refusal(vault, world.seal(consent=CONSENT)) == "consent-withdrawn"
    vault.admit(world.seal(consent=digest(b"another")))
    row = vault.row(read_capsule(before).digest)
    assert row is not None
    assert row.status == "kept"
    assert vault.admit(before)  # whose receipt was lost asks for it again


def test_attack_a_withdrawal_of_somebody_elses_consent(world: World, vault: Vault) -> None:
    """Forged it does not enter the log; signed by another owner it touches that owner alone."""
    eve = Member()
    opens = eve.opening.public
    vault.submit(world.party("owner", "eve", "private", "DE", eve.signing.public, opening=opens))
    with pytest.raises(IntegrityError, match="signed by another key"):
        vault.submit(withdrawal(world, eve.signing))
    vault.submit(withdrawal(world, eve.signing, owner=Name("eve")))
    vault.admit(world.seal(consent=CONSENT))


def test_attack_a_withdrawal_replayed(world: World, vault: Vault) -> None:
    """The same bytes are the same entry, and nothing that was consented to anew is undone."""
    entry = withdrawal(world, world.owner.signing)
    index = vault.submit(entry)
    assert vault.submit(entry) == index
    vault.admit(world.seal(consent=digest(b"a token given later")))


def test_a_sold_car_is_refused(world: World, vault: Vault) -> None:
    """Its old key is dead, whatever consent it names and whomever it seals to."""
    vault.admit(world.seal())
    eve = Member()
    stolen = withdrawal(
        world, eve.signing, owner=Name("eve"), cars=(retire(world.car, EU, Name("ada")),)
    )
    with pytest.raises((InputError, IntegrityError)):
        vault.submit(stolen)
    sold = (retire(world.car, EU, Name("ada")),)
    vault.submit(withdrawal(world, world.owner.signing, consents=(), cars=sold))
    assert refusal(vault, world.seal(consent=digest(b"any"))) == "revoked"
    new = SigningKey.generate()
    vault.submit(world.party("car", "car-7", "private", "DE", new.public))
    vault.admit(world.seal(car=new))


def test_attack_erasing_what_is_anothers(world: World, vault: Vault) -> None:
    """Neither in one's own name, nor in hers, nor in the vault's, nor among one's own."""
    path = world.seal()
    vault.admit(path)
    name = read_capsule(path).digest
    eve = Member()
    opens = eve.opening.public
    vault.submit(world.party("owner", "eve", "private", "DE", eve.signing.public, opening=opens))
    said: dict[str, Any] = {**world.facts(), "capsules": (name,), "reason": ""}
    with pytest.raises(RefusedError, match="not-owner"):
        vault.submit(encode(ErasureEntry(**said, by="owner", name="eve"), eve.signing))
    for forged in (
        ErasureEntry(**said, by="owner", name="ada"),
        ErasureEntry(**said, by="operator", name=""),
        ErasureEntry(**said, by="vault", name=""),
    ):
        with pytest.raises(IntegrityError, match="signed by another key"):
            vault.submit(encode(forged, eve.signing))
    row = vault.row(name)
    assert row is not None
    assert row.status == "kept"


def test_an_owner_sees_and_erases_under_a_new_key_and_not_under_the_old(
    world: World, vault: Vault
) -> None:
    """The enrolment that stands counts; what was sealed before stays hers."""
    path = world.seal()
    vault.admit(path)
    name = read_capsule(path).digest
    old, world.owner = world.owner, Member()
    keys = (world.owner.signing.public, world.owner.opening.public)
    vault.submit(world.party("owner", "ada", "private", "DE", keys[0], opening=keys[1]))
    said: dict[str, Any] = {**world.facts(), "capsules": (name,), "reason": ""}
    entry = ErasureEntry(**said, by="owner", name="ada")
    with pytest.raises(IntegrityError, match="signed by another key"):
        vault.submit(encode(entry, old.signing))
    vault.submit(encode(entry, world.owner.signing))
    row = vault.row(name)
    assert row is not None
    assert row.status == "erased"
