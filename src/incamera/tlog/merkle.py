# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962 / RFC 9162 over SHA-256: hashes, proofs and their checks. Pure.

A proof is a list of 32-byte hashes. Its right length follows from the sizes alone, so the length
is checked before anything is hashed. ``get(level, index)`` below stands for "the hash of the
complete subtree over leaves ``index * 2**level`` to ``(index + 1) * 2**level``".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from incamera.errors import InputError, IntegrityError

__all__ = [
    "EMPTY",
    "HASH",
    "MAX_PROOF",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "root",
    "subtree",
    "subtree_proof",
    "verify_consistency",
    "verify_inclusion",
]

HASH = 32
"""Bytes of one hash."""

MAX_PROOF = 63
"""No proof in a tree of fewer than 2**63 leaves is longer."""

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

Get = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): the hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The tree head over ``hashes`` (leaf hashes, or the hashes of equal complete subtrees)."""
    if not hashes:
        return EMPTY
    row = list(hashes)
    while len(row) > 1:
        # An odd last node moves up unchanged: the same tree as RFC 6962's split at the largest
        # power of two, built from below.
        pairs = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = pairs + row[len(pairs) * 2 :]
    return row[0]


def _split(count: int) -> int:
    """The largest power of two strictly below ``count`` (> 1)."""
    return 1 << (count - 1).bit_length() - 1


def subtree(start: int, end: int, get: Get) -> bytes:
    """MTH(D[start:end]) for a range that RFC 6962's splitting can produce."""
    count = end - start
    if count == 0:
        return EMPTY
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return get(level, start >> level)
    middle = start + _split(count)
    return node_hash(subtree(start, middle, get), subtree(middle, end, get))


def subtree_proof(start: int, end: int, size: int, get: Get) -> list[bytes]:
    """The sibling hashes from the subtree ``[start, end)`` up to the root of ``size`` leaves."""
    proof = []
    low, high = 0, size
    while (low, high) != (start, end):
        if not low <= start < end <= high or high - low <= 1:
            raise InputError(f"leaves {start} to {end} are no subtree of a tree of {size}")
        middle = low + _split(high - low)
        if start < middle:
            proof.append(subtree(middle, high, get))
            high = middle
        else:
            proof.append(subtree(low, middle, get))
            low = middle
    return proof[::-1]


def inclusion_proof(index: int, size: int, get: Get) -> list[bytes]:
    """RFC 6962 2.1.1: the audit path of leaf ``index`` in the tree of ``size`` leaves."""
    if not 0 <= index < size:
        raise InputError(f"no entry {index} in a tree of {size} entries")
    return subtree_proof(index, index + 1, size, get)


def consistency_proof(old: int, new: int, get: Get) -> list[bytes]:
    """RFC 6962 2.1.2: that the tree of ``new`` leaves begins with the tree of ``old`` leaves."""
    if not 0 <= old <= new:
        raise InputError(f"no consistency proof from size {old} to size {new}")
    if old in (0, new):
        return []
    proof = []
    low, high = 0, new
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(subtree(middle, high, get))
            high = middle
        else:
            proof.append(subtree(low, middle, get))
            low = middle
    if low:  # a power-of-two old tree is known to the verifier and left out
        proof.append(subtree(low, high, get))
    return proof[::-1]


def _check_proof(proof: Sequence[bytes], expected: int, what: str) -> None:
    """Lengths first: a wrong-length proof never reaches the hash function."""
    if len(proof) != expected or expected > MAX_PROOF:
        raise IntegrityError(f"{what} has {len(proof)} hashes where the sizes ask for {expected}")
    if any(len(item) != HASH for item in proof):
        raise IntegrityError(f"{what} holds a hash that is not {HASH} bytes long")


def _up(seed: bytes, proof: Sequence[bytes], path: int) -> bytes:
    """From ``seed`` towards the root; bit i of ``path`` says that the node is a right child."""
    for height, item in enumerate(proof):
        seed = node_hash(item, seed) if path >> height & 1 else node_hash(seed, item)
    return seed


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """RFC 9162 2.1.3.2: that ``leaf`` (a leaf hash) is at ``index`` of the tree ``expected_root``.

    Raises :class:`IntegrityError` unless it is.
    """
    if not 0 <= index < size < 1 << 63:
        raise IntegrityError(f"inclusion proof: no entry {index} in a tree of {size} entries")
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    _check_proof(proof, inner + border, "inclusion proof")
    # Below ``inner`` the path of the leaf and the right edge differ; above, the leaf's subtree
    # lies on the right edge and each remaining hash is a left sibling.
    found = _up(_up(leaf, proof[:inner], index), proof[inner:], -1)
    if found != expected_root:
        raise IntegrityError(f"inclusion proof of entry {index} does not lead to the signed root")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """RFC 9162 2.1.4.2: that the tree ``new_root`` extends the tree ``old_root``.

    ``old`` 0 with an empty proof holds: any tree extends the empty one (as tlog-witness says).
    Raises :class:`IntegrityError` unless it does.
    """
    if not 0 <= old <= new < 1 << 63:
        raise IntegrityError(f"consistency proof: size {old} is not before size {new}")
    if old in (0, new):
        _check_proof(proof, 0, "consistency proof")
        if old_root != (new_root if old == new else EMPTY):
            raise IntegrityError(f"consistency proof: two different roots for size {old}")
        return
    shift = (old & -old).bit_length() - 1  # the old tree's last complete subtree: 2**shift leaves
    inner = ((old - 1) ^ (new - 1)).bit_length() - shift
    border = ((old - 1) >> (inner + shift)).bit_count()
    known = old == 1 << shift  # then the old root itself starts the proof and is left out
    _check_proof(proof, inner + border + (not known), "consistency proof")
    seed, rest = (old_root, proof) if known else (proof[0], proof[1:])
    path = (old - 1) >> shift
    lefts = [item for height, item in enumerate(rest[:inner]) if path >> height & 1]
    from_old = _up(_up(seed, lefts, -1), rest[inner:], -1)
    from_new = _up(_up(seed, rest[:inner], path), rest[inner:], -1)
    if from_old != old_root or from_new != new_root:
        raise IntegrityError(
            f"consistency proof: the tree of size {new} does not extend the tree of size {old}"
        )
