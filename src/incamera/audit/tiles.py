# SPDX-License-Identifier: Apache-2.0
"""Files of tiles and bundles, compared byte for byte with what the entries make them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from incamera.audit.files import Listing
from incamera.audit.report import Findings
from incamera.errors import Error
from incamera.tlog import tile
from incamera.tlog.edge import RightEdge
from incamera.tlog.fetch import Fetch
from incamera.tlog.merkle import HASH
from incamera.tlog.tree import fetch_tile

__all__ = ["ALTERED", "WITHHELD", "Compared", "TileCheck", "compare"]

ALTERED = "get the original from a mirror; ask the operator how it came to be altered"
WITHHELD = "without it others cannot verify their proofs: ask the operator to restore it"
_WAITING = "the log is waiting for its witnesses; audit again when it has published"


@dataclass(slots=True)
class Compared:
    """How many files of one or more tiles were compared, and what is not as it must be."""

    count: int = 0
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, other: Compared) -> None:
        """Take over what was seen of another tile."""
        self.count += other.count
        self.errors += other.errors
        self.warnings += other.warnings


def compare(
    fetch: Fetch,
    place: tuple[int, int],
    data: bytes,
    lengths: Sequence[int],
    there: Collection[int],
    reach: int,
) -> Compared:
    """Compare each file of the tile at ``place`` (level, index) with ``data``.

    ``data`` is made of items of ``lengths`` bytes; the widths ``there`` are looked at. ``reach``:
    how many entries all bundles would hold, those under no checkpoint yet included.
    """
    (level, index), due, seen = place, len(lengths), Compared()
    if due not in there and tile.WIDTH not in there:
        seen.errors.append(_withheld(tile.path(level, index, due)))
    for width in sorted(there):
        where = tile.path(level, index, width)
        try:
            # A partial may be collected while we read: then the full tile answers for it.
            found = fetch_tile(fetch, level, index, width)
        except Error:
            seen.errors.append(_withheld(where))
            continue
        seen.count += 1
        known = data if width >= due else data[: sum(lengths[:width])]
        if width > due and found.startswith(known):
            _beyond(fetch, level, index, width, reach, seen)
        elif width > due or found != known:
            seen.errors.append((where, "its bytes are not those of the log", ALTERED))
    return seen


def _withheld(where: str) -> tuple[str, str, str]:
    return where, "missing, although the checkpoint promises it", WITHHELD


def _beyond(fetch: Fetch, level: int, index: int, width: int, reach: int, seen: Compared) -> None:
    """A file for more entries than the checkpoint has: fine only while an append is open."""
    where = tile.path(level, index, width)
    if width > tile.width_at(level, index, reach):
        seen.errors.append((where, "a tile for which there are no entries", ALTERED))
        return
    try:
        well_formed = _well_formed(fetch, level, where, width)
    except Error:
        well_formed = False
    if well_formed:
        what = "holds entries that stand under no checkpoint yet, so they count for nothing"
        seen.warnings.append((where, what, _WAITING))
    else:
        seen.errors.append((where, "its bytes are no tile", ALTERED))


def _well_formed(fetch: Fetch, level: int, where: str, width: int) -> bool:
    data = fetch(where)
    if level == tile.ENTRIES:
        return len(tile.decode_bundle(data, where)) == width
    return len(tile.split_hashes(data, width, where)) == width


class TileCheck:
    """The tiles above level 0, recomputed from those at level 0; and what was seen of all.

    Invariant: ``edge`` is that of all entries taken in so far.
    """

    def __init__(self, fetch: Fetch, listing: Listing | None, edge: RightEdge, full: int) -> None:
        """``listing``: what lies in the folder; None where only fetching is possible.

        ``edge``: of the entries checked before, with ``full`` files of full tiles.
        """
        self._fetch = fetch
        self._listing = listing
        self._bottom = list(edge.levels[0])
        self._upper = RightEdge(edge.size >> 8, edge.levels[1:] or [()])
        #: Files compared, of tiles and bundles that are full now.
        self.full = full
        self.seen = Compared()
        self._partial = 0

    @property
    def edge(self) -> RightEdge:
        """The right edge of the tree."""
        return self.edge_above(self._bottom)

    def edge_above(self, bottom: Sequence[bytes]) -> RightEdge:
        """The edge with the leaf hashes ``bottom`` (1 to 256) on top of all full tiles."""
        size = self._upper.size * tile.WIDTH + len(bottom)
        return RightEdge(size, [bottom, *(self._upper.levels if self._upper.size else [])])

    @property
    def reach(self) -> int:
        """How many entries the bundles that are there would hold."""
        return self._listing.reach if self._listing else 0

    def there(self, level: int, index: int, due: int) -> Collection[int]:
        """The widths of that tile to look at."""
        if self._listing is None:
            return (due,)
        return self._listing.tiles.get((level, index), ())

    def partial(self, hashes: Sequence[bytes], seen: Compared) -> None:
        """The leaf hashes of the partial tile at the edge, looked at in ``seen``."""
        self._bottom = list(hashes)
        self._partial += seen.count
        self.seen.add(seen)

    def add(self, root: bytes, seen: Compared) -> None:
        """The root of the next full tile at level 0; it and its bundle were looked at."""
        self._bottom = []
        self.full += seen.count
        self.seen.add(seen)
        for level, index, hashes in self._upper.append(root):
            self.full += self._check(level + 1, index, hashes)

    def finish(self) -> None:
        """After the last entry: partial tiles, and files for which there is no entry."""
        edge = self.edge
        for level, index, hashes in edge.partials():
            if level:
                self._partial += self._check(level, index, hashes)
        if self._listing is None:
            return
        for level, index in sorted(self._listing.tiles):
            if tile.width_at(level, index, edge.size) == 0:
                for width in sorted(self._listing.tiles[level, index]):
                    _beyond(self._fetch, level, index, width, self.reach, self.seen)

    def _check(self, level: int, index: int, hashes: Sequence[bytes]) -> int:
        there = self.there(level, index, len(hashes))
        lengths = [HASH] * len(hashes)
        place = (level, index)
        seen = compare(self._fetch, place, b"".join(hashes), lengths, there, self.reach)
        self.seen.add(seen)
        return seen.count

    @property
    def count(self) -> int:
        """Files compared so far, in this visit and before."""
        return self.full + self._partial

    def report(self, findings: Findings) -> bool:
        """Add what was seen; True if nothing was wrong.

        Call it once the entries are known to be right: an altered bundle would blame good tiles.
        """
        for each in self.seen.errors:
            findings.error(*each)
        for each in self.seen.warnings:
            findings.warning(*each)
        return not self.seen.errors
