# SPDX-License-Identifier: Apache-2.0
"""What the agent saw in the recording folder, and what became of it: one row a file, on disk.

A file is bound when it is first seen, to the drive that was under way and to the consent that held
at that moment; no other one takes its place. Its clock, or the car's, has no say in it.

=========  ==================================================  ==================================
origin     first seen                                          what may become of it
=========  ==================================================  ==================================
``drive``  while the car drove                                 taken, if a consent held then
``parked`` coming into being while it stood                    taken with a consent to that; else
                                                               kept for ten minutes
``found``  there already, when folder or agent came            nothing: nobody knows whose it is
=========  ==================================================  ==================================

Each change is one committed statement or transaction: a crash leaves the row before or after it.
A file that was ``taken`` is not looked at again. One whose clips were cut, but that was not marked
before a crash, is gone through again, and its clips are found done in the ingest's journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from incamera.ledger.database import Database

__all__ = ["Diary", "File", "Origin"]

Origin = Literal["drive", "parked", "found"]

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE drives (
    drive INTEGER PRIMARY KEY, number INTEGER, wall INTEGER NOT NULL, ended INTEGER);
CREATE TABLE files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, origin TEXT NOT NULL,
    drive INTEGER NOT NULL, consent TEXT NOT NULL, seen INTEGER NOT NULL, wall INTEGER NOT NULL,
    settled INTEGER NOT NULL, outcome TEXT NOT NULL, why TEXT NOT NULL, tries INTEGER NOT NULL);
CREATE INDEX files_open ON files (outcome, settled);
"""
_COLUMNS = "path, size, mtime, origin, drive, consent, seen, wall, settled, outcome, why, tries"


@dataclass(frozen=True, slots=True)
class File:
    """One file of the recording folder."""

    path: str  # relative to the folder
    size: int
    mtime: int  # nanoseconds
    origin: Origin
    drive: int  # 0: none
    consent: str  # digest of the token that held; empty: none
    seen: int  # seconds that agents had watched, ever, when it was first seen
    wall: int  # POSIX seconds then, by this machine's clock
    settled: bool = False  # it was quiet
    outcome: str = ""  # empty: nothing became of it yet; taken, withheld, failed, removed
    why: str = ""
    tries: int = 0


