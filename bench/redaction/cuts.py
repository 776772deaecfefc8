# SPDX-License-Identifier: Apache-2.0
"""Faces and plates cut out of labelled pictures, with what is around them and a soft edge.

A plate keeps a part of the car around it, a face its hair and shoulders: a bare rectangle with a
hard edge looks like nothing in the street, and detectors would be measured on nonsense.

``eval`` cuts come from `plates/eval` and `faces/eval`. ``dev`` cuts come from the pictures of
`plates/train` that training holds out; its faces are teacher truth, CenterFace's finds at a high
score in all of `plates/train` and in the frames of `egoblur-person` and `intel-person`, as
`training.teacher` wrote them into its cache folder.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Kind = Literal["face", "plate"]
Picture = NDArray[np.uint8]
Rect = tuple[float, float, float, float]
Labelled = tuple[Path, list[Rect]]

SETS = ("dev", "eval")
LEAST = {"face": 30.0, "plate": 22.0}  # pixels of a label's short side; smaller ones are mush
TEACHER = 0.75  # CenterFace's score from which a dev face is taken as true
SAME_FILM = 10  # dev cuts of one film or ride at most: they are all of one person or car
FEATHER = 0.2
SHARP = {"face": 150.0, "plate": 250.0}  # variance of the Laplacian at the size below
SHARP_SIDE = {"face": 64, "plate": 32}
TALLEST = 200.0  # pixels of a label kept: more is never shown
FLAT = 18.0  # standard deviation of grey below which nothing can be recognised


@dataclass(frozen=True, slots=True)
class Cut:
    """A face or plate with its surroundings; ``box`` in pixels of ``rgba``."""

    kind: Kind
    source: str
    rgba: Picture
    box: Rect
    levels: list[Picture] = field(default_factory=list)

    @property
    def brightness(self) -> float:
        """Mean grey of the object itself."""
        return max(1.0, float(self._grey().mean()))

    @property
    def contrast(self) -> float:
        """Standard deviation of its grey."""
        return max(1.0, float(self._grey().std()))

    def _grey(self) -> NDArray[np.float64]:
        x, y, w, h = (round(v) for v in self.box)
        return np.asarray(self.rgba[y : y + h, x : x + w, :3].mean(axis=2), np.float64)

    def level(self, scale: float) -> tuple[Picture, float]:
        """The cut at the size just above ``scale``, and that size (1, 1/2, 1/4 or 1/8)."""
        if not self.levels:
            self.levels.append(self.rgba)
            for _ in range(3):
                last = self.levels[-1]
                size = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
                self.levels.append(_u8(cv2.resize(last, size, interpolation=cv2.INTER_AREA)))
        number = min(3, max(0, int(np.floor(-np.log2(max(scale, 1e-3))))))
        return self.levels[number], self.levels[number].shape[1] / self.rgba.shape[1]


def _u8(image: object) -> Picture:
    return np.asarray(image, np.uint8)


def cuts(data: Path, chosen: str, cache: Path) -> list[Cut]:
    """Every usable cut of a set, plates first; the order is that of the labels."""
    if chosen == "eval":
        plates, faces = _labels(data / "plates/eval"), _labels(data / "faces/eval")
    else:
        plates, faces = list(_dev_plates(data, cache)), list(_dev_faces(data, cache))
    return [*_cut_all("plate", plates), *_cut_all("face", faces)]


def _labels(folder: Path) -> list[Labelled]:
    entries = map(json.loads, (folder / "labels.jsonl").read_text().splitlines())
    return [
        (folder / "images" / e["image"], [(b["x"], b["y"], b["w"], b["h"]) for b in e["boxes"]])
        for e in entries
    ]


def _dev_plates(data: Path, cache: Path) -> Iterator[Labelled]:
    split = importlib.import_module("training.data")  # typed in an environment of its own
    records = split.labelled(data, cache)
    names = split.held_out(records)
    rides: dict[str, int] = {}
    for record in records:
        ride = record.name.rsplit("_", 1)[0] if record.name.startswith("rl_") else record.name
        rides[ride] = rides.get(ride, 0) + (record.name in names)
        if record.name in names and rides[ride] <= SAME_FILM:
            yield (
                record.path,
                [(float(x), float(y), float(w), float(h)) for x, y, w, h in record.plates],
            )


def _dev_faces(data: Path, cache: Path) -> Iterator[Labelled]:
    films: dict[str, int] = {}
    for line in (cache / "faces.jsonl").read_text().splitlines():
        entry = json.loads(line)
        name, sure = entry["image"], [f for f in entry["faces"] if f[4] >= TEACHER]
        film = name.rsplit("_", 1)[0]
        if film in {"egoblur-person", "intel-person"}:
            path = cache / "clips" / name
            films[film] = films.get(film, 0) + bool(sure)
            sure = sure if films[film] % 3 == 1 and films[film] < 3 * SAME_FILM else []
        else:
            path = data / "plates/train/images" / name
        if sure and path.exists():
            yield path, [(f[0], f[1], f[2], f[3]) for f in sure]


def _cut_all(kind: Kind, pictures: Sequence[Labelled]) -> Iterator[Cut]:
    for path, boxes in pictures:
        large = [i for i, b in enumerate(boxes) if min(b[2], b[3]) >= LEAST[kind]]
        if not large:
            continue
        image = _u8(cv2.imread(str(path)))[:, :, ::-1]
        for i in large:
            others = boxes[:i] + boxes[i + 1 :]
            made = cut(kind, image, boxes[i], others, f"{path.name}#{i}")
            if made is not None:
                yield made


def cut(
    kind: Kind, image: Picture, box: Rect, others: Sequence[Rect] = (), source: str = ""
) -> Cut | None:
    """``box`` out of ``image`` (RGB); None if it is cut off, crowded, blurred or of odd shape."""
    x, y, w, h = box
    if kind == "plate":
        left, top, right, below = x - 0.5 * w, y - 1.6 * h, x + 1.5 * w, y + 2.6 * h
        odd = not 1.1 <= w / h <= 6.5
    else:
        left, top, right, below = x - 0.7 * w, y - 0.55 * h, x + 1.7 * w, y + 1.9 * h
        odd = not 0.5 <= w / h <= 1.3
    left, top = max(0, round(left)), max(0, round(top))
    right, below = min(image.shape[1], round(right)), min(image.shape[0], round(below))
    inside = (x - left, y - top, w, h)
    if odd or any(_touch((left, top, right - left, below - top), other) for other in others):
        return None
    rgb = image[top:below, left:right]
    alpha = _plate_mask(rgb.shape) if kind == "plate" else _face_mask(rgb.shape, inside)
    if not _whole(alpha, inside, kind) or not sharp(kind, rgb, inside):
        return None
    rgba = np.dstack([rgb, (alpha * 255).astype(np.uint8)])
    scale = min(1.0, TALLEST / h)
    if scale < 1:
        size = (round(rgba.shape[1] * scale), round(rgba.shape[0] * scale))
        rgba = _u8(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA))
    held = (inside[0] * scale, inside[1] * scale, w * scale, h * scale)
    return Cut(kind, source, np.ascontiguousarray(rgba), held)


def _touch(a: Rect, b: Rect) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _grid(
    shape: tuple[int, ...], centre: tuple[float, float], half: tuple[float, float], power: float
) -> NDArray[np.float32]:
    """Distance from ``centre`` in units of a superellipse's half axes."""
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    u, v = np.abs(xs + 0.5 - centre[0]) / half[0], np.abs(ys + 0.5 - centre[1]) / half[1]
    return np.asarray((u**power + v**power) ** (1 / power), np.float32)


