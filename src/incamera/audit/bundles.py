# SPDX-License-Identifier: Apache-2.0
"""Looking at bundles: decode, hash, recognise, compare files. Pure reading, so in any process.

What is left for the one process that folds the log in order: a few bytes for each capsule, and
whole only the entries that are something else.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection

from incamera.audit.tiles import Compared, compare
from incamera.errors import IntegrityError, UnavailableError
from incamera.ledger.quick import CapsuleForm, Run
from incamera.tlog import merkle, tile
from incamera.tlog.fetch import Fetch
from incamera.tlog.merkle import HASH, leaf_hash
from incamera.tlog.tree import fetch_tile

__all__ = ["Job", "Looked", "look", "look_at_all"]

_TOGETHER = 16  # bundles handed to a process at once
_AHEAD = 16  # such hands for each process: they work on while the tables are turned


@dataclass(frozen=True, slots=True)
class Job:
    """One bundle to look at, of ``width`` entries at this checkpoint."""

    index: int
    width: int
    skip: int  # entries at its beginning that were folded in before
    leaves: bool  # give the leaf hashes too
    bundles: Collection[int]  # the widths of its files to look at
    tiles: Collection[int]  # and of those of its level-0 tile
    reach: int


@dataclass(frozen=True, slots=True)
class Looked:
    """A bundle that was looked at."""

    job: Job
    run: Run
    root: bytes  # of its leaves
    leaves: tuple[bytes, ...]  # their hashes, if asked for, if it is partial or was begun before
    seen: Compared


def look(fetch: Fetch, form: CapsuleForm | None, job: Job) -> Looked:
    """Read one bundle; IntegrityError, UnavailableError where there is none to read."""
    where = tile.path(tile.ENTRIES, job.index, job.width)
    raw = fetch_tile(fetch, tile.ENTRIES, job.index, job.width)
    entries = tile.decode_bundle(raw, where)
    if len(entries) != job.width:
        raise IntegrityError(f"{where}: {len(entries)} entries where there must be {job.width}")
    hashes = [leaf_hash(entry) for entry in entries]
    root = merkle.root(hashes)
    whole = job.skip == 0 and job.width == tile.WIDTH
    first = job.index * tile.WIDTH + job.skip
    told = _recognise(form, first, entries[job.skip :])
    run = Run(*told, [root], 8) if whole else Run(*told, hashes[job.skip :], 0)
    # The file of the width that is due was just read: its bytes are these entries.
    others = set(job.bundles) - {job.width}
    seen = Compared(len(job.bundles) - len(others))
    if others or not job.bundles:
        lengths = [2 + len(entry) for entry in entries]
        place = (tile.ENTRIES, job.index)
        more = compare(fetch, place, raw, lengths, others, job.reach)
        if seen.count:
            more.errors = [each for each in more.errors if each[0] != where]
        seen.add(more)
    lengths = [HASH] * job.width
    seen.add(compare(fetch, (0, job.index), b"".join(hashes), lengths, job.tiles, job.reach))
    return Looked(job, run, root, () if whole and not job.leaves else tuple(hashes), seen)


_Told = tuple[int, list[tuple[int, bytes]], list[tuple[int, bytes]]]


def _recognise(form: CapsuleForm | None, first: int, entries: Sequence[bytes]) -> _Told:
    capsules: list[tuple[int, bytes]] = []
    others = []
    read = form.read if form is not None else _nothing
    stretch: list[bytes] = []
    for index, entry in enumerate(entries, first):
        name = read(entry)
        if name is not None:
            stretch.append(name)
            continue
        others.append((index, entry))
        if stretch:
            capsules.append((index - len(stretch), b"".join(stretch)))
            stretch = []
    if stretch:
        capsules.append((first + len(entries) - len(stretch), b"".join(stretch)))
    return first, capsules, others


def _nothing(_entry: bytes) -> None:
    """Before entry 0 founded a region, no form is known."""


def look_at_all(
    fetch: Fetch, form: CapsuleForm | None, jobs: Iterable[Job], processes: int
) -> Iterator[Looked]:
    """Each job, in order; in that many processes of their own, or, below 2, in this one.

    ``fetch`` must then be one that can be sent to a process. What is under way is bounded.
    """
    if processes < 2:
        for job in jobs:
            yield look(fetch, form, job)
        return
    context = multiprocessing.get_context("spawn")
    work = iter(jobs)
    hands = iter(lambda: tuple(itertools.islice(work, _TOGETHER)), ())
    try:
        with ProcessPoolExecutor(processes, context, _begin, (fetch, form)) as pool:
            under_way: deque[Future[list[Looked]]] = deque()
            try:
                for hand in hands:
                    under_way.append(pool.submit(_look, hand))
                    if len(under_way) > _AHEAD * processes:
                        yield from under_way.popleft().result()
                while under_way:
                    yield from under_way.popleft().result()
            finally:
                for each in under_way:
                    each.cancel()
    except BrokenProcessPool as error:
        raise UnavailableError(
            "a process of this audit was ended from outside",
            hint="see whether memory ran out, and run the same command again",
        ) from error


_given: tuple[Fetch, CapsuleForm | None] | None = None


def _begin(fetch: Fetch, form: CapsuleForm | None) -> None:
    """In a new process: know the log, leave ^C to the parent, and do not outlive it."""
    global _given  # noqa: PLW0603 - a process of a pool has no other place
    _given = (fetch, form)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (parent := multiprocessing.parent_process()) is not None:
        watched = parent.sentinel

        def watch() -> None:
            connection.wait([watched])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _look(jobs: tuple[Job, ...]) -> list[Looked]:
    assert _given is not None
    return [look(*_given, job) for job in jobs]
