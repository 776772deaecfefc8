# SPDX-License-Identifier: Apache-2.0
"""The catalogue in PostgreSQL: its tables' steps, restarts of the server, death at every step."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from engines import Engine, postgres
from incamera.errors import InputError, UnavailableError
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry
from incamera.sealing.capsule import read_capsule
from incamera.tlog import FolderFetch, Log
from incamera.vault import FileBlobs, Vault, Wanted, admit
from incamera.vault.index import Begun, Facts
from incamera.vault.postgres import PostgresIndex, _Book
from incamera.vault.sqlite import SqliteIndex
from vaults import Shared, erasure, fresh_database, logged, name_of, proven
from world import World, quick_folder

FORMER = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (key BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE capsules (
    digest BLOB PRIMARY KEY, capsule_id BLOB UNIQUE, status TEXT NOT NULL, at INTEGER,
    entry BLOB, owner TEXT, vehicle TEXT, hour TEXT, duration INTEGER, expires INTEGER,
    bytes INTEGER NOT NULL, cameras TEXT NOT NULL, tags TEXT NOT NULL, purposes TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX capsules_hour ON capsules (hour, digest);
CREATE INDEX capsules_at ON capsules (at);
PRAGMA application_id = 0x494E434C;
PRAGMA user_version = 1;
INSERT INTO meta VALUES ('read', 9);
INSERT INTO capsules VALUES
    (x'{"aa" * 32}', x'01', 'kept', 7, NULL, 'ada', 'car', '2026-11-21T14', 30, 9, 99,
    '["front"]', '[]', '[]'),
    (x'{"bb" * 32}', x'02', 'pending', NULL, CAST('entry' AS BLOB), 'ada', 'car',
    '2026-11-21T15', 30, 9, 99, '[]', '[]', '[]'),
    (x'{"cc" * 32}', NULL, 'erased', 8, NULL, NULL, NULL, NULL, NULL, NULL, 0, '[]', '[]', '[]');
"""
"""Tables as version 1 made them."""
ALL = Wanted()
QUICKLY = "SET idle_in_transaction_session_timeout = '200ms'"


def do(url: str, *statements: str) -> list[Any]:
    """Run statements; the last one's rows."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        for each in statements:
            found = await connection.fetch(each)
        await connection.close()
        return [tuple(row) for row in found]

    return asyncio.run(run())


def test_tables_are_made_once_however_many_vaults_start_at_once(server: Engine) -> None:
    """Each finds them whole; opening again changes nothing."""
    url = fresh_database(server)
    with ThreadPoolExecutor(5) as pool:
        opened = list(pool.map(lambda _: PostgresIndex(url, connections=2), range(5)))
    assert [each.read for each in opened] == [0] * 5
    for each in opened:
        each.close()
    before = do(url, "SELECT version_num FROM incamera_version")
    PostgresIndex(url).close()
    assert do(url, "SELECT version_num FROM incamera_version") == before


def test_tables_of_a_newer_program_are_refused(server: Engine) -> None:
    """An older vault says what to do, and changes nothing."""
    url = fresh_database(server)
    PostgresIndex(url).close()
    do(url, "UPDATE incamera_version SET version_num = '999'")
    with pytest.raises(InputError, match="newer incamera"):
        PostgresIndex(url)
    assert do(url, "SELECT version_num FROM incamera_version") == [("999",)]


def test_a_file_of_a_newer_program_is_refused_and_of_an_older_one_brought_up(
    tmp_path: Path,
) -> None:
    """SQLite: what was pending keeps its entry, what was kept or erased its row."""
    newer, older = tmp_path / "newer.db", tmp_path / "older.db"
    SqliteIndex(newer).close()
    with contextlib.closing(sqlite3.connect(newer)) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer incamera"):
        SqliteIndex(newer)
    with contextlib.closing(sqlite3.connect(older)) as file:
        file.executescript(FORMER)
    index = SqliteIndex(older)
    rows = {row.digest: (row.status, row.owner, row.index) for row in index.page(ALL, 9)}
    assert rows == {
        "aa" * 32: ("kept", "ada", 7),
        "bb" * 32: ("pending", "ada", None),
        "cc" * 32: ("erased", "", 8),
    }
    assert index.read == 9
    with index.resume([*rows]) as left:
        assert left == {"bb" * 32: b"entry"}
    index.close()


def test_the_tables_are_made_again_from_log_and_blobs(
    server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost with the whole database: the same rows, erased ones too, in steps."""
    from incamera.vault import account

    monkeypatch.setattr(account, "_STEP", 3)
    with quick_folder() as folder, contextlib.ExitStack() as stack:
        world = World(folder)
        shared = Shared(world, lambda: PostgresIndex(fresh_database(server)), stack)
        vault = shared.vault()
        paths = [world.seal() for _ in range(5)]
        vault.admit_all(paths)
        vault.erase(erasure(world, name_of(paths[1])))
        shared.blobs.remove(name_of(paths[2]))
        vault.read_through(9)
        rows, again = list(vault.find()), list(shared.vault().find())  # in an empty database
        assert sorted(row.status for row in rows) == ["erased", "kept", "kept", "kept", "lost"]
        assert {(r.digest, r.status, r.index) for r in again} == {
            (r.digest, r.status, r.index) for r in rows
        }
        assert [r for r in again if r.status == "kept"] == [r for r in rows if r.status == "kept"]


