# SPDX-License-Identifier: Apache-2.0
"""What has expired is destroyed, provably, once, and never early, whatever dies on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from incamera.clock import FixedClock
from incamera.errors import PolicyError, UnavailableError
from incamera.ids import Digest
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import ErasureEntry
from incamera.sealing.capsule import read_capsule
from incamera.tlog import FolderFetch, Log
from incamera.vault import FileBlobs, RefusedError, Vault, retention
from incamera.vault.retention import Expired, expire
from world import DAY, World, quick_folder
from world_tlog import START


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own."""
    with quick_folder() as folder:
        yield World(folder)


def vault_of(world: World) -> Vault:
    """As after a restart: new objects on the same files."""
    log = world.logs.reopened()
    return Vault(world.home / "vault", world.vault, log, FolderFetch(world.public), world.clock)


def admitted(world: World, vault: Vault, *days: int) -> list[Digest]:
    """Capsules that expire so many days from the beginning."""
    found = []
    for each in days:
        path = world.seal(expires=START + each * DAY)
        vault.admit(path)
        found.append(read_capsule(path).digest)
    return found


def later(world: World, days: float) -> None:
    """Time passes, for the witnesses too."""
    world.clock.advance(int(days * DAY))
    world.logs.log.refresh()


def run(world: World, vault: Vault) -> Expired:
    """The job, once."""
    return expire(vault, world.state(), world.vault, world.clock)


def status(vault: Vault, name: Digest) -> str:
    """What the vault says of a capsule."""
    row = vault.row(name)
    assert row is not None
    return row.status


def erasures(world: World) -> list[ErasureEntry]:
    """Every erasure in the log."""
    said = (decode(each, "log").entry for each in world.entries())
    return [each for each in said if isinstance(each, ErasureEntry)]


def test_what_has_expired_is_destroyed_and_the_rest_stays(world: World) -> None:
    """Blob and row go, the log says so under the vault's key, and a second run finds nothing."""
    vault = vault_of(world)
    short, long = admitted(world, vault, 2, 20)
    assert run(world, vault).capsules == 0
    later(world, 3)
    done = run(world, vault)
    assert done.capsules == 1
    assert (status(vault, short), status(vault, long)) == ("erased", "kept")
    with pytest.raises(PolicyError):
        vault.path(short)
    state = world.state()
    erased = state.erased(short)
    assert erased is not None
    assert (erased.by, erased.index) == ("vault", done.entries[0])
    assert list(state.findings()) == []
    assert run(world, vault) == Expired(done.until, 0, ())


def test_no_clock_alone_destroys_anything(world: World) -> None:
    """A vault whose clock runs ahead waits for the witnesses; and the other way round."""
    vault = vault_of(world)
    (name,) = admitted(world, vault, 2)
    ahead = FixedClock(START + 9 * DAY)
    assert expire(vault, world.state(), world.vault, ahead).capsules == 0
    later(world, 3)
    behind = FixedClock(START)
    assert expire(vault, world.state(), world.vault, behind).capsules == 0
    assert status(vault, name) == "kept"
    assert expire(vault, world.state(), world.vault, ahead).capsules == 1


def test_many_go_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry after entry, each of so many at most, until none is left."""
    monkeypatch.setattr(retention, "TOGETHER", 2)
    vault = vault_of(world)
    names = admitted(world, vault, 2, 2, 2, 2, 2)
    later(world, 3)
    done = run(world, vault)
    assert (done.capsules, len(done.entries)) == (5, 3)
    assert {status(vault, each) for each in names} == {"erased"}
    assert [len(each.capsules) for each in erasures(world)] == [2, 2, 1]


def test_the_vault_itself_may_not_erase_before_the_time(world: World) -> None:
    """Its own key signs, and its own rule refuses."""
    vault = vault_of(world)
    (name,) = admitted(world, vault, 2)
    said: dict[str, Any] = world.facts() | {"capsules": (name,), "by": "vault", "name": ""}
    with pytest.raises(RefusedError, match="not-expired"):
        vault.submit(encode(ErasureEntry(**said, reason="expired"), world.vault))
    assert status(vault, name) == "kept"


def test_two_vaults_say_the_same_once(world: World) -> None:
    """Both found the same due: the second's bytes are the first's, and the log has one entry."""
    vault = vault_of(world)
    admitted(world, vault, 2, 2)
    later(world, 3)
    seen = vault.due(world.clock.now(), 10)
    state = world.state()

    @dataclass
    class Slow:
        """A vault that looked at the rows before the other one was done."""

        vault: Vault
        left: list[Digest] = field(default_factory=lambda: list(seen))

        def due(self, until: int, count: int) -> list[Digest]:
            """What it saw, once."""
            del until, count
            return self.left

        def submit(self, entry: bytes) -> int:
            """Through the vault."""
            self.left = []
            return self.vault.submit(entry)

    first = run(world, vault)
    world.clock.advance(100)
    assert expire(Slow(vault), state, world.vault, world.clock).entries == first.entries
    assert len(erasures(world)) == 1
    assert list(world.state().findings()) == []


def die(*_: object, **__: object) -> None:
    """What a power cut does to a process."""
    os._exit(9)


def planted(owner: type, name: str, *, after: bool) -> Callable[[], None]:
    """Die when ``owner.name`` is called, or when it has done its work."""

    def install() -> None:
        real = getattr(owner, name)
        late = lambda *args, **more: die(real(*args, **more))  # noqa: E731 - one of two
        setattr(owner, name, late if after else die)

    return install


DEATHS = {
    f"{'after' if after else 'before'} {owner.__name__}.{name}": planted(owner, name, after=after)
    for owner, name in ((Log, "append"), (FileBlobs, "remove"))
    for after in (False, True)
}


@pytest.mark.parametrize("where", DEATHS)
def test_a_death_on_the_way_is_mended_by_the_next_run(world: World, where: str) -> None:
    """Whatever died when: in the end all is gone, the log says it, each capsule once."""
    vault = vault_of(world)
    names = admitted(world, vault, 2, 2, 9)
    vault.close()
    later(world, 3)
    child = os.fork()
    if child == 0:
        try:
            DEATHS[where]()
            run(world, vault_of(world))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    world.clock.advance(60)
    vault = vault_of(world)
    run(world, vault)
    assert [status(vault, each) for each in names] == ["erased", "erased", "kept"]
    assert vault.orphans() == []
    said = [name for each in erasures(world) for name in each.capsules]
    assert sorted(said) == sorted(names[:2])
    assert list(world.state().findings()) == []


def test_without_a_quorum_nothing_is_destroyed(world: World) -> None:
    """What cannot be said in public is not done; once it can, it is."""
    vault = vault_of(world)
    (name,) = admitted(world, vault, 2)
    later(world, 3)
    for each in world.logs.witnesses:
        each.down = True
    with pytest.raises(UnavailableError):
        run(world, vault)
    assert status(vault, name) == "kept"
    for each in world.logs.witnesses:
        each.down = False
    assert run(world, vault).capsules == 1
