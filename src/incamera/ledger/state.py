# SPDX-License-Identifier: Apache-2.0
"""What a region's log says, folded into tables: the one reading that everybody shares.

Vault, trustees, readers and auditors each keep a state of their own and feed it every entry in
order. The log may contain rubbish, so a bad entry never raises: it has no effect and is kept as
a finding, with the reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.database import Database
from incamera.ledger.fold import check, write
from incamera.ledger.queries import Queries
from incamera.ledger.rows import Finding
from incamera.tlog.frontier import Frontier
from incamera.tlog.merkle import leaf_hash

__all__ = ["State", "leaf_digest"]

_MAX_FINDING = 300


def leaf_digest(entry: bytes) -> Digest:
    """The RFC 6962 leaf hash of an entry's exact bytes: how requests are named."""
    return Digest(leaf_hash(entry).hex())


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

    @property
    def frontier(self) -> Frontier:
        """The compact range of all entries applied, as a copy."""
        raw = self._meta("frontier") or b""
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
                self._put("frontier", b"".join(self._frontier.hashes))
                self._put("size", str(self._frontier.size).encode("ascii"))
            finally:
                self._frontier = None

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
            if finding is not None:
                values = (finding.index, finding.kind, finding.text)
                self._database.run("INSERT INTO findings VALUES (?, ?, ?)", *values)
            return finding

    def _fold(self, index: int, data: bytes, time: int) -> Finding | None:
        leaf = leaf_digest(data)
        if (first := self.index_of(leaf)) is not None:
            return Finding(index, "repeat", f"log entry {index}: the same bytes as entry {first}")
        try:
            signed = decode(data, f"log entry {index}")
            check(self, signed, index)
        except (InputError, IntegrityError) as error:
            # The message quotes hostile bytes: keep to what every terminal and table can hold.
            text = error.message[:_MAX_FINDING].encode("ascii", "backslashreplace").decode("ascii")
            return Finding(index, "bad", "".join(c if c.isprintable() else "?" for c in text))
        if not write(self._database, signed.entry, leaf, index, time):
            text = f"log entry {index}: says of a {signed.entry.type} what was said before"
            return Finding(index, "repeat", text)
        return None

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
