# SPDX-License-Identifier: Apache-2.0
"""The endless stream of training views."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from training import pasting, targets
from training.data import Pixels, Record
from training.geometry import View, cut, log_uniform, mosaic

Picture = NDArray[np.uint8]

# (side, batch): mostly small views; larger ones teach large boxes whole.
SIZES = ((320, 16), (448, 8))
# Tallest plate or face in a view of each size.
TALLEST = {320: 110.0, 448: 230.0}
LARGE_SHARE = 0.25


@lru_cache(maxsize=1)
def grain() -> NDArray[np.float32]:
    """Return one sheet of noise, from which pieces are cut: drawing it anew is slow."""
    return np.random.default_rng(1).standard_normal((640, 640, 3), np.float32)


def noisy(image: Picture, rng: random.Random) -> Picture:
    """Add sensor noise."""
    high, wide = image.shape[:2]
    y, x = rng.randint(0, 640 - high), rng.randint(0, 640 - wide)
    piece = grain()[y : y + high, x : x + wide] * np.float32(rng.uniform(2, 16))
    return np.asarray(cv2.add(image, piece, dtype=cv2.CV_8U), np.uint8)


def develop(image: Picture, rng: random.Random) -> Picture:
    """Light, colour, blur, noise and JPEG, as cheap cameras do."""
    tone = np.arange(256, dtype=np.float32) / 255
    curves = []
    gamma, gain, lift = rng.gauss(0, 0.25), rng.uniform(0.75, 1.2), rng.uniform(-0.06, 0.08)
    for _ in range(3):
        cast = 1 + rng.gauss(0, 0.06)
        curves.append(np.clip(tone ** np.exp(gamma) * gain * cast + lift, 0, 1) * 255)
    table = np.stack(curves, 1)[:, None, :].astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)
    if rng.random() < 0.1:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.repeat(grey[:, :, None], 3, 2)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    elif rng.random() < 0.15:
        length = rng.randint(3, 9)
        kernel = np.zeros((length, length), np.float32)
        end = (length - 1, rng.randint(0, length - 1))
        cv2.line(kernel, (0, length - 1 - end[1]), end, 1.0)
        image = np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
    if rng.random() < 0.3:
        image = noisy(image, rng)
    if rng.random() < 0.6:
        _, blob = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(20, 85)])
        image = np.asarray(cv2.imdecode(blob, cv2.IMREAD_COLOR), np.uint8)
    return image


class Views(IterableDataset[Any]):
    """Yields whole batches, so that view size can change from batch to batch."""

    def __init__(self, records: list[Record], pixels: Pixels, seed: int) -> None:
        self.pixels, self.seed = pixels, seed
        self.plates = [r for r in records if len(r.plates)]
        self.faces = [r for r in records if len(r.faces) and r.plates_known]
        self.film_faces = [r for r in records if len(r.faces) and not r.plates_known]
        self.hard = [r for r in records if len(r.negatives)]
        self.everything = records
        self.bank = pasting.bank(records, pixels)

    def _focus(self, rng: random.Random, size: int) -> tuple[Record, tuple[float, float], float]:
        """Choose a record, a point in it and a scale."""
        goal = log_uniform(rng, 6, TALLEST.get(size, 60.0))
        dice = rng.random()
        if dice < 0.52:
            record = rng.choice(self.plates)
            box = record.plates[rng.randrange(len(record.plates))]
        elif dice < 0.7:
            pool = self.film_faces if self.film_faces and rng.random() < 0.25 else self.faces
            record = rng.choice(pool)
            box = record.faces[rng.randrange(len(record.faces))]
        elif dice < 0.88 and self.hard:
            record = rng.choice(self.hard)
            box = record.negatives[rng.randrange(len(record.negatives))]
            goal = min(goal, float(box[3]) * 1.4)
        else:
            record = rng.choice(self.everything)
            spot = (rng.uniform(0, record.shape[1]), rng.uniform(0, record.shape[0]))
            # Whole pictures too, as the smallest scale shows them: whatever is large and has
            # letters on it is then at its most like a plate.
            return record, spot, log_uniform(rng, 0.25, 1.5)
        x, y, w, h = (float(v) for v in box)
        return record, (x + w / 2, y + h / 2), goal / max(h, 1.0)

    def _plain(self, rng: random.Random, size: int) -> View:
        record, spot, scale = self._focus(rng, size)
        return cut(self.pixels, record, spot, scale, size, rng)

    def _add(self, view: View, rng: random.Random) -> None:
        for box in view.plates:
            if rng.random() < 0.22:
                pasting.paste_plate(view, box, rng)
        if rng.random() < 0.12:
            high = log_uniform(rng, 6, 60)
            spot = pasting.free_spot(view, high * rng.choice((4.5, 3, 2, 1.3)), high, rng)
            if spot is not None:
                pasting.paste_plate(view, spot, rng)
                view.plates = np.concatenate([view.plates, spot[None]])
        if rng.random() < 0.12:
            pasting.paste_sign(view, rng)
        if self.bank and rng.random() < 0.45:
            for _ in range(rng.randint(1, 4)):
                pasting.paste_face(view, self.bank, rng)

    def view(self, rng: random.Random, size: int) -> View:
        """Return one finished view."""
        if rng.random() < 0.3:
            view = mosaic([self._plain(rng, size // 2) for _ in range(4)], size)
        else:
            view = self._plain(rng, size)
        self._add(view, rng)
        view.image = develop(view.image, rng)
        return view

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        info = get_worker_info()
        # The training process needs the cores; OpenCV's threads would only fight it.
        cv2.setNumThreads(1)
        rng = random.Random(self.seed * 1000 + (info.id if info else 0))
        while True:
            size, batch = SIZES[1] if rng.random() < LARGE_SHARE else SIZES[0]
            views = [self.view(rng, size) for _ in range(batch)]
            made = [targets.make(view) for view in views]
            images = np.stack([v.image for v in views])
            maps = [
                np.stack([getattr(t, n) for t in made]) for n in ("heat", "sides", "weight", "mask")
            ]
            yield (torch.from_numpy(images), *(torch.from_numpy(m) for m in maps))
