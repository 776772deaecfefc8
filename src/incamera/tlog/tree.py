# SPDX-License-Identifier: Apache-2.0
"""Hashes of any complete subtree, from tiles.

:class:`TileTree` answers ``get(level, index)`` for :mod:`incamera.tlog.merkle` from the tiles of
one tree size. What it returns is as good as the tiles: unauthenticated until a proof made of it
has led to a signed root.
"""

from __future__ import annotations

from collections import OrderedDict

from incamera.errors import IntegrityError, UnavailableError
from incamera.tlog import merkle, tile
from incamera.tlog.fetch import Fetch

__all__ = ["TileTree", "fetch_tile"]

_KEPT = 64  # tiles of 8 KiB


def fetch_tile(fetch: Fetch, level: int, index: int, width: int) -> bytes:
    """A tile's or bundle's bytes.

    A partial one may have been collected once the full one exists: then the full one is fetched,
    and its first ``width`` hashes or entries are the answer.
    """
    try:
        return fetch(tile.path(level, index, width))
    except UnavailableError:
        if width == tile.WIDTH:
            raise
    data = fetch(tile.path(level, index))
    if level != tile.ENTRIES:
        return data[: width * merkle.HASH]
    entries = tile.decode_bundle(data, tile.path(level, index))
    return tile.encode_bundle(entries[:width])


class TileTree:
    """The tree of ``size`` entries as its tiles tell it."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self.size = size
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def tile(self, level: int, index: int) -> list[bytes]:
        """The hashes of one tile at this size (the last few tiles are kept)."""
        key = (level, index)
        if key not in self._tiles:
            width = tile.width_at(level, index, self.size)
            if width == 0:
                raise IntegrityError(f"a tree of {self.size} entries has no tile {level}/{index}")
            data = fetch_tile(self._fetch, level, index, width)
            where = tile.path(level, index, width)
            self._tiles[key] = tile.split_hashes(data, width, where)
            if len(self._tiles) > _KEPT:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(key)
        return self._tiles[key]

    def get(self, level: int, index: int) -> bytes:
        """The root of the complete subtree of 2**level leaves number ``index``."""
        row, height = divmod(level, 8)
        first = index << height
        hashes = self.tile(row, first // tile.WIDTH)
        at = first % tile.WIDTH
        part = hashes[at : at + (1 << height)]
        if len(part) != 1 << height:
            raise IntegrityError(f"a tree of {self.size} entries has no subtree {level}/{index}")
        return merkle.root(part)

    def root(self) -> bytes:
        """The root over all entries."""
        return merkle.subtree(0, self.size, self.get)

    def chunk_proof(self, index: int) -> list[bytes]:
        """The path from level-0 tile ``index``, taken as one node, to the root."""
        start = index * tile.WIDTH
        end = min(start + tile.WIDTH, self.size)
        return merkle.subtree_proof(start, end, self.size, self.get)
