# SPDX-License-Identifier: Apache-2.0
"""A log copied into a folder laid out as it is served; nothing is kept that was not verified.

Hashes are fetched from the top: the tiles at the right edge make the signed root, each full tile
has the hash that its parent says, each bundle the leaf hashes of its tile. So every file can be
judged when it comes, is written once and for ever, and a copy that was interrupted goes on where
it stopped. What the log serves wrong is told, and made good from below where that is possible.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from incamera import durable
from incamera.audit.files import digest_named
from incamera.audit.tiles import ALTERED, WITHHELD
from incamera.errors import Error, IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.tlog import merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.edge import RightEdge, edge_widths
from incamera.tlog.fetch import Fetch, FolderFetch
from incamera.tlog.tree import fetch_tile

__all__ = ["Mirror", "MirrorFetch"]

Advance = Callable[[int, int], object]
Problem = tuple[str, str, str]
"""Where, what, and what to do about it."""

_AT_ONCE = 8  # requests under way
_AHEAD = 64  # files asked for before the first of them is needed
_NO_ENTRIES = "the entries are not those that the witnesses saw: "
_HINT = "entries were altered or are withheld: fetch the log from another copy"


class MirrorFetch(FolderFetch):
    """The files of a mirror; texts that are not there yet come from the log, verified."""

    def __init__(self, folder: Path, remote: Fetch) -> None:
        """``remote``: the log that ``folder`` mirrors."""
        super().__init__(folder)
        self._remote = remote
        #: Set once the log did not answer at all: then a text that is missing says nothing.
        self.away: UnavailableError | None = None

    def __call__(self, path: str) -> bytes:
        """The file at ``path``; a text that is not what its name says is given, but not kept."""
        name = digest_named(path)
        if name is None or (self.folder / path).exists():
            return super().__call__(path)
        try:
            data = self._remote(path)
        except UnavailableError:
            self._ask_whether_away()
            raise
        if digest(data) == name:
            durable.create(self.folder / path, data)
        return data

    def _ask_whether_away(self) -> None:
        try:
            self._remote("checkpoint")
        except UnavailableError as error:
            self.away = error


class Mirror:
    """Brings a folder up to a checkpoint that was verified."""

    def __init__(self, folder: Path, remote: Fetch) -> None:
        """``folder``: becomes what ``remote`` serves."""
        self._folder = folder
        self._local = FolderFetch(folder)
        self._remote = remote
        #: What the log served wrong.
        self.problems: list[Problem] = []
        #: False once something is missing that nothing can replace.
        self.whole = True

    def update(self, edge: RightEdge, below: int = 0, advance: Advance | None = None) -> None:
        """Fetch what the tree with this :meth:`edge` has beyond the first ``below`` entries.

        :class:`UnavailableError` if the log does not answer; what came before that is kept.
        """
        size = edge.size
        for level, index, hashes in edge.partials():
            self._write(level, index, len(hashes), b"".join(hashes))
        for level in range(len(edge.levels) - 2, 0, -1):
            whole = range(below >> 8 * (level + 1), size >> 8 * (level + 1))
            for _ in self._each(functools.partial(self._tile, edge, level), whole):
                pass
        bundles = range(below >> 8, size >> 8)
        for done in self._each(lambda index: self._bundle(index, edge), bundles):
            if advance is not None:
                advance((done + 1) * tile.WIDTH - below, size - below)
        if edge.levels[0]:
            self._last(edge)

    def again(self, paths: Iterable[str]) -> None:
        """Ask anew for files that the log served wrong, now that the right ones are known."""
        for path in paths:
            if not (self._folder / path).exists():
                continue  # superseded by a fuller one
            data = self._ask(path)
            if data is None:
                self._problem(path, "missing, although the checkpoint promises it", WITHHELD)
            elif data != self._local(path):
                self._problem(path, "its bytes are not those of the log", ALTERED)

    def _each(self, act: Callable[[int], None], items: Iterable[int]) -> Iterator[int]:
        """Do ``act`` for each item, several at once, and give each when it is done, in order."""
        pool = ThreadPoolExecutor(_AT_ONCE, "mirror")
        under_way: deque[tuple[int, Future[None]]] = deque()
        try:
            for item in items:
                under_way.append((item, pool.submit(act, item)))
                if len(under_way) >= _AHEAD:
                    yield _done(*under_way.popleft())
            while under_way:
                yield _done(*under_way.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def edge(self, checkpoint: Checkpoint) -> RightEdge | None:
        """The right edge of that tree, verified; rebuilt from what lies below it if need be.

        None, and nothing can be fetched, if neither makes the signed root. Nothing is written.
        """
        size, served, rebuilt = checkpoint.size, [], []
        for level, width in enumerate(edge_widths(size)):
            index = size >> 8 * (level + 1)
            served.append(self._hashes(level, index, width) if width else ())
        if (edge := _fits(size, served, checkpoint.root)) is not None:
            return edge
        for level, width in enumerate(edge_widths(size)):
            rebuilt.append(self._from_below(level, size >> 8 * (level + 1), width))
        for chosen in itertools.product(*zip(served, rebuilt, strict=True)):
            if (edge := _fits(size, chosen, checkpoint.root)) is not None:
                for level, index, hashes in edge.partials():
                    if tuple(hashes) != served[level]:
                        self._bad(tile.path(level, index, len(hashes)), served[level])
                return edge
        self.whole = False
        self._problem("tile", f"{_NO_ENTRIES}no tiles make the signed root", _HINT)
        return None

    def _tile(self, edge: RightEdge, level: int, index: int) -> None:
        """A full tile above level 0."""
        where = tile.path(level, index)
        if (self._folder / where).exists() or (
            expected := self._parent(level, index, edge)
        ) is None:
            return
        found = self._hashes(level, index, tile.WIDTH)
        if not found or merkle.root(found) != expected:
            below = self._from_below(level, index, tile.WIDTH)
            if not below or merkle.root(below) != expected:
                self.whole = False
                self._bad(where, found)
                return
            self._bad(where, found)
            found = below
        self._write(level, index, tile.WIDTH, b"".join(found))

    def _bundle(self, index: int, edge: RightEdge) -> None:
        """A full bundle and its level-0 tile."""
        where, above = tile.path(tile.ENTRIES, index), tile.path(0, index)
        have, known = (self._folder / where).exists(), (self._folder / above).exists()
        if have and known:
            return
        if (expected := self._parent(0, index, edge)) is None:
            return
        data = self._local(where) if have else self._entries(where, index, tile.WIDTH, expected)
        if data is not None:
            self._write(tile.ENTRIES, index, tile.WIDTH, data)
        if known:
            return
        hashes = self._hashes(0, index, tile.WIDTH)
        if not hashes or merkle.root(hashes) != expected:
            self._bad(above, hashes)
            if data is None:
                return
            hashes = _leaves(data, where)
        self._write(0, index, tile.WIDTH, b"".join(hashes))

    def _last(self, edge: RightEdge) -> None:
        """The partial bundle."""
        index, width = edge.size // tile.WIDTH, len(edge.levels[0])
        where = tile.path(tile.ENTRIES, index, width)
        if (self._folder / where).exists():
            return
        data = self._entries(where, index, width, merkle.root(edge.levels[0]))
        if data is not None:
            self._write(tile.ENTRIES, index, width, data)

    def _entries(self, where: str, index: int, width: int, expected: bytes) -> bytes | None:
        """The bundle whose leaf hashes make ``expected``, or None."""
        what = "they are withheld"
        if (data := self._ask_tile(tile.ENTRIES, index, width)) is not None:
            try:
                leaves = _leaves(data, where)
                if len(leaves) == width and merkle.root(leaves) == expected:
                    return data
                what = "other bytes are served"
            except IntegrityError as error:
                what = error.message
        self.whole = False
        self._problem(where, f"{_NO_ENTRIES}{what}", _HINT)
        return None

    def _parent(self, level: int, index: int, edge: RightEdge) -> bytes | None:
        """What a full tile must hash to; None where that is not known either."""
        row, at = divmod(index, tile.WIDTH)
        above = edge.levels[level + 1]
        if row == edge.size >> 8 * (level + 2):
            return above[at]
        path = self._folder / tile.path(level + 1, row)
        if not path.exists():
            return None
        return path.read_bytes()[at * merkle.HASH : (at + 1) * merkle.HASH]

    def _hashes(
        self, level: int, index: int, width: int, fetch: Fetch | None = None
    ) -> tuple[bytes, ...]:
        """A tile as it is here or served, unverified; empty if it is not."""
        data = self._ask_tile(level, index, width, fetch)
        if data is None or len(data) != width * merkle.HASH:
            return ()
        return tuple(tile.split_hashes(data, width, "tile"))

    def _from_below(self, level: int, index: int, width: int) -> tuple[bytes, ...]:
        """A tile made of what lies below it, unverified; empty if that is not to be had."""
        if width == 0:
            return ()
        if level == 0:
            data = self._ask_tile(tile.ENTRIES, index, width, self._there_or_here)
            try:
                return _leaves(data or b"", "bundle")
            except IntegrityError:
                return ()
        first = index * tile.WIDTH
        children = [
            self._hashes(level - 1, at, tile.WIDTH, self._there_or_here)
            for at in range(first, first + width)
        ]
        return tuple(merkle.root(child) for child in children)

    # Asking and telling

    def _ask_tile(
        self, level: int, index: int, width: int, fetch: Fetch | None = None
    ) -> bytes | None:
        try:
            return fetch_tile(fetch or self._here_or_there, level, index, width)
        except Error:
            self._answering()
            return None

    def _here_or_there(self, path: str) -> bytes:
        return (self._local if (self._folder / path).exists() else self._remote)(path)

    def _there_or_here(self, path: str) -> bytes:
        """As served: what is here may be of a tree that this one contradicts."""
        try:
            return self._remote(path)
        except Error:
            if (self._folder / path).exists():
                return self._local(path)
            raise

    def served(self, edge: RightEdge) -> Fetch:
        """The tiles of a tree whose edge was verified, as the log serves them otherwise."""
        known = {
            tile.path(level, index, len(hashes)): b"".join(hashes)
            for level, index, hashes in edge.partials()
        }
        return lambda path: known[path] if path in known else self._remote(path)

    def _ask(self, path: str) -> bytes | None:
        """The file as the log serves it; None if it serves others, but not this one."""
        try:
            return self._remote(path)
        except Error:
            self._answering()
            return None

    def _answering(self) -> None:
        """A log that still shows its checkpoint withholds a file; one that does not is away."""
        self._remote("checkpoint")

    def _bad(self, where: str, served: tuple[bytes, ...]) -> None:
        if served:
            self._problem(where, "its bytes are not those of the log", ALTERED)
        else:
            self._problem(where, "missing, although the checkpoint promises it", WITHHELD)

    def _problem(self, where: str, what: str, hint: str) -> None:
        self.problems.append((where, what, hint))

    def _write(self, level: int, index: int, width: int, data: bytes) -> None:
        durable.create(self._folder / tile.path(level, index, width), data)


def _done(item: int, future: Future[None]) -> int:
    future.result()
    return item


def _leaves(data: bytes, where: str) -> tuple[bytes, ...]:
    return tuple(merkle.leaf_hash(entry) for entry in tile.decode_bundle(data, where))


def _fits(size: int, levels: Iterable[Iterable[bytes]], root: bytes) -> RightEdge | None:
    """The edge of these levels, if it has the right widths and makes the root."""
    edge = RightEdge(size, [tuple(level) for level in levels])
    right = [len(level) for level in edge.levels] == edge_widths(size)
    return edge if right and edge.root() == root else None
