# SPDX-License-Identifier: Apache-2.0
"""The vault's tables in one SQLite file, in WAL mode: for one machine.

A file lock beside it lets one process at a time admit, so whatever was begun and is met by who
holds the lock was left by somebody who died.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from incamera import durable
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest
from incamera.ledger.database import Database
from incamera.vault.index import (
    COLUMNS,
    Begun,
    Book,
    Facts,
    Row,
    Standing,
    Status,
    Wanted,
    parse_cursor,
    row_of,
)

__all__ = ["SqliteIndex"]

_VERSION = 2
_FACTS = """
    owner TEXT NOT NULL, vehicle TEXT NOT NULL, hour TEXT NOT NULL, duration INTEGER NOT NULL,
    expires INTEGER NOT NULL, bytes INTEGER NOT NULL, cameras TEXT NOT NULL, tags TEXT NOT NULL,
    purposes TEXT NOT NULL"""
_NO_FACTS = "'', '', '', 0, 0, 0, '[]', '[]', '[]'"
_EMPTIED = (
    "owner = '', vehicle = '', hour = '', duration = 0, expires = 0, bytes = 0, "
    "cameras = '[]', tags = '[]', purposes = '[]'"
)
_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (key BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE begun (
    digest BLOB PRIMARY KEY, capsule_id BLOB UNIQUE, entry BLOB, began INTEGER NOT NULL, {_FACTS})
    WITHOUT ROWID;
CREATE TABLE capsules (
    digest BLOB PRIMARY KEY, capsule_id BLOB, status TEXT NOT NULL, at INTEGER, {_FACTS})
    WITHOUT ROWID;
CREATE INDEX capsules_hour ON capsules (hour, digest);
CREATE INDEX capsules_owner ON capsules (owner, hour, digest);
CREATE INDEX capsules_id ON capsules (capsule_id) WHERE capsule_id IS NOT NULL;
CREATE INDEX capsules_odd ON capsules (hour, digest) WHERE status <> 'kept';
CREATE INDEX capsules_expires ON capsules (expires, digest) WHERE expires > 0;
"""
_FROM_FORMER = (
    "COALESCE(owner, ''), COALESCE(vehicle, ''), COALESCE(hour, ''), COALESCE(duration, 0), "
    "COALESCE(expires, 0), bytes, cameras, tags, purposes FROM former WHERE status"
)
_SINCE_1 = f"""
ALTER TABLE capsules RENAME TO former;
DROP INDEX capsules_hour;
DROP INDEX capsules_at;
{_SCHEMA.partition("WITHOUT ROWID;")[2].partition("WITHOUT ROWID;")[2]}
INSERT INTO begun SELECT digest, capsule_id, entry, 0, {_FROM_FORMER} = 'pending';
INSERT INTO capsules SELECT digest, capsule_id, status, at, {_FROM_FORMER} <> 'pending';
DROP TABLE former;
PRAGMA user_version = 2
"""


