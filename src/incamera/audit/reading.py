# SPDX-License-Identifier: Apache-2.0
"""Every entry read, hashed and folded into what the auditor remembers, from where it stood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from incamera.audit.bundles import Job, Looked, look, look_at_all
from incamera.audit.memory import Memory
from incamera.audit.report import Findings
from incamera.audit.tiles import TileCheck
from incamera.encoding import base64_bytes, parse_json
from incamera.errors import Error, IntegrityError, UnavailableError
from incamera.ledger.codec import decode
from incamera.ledger.entries import ErasureEntry, GrantEntry
from incamera.ledger.quick import CapsuleForm
from incamera.ledger.state import State
from incamera.tlog import merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch, FolderFetch
from incamera.tlog.merkle import leaf_hash
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.tree import TileTree, fetch_tile

__all__ = ["Advance", "Read", "forked", "read_entries"]

Advance = Callable[[int, int], object]
"""Told now and then how many entries of how many were read."""

_WORTH = 1 << 14  # entries: fewer are read before another process has started


@dataclass
class Read:
    """The outcome of a reading."""

    #: Checkpoints seen before that the entries contradict.
    differing: list[Checkpoint] = field(default_factory=list)


def read_entries(
    fetch: Fetch,
    policy: Policy,
    witnessed: Witnessed,
    earlier: Mapping[int, Checkpoint],
    memory: Memory,
    tiles: TileCheck,
    findings: Findings,
    *,
    processes: int = 1,
    advance: Advance | None = None,
) -> Read | None:
    """Read from where ``memory`` stands to the checkpoint; None (and an error) where that fails.

    Call it within the memory's transaction, and undo that on None. ``processes``: how many to
    use for what takes long; only a log in a folder is read by more than one.
    """
    reading = _Reading(fetch, witnessed, earlier, memory, tiles)
    size = witnessed.checkpoint.size
    if not isinstance(fetch, FolderFetch) or size - memory.size < _WORTH:
        processes = 1
    try:
        reading.run(policy, processes, advance)
    except (IntegrityError, UnavailableError) as error:
        findings.error(
            _blame(fetch, witnessed) or "tile",
            f"the entries are not those that the witnesses saw: {error.message}",
            error.hint or "entries were altered or are withheld: fetch the log from another copy",
        )
        return None
    return reading.outcome


def forked(findings: Findings, seen: Checkpoint) -> None:
    """Say that a checkpoint contradicts the log."""
    findings.error(
        f"checkpoint of size {seen.size}",
        "two checkpoints of this log contradict each other: it forked",
        "keep both notes and show them to the trustees, who then freeze: this is the proof",
        seen.text.decode("utf-8"),
    )


class _Reading:
    def __init__(
        self,
        fetch: Fetch,
        witnessed: Witnessed,
        earlier: Mapping[int, Checkpoint],
        memory: Memory,
        tiles: TileCheck,
    ) -> None:
        self._fetch = fetch
        self._witnessed = witnessed
        self._earlier = earlier
        self._memory = memory
        self._tiles = tiles
        self._edge, self._kinds, _ = memory.kept()
        self.outcome = Read()

    def run(self, policy: Policy, processes: int, advance: Advance | None) -> None:
        """Read all; IntegrityError unless it gives the signed root."""
        size = self._witnessed.checkpoint.size
        time = self._witnessed.time(policy)
        start = self._memory.size
        form = self._form(size)
        for looked in look_at_all(self._fetch, form, self._jobs(start, size), processes):
            self._take(looked, time)
            if advance is not None:
                advance(looked.job.index * tile.WIDTH + looked.job.width - start, size - start)
        self._memory.accept(self._witnessed.note, self._witnessed.checkpoint.root, time)
        self._tiles.finish()
        self._memory.keep(self._tiles.edge, self._kinds, self._tiles.full)

    def _form(self, size: int) -> CapsuleForm | None:
        """What entry 0 says of how capsule entries look, by the same reading as the fold's."""
        if self._memory.size or not size:
            return self._memory.form()
        width = tile.width_at(tile.ENTRIES, 0, size)
        job = Job(0, width, 0, leaves=False, bundles=(width,), tiles=(), reach=0)
        scratch = State()
        try:
            scratch.apply(0, look(self._fetch, None, job).run.others[0][1], 0)
            return scratch.form()
        finally:
            scratch.close()

    def _jobs(self, start: int, size: int) -> Iterator[Job]:
        # A partial bundle that nothing was added to was looked at when it was read, but that
        # it is there must be seen at every visit.
        begin = start // tile.WIDTH
        sizes = set(self._earlier)
        for index in range(begin, -(-size // tile.WIDTH)):
            width = tile.width_at(tile.ENTRIES, index, size)
            base = index * tile.WIDTH
            yield Job(
                index=index,
                width=width,
                skip=max(start - base, 0),
                leaves=any(base < each <= base + width for each in sizes),
                bundles=self._tiles.there(tile.ENTRIES, index, width),
                tiles=self._tiles.there(0, index, width),
                reach=self._tiles.reach,
            )

    def _take(self, looked: Looked, time: int) -> None:
        job, base = looked.job, looked.job.index * tile.WIDTH
        if job.skip and list(looked.leaves[: job.skip]) != self._edge.levels[0]:
            raise IntegrityError(
                f"{tile.path(tile.ENTRIES, job.index, job.width)}: begins with other entries than "
                "at the last visit",
                hint="entries were altered: fetch the log from another copy; if this is your own "
                "mirror, its disk may be at fault: mirror into an empty folder, and compare",
            )
        for size, seen in self._earlier.items():
            if base < size <= base + job.width:
                # The tiles' own edge stands at ``base`` until this bundle is added.
                above = self._tiles.edge_above(looked.leaves[: size - base])
                if above.root() != seen.root:
                    self.outcome.differing.append(seen)
        void = {finding.index for finding in self._memory.take(looked.run, time)}
        for index, data in looked.run.others:
            if index not in void:
                self._remember(index, data)
        if job.width == tile.WIDTH:
            self._tiles.add(looked.root, looked.seen)
        else:
            self._tiles.partial(looked.leaves, looked.seen)

    def _remember(self, index: int, data: bytes) -> None:
        where = f"log entry {index}"
        # A glance is enough for most: that the entry is well formed, the state has just checked.
        kind = parse_json(base64_bytes(parse_json(data, where)["payload"], where), where)["type"]
        if kind == "capsule":
            return  # those are counted in their table
        self._kinds[kind] += 1
        if kind in (GrantEntry.type, ErasureEntry.type):
            self._memory.remember_said(index, decode(data, where).entry.time)


def _blame(fetch: Fetch, witnessed: Witnessed) -> str | None:
    """The first bundle that the hash tiles contradict, if those tiles make the signed root."""
    size = witnessed.checkpoint.size
    tree = TileTree(fetch, size)
    try:
        if tree.root() != witnessed.checkpoint.root:
            return None
    except Error:
        return None
    for index in range(-(-size // tile.WIDTH)):
        width = tile.width_at(tile.ENTRIES, index, size)
        where = tile.path(tile.ENTRIES, index, width)
        try:
            entries = tile.decode_bundle(fetch_tile(fetch, tile.ENTRIES, index, width), where)
            found = merkle.root([leaf_hash(entry) for entry in entries])
            full = width == tile.WIDTH
            # By the tile above where there is one: the one at level 0 may be what was altered.
            if found != (tree.get(8, index) if full else merkle.root(tree.tile(0, index))):
                return where
        except Error:
            return where
    return None
