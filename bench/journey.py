# SPDX-License-Identifier: Apache-2.0
"""Where the time of one sample drive goes, from files to receipts: `make bench-journey`.

Makes the sample drive, founds a home, ingests the drive, and prints each stage's seconds and share
of the work (stages of different threads overlap: they add up to work, not to wall time). The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from incamera.cli.found import found
from incamera.cli.home import Home
from incamera.cli.ingest import run
from incamera.cli.init import plan_of
from incamera.clock import SystemClock
from incamera.ingest import Summary
from incamera.recording.sample import make_sample


def measure(folder: Path, size: tuple[int, int], rate: int) -> dict[str, Any]:
    """Make, found, ingest; all figures."""
    began = time.perf_counter()
    truth = make_sample(folder / "drive", size=size, rate=rate)
    made = time.perf_counter()
    found(folder / "home", plan_of("eu"), SystemClock())
    home = Home(folder / "home")
    founded = time.perf_counter()
    cpu = time.process_time()
    summary = run(home, truth.source, zones=truth.zones)
    done = time.perf_counter()
    if (error := summary.error()) is not None:
        raise error
    return {
        "bench": "journey",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "size": list(size),
        "rate": rate,
        "sample_s": round(made - began, 2),
        "init_s": round(founded - made, 2),
        "ingest_s": round(done - founded, 2),
        "ingest_cpu_s": round(time.process_time() - cpu, 2),
        **figures(summary),
    }


def figures(summary: Summary) -> dict[str, Any]:
    """What was done, and the stages."""
    work = sum(summary.stages.values())
    return {
        "recorded_s": round(summary.recorded_s, 1),
        "kept_s": round(summary.kept_s, 1),
        "frames": summary.frames,
        "capsules": summary.admitted,
        "bytes": summary.bytes,
        "stages_s": {name: round(value, 3) for name, value in summary.stages.items()},
        "stages_share": {name: round(value / work, 4) for name, value in summary.stages.items()},
    }


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="640x480", help="pixels, WIDTHxHEIGHT")
    parser.add_argument("--rate", type=int, default=10, help="frames a second")
    options = parser.parse_args()
    width, _, height = options.size.partition("x")
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as folder:
        result = measure(Path(folder), (int(width), int(height)), options.rate)
    print(f"{'stage':<12}{'seconds':>10}{'share':>8}")
    for name, seconds in sorted(result["stages_s"].items(), key=lambda item: -item[1]):
        print(f"{name:<12}{seconds:>10.2f}{result['stages_share'][name]:>8.1%}")
    per_frame = 1000 * result["ingest_cpu_s"] / max(1, result["frames"])
    print(f"{result['frames']} frames kept, {per_frame:.1f} ms of CPU a frame from file to receipt")
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
