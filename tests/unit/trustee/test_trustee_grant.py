# SPDX-License-Identifier: Apache-2.0
"""What a trustee remembers, and what becomes of a grant when something fails half-way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from incamera.errors import InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import digest
from incamera.ledger.codec import capsule_list, decode
from incamera.ledger.entries import CapsuleEntry, GrantEntry
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.header import HEADER_TYPE
from incamera.sealing.keys import OpeningKey
from incamera.trustee import Keyring
from incamera.trustee.memory import Memory
from world import World


def test_two_of_three_trustees_open_a_capsule(world: World) -> None:
    """The whole way: seal, log, ask, grant, open gives the clip back."""
    capsule = world.capsule(b"thirty seconds of road" * 1000)
    leaf, index = world.request([capsule])
    assert world.open(leaf, index, capsule) == b"thirty seconds of road" * 1000


def test_a_grant_stands_in_the_log_before_it_is_given(world: World) -> None:
    """The entry names the request and the digest of exactly the capsules granted."""
    capsules = [world.capsule(bytes([i])) for i in range(3)]
    leaf, index = world.request(capsules)
    grant = world.decide("ch", leaf, index, *capsules[:2])
    (at,) = grant.entries
    entry = decode(world.logs.log.entry(at), "x").entry
    assert isinstance(entry, GrantEntry)
    assert entry.request == leaf_digest(leaf)
    assert entry.capsules == digest(capsule_list([c.digest for c in capsules[:2]])[0])
    assert entry.count == 2


def test_asking_for_more_logs_only_the_difference(world: World) -> None:
    """What was granted before is given again under its old entry; the rest gets a new one."""
    capsules = [world.capsule(bytes([i])) for i in range(3)]
    leaf, index = world.request(capsules)
    first = world.decide("ch", leaf, index, capsules[0])
    both = world.decide("ch", leaf, index, *capsules)
    assert both.entries[0] == first.entries[0]
    assert len(both.entries) == 2
    assert [each.count for each in world.state().grants()] == [1, 2]
    assert world.decide("ch", leaf, index, *capsules).entries == both.entries


def test_all_or_nothing(world: World) -> None:
    """One capsule that is refused keeps the others of the same ask shut, too."""
    good, erased = world.capsule(b"good"), world.capsule(b"erased")
    world.erase(erased)
    leaf, index = world.request([good, erased])
    with pytest.raises(PolicyError):
        world.decide("ch", leaf, index, good, erased)
    assert list(world.state().grants()) == []


class Broken:
    """An ``append`` that fails before or after the entry is in the log."""

    def __init__(self, world: World, persisted: bool) -> None:
        self.world, self.persisted = world, persisted

    def __call__(self, entry: bytes) -> int:
        """Take the entry, perhaps; answer never."""
        if self.persisted:
            self.world.append(entry)
        raise UnavailableError("the line went dead")


@pytest.mark.parametrize("persisted", [False, True])
def test_a_crash_while_logging_costs_nothing(world: World, persisted: bool) -> None:
    """Whether or not the log took the entry: asked again, one entry, counted once, granted."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    world.trustees["ch"].close()
    broken = world.trustee("ch", append=Broken(world, persisted))
    with pytest.raises(UnavailableError):
        broken.decide(world.ask("ch", leaf, index, capsule))
    assert len(list(world.state().grants())) == persisted
    broken.close()
    world.trustees["ch"] = world.trustee("ch")
    assert world.decide("ch", leaf, index, capsule).shares
    assert [each.count for each in world.state().grants()] == [1]


def test_what_is_decided_but_not_yet_logged_counts_too(tmp_path: Path) -> None:
    """A log that takes no entries for a while gets no reader past its quota."""
    world = World(tmp_path, quota=1)
    capsules = [world.capsule(b"one"), world.capsule(b"two")]
    leaf, index = world.request(capsules)
    world.trustees["ch"].close()
    broken = world.trustee("ch", append=Broken(world, persisted=False))
    with pytest.raises(UnavailableError):
        broken.decide(world.ask("ch", leaf, index, capsules[0]))
    with pytest.raises(PolicyError, match="a day"):
        broken.decide(world.ask("ch", leaf, index, capsules[1]))


def test_a_leaf_has_one_recipient_for_good(tmp_path: Path) -> None:
    """Whatever else went wrong, a second recipient key for a leaf is refused."""
    memory = Memory(tmp_path / "own.db")
    leaf, one, other = digest(b"leaf"), b"1" * 1216, b"2" * 1216
    memory.pin_recipient(leaf, one)
    memory.pin_recipient(leaf, one)
    with pytest.raises(IntegrityError, match="another recipient"):
        memory.pin_recipient(leaf, other)
    memory.close()


