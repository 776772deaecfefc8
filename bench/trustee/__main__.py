# SPDX-License-Identifier: Apache-2.0
"""Decisions of a trustee per CPU-second, and ten thousand capsules granted by three and opened.

A decision here begins with the bytes of a grant request and ends with the bytes of the grant:
parsing, following the log, every check, opening and re-sealing the share, all writes to disk, the
grant entry read back from the log. What the log and its witnesses spend on taking that entry is
kept apart. ``alone``: the log has the requests and this trustee's grants; ``with two others``:
theirs too, as in earnest, which it reads and verifies. The last line is one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path

from bench.trustee.many import ten_thousand
from bench.trustee.region import NAMES, BenchRegion
from bench.trustee.steps import Steps
from incamera.errors import Error
from incamera.ledger.request import GrantRequest
from incamera.sealing.envelope import forget_signatures

SIZES = (1, 16, 128)


def decisions(region: BenchRegion, size: int, count: int, *, others: bool) -> dict[str, float]:
    """``count`` requests for one capsule each, ``size`` at a time, to the first trustee.

    With ``others`` the two other trustees decide the same requests, so that the first reads their
    grants in the log, as it does in earnest.
    """
    capsules = region.capsules(count, b"a clip" * 100)
    first, way = region.trustees[NAMES[0]], region.ways[NAMES[0]]
    for trustee in region.trustees.values():
        trustee.follower.follow()  # the capsules' entries are not a decision's cost
    parsing = deciding = 0.0
    way.cpu = way.here = 0.0
    gc.collect()
    gc.freeze()  # the capsules are the bench's, no server has them all in memory
    for start in range(0, count, size):
        part = capsules[start : start + size]
        leaves = [region.leaf([each.digest]) for each in part]
        index = region.log.append(leaves).first_index
        asked = [(leaf, index + i, [part[i]]) for i, leaf in enumerate(leaves)]
        sent = region.asking(NAMES[0], asked)
        forget_signatures()  # of car and reader, who signed in this process
        begin = time.thread_time()  # a trustee decides in one thread
        requests = [GrantRequest.parse(each) for each in sent]
        parsed = time.thread_time()
        answers = first.decide_many(requests)
        deciding += time.thread_time() - parsed
        parsing += parsed - begin
        assert not any(isinstance(each, Error) for each in answers), answers[0]
        for name in NAMES[1:] if others else ():
            more = [GrantRequest.parse(each) for each in region.asking(name, asked)]
            region.trustees[name].decide_many(more)
    own = parsing + deciding - way.here
    return {
        "per_cpu_s": round(count / own),
        "us": round(own / count * 1e6),
        "parse_us": round(parsing / count * 1e6),
        "log_us": round(way.cpu / count * 1e6),
    }


def where_it_goes(count: int, home: Path | None) -> None:
    """A table of the steps of decisions in batches of 128."""
    steps = Steps()
    steps.watch()
    with tempfile.TemporaryDirectory(dir=home) as folder:
        region = BenchRegion(Path(folder) / "steps")
        found = decisions(region, 128, count, others=False)
        print(steps.table(count, region.ways[NAMES[0]].here))
        print(f"    {found['parse_us']:7} us  before: parse the request's bytes")
        print(json.dumps({"bench": "trustee-steps", **found}))


def main() -> None:
    """Both measurements."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=1024)
    options.add_argument("--capsules", type=int, default=10_000)
    options.add_argument("--home", type=Path, help="where to work (default: a temporary folder)")
    options.add_argument("--steps", action="store_true", help="only where the time goes, at 128")
    given = options.parse_args()
    if given.steps:
        where_it_goes(given.requests, given.home)
        return
    result: dict[str, object] = {"bench": "trustee", "requests": given.requests}
    with tempfile.TemporaryDirectory(dir=given.home) as folder:
        for others in (False, True):
            region = BenchRegion(Path(folder) / f"others-{others}")
            for size in SIZES:
                count = max(size, given.requests if size > 1 else given.requests // 8)
                found = decisions(region, size, count, others=others)
                crowd = "with two others" if others else "alone"
                print(
                    f"{crowd:16} batches of {size:3}: {found['per_cpu_s']:6} decisions a CPU second"
                    f" ({found['us']} us, of which parsing {found['parse_us']}; and in the log "
                    f"{found['log_us']})"
                )
                key = f"{'others' if others else 'alone'}_{size}"
                result |= {f"{key}_{name}": value for name, value in found.items()}
        result["decisions_per_cpu_s"] = result["alone_128_per_cpu_s"]
        if given.capsules:
            result |= ten_thousand(Path(folder) / "many", given.capsules)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