def test_a_server_that_went_away_is_said_and_comes_back_by_itself() -> None:
    """Killed in the middle of things: UnavailableError; started again: it goes on."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(postgres(options=["fsync=off"]))
        folder = stack.enter_context(quick_folder())
        world = World(folder)
        shared = Shared(world, lambda: PostgresIndex(engine.url, connections=4), stack)
        vault = shared.vault()
        paths = [world.seal() for _ in range(4)]
        vault.admit(paths[0])
        engine.kill()
        with pytest.raises(UnavailableError, match="database at 127"):
            vault.admit(paths[2])
        with pytest.raises(UnavailableError):
            list(vault.find())
        with pytest.raises(UnavailableError):
            shared.vault("another")
        engine.start()
        for path, answer in zip(paths, vault.admit_all(paths), strict=True):
            proven(world, answer, path)
        assert sorted(logged(world)) == sorted(map(name_of, paths))


def test_a_server_that_dies_between_row_and_entry_has_nothing_logged(
    on_postgres: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What held the capsule is gone with the connection: the vault appends nothing then."""
    vault, world = on_postgres.vault(), on_postgres.world
    path = world.seal()
    real = FileBlobs.put_all

    def cut(self: FileBlobs, items: Any) -> Any:
        found = real(self, items)
        connection = vault._index._held.connection  # type: ignore[attr-defined]
        vault._index._run(_terminate, connection)  # type: ignore[attr-defined]
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FileBlobs, "put_all", cut)
        with pytest.raises(UnavailableError, match="lost meanwhile"):
            vault.admit(path)
    assert logged(world) == []
    proven(world, vault.admit(path), path)
    assert len(logged(world)) == 1


async def _terminate(connection: Any) -> None:
    connection.terminate()


def test_a_vault_that_stands_still_holds_up_only_what_it_has_begun(
    on_postgres: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one takes in the rest at once; and that too, when the first one is dead."""
    monkeypatch.setattr("incamera.vault.postgres._PATIENCE", "300ms")
    world, index, vault = on_postgres.world, on_postgres.make(), on_postgres.vault()
    held, other = world.seal(), world.seal()
    capsule = read_capsule(held)
    entry = encode(CapsuleEntry(**world.facts(), capsule=capsule.digest), world.vault)
    facts = Facts.of(capsule.digest, capsule.header, capsule.size, "ada")
    with index.begin([Begun(facts, entry)], world.clock.now()) as (standing,):
        assert standing.what == "fresh"
        first, second = vault.admit_all([held, other])
        assert isinstance(first, UnavailableError)
        proven(world, second, other)
        assert vault.sweep() == []
    index.close()
    at = proven(world, vault.admit(held), held)
    assert world.entries()[at] == entry


def test_a_vault_that_stands_still_in_the_middle_of_rows_is_cut_off(server: Engine) -> None:
    """Its session ends, its rows are as before, and the others go on."""
    url = fresh_database(server)
    one, two = PostgresIndex(url), PostgresIndex(url)

    def stand_still() -> None:
        with one.accounting() as book:
            book._run(book._connection.execute, QUICKLY)  # type: ignore[attr-defined]
            book.set_read(5)
            with two.accounting() as others:  # waits for it
                others.set_read(7)
            book.set_read(6)

    with pytest.raises(UnavailableError):
        stand_still()
    assert one.read == two.read == 7
    one.close()
    two.close()


# Death


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


STEPS: dict[str, Callable[[], None]] = {
    "rows begun": before(FileBlobs, "put_all"),
    "blobs durable": after(FileBlobs, "put_all"),
    "batch written, tree not decided": before(Log, "_integrate"),
    "decided, not signed": before(Log, "_publish"),
    "published, not answered": after(Log, "_publish"),
    "rows moved, not committed": after(_Book, "keep"),
    "receipts not made": before(admit, "receipts"),
}


@pytest.fixture(scope="module")
def region(server: Engine) -> Iterator[tuple[World, str]]:
    """One for all deaths, as a region lives on after each."""
    with quick_folder() as folder:
        yield World(folder), fresh_database(server)


@pytest.mark.parametrize("step", STEPS)
def test_another_vault_goes_on_where_one_died(region: tuple[World, str], step: str) -> None:
    """A batch of three, one of them alone at the other vault: one entry each, all receipted."""
    world, url = region

    def opened(name: str) -> Vault:
        return Vault(
            *(world.home / name, world.vault, world.logs.reopened(), FolderFetch(world.public)),
            world.clock,
            blobs=FileBlobs(world.home / "blobs"),
            index=PostgresIndex(url, connections=3),
        )

    paths = [world.seal(os.urandom(100)) for _ in range(3)]
    child = os.fork()
    if child == 0:
        try:
            vault = opened("dies")
            STEPS[step]()
            vault.admit_all(paths)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    vault = opened("lives")
    proven(world, vault.admit(paths[1]), paths[1])
    for path, answer in zip(paths, vault.admit_all(paths), strict=True):
        proven(world, answer, path)
    assert all(logged(world).count(name_of(path)) == 1 for path in paths)
    assert [vault.row(name_of(path)).status for path in paths] == ["kept"] * 3  # type: ignore[union-attr]
    assert vault.sweep() == []
    vault.close()
