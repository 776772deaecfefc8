# SPDX-License-Identifier: Apache-2.0
"""Which road entries take to the log, and what a log with a leader costs: HTTP or NATS JetStream.

Real processes on loopback: three witnesses (two needed), one or two `serve log`, PostgreSQL, and
nats-server. For each of

- ``alone``: one log process, HTTP, no database: as the others are compared with it;
- ``led``: two candidates over one folder, HTTP;
- ``queued``: two candidates, entries by way of the queue;

this is measured, with entries of 600 bytes, all acknowledged under a cosigned checkpoint:

0. one caller, one entry a call: p50;
1. singles: 50 callers, one entry a call, again and again: entries/s, p50, p99, CPU of the log;
2. batches: 4 callers, 250 entries a call;
3. a burst: 400 callers at once, one entry each, on a quiet log: until the last is acknowledged;
4. (led, queued) a takeover: 50 callers, the leader is killed with SIGKILL: the longest time in
   which nobody was acknowledged, and the slowest append.

``decide_ms`` is what a decision costs a batch: a compare-and-swap, timed alone on that database.
The last line is one line of JSON: {"bench": "roads", "alone": {...}, "led": {...}, ...}.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from candidates import Candidates
from engines import nats, postgres
from incamera.errors import UnavailableError
from incamera.service.logclient import LogClient
from incamera.service.term import Term, open_session
from incamera.tlog.storage import Tree
from serving import Party

_BYTES = 600


def cpu(parties: list[Party]) -> float:
    """CPU seconds that they have used."""
    used = 0.0
    for each in parties:
        if each.process is not None:
            stat = Path(f"/proc/{each.process.pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return used


def share(values: list[float], part: float) -> float:
    """The value that ``part`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def entry() -> bytes:
    """One that is like no other."""
    return secrets.token_bytes(_BYTES)


class Callers:
    """Threads of one vault: they share a client, as a vault's do."""

    def __init__(self, client: LogClient) -> None:
        self.client = client
        self.took: list[float] = []
        self.at: list[float] = []

    def append(self, entries: list[bytes]) -> None:
        """Until it is acknowledged."""
        begin = time.perf_counter()
        while True:
            try:
                self.client.append(entries)
                break
            except UnavailableError:
                time.sleep(0.05)
        self.at.append(time.perf_counter())
        self.took.append(self.at[-1] - begin)

    def run(self, callers: int, seconds: float, count: int = 1) -> float:
        """So many at once, again and again; wall seconds."""
        until = time.perf_counter() + seconds

        def send(_: int) -> None:
            while time.perf_counter() < until:
                self.append([entry() for _ in range(count)])

        begin = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(send, range(callers)))
        return time.perf_counter() - begin


def measured(log: Candidates, make: Callable[[], LogClient], seconds: float) -> dict[str, float]:
    """1 to 3."""
    client = make()
    client.append([entry()])
    found: dict[str, float] = {}
    one = Callers(client)
    one.run(1, seconds / 2)
    found["lone_p50_ms"] = round(1e3 * statistics.median(one.took), 1)
    before, many = cpu(log.logs), Callers(client)
    wall = many.run(50, seconds)
    found["single_entries_per_s"] = round(len(many.took) / wall)
    found["single_p50_ms"] = round(1e3 * statistics.median(many.took), 1)
    found["single_p99_ms"] = round(1e3 * share(many.took, 0.99), 1)
    found["single_log_cpu_ms"] = round(1e3 * (cpu(log.logs) - before) / len(many.took), 2)
    few = Callers(client)
    wall = few.run(4, seconds / 2, 250)
    found["batch_entries_per_s"] = round(250 * len(few.took) / wall)
    burst = Callers(client)
    gate = threading.Barrier(401)

    def once(_: int) -> None:
        gate.wait(60)
        burst.append([entry()])

    with ThreadPoolExecutor(400) as pool:
        waiting = [pool.submit(once, number) for number in range(400)]
        gate.wait(60)
        begin = time.perf_counter()
        for each in waiting:
            each.result()
    found["burst_400_s"] = round(time.perf_counter() - begin, 2)
    found["burst_p50_ms"] = round(1e3 * statistics.median(burst.took), 1)
    client.close()
    return found


def takeover(log: Candidates, make: Callable[[], LogClient]) -> dict[str, float]:
    """4."""
    client = make()
    many = Callers(client)

    def kill() -> None:
        time.sleep(3)
        log.leader().kill()

    thread = threading.Thread(target=kill)
    thread.start()
    many.run(50, 10)
    thread.join()
    client.close()
    times = sorted(many.at)
    gap = max(later - sooner for sooner, later in itertools.pairwise(times))
    return {"takeover_gap_s": round(gap, 2), "takeover_slowest_s": round(max(many.took), 2)}


async def decisions(url: str, count: int = 400) -> dict[str, float]:
    """The compare-and-swap, and the look before signing, alone: milliseconds each."""
    origin = f"bench {secrets.token_hex(4)}"
    async with open_session(url, 5.0) as session:
        await Term.begin(session, origin, "bench")
        tree = Tree(origin, 0, bytes(32))
        term = await asyncio.to_thread(Term.adopt, session, tree, "bench")

        def turns() -> tuple[list[float], list[float]]:
            decided, checked = [], []
            for number in range(1, count + 1):
                new = Tree(origin, number, secrets.token_bytes(32))
                begin = time.perf_counter()
                term.decide(term.tree, new)
                middle = time.perf_counter()
                term.check(new)
                decided.append(middle - begin)
                checked.append(time.perf_counter() - middle)
            return decided, checked

        decided, checked = await asyncio.to_thread(turns)
    return {
        "decide_ms": round(1e3 * statistics.median(decided), 2),
        "decide_p99_ms": round(1e3 * share(decided, 0.99), 2),
        "check_ms": round(1e3 * statistics.median(checked), 2),
    }


def main() -> None:
    """The three, in turn, each in a folder of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--folder", type=Path, help="on the disk to be measured")
    options.add_argument("--roads", default="alone,led,queued")
    given = options.parse_args()
    result: dict[str, Any] = {"bench": "roads", "entry_bytes": _BYTES}
    for road in given.roads.split(","):
        # An empty database for each: it would refuse another log of this name.
        with (
            postgres() as database,
            nats() as queue,
            tempfile.TemporaryDirectory(dir=given.folder) as folder,
        ):
            if "decide_ms" not in result:
                result |= asyncio.run(decisions(database.url))
                print(f"a decision {result['decide_ms']} ms, a look {result['check_ms']} ms")
            url = None if road == "alone" else database.url
            log = Candidates(Path(folder), url, queue.url if road == "queued" else None)
            try:
                log.start(1 if road == "alone" else 2)
                make = log.queued if road == "queued" else log.client
                found = measured(log, make, given.seconds)
                if road != "alone":
                    found |= takeover(log, make)
            finally:
                log.stop()
        result[road] = found
        print(f"{road:7} " + ", ".join(f"{k} {v}" for k, v in found.items()), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
