# SPDX-License-Identifier: Apache-2.0
"""The tables behind a state, in SQLite, and its errors turned into ours.

Rows go to disk as they come and SQLite's page cache is bounded, so memory stays flat however
long the log is. Full synchronisation: what was committed survives a power cut.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from incamera.errors import IntegrityError, UnavailableError

__all__ = ["Database"]

_APPLICATION = 0x494E434C  # "INCL"

_VERSION = 3
"""Of the schema below; a file of another version is refused, and the log read again."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, root BLOB NOT NULL, note BLOB NOT NULL);
CREATE TABLE leaves (leaf BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE parties (
    role TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, country TEXT NOT NULL,
    key BLOB NOT NULL, opening BLOB NOT NULL, since INTEGER PRIMARY KEY, until INTEGER);
CREATE INDEX parties_name ON parties (role, name, until);
CREATE INDEX parties_key ON parties (key);
CREATE TABLE openings (key BLOB PRIMARY KEY, holder TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE epochs (
    trustee TEXT NOT NULL, epoch INTEGER NOT NULL, key BLOB NOT NULL,
    not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (trustee, epoch)) WITHOUT ROWID;
CREATE TABLE documents (
    kind TEXT NOT NULL, digest BLOB NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (kind, digest)) WITHOUT ROWID;
CREATE TABLE capsules (
    digest BLOB PRIMARY KEY, at INTEGER NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE erasures (
    digest BLOB PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, name TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE requests (
    leaf BLOB PRIMARY KEY, at INTEGER NOT NULL, time INTEGER NOT NULL, reader TEXT NOT NULL,
    data BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX requests_at ON requests (at);
CREATE TABLE grants (
    at INTEGER PRIMARY KEY, trustee TEXT NOT NULL, request BLOB NOT NULL, reader TEXT NOT NULL,
    capsules BLOB NOT NULL, count INTEGER NOT NULL, time INTEGER NOT NULL);
CREATE INDEX grants_request ON grants (request);
CREATE INDEX grants_reader ON grants (trustee, reader, time);
CREATE TABLE refusals (
    at INTEGER PRIMARY KEY, trustee TEXT NOT NULL, request BLOB NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL);
CREATE INDEX refusals_request ON refusals (request);
CREATE TABLE datasets (
    at INTEGER PRIMARY KEY, reader TEXT NOT NULL, request BLOB NOT NULL, manifest BLOB NOT NULL);
CREATE INDEX datasets_request ON datasets (request);
CREATE TABLE freezes (at INTEGER PRIMARY KEY, trustee TEXT NOT NULL, evidence BLOB NOT NULL);
CREATE TABLE demands (
    at INTEGER PRIMARY KEY, reference TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE destroyed (
    trustee TEXT NOT NULL, epoch INTEGER NOT NULL, at INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (trustee, epoch)) WITHOUT ROWID;
CREATE TABLE successions (
    number INTEGER PRIMARY KEY, leaf BLOB NOT NULL, data BLOB NOT NULL, at INTEGER NOT NULL,
    time INTEGER NOT NULL);
CREATE TABLE passings (
    succession INTEGER NOT NULL, step TEXT NOT NULL, trustee TEXT NOT NULL, file BLOB NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (succession, step, trustee)) WITHOUT ROWID;
CREATE TABLE withdrawals (
    kind TEXT NOT NULL, digest BLOB NOT NULL, owner TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (kind, digest, owner)) WITHOUT ROWID;
CREATE TABLE addresses (at INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE findings (at INTEGER PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL);
"""


class Database:
    """One connection. Not for two threads at once; two processes take turns."""

    def __init__(self, path: Path | str, *, schema: str = _SCHEMA, version: int = _VERSION) -> None:
        """``path``: a file; ``:memory:``; or ``""``, a temporary file of SQLite's own."""
        self.where = str(path) or "temporary database"
        with self._ours():
            self._connection = sqlite3.connect(
                str(path), timeout=30, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            # Without a lock where nothing has to be written: another process may be reading a
            # million entries on, in one transaction.
            if self._made() != (version, _APPLICATION):
                with self.transaction():
                    self._found(schema, version)

    def _made(self) -> tuple[int, int]:
        """Version and application that the file says."""
        pragmas = (self.one("PRAGMA user_version"), self.one("PRAGMA application_id"))
        version, application = (int(each[0]) for each in pragmas if each is not None)
        return version, application

    def _found(self, schema: str, wanted: int) -> None:
        version, application = self._made()
        if (version, application) == (0, 0) and self.one("PRAGMA schema_version") == (0,):
            for statement in schema.split(";\n"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {wanted}")
        elif (version, application) != (wanted, _APPLICATION):
            raise IntegrityError(
                f"{self.where}: not a state of this version",
                hint="move the file away: the state is read again from the log",
            )

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> UnavailableError:
        # Never an IntegrityError: a damaged file here says nothing about an entry read there.
        return UnavailableError(
            f"{self.where}: {error}",
            hint="make room, or end the other command; a damaged file may be moved away: "
            "what stands in it is read again from the log",
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens within is kept, or, on an error, none of it. Joins an open one."""
        if self._connection.in_transaction:
            yield
            return
        with self._ours():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._ours():
                self._connection.execute("COMMIT")
        except BaseException:
            with self._ours():
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise

    @property
    def in_transaction(self) -> bool:
        """True within :meth:`transaction`."""
        return self._connection.in_transaction

    def run(self, sql: str, *values: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        try:
            return self._connection.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise self._error(error) from error

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once for each row."""
        with self._ours():
            self._connection.executemany(sql, rows)

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        try:
            row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return row

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """All rows, one at a time."""
        with self._ours():
            yield from self._connection.execute(sql, values)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
