# SPDX-License-Identifier: Apache-2.0
"""The vault dies at every step, or runs out of disk; then it goes on as if nothing had been.

``die`` is a real death: a forked process ends on the spot, without any clean-up of Python's.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from incamera.errors import UnavailableError
from incamera.ids import Digest
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import read_capsule
from incamera.tlog import FolderFetch, Log
from incamera.vault import FileBlobs, Vault, admit
from incamera.vault.account import Account
from incamera.vault.sqlite import SqliteIndex, _Book
from world import World, quick_folder


def vault_of(world: World) -> Vault:
    """As after a restart: new objects on the same files, a new Log among them."""
    log = world.logs.reopened()
    return Vault(world.home / "vault", world.vault, log, FolderFetch(world.public), world.clock)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One for all tests of this file, as a vault lives on after each fault; each has a capsule."""
    with quick_folder() as folder:
        yield World(folder)


@pytest.fixture
def no_witnesses(world: World) -> Iterator[Callable[[bool], None]]:
    """Switches two of the three witnesses off and on."""

    def switch(down: bool) -> None:
        world.logs.witnesses[0].down = world.logs.witnesses[1].down = down

    yield switch
    switch(False)


def status(vault: Vault, name: Digest) -> str | None:
    """What the index says of a capsule."""
    row = vault.row(name)
    return None if row is None else row.status


def die(*_: object, **__: object) -> None:
    """What a power cut does to a process."""
    os._exit(9)


def before(owner: Any, name: str) -> Callable[[], None]:
    """Die when ``owner.name`` is called."""
    return lambda: setattr(owner, name, die)


def after(owner: Any, name: str) -> Callable[[], None]:
    """Die when ``owner.name`` has done its work."""

    def install() -> None:
        real = getattr(owner, name)
        setattr(owner, name, lambda *args, **more: die(real(*args, **more)))

    return install


def midway() -> None:
    """Die when half of a blob is written."""
    real = FileBlobs.put_all

    def half(pieces: Iterator[bytes]) -> Iterator[bytes]:
        yield next(iter(pieces))
        die()

    def put_all(self: FileBlobs, items: Sequence[tuple[Digest, Iterator[bytes]]]) -> Any:
        return real(self, [(name, half(pieces)) for name, pieces in items])

    FileBlobs.put_all = put_all  # type: ignore[method-assign, assignment]


def dying(install: Callable[[], None], act: Callable[[], object]) -> int:
    """Run ``act`` in a child in which ``install`` planted a death; how the child ended."""
    child = os.fork()
    if child == 0:
        try:
            install()
            act()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def entries_of(world: World, name: Digest) -> list[int]:
    """Where the log holds capsule ``name``."""
    reader = world.logs.reader()
    size = reader.checkpoint().checkpoint.size
    decoded = (decode(e, "log").entry for e in reader.entries(0, size, size))
    return [at for at, e in enumerate(decoded) if isinstance(e, CapsuleEntry) and e.capsule == name]


def from_log(name: str) -> tuple[Any, str]:
    """A method of the log, where a death can be planted."""
    return (Log, name)


ADMIT = {
    "pending row not committed": after(SqliteIndex, "_begin"),
    "before the blob": before(FileBlobs, "put_all"),
    "half a blob": midway,
    "after the blob": after(FileBlobs, "put_all"),
    "before the log": before(*from_log("append")),
    "batch written, tree not decided": before(*from_log("_integrate")),
    "decided, not signed": before(*from_log("_publish")),
    "published, not answered": after(*from_log("_publish")),
    "logged": after(*from_log("append")),
    "row written, not committed": after(_Book, "keep"),
    "committed": after(Account, "catch_up"),
    "receipt not made": before(admit, "receipts"),
}


@pytest.mark.parametrize("step", ADMIT)
@pytest.mark.parametrize("swept", [False, True], ids=["", "swept"])
def test_admitting_survives_death_at_every_step(world: World, step: str, swept: bool) -> None:
    """Afterwards the vault opens; admitting again gives a receipt, one entry, one whole blob."""
    path = world.seal(os.urandom(100_000))
    name = read_capsule(path).digest

    def act() -> None:
        opened = vault_of(world)
        READ[0] = opened._index.read
        Account.catch_up = CATCH_UP if step != "committed" else DYING_AFTER_ROW  # type: ignore[method-assign]
        opened.admit(path)

    install = ADMIT[step] if step != "committed" else lambda: None
    assert dying(install, act) == 9
    vault = vault_of(world)
    logged = entries_of(world, name)
    assert (status(vault, name) == "kept") == bool(logged)
    if swept:
        gone = vault.sweep()
        assert bool(gone) <= (not entries_of(world, name))
        assert not list((world.home / "vault" / "blobs").glob("*/.*"))
        assert vault.orphans() == []
    region = world.state().region
    assert region is not None
    proven = check_receipt(vault.admit(path), name, region, world.logs.policy)
    assert entries_of(world, name) == [proven.index]
    assert vault.path(name).read_bytes() == path.read_bytes()
    assert status(vault, name) == "kept"
    assert vault.orphans() == []


