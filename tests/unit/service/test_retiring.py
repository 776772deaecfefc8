# SPDX-License-Identifier: Apache-2.0
"""The vault's chore: what expired goes, hour by hour, and the log is asked no more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from incamera.sealing.capsule import read_capsule
from incamera.service.journal import Journal
from incamera.service.retiring import retiring
from incamera.service.vaults import Vaults
from incamera.tlog import FolderFetch
from incamera.vault import Vault
from world import DAY, World, quick_folder
from world_tlog import START


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own."""
    with quick_folder() as folder:
        yield World(folder)


def test_the_chore_ends_what_expired_and_says_how_many(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing before the time; then all, once; the journal names nobody."""
    home, public = world.home / "vault", FolderFetch(world.public)
    vaults = Vaults(lambda: Vault(home, world.vault, world.logs.log, public, world.clock))
    journal = Journal("vault", world.clock)
    retire = retiring(vaults, world.logs.reader(), home, world.vault, world.clock, journal)
    path = world.seal(expires=START + 2 * DAY)
    vaults.writer.admit(path)
    retire()
    assert capsys.readouterr().err == ""
    world.clock.advance(3 * DAY)
    world.logs.log.refresh()
    for _ in range(3):
        vaults.follow()
        retire()
    row = vaults.row(read_capsule(path).digest)
    assert row is not None
    assert row.status == "erased"
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["capsules"] == 1
    vaults.close()