def _soft(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.clip((1 - distance) / FEATHER, 0, 1), np.float32)


def _plate_mask(shape: tuple[int, ...]) -> NDArray[np.float32]:
    high, wide = shape[:2]
    return _soft(_grid(shape, (wide / 2, high / 2), (wide / 2, high / 2), 4.0))


def _face_mask(shape: tuple[int, ...], box: Rect) -> NDArray[np.float32]:
    """Head and shoulders; faded at the picture's border."""
    x, y, w, h = box
    middle = x + w / 2
    head = _soft(_grid(shape, (middle, y + 0.47 * h), (0.95 * w, 1.0 * h), 2.2))
    body = _soft(_grid(shape, (middle, y + 2.0 * h), (1.25 * w, 1.0 * h), 2.6))
    high, wide = shape[:2]
    frame = _soft(_grid(shape, (wide / 2, high / 2), (wide / 2, high / 2), 8.0))
    return np.asarray(np.maximum(head, body) * frame, np.float32)


def _whole(alpha: NDArray[np.float32], box: Rect, kind: Kind) -> bool:
    """Whether the object itself is not faded: of a face the oval, its box's corners are hair."""
    ys, xs = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]]
    x, y, w, h = box
    u, v = (xs + 0.5 - x - w / 2) / (w / 2), (ys + 0.5 - y - h / 2) / (h / 2)
    mask = (u**2 + v**2 <= 1) if kind == "face" else (np.abs(u) <= 1) & (np.abs(v) <= 1)
    return bool(mask.any()) and float(alpha[mask].min()) > 0.9


def sharp(kind: Kind, rgb: Picture, box: Rect) -> bool:
    """Whether eyes or letters could be made out: neither blurred nor flat."""
    x, y, w, h = (round(v) for v in box)
    grey = cv2.cvtColor(
        np.ascontiguousarray(rgb[max(0, y) : y + h, max(0, x) : x + w]), cv2.COLOR_RGB2GRAY
    )
    side = SHARP_SIDE[kind]
    size = (max(1, round(side * grey.shape[1] / grey.shape[0])), side)
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float64)
    return float(small.std()) > FLAT and float(cv2.Laplacian(small, cv2.CV_64F).var()) > SHARP[kind]