CATCH_UP = Account.catch_up
READ = [0]


def _dying_after_row(self: Account, **how: Any) -> set[Digest]:
    """Catch up, and die once there was something new."""
    kept = CATCH_UP(self, **how)
    if self._index.read > READ[0]:
        die()
    return kept


DYING_AFTER_ROW = _dying_after_row


def erasure(world: World, name: Digest) -> bytes:
    """By its owner, signed."""
    entry = ErasureEntry(**world.facts(), capsules=(name,), by="owner", name="ada", reason="mine")
    return encode(entry, world.owner.signing)


ERASE = {
    "before the log": before(*from_log("append")),
    "batch written": before(*from_log("_integrate")),
    "decided, not signed": before(*from_log("_publish")),
    "logged": after(*from_log("append")),
    "before the unlink": before(FileBlobs, "remove"),
    "after the unlink": after(FileBlobs, "remove"),
    "row emptied, not committed": after(_Book, "erase"),
}
PUBLIC = {"logged", "before the unlink", "after the unlink", "row emptied, not committed"}


@pytest.mark.parametrize("step", ERASE)
def test_erasing_survives_death_at_every_step(world: World, step: str) -> None:
    """Once the entry is public, opening the vault destroys; before that, nothing is destroyed."""
    path = world.seal()
    name = read_capsule(path).digest
    vault_of(world).admit(path)
    entry = erasure(world, name)
    assert dying(ERASE[step], lambda: vault_of(world).erase(entry)) == 9
    vault, public = vault_of(world), step in PUBLIC
    blob = world.home / "vault" / "blobs" / name[:2] / name
    assert (world.state().erased(name) is not None) == public
    assert blob.exists() != public
    assert status(vault, name) == ("erased" if public else "kept")
    at = vault.erase(entry)
    assert world.logs.log.entry(at) == entry
    assert world.logs.log.size == at + 1
    assert not blob.exists()
    assert status(vault, name) == "erased"


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: a full disk that any user can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1000, 20_000, 100_000, 1 << 20])
def test_a_full_disk_is_said_and_nothing_is_half_written(world: World, room: int) -> None:
    """UnavailableError; with room again the same capsule goes in, once."""
    vault, path = vault_of(world), world.seal(os.urandom(3 << 20))
    name = read_capsule(path).digest
    with files_up_to(room), pytest.raises(UnavailableError):
        vault.admit(path)
    assert not list((world.home / "vault" / "blobs").rglob("*.tmp"))
    assert entries_of(world, name) == []
    assert vault.admit(path)
    assert len(entries_of(world, name)) == 1
    assert vault.path(name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("fresh", [False, True], ids=["running", "restarted"])
def test_without_witnesses_nothing_is_acknowledged_and_nothing_is_lost(
    world: World, no_witnesses: Callable[[bool], None], fresh: bool
) -> None:
    """Below the quorum there is no receipt; with it, the same capsule gets one, for one entry."""
    vault, path = vault_of(world), world.seal()
    name = read_capsule(path).digest
    if not fresh:
        vault.admit(world.seal())  # so that the log goes on to write its batch
    no_witnesses(True)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            vault.admit(path)
    assert status(vault, name) == "pending"
    world.clock.advance(120)
    no_witnesses(False)
    assert vault.admit(path)
    assert status(vault, name) == "kept"
    assert len(entries_of(world, name)) == 1


def test_sweeping_never_takes_what_the_log_is_about_to_show(
    world: World, no_witnesses: Callable[[bool], None]
) -> None:
    """An entry that is decided but not public keeps its blob, with and without witnesses."""
    vault, path = vault_of(world), world.seal()
    name = read_capsule(path).digest
    vault.admit(world.seal())
    no_witnesses(True)
    with pytest.raises(UnavailableError):
        vault.admit(path)
    with pytest.raises(UnavailableError):
        vault.sweep()
    assert vault.orphans() == [name]
    no_witnesses(False)
    assert vault.sweep() == []
    assert status(vault, name) == "kept"


def test_many_processes_admit_one_capsule_once(world: World) -> None:
    """Four at a time, each gets a receipt, the log has one entry."""
    path = world.seal()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                vault_of(world).admit(path)
                code = 0
            os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in children] == [0] * 4
    assert len(entries_of(world, read_capsule(path).digest)) == 1
