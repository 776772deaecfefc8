# SPDX-License-Identifier: Apache-2.0
"""What an auditor remembers of a log, from one visit to the next: its state, and a little more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from incamera.encoding import base64_bytes, base64_text, canonical, exact_keys, parse_canonical
from incamera.ids import Digest
from incamera.ledger.rows import Party, Requested
from incamera.ledger.state import State
from incamera.tlog.edge import RightEdge
from incamera.tlog.merkle import HASH

__all__ = ["Memory"]

_PAGES = -65_536  # KiB of SQLite's cache: bounds what an audit needs of memory


class Memory(State):
    """A state and, beside it, what only auditors ask.

    Invariant: what :meth:`keep` wrote belongs to the entries applied, in the same transaction.
    """

    def __init__(self, path: Path | str = "") -> None:
        """``path``: a file; or ``""``, a temporary one: a long log needs no long memory."""
        super().__init__(path)
        self._database.run(f"PRAGMA cache_size = {_PAGES}")
        with self._database.transaction():
            self._database.run(
                "CREATE TABLE IF NOT EXISTS said (at INTEGER PRIMARY KEY, time INTEGER NOT NULL)"
            )

    def keep(self, edge: RightEdge, kinds: Counter[str], full: int) -> None:
        """The right edge of what was read, the entries by kind, the files of full tiles."""
        levels = [base64_text(b"".join(level)) for level in edge.levels]
        value = {"edge": levels, "full": full, "kinds": dict(kinds)}
        self._put("audit", canonical(value))

    def kept(self) -> tuple[RightEdge, Counter[str], int]:
        """What :meth:`keep` wrote; of an empty log at first."""
        if (data := self._meta("audit")) is None:
            return RightEdge(), Counter(), 0
        where = self._database.where
        value = exact_keys(parse_canonical(data, where), ("edge", "full", "kinds"), where)
        levels = []
        for text in value["edge"]:
            raw = base64_bytes(text, where)
            levels.append([raw[i : i + HASH] for i in range(0, len(raw), HASH)])
        return RightEdge(self.size, levels), Counter(value["kinds"]), value["full"]

    def remember_said(self, index: int, time: int) -> None:
        """The signer's own clock in entry ``index``."""
        self._database.run("INSERT INTO said VALUES (?, ?)", index, time)

    def said(self, index: int) -> int:
        """The signer's own clock in entry ``index``, a grant or an erasure; 0 if it is neither."""
        row = self._database.one("SELECT time FROM said WHERE at = ?", index)
        return 0 if row is None else int(row[0])

    def reader(self, request: Requested) -> Party:
        """The reader of a request, as enrolled when it was logged."""
        party = self.party_at("reader", request.entry.reader, request.index)
        assert party is not None, "only an enrolled reader's request takes effect"
        return party

    def dataset(self, manifest: Digest) -> tuple[int, Party] | None:
        """The entry that first named a manifest, and the reader as enrolled then."""
        sql = "SELECT at, reader FROM datasets WHERE manifest = ? ORDER BY at LIMIT 1"
        row = self._database.one(sql, bytes.fromhex(manifest))
        if row is None or (party := self.party_at("reader", row[1], row[0])) is None:
            return None
        return int(row[0]), party

    def admitted(self) -> int:
        """How many capsules were admitted."""
        self._settle()
        row = self._database.one("SELECT COUNT(*) FROM capsules")
        return int(row[0]) if row else 0

    def void(self, kind: str) -> int:
        """How many entries are without effect, of a kind (``bad``, ``repeat``)."""
        self._settle()
        row = self._database.one("SELECT COUNT(*) FROM findings WHERE kind = ?", kind)
        return int(row[0]) if row else 0
