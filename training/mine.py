# SPDX-License-Identifier: Apache-2.0
"""Look at the training pictures with a trained model: what is unlabelled, what is a mistake?

Plates that the labels lack are many (parked rows, far traffic). A sure find that matches no
label becomes a doubt, on which the next training is silent; a less sure one becomes a negative,
at which the next training looks more often. Written to mined.jsonl in the cache.

    python -m training.mine --model a.onnx --data ../shared/data --cache ../cache
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.ids import digest
from incamera.recording.model import Box
from incamera.redaction.heatmap import HeatmapDetector, Model
from training.data import Boxes, Record, clips, labelled

# Above SURE, what matches no label is more often a plate than not; unless it is large: labellers
# leave out the small ones.
SURE = 0.6
SMALL = 32.0
WORTH = 0.2
SCALES = (1.5, 0.75, 0.35)
MATCH = 0.1


def overlap(box: NDArray[np.float32], others: Boxes) -> float:
    """Return the largest intersection over union with the others."""
    if not len(others):
        return 0.0
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=1)
    union = box[2] * box[3] + others[:, 2] * others[:, 3] - inter
    return float((inter / union).max())


def sort_out(record: Record, found: list[Box]) -> dict[str, Any]:
    """Return the entry of one picture."""
    doubts, negatives = [], []
    faces = np.concatenate([record.faces, record.face_doubts])
    for box in found:
        row = np.array([box.x, box.y, box.w, box.h], np.float32)
        if overlap(row, record.plates if box.kind == "plate" else faces) > MATCH:
            continue
        entry = [round(float(v), 1) for v in row] + [round(box.score, 3)]
        unlabelled = not record.plates_known or (box.score >= SURE and box.h < SMALL)
        if box.kind == "plate" and unlabelled:
            doubts.append(entry)
        elif record.plates_known:
            negatives.append(entry)
    return {"image": record.name, "doubts": doubts, "negatives": negatives}


def main() -> None:
    """Mine all training pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("../cache"))
    args = parser.parse_args()
    raw = Model(args.model, digest(args.model.read_bytes()), SCALES, {"plate": 0.3, "face": 0.3})
    detector = HeatmapDetector(raw, kinds=("plate", "face"), least=WORTH, threads=1)
    part = args.cache / "mined.part"
    with part.open("w") as sink:
        for record in labelled(args.data, args.cache) + clips(args.cache):
            bgr = np.asarray(cv2.imread(str(record.path)), np.uint8)
            found = detector.detect(np.ascontiguousarray(bgr[:, :, ::-1]))
            sink.write(json.dumps(sort_out(record, found)) + "\n")
    part.replace(args.cache / "mined.jsonl")


if __name__ == "__main__":
    main()
