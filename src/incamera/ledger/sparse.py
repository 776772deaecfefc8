# SPDX-License-Identifier: Apache-2.0
"""Following a log by extracts: only what concerns one car is read, and now and then a bundle whole.

What is proven, each time: the checkpoint has its quorum and goes on from the last one (consistency
proof); every entry that is shown is in it, at its place. What is not proven is that none is
missing. The vault signs that, and at one visit of some two bundles, chosen by this car's own dice,
are read whole: an entry that concerns it, takes effect and was not shown convicts the vault. What
a lie can still bring stands in decision 0024.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Name
from incamera.ledger.codec import decode
from incamera.ledger.entries import EpochEntry, PartyEntry
from incamera.ledger.extract import Extract, Statement, concerns, open_statement
from incamera.ledger.follower import Follower
from incamera.ledger.rows import Finding
from incamera.ledger.state import State
from incamera.tlog import merkle, tile
from incamera.tlog.policy import Witnessed
from incamera.tlog.reader import LogReader

__all__ = ["STATEMENTS", "LeftOutError", "SparseFollower", "SparseState"]

STATEMENTS = "extracts.jsonl"
"""Beside the state: each statement that was believed, or refuted, a line."""

_LOOKS, _SELDOM = 2, 16
"""Bundles of 256 entries, some 125 kB each, read whole at one visit of so many."""
_WHERE = "the vault's extract"


class LeftOutError(IntegrityError):
    """Log entry ``index`` concerns the car, and was not shown."""

    def __init__(self, index: int) -> None:
        super().__init__(
            f"the vault left out log entry {index}, which concerns this car",
            hint=f"its signed word that there is none is in {STATEMENTS}, in the car's folder: "
            "keep it, and hand it to an auditor (incamera audit --extracts)",
        )
        self.index = index


class SparseState(State):
    """A state of some entries only. It goes on from a whole one, and no whole one from it."""

    whole = False

    def __init__(self, path: Path | str = ":memory:") -> None:
        super().__init__(path)
        #: Entries before this index were applied, or concern others; of a transaction alone.
        self._at: int | None = None

    @property
    def applied(self) -> int:
        """Entries dealt with so far in this transaction; outside of one, the same as ``size``."""
        return self.size if self._at is None else self._at

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is applied within, or, on an error, none of it."""
        if self._at is not None:
            yield
            return
        with self._database.transaction():
            self._at = self.size
            try:
                yield
                self._put("frontier", b"")  # nobody can go on hashing from here
                self._put("size", str(self._at).encode("ascii"))
            finally:
                self._at = None

    def apply(self, index: int, entry: bytes, witnessed_time: int) -> Finding | None:
        """As :meth:`State.apply`; those between the last one and ``index`` concern others."""
        with self.transaction():
            self.skip(index)
            finding = self._fold(index, entry, witnessed_time)
            self._at = index + 1
            return finding

    def skip(self, index: int) -> None:
        """Nothing before ``index`` is left to apply. Within a transaction."""
        if self._at is None or index < self._at:
            raise InputError(f"entry {index} is behind the last one that was applied")
        self._at = index

    def takes_effect(self, index: int, entry: bytes, time: int) -> bool:
        """True if ``entry`` would change something now, for certain; it does not.

        Within a transaction. Of what was not heard of here, such as another car, nobody is certain.
        """
        self._database.run("SAVEPOINT look")
        self.whole = True
        try:
            return self._fold(index, entry, time) is None
        finally:
            self.whole = False
            self._database.run("ROLLBACK TO look")
            self._database.run("RELEASE look")

    @property
    def owed(self) -> frozenset[int]:
        """Entries that were found to be left out, and were not shown since."""
        return frozenset(int(each) for each in (self._meta("owed") or b"").split())

    def owe(self, indices: frozenset[int]) -> None:
        """From now on these are :attr:`owed`."""
        with self.transaction():
            self._put("owed", b" ".join(b"%d" % each for each in sorted(indices)))

    def accept(self, note: bytes, root: bytes, time: int) -> None:
        """Stand under ``note``: that it goes on from the last one was the follower's to check."""
        with self.transaction():
            sql = "INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?)"
            self._database.run(sql, self.applied, root, note)
            self._put("note", note)
            self._put("time", str(max(time, self.time)).encode("ascii"))


def _seldom(bundles: Sequence[int], count: int) -> list[int]:
    """``count`` of them, at one visit of :data:`_SELDOM`: which one, nobody can tell before."""
    return [] if secrets.randbelow(_SELDOM) else secrets.SystemRandom().sample(bundles, count)


