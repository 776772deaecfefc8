# SPDX-License-Identifier: Apache-2.0
"""A fleet against one region: every engine and every party real, on this machine.

Modes, in this order; without any, a short round of rate, rhythm and a few faults (some 3 minutes):

  --rate max|N   capsules a second with p99 < 250 ms; or how it goes at N a second
  --rhythm       the day of 200,000 cars x 20 capsules (46/s, peaks x10) in --minutes 10
  --grow         what a capsule costs over 10^4 and over 10^6 rows (--rows), with PostgreSQL
  --faults       kill -9, restarts, full and slow disks, cuts, under load (bench/fleet/faults.py)

1 % of all that is sent is malicious, 6 % of the links fail. Whatever was answered is held against
the log, the catalogue and the blobs at the end. The last line is one line of JSON. It ends with 1
if anything was lost, doubled, not as it must be, or never answered.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.fleet.disks import alone
from bench.fleet.drive import Driver, Phase
from bench.fleet.ending import collect
from bench.fleet.faults import FEW, Fault, chosen, run, table
from bench.fleet.fleet import ready
from bench.fleet.ground import Plan
from bench.fleet.grow import grow
from bench.fleet.jobs import Mix
from bench.fleet.judge import Verdict, judge
from bench.fleet.rate import at_most
from bench.fleet.rhythm import MEAN, day, steady
from bench.fleet.stored import stored


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", help="max, or capsules a second")
    parser.add_argument("--rhythm", action="store_true")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the rhythm")
    parser.add_argument("--mean", type=float, default=MEAN, help="capsules a second")
    parser.add_argument("--peak", type=float, default=10.0, help="times the mean")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each phase of --rate")
    parser.add_argument("--cars", type=int, default=2_000)
    parser.add_argument("--vaults", type=int, help="processes; without a word 1, for --faults 2")
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--grow-count", type=int, default=4_000, help="capsules at each size")
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**6])
    parser.add_argument("--faults", nargs="*", help="all, or those whose name has a word given")
    parser.add_argument("--fault-rate", type=float, default=40.0, help="capsules a second")
    for name, usual in (("postgres", True), ("nats", False), ("s3", False)):
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=usual)
    for name in ("standby", "trustees"):
        text = "without a word: for --faults alone"
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=text)
    parser.add_argument("--malicious", type=float, default=0.01, help="share of all that is sent")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on a real disk")
    return parser.parse_args()


def is_short(given: argparse.Namespace) -> bool:
    """True if no mode was asked for."""
    return given.faults is None and not (given.rate or given.rhythm or given.grow)


def planned(given: argparse.Namespace, *, faults: bool = False) -> Plan:
    """The region for the load, or for the faults."""
    asked = {name: getattr(given, name) for name in ("cars", "postgres", "nats", "s3")}
    usual = {"vaults": 2 if faults else 1, "standby": faults, "trustees": faults}
    for name, value in usual.items():
        said = getattr(given, name)
        asked[name] = value if said is None else said
    return Plan(**asked, faults=faults)


def tell(phase: Phase) -> dict[str, Any]:
    """Print a phase; its figures."""
    found = phase.figures()
    costs = found["cpu_ms_by"]
    print(f"{phase.name}: {found['capsules_per_s']}/s, {phase.latency()}, CPU ms {costs}")
    print(f"  memory MiB {found['memory_mib']}\n  callers saw {found['saw']}", flush=True)
    return found


def measure(given: argparse.Namespace, driver: Driver) -> dict[str, Any]:
    """How fast, and the rhythm."""
    found: dict[str, Any] = {}
    short = is_short(given)
    if given.rate == "max" or short:
        found["rate"] = at_most(driver, 6.0 if short else given.seconds)
    elif given.rate:
        times = steady(float(given.rate), given.seconds)
        found["rate"] = tell(driver.run(f"steady {given.rate}/s", times))
    if given.rhythm or short:
        seconds = 60.0 if short else 60.0 * given.minutes
        times = day(seconds, mean=given.mean, peak=given.peak)
        found["rhythm"] = tell(driver.run("rhythm", times))
    if given.grow:
        found["grow"] = grow(driver, given.rows, given.grow_count)
    return found


def fail(given: argparse.Namespace, driver: Driver) -> list[tuple[Fault, Phase]]:
    """The faults, one after the other."""
    words = FEW if is_short(given) else given.faults
    ground = driver.ready.region
    return [(each, run(driver, ground, each, given.fault_rate)) for each in chosen(ground, words)]


def verdicts(driver: Driver) -> list[Verdict]:
    """On each phase."""
    seen = collect(driver.ready)
    return [judge(seen, phase.jobs, phase.outcomes) for phase in driver.phases]


def session(given: argparse.Namespace, plan: Plan) -> tuple[dict[str, Any], list[Verdict]]:
    """One region, founded, driven and judged."""
    with (
        tempfile.TemporaryDirectory(prefix="incamera-fleet-", dir=given.folder) as folder,
        ready(Path(folder), plan) as region,
    ):
        mix = Mix(region.maker, region.crowd, malicious=given.malicious)
        driver = Driver(region, Path(folder), mix)
        if not plan.faults:
            before = stored(region)
            found, said, after = measure(given, driver), verdicts(driver), stored(region)
            count = max(1, sum(one.admitted for one in said))
            if not given.grow:  # whose rows are not sent
                each = {name: round((after[name] - before[name]) / count) for name in after}
                print(f"bytes a capsule: {each}")
                found["bytes"] = each
            return found, said
        rows = fail(given, driver)
        said = verdicts(driver)
    text, figures = table([(*row, one) for row, one in zip(rows, said, strict=True)])
    print(text)
    return {"faults": figures, "faults_plan": asdict(plan)}, said


def main() -> int:
    """Run, judge, print; the exit code."""
    given = options()
    driving = is_short(given) or given.rate or given.rhythm or given.grow
    failing = given.faults is not None or is_short(given)
    if failing:
        alone()
    plan = planned(given)
    found: dict[str, Any] = {}
    whole = Verdict()
    for each in (plan, planned(given, faults=True)):
        if failing if each.faults else driving:
            figures, said = session(given, each)
            found |= figures
            for one in said:
                whole.add(one)
    for line in whole.wrong:
        print(f"WRONG: {line}")
    print(f"refused: {dict(whole.refused.most_common())}")
    print(
        f"sent {whole.sent}, admitted {whole.admitted}, refused {whole.refused.total()}, "
        f"unanswered {whole.unanswered}, lost {whole.lost}, duplicates {whole.duplicates}, "
        f"receipts verified {whole.receipts}, not as it must be {whole.wrong_count}"
    )
    result = {
        "bench": "fleet",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "plan": asdict(plan),
        **found,
        "verdict": whole.figures(),
    }
    print(json.dumps(result, sort_keys=True))
    return 0 if whole.holds else 1


if __name__ == "__main__":
    sys.exit(main())