class Diary:
    """The file ``diary.db``. For one thread; agent and worker take turns."""

    def __init__(self, path: Path) -> None:
        """Made if missing; :class:`UnavailableError` if it cannot be read."""
        self._database = Database(path, schema=_SCHEMA, version=1)
        self.transaction = self._database.transaction
        self._changes = 0
        #: What :meth:`open` gave last, and after which changes.
        self._open: tuple[tuple[int, int], list[File]] | None = None

    def _run(self, sql: str, *values: Any) -> None:
        """A statement that changes a file's row."""
        self._changes += 1
        self._database.run(sql, *values)

    def number(self, name: str) -> int:
        """A number that was kept; 0 if none was."""
        row = self._database.one("SELECT value FROM meta WHERE name = ?", name)
        return 0 if row is None else int(row[0])

    def keep(self, name: str, value: int) -> None:
        """Keep a number."""
        self._database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    # Drives

    def drive(self) -> tuple[int, int | None, bool]:
        """The last drive, the car's own number for it, and whether it ended; (0, None, True)."""
        row = self._database.one(
            "SELECT drive, number, ended FROM drives ORDER BY drive DESC LIMIT 1"
        )
        return (0, None, True) if row is None else (row[0], row[1], row[2] is not None)

    def begin(self, number: int | None, wall: int) -> int:
        """A drive begins; how it is called here."""
        drive = self.drive()[0] + 1
        self._database.run("INSERT INTO drives VALUES (?, ?, ?, NULL)", drive, number, wall)
        return drive

    def end(self, drive: int, wall: int) -> None:
        """A drive ended."""
        sql = "UPDATE drives SET ended = ? WHERE drive = ? AND ended IS NULL"
        self._database.run(sql, wall, drive)

    def begun(self, drive: int) -> int:
        """When a drive began, by this machine's clock."""
        row = self._database.one("SELECT wall FROM drives WHERE drive = ?", drive)
        return 0 if row is None else int(row[0])

    # Files

    def file(self, path: str) -> File | None:
        """What is known of a path."""
        row = self._database.one(f"SELECT {_COLUMNS} FROM files WHERE path = ?", path)  # noqa: S608
        return None if row is None else _file(row)

    def of_folder(self, folder: str, drive: int) -> str | None:
        """The consent of the files right in ``folder`` that are of ``drive``; None without any."""
        sql = (
            "SELECT consent FROM files WHERE path > ?1 || '/' AND path < ?1 || '0' "
            "AND origin = 'drive' AND drive = ?2 ORDER BY consent LIMIT 1"
        )
        row = self._database.one(sql, folder, drive)
        return None if row is None else str(row[0])

    def bind(self, file: File) -> None:
        """A file seen for the first time, or again with other content after it was settled."""
        self._run(
            f"INSERT OR REPLACE INTO files ({_COLUMNS}) "  # noqa: S608 - constants
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(file.path, file.size, file.mtime, file.origin, file.drive, file.consent),
            *(file.seen, file.wall, int(file.settled), file.outcome, file.why, file.tries),
        )

    def grew(self, path: str, size: int, mtime: int) -> None:
        """A file that is still being written."""
        sql = "UPDATE files SET size = ?, mtime = ?, settled = 0 WHERE path = ?"
        self._run(sql, size, mtime, path)

    def settle(self, path: str) -> None:
        """A file that was quiet for long enough."""
        self._run("UPDATE files SET settled = 1 WHERE path = ?", path)

    def became(self, paths: Sequence[str], outcome: str, why: str = "") -> None:
        """What became of files."""
        sql = "UPDATE files SET outcome = ?, why = ? WHERE path = ?"
        with self._database.transaction():
            for path in paths:
                self._run(sql, outcome, why, path)

    def release(self, paths: Sequence[str]) -> None:
        """The consent to parked footage did not last: it is as if there never was one."""
        with self._database.transaction():
            for path in paths:
                self._run("UPDATE files SET consent = '' WHERE path = ?", path)

    def tried(self, paths: Sequence[str], why: str) -> int:
        """Count a try that ended before its end; how many there were now, at most."""
        with self._database.transaction():
            for path in paths:
                sql = "UPDATE files SET tries = tries + 1, why = ? WHERE path = ?"
                self._run(sql, why, path)
        return max((each.tries for path in paths if (each := self.file(path))), default=0)

    def open(self) -> Sequence[File]:
        """Files that nothing became of yet, by path.

        Read anew only after a change, here or by another process: it is asked for several times
        each second, of what may be thousands.
        """
        other = self._database.one("PRAGMA data_version")
        now = (0 if other is None else int(other[0]), self._changes)
        if self._open is None or self._open[0] != now:
            sql = f"SELECT {_COLUMNS} FROM files WHERE outcome = '' ORDER BY path"  # noqa: S608
            self._open = now, [_file(row) for row in self._database.rows(sql)]
        return self._open[1]

    def prune(self, before: int, gone: Callable[[str], bool]) -> None:
        """Forget files first seen ``before`` that something became of, if they are ``gone``.

        One that comes back is ``found``: nothing more becomes of it.
        """
        sql = "SELECT path FROM files WHERE outcome <> '' AND seen < ? ORDER BY seen LIMIT 10000"
        paths = [row[0] for row in self._database.rows(sql, (before,))]
        with self._database.transaction():
            for path in paths:
                if gone(path):
                    self._run("DELETE FROM files WHERE path = ?", path)

    def counts(self) -> Iterator[tuple[str, str, str, str, bool, int]]:
        """Origin, consent, outcome, why, whether settled, and how many files are so."""
        sql = (
            "SELECT origin, consent, outcome, why, settled, COUNT(*) FROM files "
            "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3, 4"
        )
        for row in self._database.rows(sql):
            yield row[0], row[1], row[2], row[3], bool(row[4]), row[5]

    def drives(self, last: int) -> Iterator[tuple[int, int | None, int, int | None, str, str, int]]:
        """Of the ``last`` drives, newest first: how each is called here and by the car, begin, end.

        And of its files outcome, why, and how many. A drive without any has one row, of 0 files.
        """
        sql = (
            "SELECT d.drive, d.number, d.wall, d.ended, COALESCE(f.outcome, ''), "
            "COALESCE(f.why, ''), COUNT(f.path) "
            "FROM (SELECT * FROM drives ORDER BY drive DESC LIMIT ?) d "
            "LEFT JOIN files f ON f.drive = d.drive GROUP BY 1, 5, 6 ORDER BY 1 DESC, 5, 6"
        )
        for row in self._database.rows(sql, (last,)):
            yield row[0], row[1], row[2], row[3], row[4], row[5], row[6]

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _file(row: tuple[Any, ...]) -> File:
    path, size, mtime, origin, drive, consent, seen, wall, settled, outcome, why, tries = row
    facts = (path, size, mtime, origin, drive, consent, seen, wall)
    return File(*facts, bool(settled), outcome, why, tries)
