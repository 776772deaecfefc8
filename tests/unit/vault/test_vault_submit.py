# SPDX-License-Identifier: Apache-2.0
"""Entries submitted together: one batch of the log, each with an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Name, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry, RevokeEntry
from incamera.sealing.keys import SigningKey
from incamera.tlog import FolderFetch
from incamera.tlog.storage import Batch
from incamera.vault import RefusedError, Vault
from world import World, quick_folder


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


def test_each_has_its_own_answer_and_the_log_one_batch(world: World, vault: Vault) -> None:
    """Good ones get their indices; rubbish, a forgery, what was said before: their own."""
    capsule = world.capsule()
    before = vault.submit(world.leaf([capsule]))
    old = world.entries()[before]
    fresh = [world.leaf([capsule]) for _ in range(3)]
    revoked = RevokeEntry(**world.facts(), role="reader", name=Name("club"), reason="x")
    forged = encode(revoked, SigningKey.generate())
    answers = vault.submit_all([fresh[0], b"rubbish", old, fresh[1], forged, fresh[1], fresh[2]])
    kinds = [type(each) for each in answers]
    assert kinds == [int, InputError, int, int, IntegrityError, int, int]
    assert answers[2] == before
    assert answers[3] == answers[5]
    entries = world.entries()
    for entry, at in zip(fresh, (answers[0], answers[3], answers[6]), strict=True):
        assert isinstance(at, int)
        assert entries[at] == entry
    assert Batch.read(world.logs.state / "batch") == Batch(before + 1, tuple(fresh))


def test_two_that_contradict_each_other_cannot_both_be_answered(world: World, vault: Vault) -> None:
    """The second enrolment with the first one's key has no effect, and its sender is told."""
    key = SigningKey.generate().public
    one = world.party("car", "car-8", "private", "DE", key)
    two = world.party("car", "car-9", "private", "DE", key)
    first, second = vault.submit_all([one, two])
    assert isinstance(first, int)
    assert isinstance(second, InputError)
    assert world.state().party("car", "car-8") is not None
    assert world.state().party("car", "car-9") is None


def test_without_a_quorum_nobody_is_answered_yes(world: World, vault: Vault) -> None:
    """Those that stand already are; the others are unavailable, and stand once asked again."""
    capsule = world.capsule()
    old, new = world.leaf([capsule]), [world.leaf([capsule]), world.leaf([capsule])]
    at = vault.submit(old)
    for witness in world.logs.witnesses:
        witness.down = True
    answers = vault.submit_all([old, *new])
    assert answers[0] == at
    assert all(isinstance(each, UnavailableError) for each in answers[1:])
    for witness in world.logs.witnesses:
        witness.down = False
    again = vault.submit_all(new)
    assert not any(isinstance(each, Error) for each in again)
    assert sorted(world.entries().count(each) for each in new) == [1, 1]


def test_one_alone_is_answered_or_raises(world: World, vault: Vault) -> None:
    """The same rules as together."""
    leaf = world.leaf([world.capsule()])
    assert vault.submit(leaf) == vault.submit(leaf)
    reserved = CapsuleEntry(**world.facts(), capsule=digest(b"never seen"))
    with pytest.raises(RefusedError, match="reserved"):
        vault.submit(encode(reserved, world.vault))
