# SPDX-License-Identifier: Apache-2.0
"""`make bench-seal` runs, beside age, and says what the documents quote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_bench_of_sealing_ends_with_its_figures(tmp_path: Path) -> None:
    """A small clip, once: rates, ratios and peak memory, and nothing left on the disk."""
    call = [sys.executable, "-m", "bench.seal", "--mib", "2", "--rounds", "1"]
    call += ["--disk", str(tmp_path), "--memory", str(tmp_path / "none")]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["bench"] == "seal"
    assert 0 < said["peak_mb"] < 100
    for name in ("seal_gb_s", "age_seal_fsync_gb_s", "times_age", "times_age_fsync", "cp_gb_s"):
        assert said["disk"][name] >= 0
    assert list(tmp_path.iterdir()) == []
