# SPDX-License-Identifier: Apache-2.0
"""Commands in processes of their own: wall time, processor time, and the most memory they held."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from incamera.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command took."""

    wall: float  # seconds
    cpu: float  # seconds, its own children included
    peak: int  # bytes of the largest of its processes, resident


# A process starts with the peak of the one it was forked from: a small one stands between.
_BETWEEN = """
import json, resource, subprocess, sys, time
begin = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
wall, usage = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
last = (done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
print(json.dumps([done.returncode, last, wall, cpu, peak]))
"""


def spent(command: Sequence[str]) -> Spent:
    """Run a command to its end; :class:`UnavailableError` with its last words if it fails."""
    call = [sys.executable, "-I", "-S", "-c", _BETWEEN, *command]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise UnavailableError(f"{command[0]} cannot be run: {last[0]}")
    code, said, wall, cpu, peak = json.loads(done.stdout)
    if code:
        raise UnavailableError(f"{command[0]} failed ({code}): {said}")
    return Spent(wall, cpu, peak)
