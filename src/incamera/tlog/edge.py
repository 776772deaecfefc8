# SPDX-License-Identifier: Apache-2.0
"""The right edge of a tiled tree: the partial tile of each level. Pure.

It is all a writer needs in memory: a new leaf touches the level-0 edge, and a level above only
when a tile fills up, so nothing already hashed into a full tile is hashed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from incamera.tlog import merkle, tile
from incamera.tlog.merkle import EMPTY, node_hash

__all__ = ["RightEdge", "edge_widths"]

Tile = tuple[int, int, list[bytes]]
"""Level, index, hashes."""


def edge_widths(size: int) -> list[int]:
    """The width (0 to 255) of the partial tile of each level, level 0 first."""
    levels = max(1, -(-size.bit_length() // 8))
    return [size >> 8 * level & 255 for level in range(levels)]


class RightEdge:
    """The partial tiles of a tree of ``size`` entries, level 0 first."""

    def __init__(self, size: int = 0, levels: Iterable[Sequence[bytes]] = ((),)) -> None:
        self.size = size
        #: levels[l] holds the hashes of the partial tile at level l: always 0 to 255 of them.
        self.levels = [list(level) for level in levels]

    def copy(self) -> RightEdge:
        """An independent edge of the same tree."""
        return RightEdge(self.size, self.levels)

    def append(self, leaf: bytes) -> Iterator[Tile]:
        """Add a leaf hash; yields each tile that became full by it, lowest level first."""
        self.size += 1
        carry, level = leaf, 0
        while True:
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(carry)
            if len(self.levels[level]) < tile.WIDTH:
                return
            full, self.levels[level] = self.levels[level], []
            yield level, (self.size >> 8 * (level + 1)) - 1, full
            carry, level = merkle.root(full), level + 1

    def partials(self) -> Iterator[Tile]:
        """The partial tiles that a checkpoint of this size implies."""
        for level, hashes in enumerate(self.levels):
            if hashes:
                yield level, self.size >> 8 * (level + 1), list(hashes)

    def root(self) -> bytes:
        """The root over all leaves: the complete subtrees of the edge, folded from the right."""
        found = None
        for hashes in self.levels:
            end = len(hashes)
            while end:
                start = end - (end & -end)
                part = merkle.root(hashes[start:end])
                found = part if found is None else node_hash(part, found)
                end = start
        return EMPTY if found is None else found
