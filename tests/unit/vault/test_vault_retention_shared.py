# SPDX-License-Identifier: Apache-2.0
"""What expires where several vaults share tables: over SQLite and over a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from incamera.ledger.codec import decode
from incamera.ledger.entries import ErasureEntry
from incamera.sealing.capsule import read_capsule
from incamera.vault import retention
from incamera.vault.retention import expire
from unit.vault.conftest import Shared
from world import DAY
from world_tlog import START


def test_vaults_that_share_tables_leave_nothing_behind(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at the same time, in batches: all that is over goes, and nothing else."""
    monkeypatch.setattr(retention, "TOGETHER", 2)
    world, vaults = shared.world, [shared.vault("one"), shared.vault("two")]
    days = [2, 2, 2, 3, 3, 9]
    paths = [world.seal(expires=START + each * DAY) for each in days]
    for path in paths:
        vaults[0].admit(path)
    world.clock.advance(4 * DAY)
    world.logs.log.refresh()
    states = [world.state(), world.state()]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(expire, vault, state, world.vault, world.clock)
            for vault, state in zip(vaults, states, strict=True)
        ]
        for each in jobs:
            each.result()
    names = [read_capsule(path).digest for path in paths]
    rows = [vaults[1].row(name) for name in names]
    assert [row.status for row in rows if row is not None] == ["erased"] * 5 + ["kept"]
    entries = (decode(each, "log").entry for each in world.entries())
    said = [name for e in entries if isinstance(e, ErasureEntry) for name in e.capsules]
    assert sorted(set(said)) == sorted(names[:5])
    assert vaults[0].due(world.clock.now(), 10) == []
    assert not [each for each in world.state().findings() if each.kind == "bad"]
