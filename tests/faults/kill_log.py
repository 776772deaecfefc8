# SPDX-License-Identifier: Apache-2.0
"""The log is killed: as it is made, and as it appends two batches and refreshes.

Then it starts again, its caller repeats what was not answered, and an outsider reads it all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

from killing import Child, Fate

from incamera.tlog import Log
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import split_note
from world_tlog import LogWorld, check_log, log_world

FIRST = [b"acknowledged %d" % number for number in range(254)]
#: The first batch fills a tile: all kinds of files are written. The second clears up behind it.
BATCHES = ([b"at risk %d" % number for number in range(5)], [b"and more"])
NEXT = [b"afterwards"]


@dataclass
class Notes:
    """Each tree that the log's signature was ever seen under, by size."""

    roots: dict[int, set[bytes]] = field(default_factory=dict)

    def see(self, note: bytes) -> None:
        """Remember the tree; two roots for a size fail the run."""
        tree = Checkpoint.parse(split_note(note)[0])
        self.roots.setdefault(tree.size, set()).add(tree.root)
        assert len(self.roots[tree.size]) == 1, f"two roots for size {tree.size}"

    def see_files(self, world: LogWorld) -> None:
        """What lies on the disks of the log and of its witnesses."""
        for path in world.home.rglob("checkpoint"):
            self.see(path.read_bytes())


class Line:
    """A witness at the other end of a pipe."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """As the witness."""
        self._line.send_bytes(body)
        status, _, answer = self._line.recv_bytes().partition(b" ")
        return int(status), answer


def make_base(home: Path) -> None:
    """A log with 254 acknowledged entries and three witnesses."""
    log_world(home).log.append(FIRST)


def live(home: Path, fate: Fate, notes: Notes, *, create: bool = False) -> tuple[bool, list[int]]:
    """One life of a log: whether it was killed, and its calls by kind; checks all afterwards."""
    world = log_world(home / "made" if create else home)
    place = home / "new" if create else home
    acked: dict[int, int] = {}
    names = [f"w{number}" for number in range(len(world.witnesses))]

    def act(lines: dict[str, Connection]) -> None:
        witnesses = [Line(lines[name]) for name in names]
        rest = (world.signer, witnesses, world.policy, world.clock)
        make = Log.create if create else Log
        log = make(place / "public", place / "state", *rest)
        lines["ack"].send_bytes(b"[-1, 0]")
        for number, batch in enumerate(BATCHES):
            done = log.append(batch)
            lines["ack"].send_bytes(json.dumps([number, done.first_index]).encode())
        log.refresh()

    def witness(number: int, body: bytes) -> bytes:
        notes.see(body.partition(b"\n\n")[2])
        status, answer = world.witnesses[number].add_checkpoint(body)
        return b"%d " % status + answer

    def ack(said: bytes) -> None:
        number, first = json.loads(said)
        acked[number] = first

    child = Child([*names, "ack"], act, fate)  # type: ignore[arg-type]
    answers = {
        name: lambda body, number=number: witness(number, body) for number, name in enumerate(names)
    }
    child.serve({**answers, "ack": ack})
    counts = child.end()
    _afterwards(world, place, acked, notes, [] if create else FIRST)
    return counts is None, counts or []


def _afterwards(
    world: LogWorld, place: Path, acked: dict[int, int], notes: Notes, first: Sequence[bytes]
) -> None:
    """Start again, repeat what was not answered, and read it all as an outsider."""
    rest = (world.signer, world.witnesses, world.policy, world.clock)
    made = (place / "state" / "tree").exists()
    assert made or not acked, "a log that said that it was made is gone"
    log = (Log if made else Log.create)(place / "public", place / "state", *rest)
    again = replace(world, home=place, log=log)
    for number, batch in enumerate(BATCHES):
        if number not in acked:
            log.append(batch)
    log.append(NEXT)
    for path in place.rglob(".*.tmp"):  # what a killed process was writing: no reader looks at it
        path.unlink()
    entries = check_log(again)
    for number, at in acked.items():
        assert number < 0 or entries[at : at + len(BATCHES[number])] == BATCHES[number]
    # What was answered twice may stand twice (the ledger gives a repeat no effect), but nothing
    # is missing, out of order, or there without having been handed in.
    assert list(dict.fromkeys(entries)) == [*first, *BATCHES[0], *BATCHES[1], *NEXT]
    notes.see_files(again)


def run(folder: Path, fate: Fate, *, create: bool) -> list[int] | None:
    """One life in a new copy of the base; None: it was killed."""
    base, home = folder / "base", folder / "home"
    if not base.exists():
        make_base(base)
    if create:
        home.mkdir()
    else:
        shutil.copytree(base, home)
    died, counts = live(home, fate, Notes(), create=create)
    shutil.rmtree(home)
    return None if died else counts
