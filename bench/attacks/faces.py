# SPDX-License-Identifier: Apache-2.0
"""Whose face was it? Two face models, plain pixels, and the mosaic's own means, against a gallery.

The gallery holds another picture of everybody: the same photograph turned, lit, scaled and
compressed anew (of one person a truly different frame). Real other pictures differ more, so what
is found here is more than a stranger would find.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from . import chance
from .engines import Embedder
from .linkage import cells_of, grid_of
from .scene import Seen, Thing

Picture = NDArray[np.uint8]
Numbers = NDArray[np.float64]

HEIGHT = 92  # pixels of a face in the film
_LEAST = 64  # of a face in its picture, so that a face model can know it
_GROWN = 1.3  # the report's boxes are faces grown by so much: the attacker undoes it
_FILM = "egoblur-person.mp4"
_EDGE = 6  # pixels of the box's rim, into which the encoder spreads what lies around it


def things(data: Path, count: int) -> tuple[list[Thing], list[Picture]]:
    """Faces to film, one of each picture, and the gallery's portrait of each."""
    rng = np.random.default_rng(3)
    found, gallery = [], []
    for name, box in _labelled(data / "faces" / "eval", count):
        image = cv2.cvtColor(np.asarray(cv2.imread(name), np.uint8), cv2.COLOR_BGR2RGB)
        found.append(_thing(Path(name).stem, np.asarray(image, np.uint8), box))
        gallery.append(_portrait(np.asarray(image, np.uint8), box, rng))
    return found, gallery


def _labelled(folder: Path, count: int) -> list[tuple[str, Numbers]]:
    """Pictures and their largest face, the sharpest first: those can be known again at all."""
    choice = []
    for line in (folder / "labels.jsonl").read_text().splitlines():
        said = json.loads(line)
        boxes = [(b["x"], b["y"], b["w"], b["h"]) for b in said["boxes"] if b["kind"] == "face"]
        box = np.array(max(boxes, key=lambda b: b[3], default=(0, 0, 0, 0)), float)
        inside = box[0] > 4 and box[1] > 4 and box[0] + box[2] < said["width"] - 4
        if box[3] >= _LEAST and inside and box[1] + box[3] < said["height"] - 4:
            choice.append((box[3], str(folder / "images" / said["image"]), box))
    choice.sort(key=lambda c: (-c[0], c[1]))
    return [(name, box) for _, name, box in choice[:count]]


def _thing(name: str, image: Picture, box: Numbers) -> Thing:
    x, y, w, h = box
    left, top = max(0, int(x - 0.5 * w)), max(0, int(y - 0.5 * h))
    patch = image[top : int(y + 1.5 * h), left : int(x + 1.5 * w)]
    return Thing(name, patch, (x - left, y - top, w, h), HEIGHT, "face")


def _portrait(image: Picture, box: Numbers, rng: np.random.Generator) -> Picture:
    """Another picture of the same face, which fills the middle half of 200 x 200."""
    middle = (float(box[0] + box[2] / 2), float(box[1] + box[3] / 2))
    scale = 100 / float(max(box[2:])) * rng.uniform(0.94, 1.06)
    matrix = cv2.getRotationMatrix2D(middle, float(rng.uniform(-8, 8)), scale)
    move = 100 - np.array(middle) + rng.uniform(-4, 4, 2)
    matrix = matrix + np.column_stack([np.zeros((2, 2)), move])
    turned = cv2.warpAffine(image, matrix, (200, 200), borderMode=cv2.BORDER_REPLICATE)
    light = (turned / 255.0) ** rng.uniform(0.75, 1.35) * rng.uniform(0.9, 1.1, 3) * 255
    _, code = cv2.imencode(".jpg", np.clip(light, 0, 255).astype(np.uint8), [1, 70])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def filmed(data: Path, find: Callable[[Picture], Any]) -> tuple[Thing, Picture] | None:
    """One person of a real film: what is filmed and the gallery's portrait are 400 frames apart."""
    path = data / "clips" / _FILM
    if not path.exists():
        return None
    pair = []
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            if number in {100, 500}:
                image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                best = max(find(image), key=lambda b: float(b.score))
                pair.append((image, np.array([best.x, best.y, best.w, best.h])))
    (one, box), (other, there) = pair
    return _thing("egoblur", one, box), _portrait(other, there, np.random.default_rng(4))


