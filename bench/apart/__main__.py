# SPDX-License-Identifier: Apache-2.0
"""One request for 10,000 capsules over HTTP, granted by three trustees and opened.

Founds a region of real processes on loopback (3 witnesses, log, vault, 3 trustees), seals small
capsules in parallel and has them admitted in bulk, then asks as a reader does: request, grant by
all three, open into a dataset. Prints where the time went; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bench.apart.clips import Sealer
from bench.apart.region import EU, Parties
from incamera.cli.asking import decide
from incamera.cli.open_ import open_request
from incamera.cli.request import ask
from incamera.cli.url_desk import UrlDesk
from incamera.clock import SystemClock
from incamera.ids import Digest, Name
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
from incamera.tlog.policy import Policy

_AT_ONCE = 2_000


def seal_some(sealer: tuple[bytes, Any], root: Path, count: int) -> list[Digest]:
    """In a process of its own: seal straight into the vault's blobs."""
    seed, parts = sealer
    made = Sealer(SigningKey(seed), *parts)
    names = []
    for number in range(count):
        path = root / f"{os.getpid()}-{number}.sealing"
        name = made.seal(path)
        place = root / name[:2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
        names.append(name)
    return names


def fill(parties: Parties, count: int) -> None:
    """Capsules into the vault's store and, in bulk, into the log, as admission does one by one."""
    root, clock = parties.root, SystemClock()
    policy = Policy.parse((root / "vault" / "tlog-policy").read_bytes())
    key, car = (SigningKey.load(root / each / "signing.key") for each in ("vault", "car"))
    token = Token.load(root / "vault" / "token")
    log = LogClient(json_url(parties), token, policy)
    desk = UrlDesk.at(parties.url, root / "lab", policy=None, trust_first=False, ca=None)
    desk.__dict__["_told"] = (json_url(parties), {})  # the vault, which would say it, is not up yet
    sealer = Sealer.of(car, Name("car"), desk.state(), clock.now())
    seed = car._private.private_bytes_raw()
    parts = (seed, (sealer.facts, sealer.recipients, sealer.clip))
    blobs = root / "vault" / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        works = [pool.submit(seal_some, parts, blobs, count // 10) for _ in range(10)]
        for work in works:
            names = work.result()
            entries = [
                encode(CapsuleEntry(region=EU, time=clock.now(), capsule=each), key)
                for each in names
            ]
            for start in range(0, len(entries), _AT_ONCE):
                log.append(entries[start : start + _AT_ONCE])


def json_url(parties: Parties) -> str:
    """The log's URL."""
    from incamera.cli.card import read_card

    return read_card(parties.root / "log")[0].url


class Watch:
    """Wall and CPU seconds of each phase, by process."""

    def __init__(self, parties: Parties) -> None:
        self.parties = parties
        self.phases: dict[str, dict[str, Any]] = {}
        self._mark()

    def _mark(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self.parties.cpu()

    def phase(self, name: str) -> None:
        """What happened since the last one."""
        now, cpu = time.perf_counter(), self.parties.cpu()
        used = {each: round(cpu[each] - self._cpu.get(each, 0.0), 2) for each in cpu}
        self.phases[name] = {
            "wall_s": round(now - self._wall, 2),
            "cpu_s": round(sum(used.values()), 2),
            "by": {each: value for each, value in used.items() if value >= 0.05},
        }
        print(f"{name:<10}{self.phases[name]['wall_s']:>9.2f} s wall", end="")
        print(f"{self.phases[name]['cpu_s']:>9.2f} s cpu  {self.phases[name]['by']}", flush=True)
        self._mark()


def measure(root: Path, count: int, profile: bool, skip_open: bool) -> dict[str, Any]:
    """All of it; the figures."""
    with Parties(root) as parties:
        watch = Watch(parties)
        fill(parties, count)
        watch.phase("seal")
        for each in ("vault", "de", "fr", "nl"):
            parties.start(each)
        desk = UrlDesk.at(parties.url, root / "lab", policy=None, trust_first=False, ca=None)
        assert len(desk.rows(status="kept")) == count
        watch.phase("settle")
        profiler = cProfile.Profile() if profile else None
        with profiler or nullcontext():
            asked = ask(desk, purpose="driver-assistance")
            watch.phase("request")
            requested = desk.state().request(str(asked["request"]))
            assert requested is not None
            answers = decide(desk, requested, desk.trustees())
            watch.phase("grant")
            if not skip_open:
                done = open_request(desk, requested, root / "dataset", "folder")
                assert len(done.capsules) == count
                watch.phase("open")
        if profiler:
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
    assert [each.granted for each in answers] == [count] * 3, answers
    phases = watch.phases
    journey = [each for each in ("request", "grant", "open") if each in phases]
    return {
        "bench": "apart",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "capsules": count,
        "trustees": 3,
        "wall_s": round(sum(phases[each]["wall_s"] for each in journey), 2),
        "cpu_s": round(sum(phases[each]["cpu_s"] for each in journey), 2),
        "limit_s": 60,
        "phases": phases,
    }


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capsules", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="where the reader's time goes")
    parser.add_argument("--skip-open", action="store_true", help="end after the grants")
    parser.add_argument("--folder", type=Path, help="default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="incamera-bench-", dir=options.folder) as folder:
        result = measure(Path(folder), options.capsules, options.profile, options.skip_open)
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
