# SPDX-License-Identifier: Apache-2.0
"""What a region's log says, folded into tables: the one reading that everybody shares.

Vault, trustees, readers and auditors each keep a state of their own and feed it every entry in
order. The log may contain rubbish, so a bad entry never raises: it has no effect and is kept as
a finding, with the reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.database import Database
from incamera.ledger.entries import CapsuleEntry, RegionEntry
from incamera.ledger.fold import check, write
from incamera.ledger.queries import Queries
from incamera.ledger.quick import CapsuleForm, Run
from incamera.ledger.rows import Admitted, Finding
from incamera.tlog.frontier import Frontier
from incamera.tlog.merkle import HASH, leaf_hash

__all__ = ["State", "leaf_digest"]

_MAX_FINDING = 300
_STAGED = (
    "CREATE TEMP TABLE IF NOT EXISTS staged "
    "(at INTEGER PRIMARY KEY, names BLOB NOT NULL, time INTEGER NOT NULL)"
)
# Each capsule of each stretch that is staged.
_EACH = (
    "SELECT SUBSTR(names, i * 32 + 1, 32) AS digest, at + i AS at, time FROM staged CROSS JOIN "
    "(WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
    "SELECT i FROM n) WHERE i * 32 < LENGTH(names)"
)
_MOST_STAGED = 1 << 20
"""Capsules: enough that each page of the table is turned only once in a while."""


def leaf_digest(entry: bytes) -> Digest:
    """The RFC 6962 leaf hash of an entry's exact bytes: how requests are named."""
    return Digest(leaf_hash(entry).hex())


def _repeat(index: int, kind: str) -> Finding:
    return Finding(index, "repeat", f"log entry {index}: says of a {kind} what was said before")