def portraits(seen: Seen, *, inside: bool) -> dict[str, Picture]:
    """What an attacker shows a face model: one frame, and the mean of all.

    ``inside``: of the destroyed box only; what lies around is painted over with its mean.
    """
    size = (300, 300)
    stack = []
    for picture in seen.around:
        part = picture.copy()
        if inside:
            high, wide = part.shape[0] // 4 + _EDGE, part.shape[1] // 4 + _EDGE
            kept = part[high : part.shape[0] - high, wide : part.shape[1] - wide].copy()
            part[:] = kept.mean((0, 1)).astype(np.uint8)
            part[high : high + kept.shape[0], wide : wide + kept.shape[1]] = kept
        stack.append(cv2.resize(_square(part), size, interpolation=cv2.INTER_AREA))
    middle = stack[len(stack) // 2]
    return {"one frame": middle, "mean of 60": np.mean(stack, axis=0).astype(np.uint8)}


def _square(picture: Picture) -> Picture:
    """The middle of ``picture``, square, so that the face itself fills half of it."""
    high, wide = picture.shape[:2]
    side = round(max(high, wide) / _GROWN)
    pad = max(0, side - min(high, wide)) // 2 + 1
    wider = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    top, left = (wider.shape[0] - side) // 2, (wider.shape[1] - side) // 2
    return np.asarray(wider[top : top + side, left : left + side], np.uint8)


def pixels(face: Picture) -> Numbers:
    """A classical model: 20 x 20 grey pixels of the middle, brightness and contrast taken off."""
    quarter = face.shape[0] // 4
    tight = cv2.cvtColor(face[quarter:-quarter, quarter:-quarter], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(tight, (20, 20), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    small -= small.mean()
    return np.asarray(small / max(1e-6, float(np.linalg.norm(small))))


def mosaicked(portrait: Picture, seen: Seen) -> Picture:
    """A gallery portrait destroyed as the probe was: the same cells, of a box grown alike."""
    columns, rows = grid_of(int(seen.boxes[0, 2]), int(seen.boxes[0, 3]))
    half = np.array([seen.boxes[0, 2], seen.boxes[0, 3]]) / seen.boxes[0, 2:].max() * 50 * _GROWN
    x0, y0 = (100 - half).astype(int)
    x1, y1 = (100 + half).astype(int)
    out = portrait.copy()
    means = np.stack([cells_of(out[y0:y1, x0:x1, i], columns, rows) for i in range(3)], axis=2)
    at_rows = np.arange(y1 - y0) * rows // (y1 - y0)
    at_columns = np.arange(x1 - x0) * columns // (x1 - x0)
    out[y0:y1, x0:x1] = means[np.ix_(at_rows, at_columns)].astype(np.uint8)
    return out


def attack(
    seen: Sequence[Seen], gallery: Sequence[Picture], models: dict[str, Embedder]
) -> dict[str, Any]:
    """Rank-1 accuracy of every model, on one frame and on the mean of sixty.

    ``clear``: against the gallery as it is; ``alike``: against a gallery destroyed the same way
    (the mosaic compared with mosaics); ``surroundings``: clear, and hair, ears and neck beside
    the box shown too, which no fill destroys.
    """
    out: dict[str, Any] = {}
    inner = [portraits(s, inside=True) for s in seen]
    outer = [portraits(s, inside=False) for s in seen]
    alike = [mosaicked(picture, seen[0]) for picture in gallery]
    for name, embed in models.items():
        clear = np.array([embed(picture) for picture in gallery])
        same = np.array([embed(_inner(picture, seen[0])) for picture in alike])
        out[name] = {
            view: {
                "clear": _ranked(embed, [p[view] for p in inner], clear),
                "alike": _ranked(embed, [p[view] for p in inner], same),
                "surroundings": _ranked(embed, [p[view] for p in outer], clear),
            }
            for view in inner[0]
        }
    return out


def _inner(picture: Picture, seen: Seen) -> Picture:
    """A gallery picture of which only the destroyed box is left, as the probe's."""
    half = np.array([seen.boxes[0, 2], seen.boxes[0, 3]]) / seen.boxes[0, 2:].max() * 50 * _GROWN
    x0, y0 = (100 - half).astype(int)
    x1, y1 = (100 + half).astype(int)
    out = np.empty_like(picture)
    out[:] = picture[y0:y1, x0:x1].mean((0, 1)).astype(np.uint8)
    out[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return out


def _ranked(embed: Embedder, probes: Sequence[Picture], gallery: Numbers) -> dict[str, float]:
    said = np.array([embed(np.ascontiguousarray(probe)) for probe in probes])
    gaps = np.linalg.norm(said[:, None] - gallery[None], axis=2)
    return chance.ranked(-gaps)


def means_of(face: Picture) -> Numbers:
    """A mosaic's own 25 colours, brightness and contrast taken off: no model of faces at all."""
    side = face.shape[0]
    low, high = round(side * (0.5 - _GROWN / 4)), round(side * (0.5 + _GROWN / 4))
    small = cv2.resize(face[low:high, low:high], (10, 10), interpolation=cv2.INTER_AREA)
    vector = small.astype(np.float64).reshape(-1, 3)
    vector -= vector.mean(0)
    return np.asarray(vector.ravel() / max(1e-6, float(np.linalg.norm(vector))))


def by_cells(seen: Sequence[Seen], gallery: Sequence[Picture], cells: int) -> dict[str, float]:
    """What a mosaic of ``cells`` a side would leak of one frame: its means and the gallery's."""

    def means(face: Picture) -> Numbers:
        side = face.shape[0]
        low, high = round(side * (0.5 - _GROWN / 4)), round(side * (0.5 + _GROWN / 4))
        part = face[low:high, low:high].astype(np.float64)
        vector = np.stack([cells_of(part[..., i], cells, cells) for i in range(3)], axis=2)
        vector = vector.reshape(-1, 3)
        vector = vector / 255 if cells == 1 else vector - vector.mean(0)
        return np.asarray(vector.ravel() / max(1e-6, float(np.linalg.norm(vector))))

    said = np.array([means(portraits(s, inside=True)["one frame"]) for s in seen])
    known = np.array([means(_inner(picture, seen[0])) for picture in gallery])
    return chance.ranked(-np.linalg.norm(said[:, None] - known[None], axis=2))