class SqliteIndex:
    """The file, and ``lock`` beside it. See :class:`incamera.vault.index.Index`."""

    def __init__(self, path: Path) -> None:
        """``path``: the database file, made if missing."""
        _migrate(path)
        self._lock = path.with_name("lock")
        self._database = Database(path, schema=_SCHEMA, version=_VERSION)
        # What an erasure takes must not survive in free pages of the file.
        self._database.run("PRAGMA secure_delete = ON")
        #: Guards the connection that writes; the other one sees what was committed.
        self._writing = threading.RLock()
        self._looks = Database(path, schema=_SCHEMA, version=_VERSION)
        self._looking = threading.Lock()
        #: ``held``: True in a thread that has the file lock.
        self._mine = threading.local()

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        with self._looking:
            return self._looks.one(sql, *values)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._looking:
            return list(self._looks.rows(sql, values))

    @property
    def read(self) -> int:
        """How many log entries the tables know."""
        row = self._one("SELECT value FROM meta WHERE name = 'read'")
        return 0 if row is None else int(row[0])

    @contextlib.contextmanager
    def accounting(self) -> Iterator[Book]:
        """The only writer of what the log says."""
        with self._writing:
            book = _Book(self._database)
            with self._database.transaction():
                yield book
            if book.erased:
                # Erased facts leave the write-ahead log too. Somebody who reads at this moment
                # is in the way; the next erasure or closing does it.
                with contextlib.suppress(UnavailableError):
                    self._database.one("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the file lock; who holds it may ask again."""
        if getattr(self._mine, "held", False):
            yield True
            return
        with durable.lock(self._lock, wait=True):
            self._mine.held = True
            try:
                yield True
            finally:
                self._mine.held = False

    @contextlib.contextmanager
    def begin(self, capsules: Sequence[Begun], now: int) -> Iterator[Sequence[Standing]]:
        """Under the file lock: rows for those that have none."""
        with self.alone():
            with self._writing, self._database.transaction():
                standings = [self._begin(each, now) for each in capsules]
            yield standings

    def _begin(self, begun: Begun, now: int) -> Standing:
        facts, name = begun.facts, bytes.fromhex(begun.facts.name)
        if begun.entry is not None and self._has("capsules", name):
            return Standing("there")
        if self._has("begun", name):
            return Standing("met")
        for table in ("capsules", "begun"):
            row = self._database.one(
                f"SELECT digest FROM {table} WHERE capsule_id = ? AND digest <> ?",  # noqa: S608 - constants
                *(facts.capsule_id, name),
            )
            if row is not None:
                return Standing("twin", Digest(bytes(row[0]).hex()))
        self._database.run(
            f"INSERT INTO begun VALUES (?, ?, ?, ?, {_marks(9)})",  # noqa: S608 - constants
            *(name, facts.capsule_id, begun.entry, now, *facts.values),
        )
        return Standing("fresh")

    def _has(self, table: str, name: bytes) -> bool:
        sql = f"SELECT 1 FROM {table} WHERE digest = ?"  # noqa: S608 - constants
        return self._database.one(sql, name) is not None

    @contextlib.contextmanager
    def resume(
        self, names: Collection[Digest], *, wait: bool = True
    ) -> Iterator[Mapping[Digest, bytes | None]]:
        """Under the file lock: who began them is dead."""
        del wait
        with self.alone():
            found = ((name, self._begun(name)) for name in names)
            yield {name: row[0] for name, row in found if row is not None}

    def _begun(self, name: Digest) -> tuple[Any, ...] | None:
        return self._one("SELECT entry FROM begun WHERE digest = ?", bytes.fromhex(name))

    def held(self) -> None:
        """The kernel holds the lock as long as this process lives."""

    def give_up(self, names: Collection[Digest]) -> None:
        """Forget that these were begun."""
        with self._writing, self._database.transaction():
            for name in names:
                self._database.run("DELETE FROM begun WHERE digest = ?", bytes.fromhex(name))

    def begun_before(self, time: int, count: int) -> list[Digest]:
        """What was begun at or before ``time``, oldest first."""
        sql = "SELECT digest FROM begun WHERE began <= ? ORDER BY began, digest LIMIT ?"
        return [Digest(bytes(row[0]).hex()) for row in self._rows(sql, (time, count))]

    def due(self, until: int, count: int) -> list[Digest]:
        """What had expired by ``until``, the oldest first."""
        sql = (
            "SELECT digest FROM capsules WHERE expires > 0 AND expires <= ? "
            "ORDER BY expires, digest LIMIT ?"
        )
        return [Digest(bytes(row[0]).hex()) for row in self._rows(sql, (until, count))]

    def owners_of(self, keys: Collection[Digest]) -> Mapping[Digest, str]:
        """The owners whose opening keys have these digests."""
        sql = "SELECT name FROM owners WHERE key = ?"
        found = ((key, self._one(sql, bytes.fromhex(key))) for key in keys)
        return {key: str(row[0]) for key, row in found if row is not None}

    def statuses(self, names: Collection[Digest]) -> Mapping[Digest, Status]:
        """What the log says of these capsules."""
        sql = "SELECT status FROM capsules WHERE digest = ?"
        found = ((name, self._one(sql, bytes.fromhex(name))) for name in names)
        return {name: row[0] for name, row in found if row is not None}

    def get(self, name: Digest) -> Row | None:
        """The row of a capsule."""
        for table in _TABLES:
            sql = f"SELECT {COLUMNS} FROM {table} WHERE digest = ?"  # noqa: S608 - constants
            if (row := self._one(sql, bytes.fromhex(name))) is not None:
                return row_of(row)
        return None

    def page(self, wanted: Wanted, count: int, *, after: str = "", skip: int = 0) -> list[Row]:
        """Rows by hour, then digest."""
        where, values = _conditions(wanted, after)
        # Merged by SQLite as they come from their indices; what is skipped is not made into rows.
        each = (f"SELECT {COLUMNS} FROM {table} WHERE {where}" for table in _TABLES)  # noqa: S608 - constants
        sql = f"{' UNION ALL '.join(each)} ORDER BY hour, digest LIMIT ? OFFSET ?"
        return [row_of(row) for row in self._rows(sql, (*values, *values, count, skip))]

    def close(self) -> None:
        """Let go of the file."""
        self._looks.close()
        self._database.close()


class _Book:
    """Within one transaction of the connection that writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.erased = False

    @property
    def read(self) -> int:
        row = self._database.one("SELECT value FROM meta WHERE name = 'read'")
        return 0 if row is None else int(row[0])

    def set_read(self, size: int) -> None:
        self._database.run("INSERT OR REPLACE INTO meta VALUES ('read', ?)", size)

    def add_owner(self, key: Digest, name: str) -> None:
        self._database.run("INSERT OR IGNORE INTO owners VALUES (?, ?)", bytes.fromhex(key), name)

    def owner_of(self, key: Digest) -> str | None:
        row = self._database.one("SELECT name FROM owners WHERE key = ?", bytes.fromhex(key))
        return None if row is None else str(row[0])

    def keep(self, places: Mapping[Digest, int]) -> set[Digest]:
        return {name for name, at in places.items() if self._keep(bytes.fromhex(name), at)}

    def _keep(self, name: bytes, at: int) -> bool:
        moved = self._database.run(
            "INSERT INTO capsules SELECT digest, capsule_id, 'kept', ?, owner, vehicle, hour, "
            "duration, expires, bytes, cameras, tags, purposes FROM begun "
            "WHERE digest = ? AND entry IS NOT NULL ON CONFLICT (digest) DO NOTHING",
            *(at, name),
        )
        if moved:
            self._database.run("DELETE FROM begun WHERE digest = ?", name)
        return moved == 1

    def store(self, facts: Facts, at: int) -> None:
        name = bytes.fromhex(facts.name)
        sql = "DELETE FROM capsules WHERE digest = ? AND status <> 'erased'"
        self._database.run(sql, name)
        self._database.run(
            f"INSERT INTO capsules VALUES (?, ?, 'kept', ?, {_marks(9)}) "  # noqa: S608 - constants
            "ON CONFLICT (digest) DO NOTHING",
            *(name, facts.capsule_id, at, *facts.values),
        )

    def lose(self, name: Digest, at: int) -> None:
        self._bare(name, "lost", at)
        sql = "UPDATE capsules SET status = 'lost' WHERE digest = ? AND status <> 'erased'"
        self._database.run(sql, bytes.fromhex(name))

    def erase(self, name: Digest, at: int | None) -> None:
        self.erased = True
        raw = bytes.fromhex(name)
        sql = f"UPDATE begun SET entry = NULL, capsule_id = NULL, {_EMPTIED} WHERE digest = ?"  # noqa: S608 - constants
        self._database.run(sql, raw)
        if at is not None:
            self._bare(name, "erased", at)
        sql = (
            f"UPDATE capsules SET status = 'erased', capsule_id = NULL, {_EMPTIED} WHERE digest = ?"  # noqa: S608 - constants
        )
        self._database.run(sql, raw)

    def _bare(self, name: Digest, status: Status, at: int) -> None:
        self._database.run(
            f"INSERT INTO capsules VALUES (?, NULL, ?, ?, {_NO_FACTS}) "  # noqa: S608 - constants
            "ON CONFLICT (digest) DO NOTHING",
            *(bytes.fromhex(name), status, at),
        )


#: What rows are listed from; what is begun is ``pending`` until the log shows it.
_TABLES = (
    "capsules",
    "(SELECT *, 'pending' AS status, NULL AS at FROM begun WHERE entry IS NOT NULL)",
)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _conditions(wanted: Wanted, after: str) -> tuple[str, list[Any]]:
    parts, values = ["1"], list[Any]()
    if wanted.status is not None:
        parts.append("status = ?")
        values.append(wanted.status)
        if wanted.status != "kept":
            parts.append("status <> 'kept'")  # what the index of the odd ones is told by
    for condition, value in wanted.bounds:
        parts.append(f"{condition} ?")
        values.append(value)
    for column, value in wanted.having:
        parts.append(f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)")  # noqa: S608 - a constant
        values.append(value)
    if after:
        parts.append("(hour, digest) > (?, ?)")
        values += parse_cursor(after)
    return " AND ".join(parts), values


def _migrate(path: Path) -> None:
    """Bring a file of an older program to this version; refuse one of a newer program."""
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise InputError(
                    f"{path}: made by a newer incamera (version {version} of its tables)",
                    hint="use that incamera, or move the file away: it is made again from the log",
                )
            if version == 1:
                _bring_up(file)
    except sqlite3.Error as error:
        raise UnavailableError(f"{path}: {error}", hint="see to that disk or file") from error


def _bring_up(file: sqlite3.Connection) -> None:
    file.execute("BEGIN IMMEDIATE")
    if file.execute("PRAGMA user_version").fetchone() == (1,):  # nobody was quicker
        for statement in _SINCE_1.split(";\n"):
            file.execute(statement)
    file.execute("COMMIT")
