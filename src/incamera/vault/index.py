# SPDX-License-Identifier: Apache-2.0
"""The vault's table of capsules, for finding them. SQLite in WAL mode.

It says nothing that log and blobs do not: delete the file and it is made again. A row is

* ``pending``: stored, its entry made; whether that entry is in the log is not known yet;
* ``kept``: in the log, and stored;
* ``lost``: in the log, but its blob is missing or damaged, without an erasure;
* ``erased``: an erasure stands in the log; nothing but the digest is left here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from incamera.errors import UnavailableError
from incamera.ids import Digest, Name
from incamera.ledger.database import Database
from incamera.sealing.header import Header

__all__ = ["Index", "Row", "Status"]

Status = Literal["pending", "kept", "lost", "erased"]

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (key BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE capsules (
    digest BLOB PRIMARY KEY, capsule_id BLOB UNIQUE, status TEXT NOT NULL, at INTEGER,
    entry BLOB, owner TEXT, vehicle TEXT, hour TEXT, duration INTEGER, expires INTEGER,
    bytes INTEGER NOT NULL, cameras TEXT NOT NULL, tags TEXT NOT NULL, purposes TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX capsules_hour ON capsules (hour, digest);
CREATE INDEX capsules_at ON capsules (at);
"""

_ROW = "digest, status, at, owner, vehicle, hour, duration, expires, bytes, cameras, tags, purposes"

