# SPDX-License-Identifier: Apache-2.0
"""The most memory `incamera redact` holds over a folder of eight cameras, a minute each."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.redaction.processes import spent
from bench.redaction.speed import driving

CAMERAS = (
    "front", "back", "left_repeater", "right_repeater",
    "left_pillar", "right_pillar", "wide", "narrow",
)  # fmt: skip
RATE = 36
MOST = 1.5e9


def run(data: Path, *, seconds: float = 60.0) -> dict[str, Any]:
    """Eight films of 1280 x 960 at 36 frames a second, in a TeslaCam-like folder."""
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as made:
        drive = Path(made) / "SavedClips" / "2026-11-22_10-00-00"
        drive.mkdir(parents=True)
        stem = "2026-11-22_10-00-00"
        first = driving(data / "clips", drive / f"{stem}-{CAMERAS[0]}.mp4", round(seconds * RATE))
        for camera in CAMERAS[1:]:
            shutil.copyfile(first, drive / f"{stem}-{camera}.mp4")
        command = str(Path(sys.executable).with_name("incamera"))
        took = spent([command, "redact", str(drive.parent), str(Path(made) / "safe")])
    return {
        "cameras": len(CAMERAS),
        "seconds_each": seconds,
        "frames": len(CAMERAS) * round(seconds * RATE),
        "peak_mb": round(took.peak / 1e6),
        "within_limit": took.peak < MOST,
        "wall_seconds": round(took.wall, 1),
        "cpu_seconds": round(took.cpu, 1),
    }