def test_a_car_that_commits_to_another_share_is_found_out(world: World) -> None:
    """A share that is not the one in the car's header is not passed on in the trustee's name."""
    made = read_capsule(world.seal())
    at = next(i for i, share in enumerate(made.header.shares) if share.trustee == "ch")
    shares = list(made.header.shares)
    shares[at] = replace(shares[at], commitment=digest(b"another share"))
    lied = seal_envelope(
        replace(made.header, shares=tuple(shares)).serialise(), HEADER_TYPE, world.car
    )
    capsule = replace(made, envelope=lied, digest=digest(lied))
    world.say(CapsuleEntry(**world.facts(), capsule=capsule.digest), world.vault)
    leaf, index = world.request([capsule])
    with pytest.raises(IntegrityError, match="the car"):
        world.decide("ch", leaf, index, capsule)
    assert list(world.state().grants()) == []


@pytest.mark.parametrize("late", ["erasure", "revocation"])
def test_what_overtakes_the_grant_in_the_log_counts_before_it(world: World, late: str) -> None:
    """An erasure or a revocation logged just before the grant entry keeps the share in."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])

    def append(entry: bytes) -> int:
        if late == "erasure":
            world.erase(capsule)
        elif world.state().party("reader", "acme"):
            world.revoke("reader", "acme")
        return world.append(entry)

    trustee = world.trustee("ch", append=append)
    with pytest.raises(PolicyError, match=r"erased|no reader acme"):
        trustee.decide(world.ask("ch", leaf, index, capsule))
    assert len(list(world.state().grants())) == 1
    assert len(list(world.state().refusals())) == 1


def test_a_refusal_that_could_not_be_logged_is_logged_later(world: World) -> None:
    """The refusal stands without the log; the public entry follows with the next ask."""
    capsule = world.capsule()
    leaf, index = world.request([capsule], reader="ministry")
    broken = world.trustee("ch", append=Broken(world, persisted=False))
    with pytest.raises(PolicyError):
        broken.decide(world.ask("ch", leaf, index, capsule))
    assert list(world.state().refusals()) == []
    with pytest.raises(PolicyError):
        world.decide("ch", leaf, index, capsule)
    (refusal,) = world.state().refusals()
    assert (refusal.trustee, refusal.code) == ("ch", "forbidden")
    assert "ministry (government, DE)" in refusal.reason


def test_a_trustee_that_was_revoked_or_has_another_key_grants_nothing(world: World) -> None:
    """Its grants would be void in the log, so it does not make any."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    world.revoke("trustee", "ch")
    with pytest.raises(PolicyError, match="not enrolled"):
        world.decide("ch", leaf, index, capsule)


def test_an_epoch_key_that_is_not_the_sealed_one_is_noticed(world: World) -> None:
    """A key file swapped in the trustee's home does not open, and says so."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    path = world.home / "ch" / "epochs" / "4.key"
    path.unlink()
    OpeningKey.generate().save(path)
    with pytest.raises(IntegrityError, match="another key"):
        world.decide("ch", leaf, index, capsule)
    assert list(world.state().grants()) == []


def test_a_home_is_made_once(world: World) -> None:
    """A second ``create`` would orphan every grant: refused; an empty home is no trustee."""
    with pytest.raises(InputError, match="exists already"):
        Keyring.create(world.home / "ch")
    with pytest.raises(InputError):
        Keyring(world.home / "nowhere")


def test_two_trustee_processes_on_one_home_count_together(world: World) -> None:
    """The lock and the files, not memory, decide: the second grants under the first's entry."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    twin = world.trustee("ch")
    first = world.decide("ch", leaf, index, capsule)
    second = twin.decide(world.ask("ch", leaf, index, capsule))
    assert first.entries == second.entries
    assert len(list(world.state().grants())) == 1


def test_a_damaged_memory_fails_closed(world: World) -> None:
    """A trustee whose own file is damaged grants nothing."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    world.trustees["ch"].close()
    path = world.home / "ch" / "own.db"
    for extra in ("own.db-wal", "own.db-shm"):
        (world.home / "ch" / extra).unlink(missing_ok=True)
    path.write_bytes(b"\0" * 8192)
    request = world.ask("ch", leaf, index, capsule)
    with pytest.raises((UnavailableError, IntegrityError)):
        world.trustee("ch").decide(request)
    assert list(world.state().grants()) == []
