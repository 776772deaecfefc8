# SPDX-License-Identifier: Apache-2.0
"""``python -m fuzz [--inputs N] [--target NAME]``: every parser, over two processes, resumable.

What is done is kept in ``build/fuzz/done.json`` and what breaks a parser in ``build/fuzz/found/``.
The last line is one line of JSON: {"bench": "fuzz", "inputs": ..., "bugs": ..., "targets": ...}.
"""

# ruff: noqa: T201 -- what it found is printed: this is a command

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from fuzz.session import fuzz, old_bugs
from fuzz.targets import TARGETS
from incamera import durable


def main() -> int:
    """0 if nothing but our errors came out, else 1."""
    options = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    options.add_argument("--inputs", type=int, default=1_000_000, help="for each target")
    options.add_argument("--target", action="append", choices=sorted(TARGETS), help="else all")
    options.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options.add_argument("--state", type=Path, default=Path("build/fuzz"))
    options.add_argument("--afresh", action="store_true", help="forget what earlier runs did")
    given = options.parse_args()
    if given.afresh:
        durable.remove(given.state / "done.json")
    names = given.target or list(TARGETS)
    again = old_bugs(names)
    tallies = fuzz(names, given.inputs, given.jobs, given.state)
    columns = f"{'inputs':>10}{'taken':>10}{'ways':>6}{'per CPU s':>11}{'slowest':>9}  bugs"
    print(f"\n{'target':<17}{columns}")
    for name in names:
        each = tallies[name].summary()
        print(
            f"{name:<17}{each['inputs']:>10,}{each['taken']:>10,}{each['ways_refused']:>6,}"
            f"{each['per_cpu_s']:>11,}{each['slowest_ms']:>6} ms  {each['bugs']}"
        )
    bugs = again + sum(len(tallies[name].bugs) for name in names)
    said = {name: tallies[name].summary() for name in names}
    total = sum(each["inputs"] for each in said.values())
    print(json.dumps({"bench": "fuzz", "inputs": total, "bugs": bugs, "targets": said}))
    return 1 if bugs else 0


if __name__ == "__main__":
    sys.exit(main())
