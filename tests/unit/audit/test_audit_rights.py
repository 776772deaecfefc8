# SPDX-License-Identifier: Apache-2.0
"""What an outsider finds of owners' rights that were not kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.audit import audit
from incamera.ids import Name, digest
from incamera.ledger.codec import capsule_list
from incamera.ledger.entries import ErasureEntry, GrantEntry, WithdrawEntry
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule
from incamera.tlog import FolderFetch
from incamera.trustee.keyring import Keyring
from world import World, quick_folder

CONSENT = digest(b"a consent token")


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own."""
    with quick_folder() as folder:
        yield World(folder)


def stored(world: World, capsule: Capsule) -> Path:
    """The vault's folder, with that capsule in it."""
    blobs = world.home / "blobs"
    (blobs / capsule.digest[:2]).mkdir(parents=True)
    shutil.copy(capsule.path, blobs / capsule.digest[:2] / capsule.digest)
    return blobs


def found(world: World, blobs: Path | None = None) -> list[tuple[str, str]]:
    """Severity and text of each finding."""
    fetch = FolderFetch(world.public)
    report = audit(fetch, world.logs.policy.text, world.clock, blobs=blobs)
    return [(each.severity, each.what) for each in report.findings]


def grant(world: World, leaf: bytes, capsule: Capsule) -> None:
    """A grant entry made by hand: the trustee's own software would refuse."""
    named = capsule_list([capsule.digest])[1]
    said = {"trustee": Name("is"), "request": leaf_digest(leaf), "capsules": named.digest}
    entry = GrantEntry(**world.facts(), **said, count=1)  # type: ignore[arg-type]
    world.say(entry, Keyring(world.home / "is").signing)


def withdraw(world: World) -> None:
    """The owner takes the consent back."""
    entry = WithdrawEntry(**world.facts(), owner=Name("ada"), consents=(CONSENT,), cars=())
    world.say(entry, world.owner.signing)


def test_a_grant_after_the_consent_was_withdrawn_is_an_error(world: World) -> None:
    """Where the headers are at hand; a grant before it is none."""
    capsule = world.capsule(consent=CONSENT)
    blobs = stored(world, capsule)
    leaf, _ = world.request([capsule])
    grant(world, leaf, capsule)
    withdraw(world)
    assert not any("withdrawn the consent" in what for _, what in found(world, blobs))
    grant_anew, _ = world.request([capsule])
    grant(world, grant_anew, capsule)
    said = [each for each in found(world, blobs) if "withdrawn the consent" in each[1]]
    assert [severity for severity, _ in said] == ["error"]


def test_an_erasure_by_the_vault_ahead_of_the_witnesses_is_a_warning(world: World) -> None:
    """It says that something had expired at a time that had not come yet."""
    capsules = [world.capsule(bytes([n])).digest for n in range(2)]
    for name, ahead in zip(capsules, (0, 900), strict=True):
        facts = world.facts() | {"time": world.clock.now() + ahead}
        entry = ErasureEntry(**facts, capsules=(name,), by="vault", name="", reason="expired")
        world.say(entry, world.vault)
    warned = [what for severity, what in found(world) if severity == "warning"]
    assert len(warned) == 1
    assert "900 s ahead of the witnesses" in warned[0]