_HAVING = {
    "camera": "EXISTS (SELECT 1 FROM json_each(cameras) WHERE value = ?)",
    "tag": "EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)",
    "purpose": "EXISTS (SELECT 1 FROM json_each(purposes) WHERE value = ?)",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One capsule, for a list. What an erasure took is empty or 0."""

    digest: Digest
    status: Status
    index: int | None
    """Of its entry in the log; None while pending."""
    owner: str
    vehicle: str
    hour: str
    duration: int  # seconds
    expires: int  # POSIX seconds
    bytes: int  # of the capsule file
    cameras: tuple[Name, ...]
    tags: tuple[Name, ...]
    purposes: tuple[Name, ...]


class Index:
    """The table. Written only under the vault's lock; read at any time."""

    def __init__(self, path: Path | str) -> None:
        """``path``: the database file, made if missing."""
        self._database = Database(path, schema=_SCHEMA, version=1)
        # What an erasure takes must not survive in free pages of the file.
        self._database.run("PRAGMA secure_delete = ON")

    def transaction(self) -> AbstractContextManager[None]:
        """All that is written within is kept, or, on an error, none of it."""
        return self._database.transaction()

    @property
    def read(self) -> int:
        """How many log entries this index knows."""
        row = self._database.one("SELECT value FROM meta WHERE name = 'read'")
        return 0 if row is None else int(row[0])

    def set_read(self, size: int) -> None:
        """Everything up to log size ``size`` is in the table."""
        self._database.run("INSERT OR REPLACE INTO meta VALUES ('read', ?)", size)

    def add_owner(self, key: Digest, name: str) -> None:
        """The opening key with digest ``key`` is or was the owner ``name``'s."""
        self._database.run("INSERT OR IGNORE INTO owners VALUES (?, ?)", bytes.fromhex(key), name)

    def owner_of(self, key: Digest) -> str | None:
        """The owner whose opening key has the digest ``key``."""
        row = self._database.one("SELECT name FROM owners WHERE key = ?", bytes.fromhex(key))
        return None if row is None else str(row[0])

    def begin(self, name: Digest, header: Header, size: int, entry: bytes) -> bytes:
        """A pending row with the log ``entry`` about to be appended; the entry that stands.

        If a row was begun before, its entry stands: a retry must append the very same bytes, or
        the log would hold the capsule twice.
        """
        with self._database.transaction():
            self._insert(name, header, size, "pending", None, entry)
            row = self._database.one(
                "SELECT entry FROM capsules WHERE digest = ?", bytes.fromhex(name)
            )
        return entry if row is None or row[0] is None else bytes(row[0])

    def keep(self, name: Digest, header: Header, size: int, at: int) -> None:
        """The capsule is stored, and its entry stands at ``at`` in the log."""
        with self._database.transaction():
            self._insert(name, header, size, "kept", at, None)
            self._set(name, "kept", at)

    def lose(self, name: Digest, at: int | None) -> None:
        """The capsule is in the log at ``at`` but not stored."""
        self._bare(name, "lost", at)
        self._set(name, "lost", at)

    def erase(self, name: Digest, at: int | None) -> None:
        """Forget all but the digest; ``at``: the capsule's own entry."""
        self._bare(name, "erased", at)
        self._database.run(
            "UPDATE capsules SET status = 'erased', at = ?, entry = NULL, capsule_id = NULL, "
            "owner = NULL, vehicle = NULL, hour = NULL, duration = NULL, expires = NULL, "
            "bytes = 0, cameras = '[]', tags = '[]', purposes = '[]' WHERE digest = ?",
            at,
            bytes.fromhex(name),
        )

    def fold(self) -> None:
        """Move the write-ahead log into the file and empty it, so that erased facts leave both."""
        # Somebody who reads at this moment is in the way; the next erasure or closing does it.
        with contextlib.suppress(UnavailableError):
            self._database.one("PRAGMA wal_checkpoint(TRUNCATE)")

    def forget(self, name: Digest) -> None:
        """Drop a pending row whose entry never reached the log."""
        sql = "DELETE FROM capsules WHERE digest = ? AND status = 'pending'"
        self._database.run(sql, bytes.fromhex(name))

    def get(self, name: Digest) -> Row | None:
        """The row of a capsule."""
        sql = f"SELECT {_ROW} FROM capsules WHERE digest = ?"  # noqa: S608  # a constant
        row = self._database.one(sql, bytes.fromhex(name))
        return None if row is None else _row(row)

    def holder_of(self, capsule_id: bytes) -> Digest | None:
        """Which capsule has this id (32 bytes)."""
        row = self._database.one("SELECT digest FROM capsules WHERE capsule_id = ?", capsule_id)
        return None if row is None else Digest(bytes(row[0]).hex())

    def rows(
        self,
        *,
        status: Status | None = None,
        since: str | None = None,
        until: str | None = None,
        owner: str | None = None,
        **having: str | None,
    ) -> Iterator[Row]:
        """Rows by hour, then digest. ``having``: ``camera``, ``tag``, ``purpose`` that it has."""
        parts, values = ["1"], list[Any]()
        bounds = (("status =", status), ("hour >=", since), ("hour <=", until), ("owner =", owner))
        for condition, value in bounds:
            if value is not None:
                parts.append(f"{condition} ?")
                values.append(value)
        for kind, condition in _HAVING.items():
            if having.get(kind) is not None:
                parts.append(condition)
                values.append(having[kind])
        where = " AND ".join(parts)
        sql = f"SELECT {_ROW} FROM capsules WHERE {where} ORDER BY hour, digest"  # noqa: S608  # constants
        return (_row(row) for row in self._database.rows(sql, values))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _insert(
        self,
        name: Digest,
        header: Header,
        size: int,
        status: Status,
        at: int | None,
        entry: bytes | None,
    ) -> None:
        """A new row, or the facts of one that was bare (lost, and found again)."""
        found = self._database.one(
            "SELECT status FROM capsules WHERE digest = ?", bytes.fromhex(name)
        )
        if found is not None and found[0] == "lost":
            self._database.run("DELETE FROM capsules WHERE digest = ?", bytes.fromhex(name))
        self._database.run(
            "INSERT INTO capsules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (digest) DO NOTHING",
            *(bytes.fromhex(name), header.capsule_id, status, at, entry),
            *(self.owner_of(header.owner.key), header.vehicle, header.hour),
            *(header.duration, header.expires, size),
            *(json.dumps(each) for each in (header.cameras, header.tags, header.purposes)),
        )

    def _bare(self, name: Digest, status: Status, at: int | None) -> None:
        self._database.run(
            "INSERT INTO capsules (digest, status, at, bytes, cameras, tags, purposes) "
            "VALUES (?, ?, ?, 0, '[]', '[]', '[]') ON CONFLICT (digest) DO NOTHING",
            *(bytes.fromhex(name), status, at),
        )

    def _set(self, name: Digest, status: Status, at: int | None) -> None:
        sql = "UPDATE capsules SET status = ?, at = ?, entry = NULL WHERE digest = ?"
        self._database.run(sql, status, at, bytes.fromhex(name))


def _row(row: tuple[Any, ...]) -> Row:
    digest, status, at, owner, vehicle, hour, duration, expires, size, *lists = row
    cameras, tags, purposes = (tuple(json.loads(each)) for each in lists)
    return Row(
        Digest(bytes(digest).hex()),
        status,
        at,
        owner or "",
        vehicle or "",
        hour or "",
        duration or 0,
        expires or 0,
        size,
        cameras,
        tags,
        purposes,
    )