class State(Queries):
    """A region's log as read so far. For one thread at a time.

    Invariant: ``size``, the tables, the frontier and the checkpoint change together, in one
    transaction; after a crash the state stands at the last one that was committed.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
        """``path``: a file, made if missing; ``:memory:``; or ``""``, a temporary file."""
        super().__init__(Database(path))
        self.path = Path(path) if str(path) not in ("", ":memory:") else None
        # Set only within a transaction: between two, another process may move the file on.
        self._frontier: Frontier | None = None
        #: Entry 0, once it was asked for; of this transaction alone.
        self._founded: RegionEntry | None = None
        #: How a valid capsule entry looks, once entry 0 is known; of this transaction alone.
        self._form: CapsuleForm | None = None
        #: Rows in the table ``staged``: capsules taken in bulk and not yet in ``capsules``.
        self._staged = 0

    @property
    def region(self) -> RegionEntry | None:
        """Entry 0, or None before it was read (or if it is bad: then nothing is believed)."""
        if self._founded is not None:
            return self._founded
        found = super().region
        if self._frontier is not None:
            self._founded = found
        return found

    @property
    def frontier(self) -> Frontier:
        """The compact range of all entries applied, as a copy."""
        raw = self._meta("frontier") or b""
        if len(raw) != HASH * self.size.bit_count():
            raise IntegrityError(
                f"{self._database.where}: holds what concerns one car, not a whole log",
                hint="move the file away: the state is read again from the log",
            )
        return Frontier(self.size, tuple(raw[i : i + 32] for i in range(0, len(raw), 32)))

    @property
    def applied(self) -> int:
        """Entries applied so far in this transaction; outside of one, the same as ``size``."""
        return self.size if self._frontier is None else self._frontier.size

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is applied within, or, on an error, none of it."""
        if self._frontier is not None:
            yield
            return
        with self._database.transaction():
            self._frontier = self.frontier
            try:
                yield
                self._settle()
                self._put("frontier", b"".join(self._frontier.hashes))
                self._put("size", str(self._frontier.size).encode("ascii"))
            finally:
                self._frontier, self._staged = None, 0
                self._founded, self._form = None, None

    def _put(self, name: str, value: bytes) -> None:
        self._database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def apply(self, index: int, entry: bytes, witnessed_time: int) -> Finding | None:
        """Fold the entry at ``index`` in; the finding, if it has no effect.

        ``witnessed_time`` (POSIX seconds) is that of the checkpoint it was read under.
        :class:`InputError` only if ``index`` is not the next one: that is the caller's mistake.
        """
        with self.transaction():
            assert self._frontier is not None
            if index != self._frontier.size:
                raise InputError(f"entry {index} handed in, but {self._frontier.size} comes next")
            finding = self._fold(index, entry, witnessed_time)
            self._frontier.append(leaf_hash(entry))
            return finding

    def take(self, run: Run, witnessed_time: int) -> list[Finding]:
        """Fold a run of entries in: as :meth:`apply` for each, in order, only quicker.

        The findings about ``run.others``; capsules said before are found later, and stand in
        :meth:`findings`. ``run`` must come next and be made with this log's :meth:`form`; its
        hashes must be those of its entries.
        """
        with self.transaction():
            assert self._frontier is not None
            if run.first != self._frontier.size:
                raise InputError(f"entry {run.first} handed in, {self._frontier.size} comes next")
            self._stage(run.capsules, witnessed_time)
            folded = [self._fold(index, entry, witnessed_time) for index, entry in run.others]
            # A tree of leaves is also the tree of its equal complete subtrees.
            grown = Frontier(run.first >> run.height, self._frontier.hashes)
            for each in run.hashes:
                grown.append(each)
            self._frontier = Frontier(grown.size << run.height, grown.hashes)
            return [finding for finding in folded if finding is not None]

    def form(self) -> CapsuleForm | None:
        """How valid capsule entries of this log look; None before entry 0 founded a region."""
        if self._form is not None:
            return self._form
        region = self.region
        form = None if region is None else CapsuleForm(region.region, region.vault_key)
        if self._frontier is not None:
            self._form = form
        return form

    def _stage(self, capsules: Sequence[tuple[int, bytes]], time: int) -> None:
        if not self._staged:
            self._database.run(_STAGED)
        rows = ((at, names, time) for at, names in capsules)
        self._database.run_many("INSERT INTO staged VALUES (?, ?, ?)", rows)
        self._staged += sum(len(names) for _, names in capsules) // HASH
        if self._staged >= _MOST_STAGED:
            self._settle()

    def _settle(self) -> None:
        """Move the staged capsules into their table, in the table's order: one pass over it."""
        if not self._staged:
            return
        said, self._staged = self._staged, 0
        row = self._database.one("SELECT MAX(LENGTH(names)) / 32 FROM staged")
        longest = row[0] if row else 0
        added = self._database.run(f"INSERT OR IGNORE INTO capsules {_EACH} ORDER BY 1, 2", longest)
        if added < said:
            again = self._database.rows(
                f"SELECT said.at FROM ({_EACH}) AS said "  # noqa: S608 - a constant
                "JOIN capsules USING (digest) WHERE capsules.at <> said.at ORDER BY said.at",
                (longest,),
            )
            for (index,) in list(again):
                self._note(_repeat(index, CapsuleEntry.type))
        self._database.run("DELETE FROM staged")

    def _note(self, finding: Finding) -> Finding:
        values = (finding.index, finding.kind, finding.text)
        self._database.run("INSERT INTO findings VALUES (?, ?, ?)", *values)
        return finding

    def _fold(self, index: int, data: bytes, time: int) -> Finding | None:
        form = self.form()
        if form is not None and (name := form.read(data)) is not None:
            self._settle()
            sql = "INSERT OR IGNORE INTO capsules VALUES (?, ?, ?)"
            if self._database.run(sql, name, index, time) == 1:
                return None
            return self._note(_repeat(index, CapsuleEntry.type))
        leaf = leaf_digest(data)
        if (first := self.index_of(leaf)) is not None:
            text = f"log entry {index}: the same bytes as entry {first}"
            return self._note(Finding(index, "repeat", text))
        try:
            signed = decode(data, f"log entry {index}")
            check(self, signed, index)
        except (InputError, IntegrityError) as error:
            # The message quotes hostile bytes: keep to what every terminal and table can hold.
            text = error.message[:_MAX_FINDING].encode("ascii", "backslashreplace").decode("ascii")
            shown = "".join(c if c.isprintable() else "?" for c in text)
            return self._note(Finding(index, "bad", shown))
        if isinstance(signed.entry, CapsuleEntry):
            self._settle()
        if not write(self._database, signed, leaf, index, time):
            return self._note(_repeat(index, signed.entry.type))
        return None

    def capsule(self, digest: str) -> Admitted | None:
        """The entry that admitted a capsule (erased since or not)."""
        self._settle()
        return super().capsule(digest)

    def capsules(self) -> Iterator[Admitted]:
        """Every capsule that was admitted, by digest."""
        self._settle()
        return super().capsules()

    def accept(self, note: bytes, root: bytes, time: int) -> None:
        """Stand under the checkpoint ``note`` of this very size and ``root`` (32 bytes).

        Call within the :meth:`transaction` that applied its last entry. :class:`IntegrityError`
        unless the root of the entries that were applied is ``root``.
        """
        with self.transaction():
            assert self._frontier is not None
            if self._frontier.root() != root:
                raise IntegrityError(
                    f"checkpoint of size {self._frontier.size}: its root is not that of the "
                    "entries read",
                    hint="the log, or a copy of it, was altered: keep it, and read another copy",
                )
            size = self._frontier.size
            self._database.run(
                "INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?)", size, root, note
            )
            self._put("note", note)
            self._put("time", str(max(time, self.time)).encode("ascii"))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
