# SPDX-License-Identifier: Apache-2.0
"""What a log shows now against what it showed before: it may only have grown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from incamera.errors import IntegrityError
from incamera.ids import Digest
from incamera.ledger import evidence
from incamera.ledger.evidence import Split
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.frontier import Frontier

__all__ = ["Seen", "keep", "split_of"]

Get = Callable[[int, int], bytes]
"""From (level, index), the hash of that complete subtree; unverified."""

Seen = tuple[Checkpoint, bytes]
"""A checkpoint that a policy accepted, and its note."""


def split_of(small: Checkpoint, of_small: Get, large: Checkpoint, of_large: Get) -> Split | None:
    """Where the smaller tree is no beginning of the larger one; None if it is.

    :class:`IntegrityError` where hashes do not lead to the signed roots: then nothing is known.
    """
    places = evidence.places(small.size)
    hashes = tuple(of_small(level, index) for level, index in places)
    if Frontier(small.size, hashes).root() != small.root:
        raise IntegrityError(f"the tiles do not make the root of size {small.size}")
    for at, (level, index) in enumerate(places):
        other = of_large(level, index)
        start, end = index << level, (index + 1) << level
        proof = merkle.subtree_proof(start, end, large.size, of_large)
        merkle.verify_inclusion(index, -(-large.size >> level), other, proof, large.root)
        if other != hashes[at]:
            return Split(hashes, at, other, tuple(proof))
    return None


def keep(folder: Path, ours: bytes, theirs: bytes, split: Split | None, now: int) -> Digest:
    """Keep the proof of a fork as one file; ``split`` if the two notes are of two sizes."""
    if split is None:
        return evidence.keep(folder, ours, theirs, now)
    return evidence.keep_split(folder, ours, theirs, split, now)
