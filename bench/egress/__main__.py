# SPDX-License-Identifier: Apache-2.0
"""Every function of a region, every packet of every party: who spoke to whom, and was it declared.

Founds a region whose parties live on machines of their own (network namespaces on one switch),
declares their addresses in its log, captures each frame that each machine sends, and has the
parties found, rest, look and work: off, on and busy for ``--seconds`` each (GB/T 44464-2024 D.8
asks for 3600). Writes ``egress.html``, ``egress.md`` and ``egress.pcap`` into ``--to``; the last
line is one JSON object. Exit code 1 if anybody spoke to an address that the log does not declare.

``--states off``: of the three only that one, in a region founded for it; so three machines, or
three runs side by side, do in one hour what one run does in three.

``--plant``: at the end a trustee is told of a log at 203.0.113.66, and a program that is not ours
connects there from its machine: the first must be refused, the second must be seen.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.egress.machines import Capture, Machines
from bench.egress.page import STATES, Result, html, markdown
from bench.egress.rounds import Rounds
from wires import possible

_INSIDE = "INCAMERA_EGRESS_INSIDE"


def measure(root: Path, to: Path, seconds: float, states: list[str], plant: bool) -> Result:
    """All phases; what was seen."""
    machines = Machines(root)
    lasted: dict[str, float] = {}
    planted: dict[str, bool] = {}
    capture = Capture(machines, to / "egress.pcap")
    try:
        rounds = Rounds(machines)
        phases: list[tuple[str, Any]] = [
            ("founding", rounds.found),
        ]
        acts = {"off": rounds.off, "on": rounds.on, "busy": rounds.busy}
        phases += [(state, partial(acts[state], seconds)) for state in states]
        if plant:
            phases.append(("planted", lambda: planted.update(rounds.plant())))
            phases.append(("intruder", rounds.intrude))
        for name, act in phases:
            begin = time.monotonic()
            capture.phase(name)
            act()
            lasted[name] = round(time.monotonic() - begin, 1)
            print(f"{name:<10}{lasted[name]:>10.1f} s", flush=True)
        seen = capture.end()
        gone = sum(each.by == "vault" for each in machines.state().erasures())
        rounds.done |= {"expiry": gone} if gone else {}
        owners = {address: name for name, address in machines.wires.addresses.items()}
        return Result.of(seen, machines.declared(), owners, lasted, rounds.done, planted)
    finally:
        capture.kill()
        machines.close()


def main() -> int:
    """Enter namespaces of our own, measure there, write, and judge."""
    parser = argparse.ArgumentParser(prog="bench.egress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="of off, on and busy, each")
    parser.add_argument("--states", nargs="+", choices=STATES, default=STATES, metavar="STATE")
    parser.add_argument("--to", type=Path, default=Path("build/egress"))
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    if _INSIDE not in os.environ:
        if why := possible():
            print(f"no network namespaces can be made here: {why}", file=sys.stderr)
            return 6
        words = [sys.executable, "-m", "bench.egress", *sys.argv[1:]]
        environment = {**os.environ, _INSIDE: "1"}
        # A process namespace too: whatever ends the bench, ends all that it started.
        alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvpe("unshare", [*alone, *words], environment)
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="egress-") as folder:
        result = measure(
            Path(folder), options.to.resolve(), options.seconds, options.states, options.plant
        )
    (options.to / "egress.md").write_text(markdown(result))
    (options.to / "egress.html").write_text(html(result))
    print(markdown(result))
    print(json.dumps(result.to_json()), flush=True)
    return 1 if result.foreign or result.dropped else 0


if __name__ == "__main__":
    sys.exit(main())
