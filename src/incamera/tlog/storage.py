# SPDX-License-Identifier: Apache-2.0
"""The writer's files: what is public (tiles, bundles) and what is its own (state, batch).

A tile's path and size decide its bytes for ever: :func:`incamera.durable.create` writes it once,
accepts the same bytes again (recovery does that) and refuses others.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.encoding import base64_bytes, base64_text, canonical, exact_keys, parse_canonical
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.tlog import merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.edge import RightEdge, edge_widths
from incamera.tlog.fetch import Fetch, FolderFetch
from incamera.tlog.tree import TileTree

__all__ = [
    "Batch",
    "Tree",
    "check_beginning",
    "collect",
    "extend",
    "read_edge",
    "read_tail",
    "sweep",
]


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree that is decided: a checkpoint of this size has this root and no other, ever."""

    origin: str
    size: int
    root: bytes

    def write(self, path: Path) -> None:
        """Replace the state file, durably."""
        value = {"origin": self.origin, "root": base64_text(self.root), "size": self.size}
        durable.write(path, canonical(value) + b"\n", mode=0o600)

    @classmethod
    def read(cls, path: Path) -> Tree:
        """The state file, or IntegrityError: a log cannot go on without knowing what it signed."""
        try:
            value = parse_canonical(path.read_bytes().removesuffix(b"\n"), str(path))
            fields = exact_keys(value, ("origin", "root", "size"), str(path))
            root = base64_bytes(fields["root"], f"{path}: root", merkle.HASH)
        except (InputError, OSError) as error:
            raise IntegrityError(
                f"{path}: the log's state cannot be read: {error}",
                hint="restore it from a backup that is newer than the last append; without it a "
                "log must not sign again: start a new one",
            ) from error
        origin, size = fields["origin"], fields["size"]
        if not isinstance(origin, str) or type(size) is not int or not 0 <= size < 1 << 63:
            raise IntegrityError(f"{path}: the log's state is damaged")
        return cls(origin, size, root)


@dataclass(frozen=True, slots=True)
class Batch:
    """The last entries taken in: ``entries`` go to the indices from ``first`` on."""

    first: int
    entries: tuple[bytes, ...]

    @property
    def end(self) -> int:
        """The size of the tree with these entries."""
        return self.first + len(self.entries)

    def write(self, path: Path) -> None:
        """Replace the batch file, durably."""
        head = b"incamera-batch-1 %d\n" % self.first
        durable.write(path, head + tile.encode_bundle(self.entries), mode=0o600)

    @classmethod
    def read(cls, path: Path) -> Batch | None:
        """The last batch; None where there never was one."""
        if not path.exists():
            return None
        head, _, body = path.read_bytes().partition(b"\n")
        word, _, first = head.partition(b" ")
        if word != b"incamera-batch-1" or not first.isdigit():
            raise IntegrityError(f"{path}: the log's batch file is damaged")
        return cls(int(first), tuple(tile.decode_bundle(body, str(path))))


def read_edge(fetch: Fetch, size: int) -> RightEdge:
    """The right edge of the tree of ``size`` from its tiles; unauthenticated."""
    levels = []
    for level, width in enumerate(edge_widths(size)):
        name = tile.path(level, size >> 8 * (level + 1), width)
        levels.append(tile.split_hashes(fetch(name), width, name) if width else [])
    return RightEdge(size, levels)


def read_tail(fetch: Fetch, edge: RightEdge) -> list[bytes]:
    """The entries of the partial bundle at the edge, checked against the edge's leaf hashes."""
    width = edge.size % tile.WIDTH
    if not width:
        return []
    name = tile.path(tile.ENTRIES, edge.size // tile.WIDTH, width)
    entries = tile.decode_bundle(fetch(name), name)
    if [merkle.leaf_hash(entry) for entry in entries] != edge.levels[0]:
        raise IntegrityError(f"{name}: these are not the entries that were logged")
    return entries


def extend(edge: RightEdge, tail: list[bytes], entries: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Extend ``edge`` and ``tail`` by ``entries``: the tiles and bundles that this makes."""
    files: list[tuple[str, bytes]] = []

    def put(level: int, index: int, width: int, data: bytes) -> None:
        files.append((tile.path(level, index, width), data))

    for entry in entries:
        tail.append(entry)
        for level, index, hashes in edge.append(merkle.leaf_hash(entry)):
            if level == 0:
                put(tile.ENTRIES, index, tile.WIDTH, tile.encode_bundle(tail))
                tail.clear()
            put(level, index, tile.WIDTH, b"".join(hashes))
    if tail:
        put(tile.ENTRIES, edge.size // tile.WIDTH, len(tail), tile.encode_bundle(tail))
    for level, index, hashes in edge.partials():
        put(level, index, len(hashes), b"".join(hashes))
    return files


def check_beginning(public: Path, published: Checkpoint, tree: Tree) -> None:
    """The published tree must be the decided one, whose tiles are there, or a beginning of it."""
    if published.size > tree.size:
        raise IntegrityError(
            f"{public}: the state knows {tree.size} entries, but {published.size} were published",
            hint="the state was restored from an old backup: put the newest state back, or "
            "start a new log; going on would fork it",
        )
    tiles = TileTree(FolderFetch(public), tree.size)
    if merkle.subtree(0, published.size, tiles.get) != published.root:
        raise IntegrityError(f"{public}: the published checkpoint is of another tree")


def sweep(public: Path) -> None:
    """Remove what a writer that died left half-written among the tiles. Under the log's lock."""
    for left in (public / "tile").rglob(".*.tmp"):
        left.unlink(missing_ok=True)


def collect(public: Path, first: int, end: int) -> None:
    """Remove the partials of each tile that became full as the log grew from ``first`` to ``end``.

    All others must stay: a checkpoint was produced for them (tlog-tiles).
    """
    for level in range(len(edge_widths(end))):
        shift = 8 * (level + 1)
        for index in range(first >> shift, end >> shift):
            _collect(public, level, index)
            if level == 0:
                _collect(public, tile.ENTRIES, index)


def _collect(public: Path, level: int, index: int) -> None:
    full = public / tile.path(level, index)
    partial = full.with_name(f"{full.name}.p")
    if not full.exists() or not partial.exists():
        return
    try:
        shutil.rmtree(partial)
    except OSError as error:
        raise UnavailableError(f"{partial}: cannot remove: {error.strerror}") from error
