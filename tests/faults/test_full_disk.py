# SPDX-License-Identifier: Apache-2.0
"""The disk of log, witness or trustee fills up, or turns read-only; then it is well again.

| disk | what breaks | then expected |
|---|---|---|
| full | any file grows past what is left, at many sizes of what is left | UnavailableError |
| read-only | any write at all | UnavailableError |
| well again | nothing | asked again, all goes on; nothing was half-acknowledged |

Full is a real, tiny file system where one may be mounted, and the kernel's limit on the size of a
file (EFBIG instead of ENOSPC) everywhere else. Read-only is a real one, or it is skipped.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_disk import missed

from incamera.errors import UnavailableError
from incamera.ledger.state import leaf_digest
from world import World
from world_tlog import check_log, log_world

FIRST = [b"acknowledged %d" % number for number in range(20)]
BIG = [bytes([number]) * 30_000 for number in range(8)]
LIMITS = (0, 1_000, 20_000, 100_000, 200_000)


def mounts() -> bool:
    """True where this process may mount."""
    command = ["unshare", "--mount", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, check=False).returncode == 0


@contextlib.contextmanager
def no_room(left: int) -> Iterator[None]:
    """No file may grow beyond ``left`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)


def refused(act: Callable[[], object]) -> bool:
    """Whether ``act`` says that the disk is not available, and what to do next."""
    try:
        act()
    except UnavailableError as error:
        return bool(error.hint)
    return False


@pytest.mark.parametrize("left", LIMITS)
def test_a_log_on_a_full_disk_says_so_and_goes_on_later(tmp_path: Path, left: int) -> None:
    """Nothing of the batch is acknowledged; with room it is taken in, once."""
    world = log_world(tmp_path)
    world.log.append(FIRST)
    before = (world.public / "checkpoint").read_bytes()
    with no_room(left):
        assert refused(lambda: world.log.append(BIG))
    assert (world.public / "checkpoint").read_bytes() == before
    check_log(world, FIRST)
    world.log.append(BIG)
    check_log(world, FIRST + BIG)
    check_log(log_world(tmp_path), FIRST + BIG)


def test_a_log_that_is_made_on_a_full_disk_is_made_later(tmp_path: Path) -> None:
    """Half a log is none; the same call makes it."""
    for left in (0, 100, 300):
        with no_room(left):
            assert refused(lambda: log_world(tmp_path))
    world = log_world(tmp_path)
    world.log.append(FIRST)
    check_log(world, FIRST)


@pytest.mark.parametrize("left", [0, 100])
def test_a_witness_on_a_full_disk_cosigns_nothing(tmp_path: Path, left: int) -> None:
    """What it cannot write down it does not sign; later it does."""
    world = log_world(tmp_path)
    world.log.append(FIRST)
    full, body = world.witnesses[0].inner, missed(world)
    was = full.published(world.log.origin)
    with no_room(left):
        assert refused(lambda: full.add_checkpoint(body))
    assert full.published(world.log.origin) == was
    assert full.add_checkpoint(body)[0] == 200
    world.log.refresh()
    check_log(world, [*FIRST, b"more"])


@pytest.mark.parametrize("left", [0, 5_000, 60_000, 150_000, 300_000])
def test_a_trustee_on_a_full_disk_grants_nothing(tmp_path: Path, left: int) -> None:
    """No share without its memory on disk; with room the same request gets it, once."""
    world = World(tmp_path)
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    asked = world.ask("ch", leaf, index, capsule)
    world.trustees["ch"].close()
    trustee, granted = None, []

    def decide() -> None:
        nonlocal trustee
        trustee = trustee or world.trustee("ch", append=append)
        granted.append(trustee.decide(asked))

    def append(entry: bytes) -> int:
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        now = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
        try:  # the log's disk is another one
            return world.append(entry)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (now, unlimited))

    with no_room(left):
        full = refused(decide)
    assert full != bool(granted)
    assert full or left > 100_000
    decide()
    entries = list(world.state().grants(leaf_digest(leaf)))
    assert [list(each.entries) for each in granted] == [[entries[0].index]] * len(granted)
    assert len(entries) == 1
    assert set(world.shares(granted[-1], leaf)) == {1}


@pytest.mark.skipif(not mounts(), reason="may not mount a file system of its own")
@pytest.mark.parametrize("party", ["log", "witness", "trustee"])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_real_small_or_read_only_disk(party: str, how: str, tmp_path: Path) -> None:
    """In a mount namespace of its own, on a tmpfs: ENOSPC and EROFS as the kernel gives them."""
    script = Path(__file__).with_name("small_disk.py")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, str(script), party, how, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("refused, then went on")
