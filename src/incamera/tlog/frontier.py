# SPDX-License-Identifier: Apache-2.0
"""The compact right edge of a Merkle tree: enough to append to it and to know its root. Pure.

Whoever reads a log from the first entry keeps one of these (at most 63 hashes) and needs neither
tiles nor proofs: the root follows from what was read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from incamera.encoding import base64_bytes, base64_text, exact_keys
from incamera.errors import InputError
from incamera.tlog.merkle import EMPTY, HASH, node_hash

__all__ = ["Frontier"]


class Frontier:
    """A tree of ``size`` leaves, known by the roots of its complete subtrees."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        #: One root per set bit of ``size``, largest subtree (leftmost) first.
        self._hashes = list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise InputError(f"frontier: {len(self._hashes)} hashes do not fit size {size}")
        if any(len(item) != HASH for item in self._hashes):
            raise InputError(f"frontier: a hash is not {HASH} bytes long")

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The complete subtrees' roots, largest first."""
        return tuple(self._hashes)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf hash at the right."""
        merges = (~self.size & (self.size + 1)).bit_length() - 1  # trailing one bits of size
        for _ in range(merges):
            leaf_hash = node_hash(self._hashes.pop(), leaf_hash)
        self._hashes.append(leaf_hash)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._hashes:
            return EMPTY
        found = self._hashes[-1]
        for left in self._hashes[-2::-1]:
            found = node_hash(left, found)
        return found

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        return Frontier(self.size, self._hashes)

    def to_json(self) -> dict[str, Any]:
        """``{"size": int, "hashes": [base64, ...]}``."""
        return {"size": self.size, "hashes": [base64_text(item) for item in self._hashes]}

    @classmethod
    def from_json(cls, value: Any, where: str = "frontier") -> Frontier:
        """The inverse of :meth:`to_json`; anything else is an :class:`InputError`."""
        fields = exact_keys(value, ("size", "hashes"), where)
        size, hashes = fields["size"], fields["hashes"]
        if type(size) is not int or not 0 <= size < 1 << 63 or not isinstance(hashes, list):
            raise InputError(f"{where}: size or hashes are not what they should be")
        return cls(size, (base64_bytes(item, where, HASH) for item in hashes))
