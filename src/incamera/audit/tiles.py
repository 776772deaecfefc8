# SPDX-License-Identifier: Apache-2.0
"""Every tile and bundle, recomputed from the entries and compared byte for byte.

Entries stream through; what is kept is the right edge of the tree and one bundle.
"""

from __future__ import annotations

from collections import Counter

from incamera.audit.files import Listing
from incamera.audit.report import Findings
from incamera.errors import Error
from incamera.tlog import tile
from incamera.tlog.edge import RightEdge
from incamera.tlog.fetch import Fetch
from incamera.tlog.merkle import HASH, leaf_hash
from incamera.tlog.tree import fetch_tile

__all__ = ["TileCheck"]

_ALTERED = "get the original from a mirror; ask the operator how it came to be altered"


class TileCheck:
    """Feed it every entry in order, then :meth:`finish`."""

    def __init__(
        self, fetch: Fetch, listing: Listing | None, findings: Findings, counts: Counter[str]
    ) -> None:
        """``listing``: what lies in the public folder; None where only fetching is possible."""
        self._fetch = fetch
        self._listing = listing
        self._findings, self._into = Findings(), findings
        self._counts = counts
        self.edge = RightEdge()
        self._bundle: list[bytes] = []
        self._done: set[tuple[int, int]] = set()

    def add(self, entry: bytes) -> None:
        """The next entry."""
        self._bundle.append(entry)
        for level, index, hashes in self.edge.append(leaf_hash(entry)):
            if level == 0:
                self._check_bundle(index)
            self._check(level, index, b"".join(hashes), [HASH] * len(hashes))

    def finish(self) -> None:
        """After the last entry: the partial tiles, and files for which there is no entry.

        Call it once the entries are known to be right; until then nothing is reported.
        """
        self._checks()
        self._into.add(self._findings)

    def _checks(self) -> None:
        size = self.edge.size
        if self._bundle:
            self._check_bundle(size // tile.WIDTH)
        for level, index, hashes in self.edge.partials():
            self._check(level, index, b"".join(hashes), [HASH] * len(hashes))
        if self._listing is None:
            return
        for level, index in sorted(self._listing.tiles.keys() - self._done):
            for width in sorted(self._listing.tiles[level, index]):
                self._beyond(level, index, width)

    def _check_bundle(self, index: int) -> None:
        parts = [len(entry).to_bytes(2, "big") + entry for entry in self._bundle]
        self._check(tile.ENTRIES, index, b"".join(parts), [len(part) for part in parts])
        self._bundle = []

    def _check(self, level: int, index: int, data: bytes, lengths: list[int]) -> None:
        """Compare each file of one tile; ``data`` is made of items of ``lengths`` bytes."""
        self._done.add((level, index))
        due = len(lengths)
        there = {due} if self._listing is None else self._listing.tiles.get((level, index), set())
        if due not in there and tile.WIDTH not in there:
            self._withheld(tile.path(level, index, due))
        for width in sorted(there):
            where = tile.path(level, index, width)
            try:
                # A partial may be collected while we read: then the full tile answers for it.
                found = fetch_tile(self._fetch, level, index, width)
            except Error:
                self._withheld(where)
                continue
            self._counts["tiles"] += 1
            known = data[: sum(lengths[:width])]
            if width > due and found.startswith(known):
                self._beyond(level, index, width)
            elif width > due or found != known:
                self._findings.error(where, "its bytes are not those of the log", _ALTERED)

    def _withheld(self, where: str) -> None:
        self._findings.error(
            where,
            "missing, although the checkpoint promises it",
            "without it others cannot verify their proofs: ask the operator to restore it",
        )

    def _beyond(self, level: int, index: int, width: int) -> None:
        """A file for more entries than the checkpoint has: fine only while an append is open."""
        where = tile.path(level, index, width)
        reach = self._listing.reach if self._listing else 0
        if width > tile.width_at(level, index, reach):
            self._findings.error(where, "a tile for which there are no entries", _ALTERED)
            return
        try:
            well_formed = self._well_formed(level, where, width)
        except Error:
            well_formed = False
        if not well_formed:
            self._findings.error(where, "its bytes are no tile", _ALTERED)
            return
        self._findings.warning(
            where,
            "holds entries that stand under no checkpoint yet, so they count for nothing",
            "the log is waiting for its witnesses; audit again when it has published",
        )

    def _well_formed(self, level: int, where: str, width: int) -> bool:
        data = self._fetch(where)
        if level == tile.ENTRIES:
            return len(tile.decode_bundle(data, where)) == width
        return len(tile.split_hashes(data, width, where)) == width
