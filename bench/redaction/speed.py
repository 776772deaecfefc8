# SPDX-License-Identifier: Apache-2.0
"""Frames a second from file to file: `incamera redact`, `deface`, and decode + encode alone.

The commands are timed as a user starts them, loading of models included; since `udacity-highway`
has 38 frames only, it is run a second time forth and back, so that the work outweighs the start.
At 1280 x 960 (a driving clip made larger, forth and back) both sides of the ratio run inside one
process with models loaded, since that ratio is about the work. `cameras`: the share of what eight
cameras film at 36 frames a second that this machine keeps up with.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av

from bench.redaction.films import encode
from bench.redaction.processes import spent
from bench.redaction.scenes import Scene, background
from incamera.recording.probe import inspect
from incamera.recording.video import VideoTrack
from incamera.recording.writer import VideoWriter
from incamera.redaction import Redactor, redact_path
from incamera.redaction.fill import Fill

CLIPS = ("egoblur-person.mp4", "udacity-highway.mp4")
FILMED = 8 * 36  # frames a second of eight cameras
FRAMES = 300
CODING = {"crf": "20", "preset": "superfast", "bf": "0"}


def facts(path: Path) -> dict[str, Any]:
    """Frames and size of a film."""
    with av.open(str(path)) as container:
        count, size = 0, (0, 0)
        for picture in container.decode(video=0):
            count, size = count + 1, (picture.width, picture.height)
    return {"frames": count, "size": list(size)}


def driving(
    clips: Path,
    path: Path,
    frames: int,
    clip: str = "udacity-lane",
    size: tuple[int, int] = (1280, 960),
) -> Path:
    """A driving clip brought to ``size``, forth and back until it has ``frames`` frames."""
    scene = Scene(path.name, clip, size, frames, 36, "day", CODING, 0, 0)
    encode(path, background(scene, clips), scene)
    return path


def plain(source: Path, dest: Path) -> None:
    """Decode and encode, with our reader and writer, nothing in between."""
    probe = inspect(source)
    fill = Fill("solid")
    with VideoWriter(dest, probe) as writer:
        for frame in VideoTrack.single(probe).frames():
            writer.write(fill(frame, []))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    begin, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - used


def against_deface(clip: Path, deface: Path | None, folder: Path) -> dict[str, Any]:
    """Both commands on one clip."""
    source = facts(clip)
    safe = folder / f"incamera-{clip.name}"
    command = str(Path(sys.executable).with_name("incamera"))
    out: dict[str, Any] = {"source": source}
    out["incamera"] = _row([command, "redact", str(clip), str(safe)], safe, source["frames"])
    if deface is not None:
        other = folder / f"deface-{clip.name}"
        call = [str(deface), str(clip), "-o", str(other)]
        out["deface"] = _row(call, other, source["frames"])
        for key, unit in (("times_as_fast", "seconds"), ("times_as_fast_cpu", "cpu_seconds")):
            out[key] = round(out["deface"][unit] / out["incamera"][unit], 2)
    return out


def _row(command: list[str], result: Path, frames: int) -> dict[str, Any]:
    took = spent(command)
    return {
        "seconds": round(took.wall, 2),
        "cpu_seconds": round(took.cpu, 2),
        "frames_a_second": round(frames / took.wall, 1),
        "peak_mb": round(took.peak / 1e6),
        "output": facts(result),
    }


def against_plain(clips: Path, folder: Path, frames: int) -> dict[str, Any]:
    """Redaction of 1280 x 960 against decode + encode alone, and against eight cameras."""
    source = driving(clips, folder / "drive.mp4", frames)
    redactor = Redactor()
    redact_path(driving(clips, folder / "warm.mp4", 8), folder / "warm-safe.mp4", redactor=redactor)
    bare = timed(lambda: plain(source, folder / "plain.mp4"))
    full = timed(lambda: redact_path(source, folder / "safe.mp4", redactor=redactor))
    return {
        "frames": frames,
        "plain": {"seconds": round(bare[0], 2), "cpu_seconds": round(bare[1], 2)},
        "incamera": {"seconds": round(full[0], 2), "cpu_seconds": round(full[1], 2)},
        "times_plain": round(full[0] / bare[0], 2),
        "times_plain_cpu": round(full[1] / bare[1], 2),
        "frames_a_second": round(frames / full[0], 1),
        "cameras": round(frames / full[0] / FILMED, 3),
    }


def run(data: Path, *, deface: Path | None = None, limit: int | None = None) -> dict[str, Any]:
    """Both comparisons; ``limit``: frames of the films made longer."""
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as made:
        sources = [data / "clips" / name for name in CLIPS]
        longer = Path(made) / "udacity-highway-longer.mp4"
        frames = limit or FRAMES
        sources.append(driving(data / "clips", longer, frames, "udacity-highway", (1280, 720)))
        for source in sources:
            print(f"speed: {source.name}", file=sys.stderr)
            out[source.name] = against_deface(source, deface, Path(made))
        print("speed: 1280 x 960", file=sys.stderr)
        out["1280x960"] = against_plain(data / "clips", Path(made), frames)
    if deface is None:
        out["deface"] = "not run: give --deface PATH/TO/deface"
    return out
