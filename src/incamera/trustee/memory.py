# SPDX-License-Identifier: Apache-2.0
"""What a trustee itself did, kept apart from what the log says: grants, recipients.

INVARIANT: a grant's rows and the exact bytes of its log entry are committed before the entry is
appended, and the entry's index before a share leaves. So after a crash at any point the same
request is granted under the same entry, counted once, to the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from incamera.errors import IntegrityError
from incamera.ids import Digest, Name
from incamera.ledger.database import Database

__all__ = ["Intent", "Memory"]

_SCHEMA = """
CREATE TABLE recipients (leaf BLOB PRIMARY KEY, recipient BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY, leaf BLOB NOT NULL, reader TEXT NOT NULL, day INTEGER NOT NULL,
    count INTEGER NOT NULL, entry BLOB NOT NULL, at INTEGER);
CREATE INDEX intents_reader ON intents (reader, day);
CREATE TABLE granted (
    leaf BLOB NOT NULL, capsule BLOB NOT NULL, intent INTEGER NOT NULL,
    PRIMARY KEY (leaf, capsule)) WITHOUT ROWID;
"""

_GRANTED = "SELECT capsule, id, entry, at FROM granted JOIN intents ON intent = id "


@dataclass(frozen=True, slots=True)
class Intent:
    """A grant entry we decided on; ``index`` is None until it was seen in the log."""

    id: int
    entry: bytes
    index: int | None


class Memory:
    """One trustee's own tables, in a file."""

    def __init__(self, path: Path) -> None:
        """``path``: made if missing."""
        self._database = Database(path, schema=_SCHEMA, version=1)

    def pin_recipient(self, leaf: Digest, recipient: bytes) -> None:
        """Shares for ``leaf`` go to ``recipient`` only, from now on."""
        raw = bytes.fromhex(leaf)
        row = self._database.one(
            "INSERT INTO recipients VALUES (?, ?) "
            "ON CONFLICT (leaf) DO UPDATE SET leaf = leaf RETURNING recipient",
            *(raw, recipient),
        )
        if row is None or bytes(row[0]) != recipient:
            raise IntegrityError("this request was granted to another recipient key before")

    def transaction(self) -> AbstractContextManager[None]:
        """All that is written within is kept, or, on an error, none of it."""
        return self._database.transaction()

    def intents(self, leaf: Digest, capsules: Sequence[Digest]) -> dict[Digest, Intent]:
        """The grants that cover ``capsules`` for ``leaf``, as far as we decided on any."""
        marks = ", ".join("?" * len(capsules))
        rows = self._database.rows(
            _GRANTED + f"WHERE granted.leaf = ? AND capsule IN ({marks})",
            [*map(bytes.fromhex, (leaf, *capsules))],
        )
        return {Digest(bytes(row[0]).hex()): Intent(row[1], bytes(row[2]), row[3]) for row in rows}

    def intend(
        self, leaf: Digest, capsules: Sequence[Digest], reader: Name, day: int, entry: bytes
    ) -> Intent:
        """Decide to grant ``capsules`` under the log entry ``entry``; counted on ``day``."""
        raw = bytes.fromhex(leaf)
        with self._database.transaction():
            row = self._database.one(
                "INSERT INTO intents (leaf, reader, day, count, entry) VALUES (?, ?, ?, ?, ?) "
                "RETURNING id",
                *(raw, reader, day, len(capsules), entry),
            )
            assert row is not None
            for capsule in capsules:
                self._database.run(
                    "INSERT INTO granted VALUES (?, ?, ?)", raw, bytes.fromhex(capsule), row[0]
                )
        return Intent(row[0], entry, None)

    def logged(self, intent: Intent, index: int) -> None:
        """The entry of ``intent`` was seen at ``index``."""
        self._database.run("UPDATE intents SET at = ? WHERE id = ?", index, intent.id)

    def granted_on(self, reader: Name, day: int) -> int:
        """Capsules we granted ``reader`` on ``day``."""
        row = self._database.one(
            "SELECT COALESCE(SUM(count), 0) FROM intents WHERE reader = ? AND day = ?", reader, day
        )
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
