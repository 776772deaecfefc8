# SPDX-License-Identifier: Apache-2.0
"""Measure an exported model on the pictures held out of training, and choose its thresholds.

    python -m training.evaluate --model incamera-2.onnx --data ../shared/data --cache ../cache

Faces have only the teacher's word there, so their figures say how well it was copied.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incamera.ids import digest
from incamera.redaction.heatmap import HeatmapDetector, Model
from training import measure
from training.data import Record, load_split

SHARES = (0.0025, 0.005, 0.01)


def reader(detector: HeatmapDetector) -> Any:
    """Return a function from picture to what measure wants."""

    def detect(image: NDArray[np.uint8]) -> dict[str, measure.Found]:
        found: dict[str, list[tuple[float, float, float, float, float]]] = {"plate": [], "face": []}
        for box in detector.detect(image):
            found[box.kind].append((box.x, box.y, box.w, box.h, box.score))
        return dict(found)

    return detect


def entries(records: list[Record], kind: str) -> list[dict[str, Any]]:
    """Return records as labels.jsonl entries of one kind."""
    out = []
    for record in records:
        boxes = record.plates if kind == "plate" else record.faces
        rows = [dict(zip("xywh", (float(v) for v in box), strict=True)) for box in boxes]
        out.append({"image": record.name, "boxes": rows})
    return out


def report(tally: measure.Tally, name: str) -> None:
    """Print recall at the stated false areas."""
    for share in SHARES:
        at = measure.threshold_at(tally, share)
        for grown in (False, True):
            shown = measure.recall(tally, at, grown=grown)
            text = " ".join(f"{k}:{v:.3f}" for k, v in shown.items())
            print(f"{name} false {share:.2%} at {at:.3f} {'grown' if grown else 'bare '} {text}")


def main() -> None:
    """Measure each choice of scales."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("../cache"))
    parser.add_argument("--scales", nargs="+", default=["1", "1,0.5"])
    parser.add_argument("--kinds", nargs="+", default=["plate"])
    parser.add_argument("--films", action="store_true", help="only the driving pictures")
    args = parser.parse_args()
    _, held = load_split(args.data, args.cache)
    if args.films:
        held = [r for r in held if r.name.startswith("rl_")]
    folder = args.data / "plates/train"
    # Thresholds that leave the network's scores as they are.
    raw = Model(args.model, digest(args.model.read_bytes()), (1.0,), {"plate": 0.3, "face": 0.3})
    for text in args.scales:
        scales = tuple(float(s) for s in text.split(","))
        detector = HeatmapDetector(
            raw, kinds=("plate", "face"), scales=scales, least=0.02, threads=2
        )
        for kind in args.kinds:
            tally = measure.run(reader(detector), folder, kind, entries(held, kind))
            report(tally, f"{kind} x{text}")


if __name__ == "__main__":
    main()
