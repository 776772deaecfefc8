# SPDX-License-Identifier: Apache-2.0
"""One request for many capsules: granted by three trustees, and opened."""

from __future__ import annotations

import time
from pathlib import Path

from bench.trustee.region import NAMES, BenchRegion
from incamera.errors import Error
from incamera.ledger.follower import Follower
from incamera.ledger.holders import Holdings
from incamera.ledger.request import MAX_BATCH, GrantRequest
from incamera.ledger.state import State, leaf_digest
from incamera.release.shares import gather, usable
from incamera.tlog import FolderFetch, LogReader

PAYLOAD = bytes(range(256)) * 4


class Watch:
    """Wall and CPU seconds of each part."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}
        self._begin = (time.perf_counter(), time.process_time())

    def lap(self, name: str) -> None:
        """What has passed since the last lap was ``name``."""
        now = (time.perf_counter(), time.process_time())
        wall, cpu = now[0] - self._begin[0], now[1] - self._begin[1]
        self.parts[name] = (wall, cpu)
        self._begin = now
        print(f"  {name:40} {wall:6.2f} s ({cpu:.2f} s of CPU)")


def ten_thousand(home: Path, count: int) -> dict[str, object]:
    """From the request to the clips on disk; sealing and admitting capsules are not counted."""
    region = BenchRegion(home)
    watch = Watch()
    capsules = region.capsules(count, PAYLOAD)
    watch.lap(f"before: seal and log {count} capsules")
    leaf = region.leaf(region.listed(capsules))
    index = region.log.append([leaf]).first_index
    watch.lap("the request is logged")
    parts = [capsules[i : i + MAX_BATCH] for i in range(0, count, MAX_BATCH)]
    answers = []
    for name in NAMES:
        for part in parts:  # one call after the other, as a reader makes them
            (sent,) = region.asking(name, [(leaf, index, part)])
            (answer,) = region.trustees[name].decide_many([GrantRequest.parse(sent)])
            if isinstance(answer, Error):
                raise answer
            answers.append((name, answer.envelope))
        watch.lap(f"{name} grants, in {len(parts)} calls")
    state = State()
    Follower(LogReader(FolderFetch(region.public), region.log_policy), state, region.clock).follow()
    request = leaf_digest(leaf)
    granted = gather(request, answers, state)
    holdings = Holdings(state, FolderFetch(region.public))
    watch.lap("the reader reads the log and the grants")
    clips = home / "clips"
    clips.mkdir()
    for number, capsule in enumerate(capsules):
        sealed, raw = granted.shares[capsule.digest], bytes.fromhex(request)
        found = usable(capsule.digest, capsule.header, sealed, region.opening, raw, holdings)
        assert not found.faults
        found.open(capsule.path, clips / f"{number}.clip")
    watch.lap("the reader opens all")
    assert all((clips / f"{n}.clip").read_bytes() == PAYLOAD for n in (0, count - 1))
    assert len(list(clips.iterdir())) == count
    laps = [each for name, each in watch.parts.items() if not name.startswith("before")]
    wall, cpu = (round(sum(each[i] for each in laps), 2) for i in (0, 1))
    print(f"  {count} capsules granted by {len(NAMES)} and opened in {wall} s ({cpu} s of CPU)")
    return {"many": count, "many_wall_s": wall, "many_cpu_s": cpu}
