# SPDX-License-Identifier: Apache-2.0
"""One party on a tiny or read-only tmpfs, in a mount namespace of its own.

unshare --mount python small_disk.py log|witness|trustee full|read-only FOLDER
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from incamera.errors import UnavailableError
from incamera.ledger.grant import Grant
from incamera.ledger.state import leaf_digest
from world import World
from world_tlog import LogWorld, check_log, log_world

FIRST = [b"acknowledged %d" % number for number in range(20)]
MORE = [bytes([number]) * 30_000 for number in range(4)]


class Disk:
    """A file system at ``place``, with what was there before."""

    def __init__(self, place: Path, how: str) -> None:
        self.place, self.how = place, how
        kept = place.with_name("kept")
        place.rename(kept)
        place.mkdir()
        mount("-t", "tmpfs", "-o", "size=8m", "none", str(place))
        shutil.copytree(kept, place, dirs_exist_ok=True)
        shutil.rmtree(kept)

    def fail(self) -> None:
        """No room from now on, or no writing."""
        if self.how == "full":
            with (self.place / "ballast").open("wb", buffering=0) as file:
                try:
                    while file.write(b"\0" * 4096):
                        pass
                except OSError:
                    return
        else:
            mount("-o", "remount,ro", str(self.place))

    def mend(self) -> None:
        """Room again."""
        if self.how == "full":
            (self.place / "ballast").unlink()
        else:
            mount("-o", "remount,rw", str(self.place))


def mount(*words: str) -> None:
    """As root of this namespace."""
    subprocess.run(["mount", *words], check=True)


def refused(act: Callable[[], object], reason: str) -> None:
    """``act`` says that the disk is not available, and why."""
    said = None
    try:
        act()
    except UnavailableError as error:
        said = error
    assert said is not None, "it worked"
    assert said.hint, said.message
    assert any(word in said.message for word in reason.split("|")), said.message


def missed(world: LogWorld) -> bytes:
    """What the first witness is asked as the log grows by one entry, and does not hear."""
    bodies: list[bytes] = []
    other = world.witnesses[1].inner
    hear = other.add_checkpoint

    def add_checkpoint(body: bytes) -> tuple[int, bytes]:
        bodies.append(body)
        return hear(body)

    world.witnesses[0].down = True
    other.add_checkpoint = add_checkpoint  # type: ignore[method-assign]
    world.log.append([b"more"])
    world.witnesses[0].down = False
    return bodies[-1]


REASON = {
    "full": "No space left|database or disk is full|disk I/O error",
    "read-only": "Read-only file system|readonly database|unable to open database",
}


def log(home: Path, how: str) -> None:
    """The log's whole disk."""
    log_world(home).log.append(FIRST)
    disk = Disk(home, how)
    world = log_world(home)
    disk.fail()
    refused(lambda: world.log.append(MORE), REASON[how])
    disk.mend()
    check_log(world, FIRST)
    world.log.append(MORE)
    check_log(world, FIRST + MORE)


def witness(home: Path, how: str) -> None:
    """One witness's disk: the two others make the quorum."""
    world = log_world(home)
    world.log.append(FIRST)
    disk = Disk(home / "w1", how)
    inner = world.witnesses[0].inner
    was, body = inner.published(world.log.origin), missed(world)
    disk.fail()
    refused(lambda: inner.add_checkpoint(body), REASON[how])
    assert inner.published(world.log.origin) == was
    disk.mend()
    world.log.refresh()
    assert inner.published(world.log.origin) != was
    check_log(world, [*FIRST, b"more"])


def trustee(home: Path, how: str) -> None:
    """A trustee's disk."""
    world = World(home)
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    asked = world.ask("ch", leaf, index, capsule)
    world.trustees["ch"].close()
    disk = Disk(home / "ch", how)
    disk.fail()

    def decide() -> Grant:
        party = world.trustee("ch")
        try:
            return party.decide(asked)
        finally:
            party.close()

    refused(decide, REASON[how])
    assert not list(world.state().grants(leaf_digest(leaf)))
    disk.mend()
    grant = decide()
    (entry,) = world.state().grants(leaf_digest(leaf))
    assert list(grant.entries) == [entry.index]


if __name__ == "__main__":
    parties: dict[str, Callable[[Path, str], None]]
    parties = {"log": log, "witness": witness, "trustee": trustee}
    parties[sys.argv[1]](Path(sys.argv[3]) / "home", sys.argv[2])
    sys.stdout.write("refused, then went on\n")
