# SPDX-License-Identifier: Apache-2.0
"""Kill each party at each point where it touches its disk, and print the table.

    PYTHONPATH=tests python tests/faults/kill_points.py [--calls sync|all] [--half] [WORD ...]

``sync``: at each fsync, rename, unlink and mkdir. ``all``: at each write and message, too.
``--half``: writes end halfway. WORD: only rows with that word. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import kill_log
import kill_trustee
import kill_witness
import killing
from killing import DATA, NAME, SAY, SYNC, Fate

Run = Callable[[Path, Fate], "list[int] | None"]
ROWS: dict[str, Run] = {
    "log: made, appends, refreshes": partial(kill_log.run, create=True),
    "log: appends, refreshes": partial(kill_log.run, create=False),
    "witness: cosigns, convicts": kill_witness.run,
    "trustee: grants, refuses": kill_trustee.run(kill_trustee.grants),
    "trustee: freezes": kill_trustee.run(kill_trustee.freezes),
    "trustee: ends an epoch, begins one": kill_trustee.run(kill_trustee.tends),
}
MOST = 5_000  # points of one row; a run that never ends is an error


def say(text: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def points(run: Run, folder: Path, kinds: int, *, half: bool) -> tuple[int, list[int]]:
    """Kill at point 1, 2, ... until a run lives; how many died, and its calls by kind."""
    for at in range(1, MOST):
        try:
            counts = run(folder, Fate(at, kinds, half=half))
        except BaseException:
            say(f"killed at point {at}:")
            raise
        if counts is not None:
            return at - 1, counts
    raise AssertionError(f"still alive after {MOST} deaths")


def main() -> int:
    """Print the table; an AssertionError ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--calls", choices=("sync", "all"), default="sync")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("words", nargs="*", metavar="WORD")
    asked = parser.parse_args()
    kinds = SYNC | NAME | (DATA | SAY if asked.calls == "all" else 0)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="incamera-kill-", dir=place) as name:
        if (code := killing.preloaded(Path(name))) is not None:
            return code
        for title, run in ROWS.items():
            if not all(word in title for word in asked.words):
                continue
            begun = time.process_time()
            folder = Path(name) / f"{len(told)}"
            folder.mkdir()
            died, counts = points(run, folder, kinds, half=asked.half)
            sync, names, data, said = counts
            say(
                f"{title:<40} {died:>4} deaths; {sync} fsync, {names} names, {data} writes, "
                f"{said} messages; {time.process_time() - begun:.1f} s"
            )
            told.append({"row": title, "deaths": died, "calls": counts})
    say(json.dumps({"rows": told, "calls": asked.calls, "half": asked.half}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
