# SPDX-License-Identifier: Apache-2.0
"""Index and state are copies: lost, they are made again; a lost blob is said to be lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.errors import Error, InputError, IntegrityError
from incamera.ids import Digest, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import ErasureEntry
from incamera.sealing.capsule import read_capsule
from incamera.tlog import FolderFetch
from incamera.vault import FileBlobs, RefusedError, Vault
from incamera.vault.sqlite import SqliteIndex
from world import World, quick_folder


@pytest.fixture
def quick() -> Iterator[Path]:
    """For a world of one's own."""
    with quick_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """For tests that break nothing for others."""
    with quick_folder() as folder:
        yield World(folder)


def vault_of(world: World) -> Vault:
    """As after a restart."""
    return Vault(
        world.home / "vault",
        world.vault,
        world.logs.log,
        FolderFetch(world.public),
        world.clock,
    )


def erasure(world: World, name: Digest) -> bytes:
    """By its owner, signed."""
    entry = ErasureEntry(**world.facts(), capsules=(name,), by="owner", name="ada", reason="mine")
    return encode(entry, world.owner.signing)


def drop(world: World, *names: str) -> None:
    """Delete databases of the vault, with their side files."""
    for name in names:
        for path in (world.home / "vault").glob(f"{name}*"):
            path.unlink()


@pytest.mark.parametrize("lost", [("index.db",), ("state.db",), ("index.db", "state.db")])
def test_a_lost_database_is_made_again(quick: Path, lost: tuple[str, ...]) -> None:
    """From log and blobs, with the same rows, erased ones too."""
    world = World(quick)
    vault = vault_of(world)
    paths = [world.seal(), world.seal(), world.seal()]
    for path in paths:
        vault.admit(path)
    vault.erase(erasure(world, read_capsule(paths[1]).digest))
    before = list(vault.find())
    vault.close()
    drop(world, *lost)
    assert list(vault_of(world).find()) == before
    assert sorted(row.status for row in before) == ["erased", "kept", "kept"]


def test_a_state_that_is_damaged_is_refused_and_the_index_let_go(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server tries again each second: connections that were left open would use up all."""
    world = World(quick)
    vault_of(world).close()
    drop(world, "state.db")
    (world.home / "vault" / "state.db").write_bytes(b"no database " * 100)
    closed, close = list[SqliteIndex](), SqliteIndex.close

    def noted(index: SqliteIndex) -> None:
        closed.append(index)
        close(index)

    monkeypatch.setattr(SqliteIndex, "close", noted)
    with pytest.raises(Error, match=r"state\.db"):
        vault_of(world)
    assert len(closed) == 1


def test_a_lost_blob_is_listed_and_can_come_back(quick: Path) -> None:
    """Lost in both old and new indices; the same capsule mends it without a second log entry."""
    world = World(quick)
    vault, path = vault_of(world), world.seal()
    vault.admit(path)
    name, size = read_capsule(path).digest, world.logs.log.size
    vault.path(name).unlink()
    vault.close()
    drop(world, "index.db")
    vault = vault_of(world)
    assert [row.status for row in vault.find()] == ["lost"]
    assert vault.admit(path)
    assert [(row.status, row.tags) for row in vault.find()] == [("kept", ("hard-brake",))]
    assert world.logs.log.size == size


@pytest.mark.parametrize("position", [0, 200, -1])
def test_a_damaged_blob_is_found_and_mended(world: World, position: int) -> None:
    """Scrubbing finds it; a second receipt is given only for a capsule that is whole again."""
    vault, path, other = vault_of(world), world.seal(), world.seal()
    vault.admit(path)
    vault.admit(other)
    name = read_capsule(path).digest
    assert vault.read_through(100) == []
    for look in (lambda: None, lambda: vault.read_through(100)):
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        vault.path(name).write_bytes(data)
        assert look() in (None, [name])
        assert vault.admit(path)
        assert vault.path(name).read_bytes() == path.read_bytes()
        row = vault.row(name)
        assert row is not None
        assert row.status == "kept"


def test_an_index_is_made_again_around_a_damaged_blob(quick: Path) -> None:
    """One bad file does not keep the vault shut."""
    world = World(quick)
    vault, path, other = vault_of(world), world.seal(), world.seal()
    vault.admit(path)
    vault.admit(other)
    vault.path(read_capsule(path).digest).write_bytes(b"")
    vault.close()
    drop(world, "index.db")
    assert sorted(row.status for row in vault_of(world).find()) == ["kept", "lost"]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AB" * 32, "0" * 63, "\x00"])
def test_what_is_no_digest_is_an_input_error(world: World, name: str) -> None:
    """Names from outside never become paths."""
    vault = vault_of(world)
    for ask in (vault.path, vault.row, vault.receipt):
        with pytest.raises(InputError):
            ask(Digest(name))


def test_an_owner_whose_key_changed_still_erases(quick: Path) -> None:
    """Ownership goes by name: the log knows all keys that were ever the owner's."""
    world = World(quick)
    vault, path = vault_of(world), world.seal()
    vault.admit(path)
    new = type(world.owner)()
    world.append(
        world.party(
            *("owner", "ada", "private", "DE", new.signing.public), opening=new.opening.public
        )
    )
    world.owner = new
    vault.close()
    drop(world, "index.db")
    vault = vault_of(world)
    vault.erase(erasure(world, read_capsule(path).digest))
    assert [row.status for row in vault.find()] == ["erased"]


def test_a_log_that_went_back_stops_the_vault(quick: Path) -> None:
    """A checkpoint older than the vault's own reading: nothing is admitted on it."""
    world = World(quick)
    old = (world.public / "checkpoint").read_bytes()
    vault = vault_of(world)
    vault.admit(world.seal())
    (world.public / "checkpoint").write_bytes(old)
    with pytest.raises(IntegrityError, match="went back"):
        vault.admit(world.seal())


def test_a_capsule_erased_by_another_vault_object_is_gone_here_too(quick: Path) -> None:
    """Two objects on one folder share log, blobs and index."""
    world = World(quick)
    first, second, path = vault_of(world), vault_of(world), world.seal()
    first.admit(path)
    second.erase(erasure(world, read_capsule(path).digest))
    with pytest.raises(RefusedError, match="erased"):
        first.path(read_capsule(path).digest)
    with pytest.raises(RefusedError, match="erased"):
        first.admit(path)


def test_capsules_can_be_erased_while_they_are_listed(quick: Path) -> None:
    """A half-read list is in nobody's way."""
    world = World(quick)
    vault = vault_of(world)
    for _ in range(3):
        vault.admit(world.seal())
    for row in vault.find(status="kept"):
        vault.erase(erasure(world, row.digest))
    assert [row.status for row in vault.find()] == ["erased"] * 3


def test_blobs_are_whole_or_not_there(tmp_path: Path) -> None:
    """A source that fails leaves the old blob; names lists blobs only; tidy takes the rest."""
    blobs, name = FileBlobs(tmp_path / "blobs"), digest(b"x")

    def failing() -> list[bytes]:
        raise IntegrityError("altered")

    blobs.put(name, [b"a", b"b"])
    with pytest.raises(IntegrityError):
        blobs.put(name, (piece for _ in range(1) for piece in failing()))
    assert blobs.path(name).read_bytes() == b"ab"
    (blobs.path(name).parent / f".{name}.0000.tmp").write_bytes(b"half")
    (blobs.path(name).parent / "notes.txt").write_bytes(b"")
    assert list(blobs.names()) == [name]
    assert (blobs.tidy(), blobs.tidy()) == (1, 0)
    blobs.remove(name)
    blobs.remove(name)
    assert not blobs.has(name)
