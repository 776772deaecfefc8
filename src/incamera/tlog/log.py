# SPDX-License-Identifier: Apache-2.0
"""The writer of a tiled log: entries in, witnessed checkpoint out, or an error and no harm.

The order of what becomes durable, and what a crash after each step leaves:

1. ``state/batch``: the new entries and their indices. From here on these entries, and no others,
   will stand there: recovery finishes what was begun. (Before: nothing happened.)
2. ``public/tile/...``: bundles and tiles, written once. Readers do not look at them yet.
3. ``state/tree``: the new size and root. Only now may that tree be signed; no other tree of that
   size ever is, because the batch that makes it was fixed in step 1.
4. The log signs, the witnesses cosign. Nothing of ours changes; asking again is harmless.
5. ``public/checkpoint``: replaced once the quorum cosigned. Only now is the append answered.

The partial tiles of tiles that became full are removed at the start of the next append, when the
checkpoint that no longer needs them has been published.

Where several processes stand ready to write one log, a database decides which tree comes next, and
steps 1 and 3 are those of :mod:`incamera.tlog.deciding`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.tlog import merkle, storage, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.cosigners import WitnessClient, Witnesses
from incamera.tlog.deciding import Alone, Deciding
from incamera.tlog.edge import RightEdge
from incamera.tlog.note import Signer, sign
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.proof import Proof
from incamera.tlog.reader import FolderFetch, LogReader
from incamera.tlog.storage import Batch, Tree
from incamera.tlog.tree import TileTree

__all__ = ["Appended", "Log", "WitnessClient"]

_NOW = 300
"""Seconds that witnesses' clocks may be apart from ours when they confirm a tree."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a batch went: indices ``first_index`` on, in a published tree of ``size``.

    ``indices``: of each entry, where they do not stand in a row: some of them were there before.
    """

    first_index: int
    size: int
    indices: tuple[int, ...] = field(default=(), repr=False)
    note: bytes = field(default=b"", repr=False, compare=False)
    """The checkpoint under which they were published, with its cosignatures, where it is at hand.

    Whoever believes nobody checks it as any other; but need not ask for it.
    """


@dataclass
class _Memory:
    """What the files say; dropped after any failure and read again."""

    tree: Tree
    edge: RightEdge
    tail: list[bytes]
    batch: Batch | None
    published: Witnessed | None
    #: True once a quorum confirmed, in this process and by cosignatures of now, that ``tree`` is
    #: the latest they saw: the proof that this state is no restored backup. No new tree is signed
    #: before.
    confirmed: bool = field(default=False)

    @property
    def behind(self) -> bool:
        """True while the decided tree is not the published one."""
        return self.published is None or self.published.checkpoint.size < self.tree.size


class Log:
    """One log: its public folder, its own state folder, its key and its witnesses.

    Any number of Log objects and processes may share a log: every act holds ``state/lock``.
    """

    def __init__(
        self,
        public: Path,
        state: Path,
        signer: Signer,
        witnesses: Sequence[WitnessClient],
        policy: Policy,
        clock: Clock,
        deciding: Deciding | None = None,
    ) -> None:
        """``deciding``: what decides which tree comes next; by default our own files."""
        if not any(each == signer.verifier for each in policy.logs):
            raise InputError(f"the policy does not name the log {signer.vkey}")
        self._public = public
        self._state = state
        self._signer = signer
        self._policy = policy
        self._clock = clock
        self._witnesses = Witnesses(witnesses, policy)
        self._fetch = FolderFetch(public)
        self._deciding: Deciding = deciding or Alone(state)
        self._memory: _Memory | None = None
        #: True after an append failed: the same entries again are then a retry, not a repetition.
        self._unanswered = False
        if not (state / "tree").exists():
            raise InputError(
                f"{state}: no log here",
                hint="if there was one, put its newest state back, "
                "or start a new log under another name; only a new one is made afresh",
            )
        with self._locked():
            pass

    @classmethod
    def create(
        cls,
        public: Path,
        state: Path,
        signer: Signer,
        witnesses: Sequence[WitnessClient],
        policy: Policy,
        clock: Clock,
    ) -> Log:
        """Make the empty log: policy file, state, and a witnessed checkpoint of size 0."""
        cls.found(public, state, signer, policy)
        log = cls(public, state, signer, witnesses, policy, clock)
        log.refresh()
        return log

    @staticmethod
    def found(public: Path, state: Path, signer: Signer, policy: Policy) -> None:
        """Make the files of the empty log; nothing is signed yet."""
        durable.folder(public)
        durable.folder(state, mode=0o700)
        with durable.lock(state / "lock", wait=True):
            if (state / "tree").exists():
                raise InputError(f"{state}: there is a log already")
            durable.create(public / "tlog-policy", policy.text)
            Tree(signer.name, 0, merkle.EMPTY).write(state / "tree")

    def close(self) -> None:
        """Let go of the threads that ask the witnesses."""
        self._witnesses.close()

    @property
    def origin(self) -> str:
        """The log's name, first line of its checkpoints."""
        return self._signer.name

    @property
    def shared(self) -> bool:
        """True if several processes stand ready to write it: then look at it every second."""
        return self._deciding.shared

    @property
    def policy(self) -> Policy:
        """Whose signatures make a checkpoint of this log count."""
        return self._policy

    @property
    def size(self) -> int:
        """Entries under the published checkpoint."""
        return self.checkpoint().checkpoint.size

    def checkpoint(self) -> Witnessed:
        """The published checkpoint."""
        return self._policy.check(self._fetch("checkpoint"), str(self._public / "checkpoint"))

    def append(self, entries: Sequence[bytes]) -> Appended:
        """Take in ``entries`` (each at most 65535 bytes) as one batch.

        When this returns they are on disk, in the tree, and under a published checkpoint that a
        quorum cosigned. On UnavailableError nothing is lost: call it again with the same entries.
        """
        if not entries:
            raise InputError("nothing to append")
        tile.encode_bundle(entries)  # refuses one that is too long before anything is written
        batch_entries = tuple(bytes(entry) for entry in entries)
        with self._locked() as memory:
            self._witnesses.heard(self.origin, memory.tree.size)
            retry = memory.behind or self._unanswered
            if memory.behind or not memory.confirmed:
                self._publish(memory)
            if not memory.confirmed:
                raise UnavailableError(
                    f"{self.origin}: the witnesses' cosignatures are not of now",
                    hint="compare the clocks of log and witnesses: an answer of long ago does not "
                    "show that this log's state is its latest",
                )
            last = memory.batch
            if retry and last and last.entries == batch_entries:
                return Appended(last.first, memory.tree.size)
            batch = Batch(memory.tree.size, batch_entries)
            if last and not self._deciding.shared:
                storage.collect(self._public, last.first, last.end)
            self._integrate(memory, batch, begun=False)
            if last and self._deciding.shared:  # until it was decided, a start needs them
                storage.collect(self._public, last.first, last.end)
            return Appended(batch.first, batch.end, note=self._publish(memory).note)

    def refresh(self, older_than: int = 0) -> Witnessed:
        """Have the witnesses cosign the present tree again, so that its witness time moves on.

        Does nothing while the published checkpoint is younger than ``older_than`` seconds.
        """
        with self._locked() as memory:
            now = self._clock.now()
            if not memory.behind and memory.published:
                age = now - memory.published.time(self._policy)
                if 0 <= age < older_than:
                    return memory.published
            return self._publish(memory)

    def leaves(self, start: int, size: int) -> list[bytes]:
        """The leaf hashes of the entries from ``start`` to a published ``size``, as our tiles say.

        For a writer that looks up what it took in; nothing is proven by it.
        """
        tree = TileTree(self._fetch, size)
        found: list[bytes] = []
        for index in range(start // tile.WIDTH, -(-size // tile.WIDTH)):
            found += tree.tile(0, index)[max(0, start - index * tile.WIDTH) :]
        return found

    def entry(self, index: int) -> bytes:
        """The entry at ``index`` of the published tree."""
        reader = LogReader(self._fetch, self._policy)
        size = reader.checkpoint().checkpoint.size
        return next(reader.entries(index, index + 1, size))

    def proof(self, index: int) -> bytes:
        """The ``.tlog-proof`` file of entry ``index`` under the published checkpoint."""
        reader = LogReader(self._fetch, self._policy)
        witnessed = reader.checkpoint()
        hashes = reader.inclusion(index, witnessed.checkpoint.size)
        return Proof(index, hashes, witnessed.note).format()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[_Memory]:
        """The state under the lock, read again if another process moved it.

        A failure inside drops the memory: what is true then is what the files say.
        """
        with self._deciding.held():
            memory, self._memory = self._memory, None
            try:
                if memory is None or self._deciding.tree() != memory.tree:
                    memory = self._load()
                elif self._deciding.shared:
                    self._mend(memory)
                yield memory
            except IntegrityError:
                self._unanswered = True
                # What an overtaken leader finds, or hears of a larger tree, is no fork.
                self._deciding.may_sign(self._deciding.tree())
                raise
            except BaseException:
                self._unanswered = True
                raise
            self._memory = memory
            self._unanswered = False

    def _load(self) -> _Memory:
        """Read the files, check that they belong together, and finish a batch that was begun."""
        tree = self._deciding.tree()
        if tree.origin != self.origin:
            raise InputError(f"{self._state}: this is the state of the log {tree.origin!r:.80}")
        if self._fetch("tlog-policy") != self._policy.text:
            raise InputError(f"{self._public / 'tlog-policy'}: not the policy this log runs under")
        there, batch = self._deciding.begun(tree)
        durable.sweep(self._public / "checkpoint")
        published = self.checkpoint() if (self._public / "checkpoint").exists() else None
        edge = self._edge(there)
        begun = Tree(self.origin, there, edge.root())
        if there == tree.size:
            self._check_whole(begun, tree, published)
        memory = _Memory(begun, edge, storage.read_tail(self._fetch, edge), batch, published)
        if batch and batch.first == there:
            storage.sweep(self._public)
            self._integrate(memory, batch, begun=True)
        if there != tree.size:
            self._check_whole(memory.tree, tree, published)
        return memory

    def _edge(self, size: int) -> RightEdge:
        try:
            return storage.read_edge(self._fetch, size)
        except UnavailableError as error:
            raise IntegrityError(
                f"{self._public}: has not the tiles of {size} entries: {error.message}",
                hint="this is no folder that the log's state, or its database, goes with: a stale "
                "copy perhaps; restore public/tile from a backup or a mirror",
            ) from error

    def _check_whole(self, found: Tree, tree: Tree, published: Witnessed | None) -> None:
        """The tiles must make the decided tree."""
        if found != tree:
            raise IntegrityError(
                f"{self._public}: the tiles do not make the root that the log's state records",
                hint="restore public/tile from a backup or a mirror",
            )
        if published:
            storage.check_beginning(self._public, published.checkpoint, tree)

    def _integrate(self, memory: _Memory, batch: Batch, *, begun: bool) -> None:
        """Steps 1 to 3: the batch, the tiles, then the state that allows to sign them."""
        files = storage.extend(memory.edge, memory.tail, batch.entries)
        tree = Tree(self.origin, memory.edge.size, memory.edge.root())
        if not begun:
            self._deciding.decide(memory.tree, batch, tree)
        durable.create_all([(self._public / name, data) for name, data in files])
        self._deciding.integrated(tree)
        memory.tree, memory.batch = tree, batch

    def _publish(self, memory: _Memory) -> Witnessed:
        """Steps 4 and 5: sign the decided tree, have it cosigned, publish."""
        self._witnesses.heard(self.origin, memory.tree.size)
        checkpoint = Checkpoint(self.origin, memory.tree.size, memory.tree.root)
        tree = TileTree(self._fetch, checkpoint.size)
        self._deciding.may_sign(memory.tree)
        note = sign(checkpoint.text, [self._signer])
        fresh = self._witnesses.cosign(
            checkpoint, note, lambda old: merkle.consistency_proof(old, tree.size, tree.get)
        )
        note += b"".join(each.line for each in fresh)
        witnessed = self._policy.check(note)
        self._deciding.may_publish(memory.tree)
        durable.write(self._public / "checkpoint", note)
        memory.published = witnessed
        age = self._clock.now() - witnessed.time(self._policy)
        # Somebody between may have kept an answer of before a backup was restored.
        memory.confirmed |= self._policy.quorum == "none" or -_NOW <= age <= _NOW
        return witnessed

    def _mend(self, memory: _Memory) -> None:
        """What we published again, if an overtaken leader has put an older checkpoint back."""
        path = self._public / "checkpoint"
        there = path.read_bytes() if path.exists() else b""
        if memory.published and there != memory.published.note:
            self._deciding.may_sign(memory.tree)  # or we are the one that was overtaken
            durable.write(path, memory.published.note)
