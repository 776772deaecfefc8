# SPDX-License-Identifier: Apache-2.0
"""Reads a log from outside and believes nothing that does not lead to a witnessed root.

Only sizes whose checkpoint this reader has verified can be read: the specification forbids asking
for partial tiles that no verified checkpoint implies, and without a root there is nothing to
check the answer against.
"""

from __future__ import annotations

from collections.abc import Iterator

from incamera.errors import InputError, IntegrityError
from incamera.tlog import merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch, FolderFetch
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.tree import TileTree, fetch_tile

__all__ = ["Fetch", "FolderFetch", "LogReader"]

_KEPT_TREES = 8


class LogReader:
    """One log, read through ``fetch`` and judged by ``policy``."""

    def __init__(self, fetch: Fetch, policy: Policy) -> None:
        self.fetch = fetch
        self.policy = policy
        #: Size -> (verified root, tiles at that size). Bounded: the oldest is forgotten.
        self._trees: dict[int, tuple[bytes, TileTree]] = {}

    def checkpoint(self) -> Witnessed:
        """The published checkpoint, verified now; raises IntegrityError if it does not hold."""
        witnessed = self.policy.check(self.fetch("checkpoint"))
        self.trust(witnessed.checkpoint)
        return witnessed

    def trust(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint that the caller verified (now or before) as a root to read under."""
        kept = self._trees.get(checkpoint.size)
        if kept and kept[0] != checkpoint.root:
            raise IntegrityError(
                f"{checkpoint.origin}: two different roots for size {checkpoint.size}",
                hint="the log has forked: keep both checkpoints as evidence and stop using it",
            )
        if not kept:
            self._trees[checkpoint.size] = (checkpoint.root, TileTree(self.fetch, checkpoint.size))
            if len(self._trees) > _KEPT_TREES:
                del self._trees[next(iter(self._trees))]

    def _tree(self, size: int) -> tuple[bytes, TileTree]:
        if size not in self._trees:
            raise InputError(
                f"no verified checkpoint of size {size}",
                hint="call checkpoint() or trust() first",
            )
        return self._trees[size]

    def entries(self, start: int, end: int, size: int) -> Iterator[bytes]:
        """Entries ``start`` to ``end`` (exclusive) of the tree of ``size``.

        Each bundle is verified against the root before any of it is given out; one bundle is in
        memory at a time.
        """
        if not 0 <= start <= end <= size:
            raise InputError(f"no entries {start} to {end} in a tree of {size}")
        root, tree = self._tree(size)
        for index in range(start // tile.WIDTH, -(-end // tile.WIDTH)):
            entries = self._bundle(root, tree, index)
            base = index * tile.WIDTH
            yield from entries[max(start - base, 0) : end - base]

    def _bundle(self, root: bytes, tree: TileTree, index: int) -> list[bytes]:
        width = tile.width_at(tile.ENTRIES, index, tree.size)
        where = tile.path(tile.ENTRIES, index, width)
        data = fetch_tile(self.fetch, tile.ENTRIES, index, width)
        entries = tile.decode_bundle(data, where)
        if len(entries) != width:
            raise IntegrityError(f"{where}: {len(entries)} entries where there must be {width}")
        chunk = merkle.root([merkle.leaf_hash(entry) for entry in entries])
        # A tree of leaves is also the tree of its 256-leaf chunks, whose roots are its nodes.
        chunks = -(-tree.size // tile.WIDTH)
        try:
            merkle.verify_inclusion(index, chunks, chunk, tree.chunk_proof(index), root)
        except IntegrityError as error:
            raise IntegrityError(f"{where}: {error.message}") from error
        return entries

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """A verified inclusion proof of entry ``index`` in the tree of ``size``."""
        root, tree = self._tree(size)
        proof = merkle.inclusion_proof(index, size, tree.get)
        merkle.verify_inclusion(index, size, tree.get(0, index), proof, root)
        return proof

    def consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof from size ``old`` to the verified size ``new``.

        Verified here too where this reader knows the root of ``old``, else by whoever does.
        """
        root, tree = self._tree(new)
        proof = merkle.consistency_proof(old, new, tree.get)
        if old in self._trees:
            merkle.verify_consistency(old, new, self._trees[old][0], root, proof)
        return proof
