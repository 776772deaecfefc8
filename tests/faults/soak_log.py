# SPDX-License-Identifier: Apache-2.0
"""A log of three candidates under random faults, for as long as one likes.

`PYTHONPATH=tests python tests/faults/soak_log.py --seconds 120`: seven callers append, by HTTP and
by the queue; again and again the leader is killed or stopped, its session cut, PostgreSQL,
nats-server or a witness killed and started. After each fault it waits until callers of both roads
are acknowledged again, and in the end every entry must stand where it was said, once, in one
history. The last line is one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sys
import time
from collections import Counter

import asyncpg  # type: ignore[import-untyped]

from candidates import Candidates, Load, candidates, load
from engines import Engine
from world import quick_folder

_FAULTS = ("kill", "kill", "kill", "stop", "cut", "postgres", "nats", "witness")
_PATIENCE = 30.0


async def _cut(url: str) -> None:
    connection = await asyncpg.connect(url)
    sessions = "FROM pg_stat_activity WHERE application_name = 'incamera log'"
    await connection.fetch(f"SELECT pg_terminate_backend(pid) {sessions}")
    await connection.close()


def strike(fault: str, log: Candidates, database: Engine, queue: Engine) -> None:
    """Do it."""
    if fault == "kill":
        leader = log.leader()
        leader.kill()
        leader.start(wait=False)
    elif fault == "stop":
        leader = log.leader()
        assert leader.process is not None
        leader.process.send_signal(signal.SIGSTOP)
        log.leader(besides=leader)
        time.sleep(secrets.randbelow(1000) / 1000)
        leader.process.send_signal(signal.SIGCONT)
    elif fault == "cut":
        asyncio.run(_cut(database.url))
    elif fault == "witness":
        witness = secrets.choice(log.witnesses)
        witness.kill()
        witness.start(wait=False)
    else:
        (database if fault == "postgres" else queue).restart()


def recovered(loads: list[Load]) -> float:
    """Seconds until callers of each road were acknowledged again."""
    before, begin = [len(each.told) for each in loads], time.monotonic()
    while any(len(each.told) < n + 4 for each, n in zip(loads, before, strict=True)):
        for each in loads:
            assert not each.wrong, each.wrong[0]
        took = time.monotonic() - begin
        assert took < _PATIENCE, f"nobody was acknowledged for {took:.0f} s"
        time.sleep(0.02)
    return time.monotonic() - begin


def main() -> None:
    """Strike until the time is over, then read the log."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=120.0)
    end = time.monotonic() + options.parse_args().seconds
    struck: Counter[str] = Counter()
    worst = 0.0
    with quick_folder() as folder, candidates(folder, queue=True) as (log, database, queue):
        log.start(3)
        with load(log.client, 4) as direct, load(log.queued, 3) as queued:
            recovered([direct, queued])
            while time.monotonic() < end:
                time.sleep(secrets.randbelow(500) / 1000)
                fault = secrets.choice(_FAULTS)
                struck[fault] += 1
                strike(fault, log, database, queue)
                took = recovered([direct, queued])
                worst = max(worst, took)
                sys.stderr.write(f"{fault}: {took:.1f} s\n")
        found = log.entries()
        log.check(direct.told | queued.told, found)
        faults = [each for each in log.logs if '"fault"' in each.log()]
        assert not faults, faults[0].log()
    gap = round(max(direct.gap(), queued.gap()), 1)
    said = {"entries": len(found), "faults": dict(struck), "recovery_s": round(worst, 1)}
    sys.stdout.write(json.dumps({"soak": "log", **said, "longest_gap_s": gap}) + "\n")


if __name__ == "__main__":
    main()