class SparseFollower(Follower):
    """Keeps a car's state in step with its log, by what a vault shows of it."""

    state: SparseState

    def __init__(
        self,
        reader: LogReader,
        state: SparseState,
        clock: Clock,
        ask: Callable[[int], bytes],
        *,
        car: Name,
        owner: Name,
        choose: Callable[[Sequence[int], int], list[int]] | None = None,
    ) -> None:
        """``ask`` gets the extract from an index on, unchecked. ``choose``: bundles to look at."""
        super().__init__(reader, state, clock)
        self._ask, self._car, self._owner = ask, car, owner
        self._choose = choose or _seldom
        self._extract: Extract | None = None

    def follow(self, seen: Witnessed | None = None) -> Witnessed:
        """As :meth:`Follower.follow`, under the checkpoint that the vault's extract brings."""
        del seen
        try:
            return super().follow()
        except LeftOutError as error:
            self.state.owe(self.state.owed | {error.index})  # the next answer must show it
            raise
        except InputError as error:
            raise UnavailableError(
                f"{_WHERE} is malformed: {error.message}", hint="is the vault's URL right?"
            ) from error

    def present(self) -> Witnessed:
        """The checkpoint of a new extract, with its quorum."""
        self._extract = Extract.parse(self._ask(self.state.size), _WHERE)
        return self.policy.check(self._extract.note, _WHERE)

    def _read(self, witnessed: Witnessed) -> None:
        assert self._extract is not None
        checkpoint, old = witnessed.checkpoint, self.state.size
        reader = LogReader(self.reader.fetch, self.policy)
        reader.trust(checkpoint)
        self._goes_on(self._extract, old, witnessed)
        statement, envelope = open_statement(self._extract.statement, _WHERE)
        self._check(statement, old, witnessed)
        time = max(witnessed.time(self.policy), self.state.time)
        for index, each in zip(statement.indices, self._extract.entries, strict=True):
            leaf = merkle.leaf_hash(each.entry)
            merkle.verify_inclusion(index, checkpoint.size, leaf, each.proof, checkpoint.root)
            self.state.apply(index, each.entry, time)
        region = self.state.region
        if region is None or region.region != statement.region:
            raise IntegrityError(f"{_WHERE}: not of the region that this log founded")
        envelope.verify(region.vault_key)
        self.state.skip(checkpoint.size)
        self._keep(statement, self._extract.statement)
        for index in sorted(self.state.owed - set(statement.indices)):
            raise LeftOutError(index)
        self._look(reader, statement)
        self.state.owe(frozenset())
        self.state.accept(witnessed.note, checkpoint.root, time)

    def _goes_on(self, extract: Extract, old: int, witnessed: Witnessed) -> None:
        """The tree is an extension of the one that we stand under."""
        if not old:
            if extract.consistency:
                raise IntegrityError(f"{_WHERE}: a proof from a tree that was not asked about")
            return
        known, new = self.state.checkpoint(old), witnessed.checkpoint
        if known is None:
            raise IntegrityError(f"no checkpoint of size {old} is kept here")
        merkle.verify_consistency(old, new.size, known[0], new.root, extract.consistency)

    def _check(self, said: Statement, old: int, witnessed: Witnessed) -> None:
        """The statement is about what was asked, under this checkpoint."""
        assert self._extract is not None
        new = witnessed.checkpoint
        if (said.car, said.owner, said.since) != (self._car, self._owner, old):
            raise IntegrityError(f"{_WHERE}: an answer to another question")
        if (said.size, said.root) != (new.size, new.root):
            raise IntegrityError(f"{_WHERE}: its statement is of another tree")
        if len(said.indices) != len(self._extract.entries):
            raise IntegrityError(f"{_WHERE}: other entries than its statement names")

    def _keep(self, said: Statement, data: bytes) -> None:
        """For whoever finds later that something was left out: it is the vault's signed word."""
        if self.state.path is not None and said.since < said.size:
            durable.append(self.state.path.with_name(STATEMENTS), data)

    def _look(self, reader: LogReader, said: Statement) -> None:
        """Read some bundles whole; :class:`IntegrityError` if something was left out of them."""
        bundles = range(said.since // tile.WIDTH, -(-said.size // tile.WIDTH))
        if said.since == said.size:
            return
        shown = frozenset(said.indices)
        for number in self._choose(bundles, min(_LOOKS, len(bundles))):
            first = max(said.since, number * tile.WIDTH)
            end = min(said.size, (number + 1) * tile.WIDTH)
            for index, entry in enumerate(reader.entries(first, end, said.size), first):
                if index not in shown and self._matters(index, entry):
                    raise LeftOutError(index)

    def _matters(self, index: int, entry: bytes) -> bool:
        """True for an entry that concerns this car, and takes effect for all who read the log.

        Of a new key nobody can say so who has not read all: it must have been nobody's before.
        """
        try:
            said = decode(entry, f"log entry {index}").entry
        except Error:
            return False
        if isinstance(said, (PartyEntry, EpochEntry)):
            return False
        ours = concerns(said, self._car, self._owner)
        return ours and self.state.takes_effect(index, entry, self.state.time)
