# SPDX-License-Identifier: Apache-2.0
"""Pictures and labels: one record a picture, pixels in one memory-mapped file, fixed split.

Decoding JPEGs costs more than a training step can spare on two cores, so all pictures are
decoded once into a cache file which the operating system keeps in memory.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]

# Teacher scores at or above SURE make a face label; those below only silence the loss.
SURE = 0.45
HELD_OUT = 10
LEVELS = 4
NO_BOXES = np.zeros((0, 4), np.float32)


@dataclass
class Record:
    """One picture with its labels; boxes are x, y, w, h rows in pixels."""

    name: str
    path: Path
    shape: tuple[int, int]
    plates: Boxes
    faces: Boxes
    face_doubts: Boxes
    plate_doubts: Boxes = field(default_factory=lambda: NO_BOXES)
    negatives: Boxes = field(default_factory=lambda: NO_BOXES)
    # Clips have no plate labels, so nothing may be learned about plates from their pixels.
    plates_known: bool = True


def rows(values: list[Any]) -> Boxes:
    """Return an (n, 4) array, also for n = 0."""
    return np.asarray([v[:4] for v in values], np.float32).reshape(-1, 4)


def _faces(cache: Path) -> dict[str, list[list[float]]]:
    lines = (cache / "faces.jsonl").read_text().splitlines()
    return {entry["image"]: entry["faces"] for entry in map(json.loads, lines)}


def _record(path: Path, shape: tuple[int, int], plates: Boxes, faces: list[list[float]]) -> Record:
    return Record(
        name=path.name,
        path=path,
        shape=shape,
        plates=plates,
        faces=rows([f for f in faces if f[4] >= SURE]),
        face_doubts=rows([f for f in faces if f[4] < SURE]),
    )


def labelled(data: Path, cache: Path) -> list[Record]:
    """Return the plate training pictures with the teacher's faces."""
    faces = _faces(cache)
    records = []
    for line in (data / "plates/train/labels.jsonl").read_text().splitlines():
        entry = json.loads(line)
        path = data / "plates/train/images" / entry["image"]
        plates = rows([(b["x"], b["y"], b["w"], b["h"]) for b in entry["boxes"]])
        shape = (int(entry["height"]), int(entry["width"]))
        records.append(_record(path, shape, plates, faces.get(path.name, [])))
    return records


def clips(cache: Path) -> list[Record]:
    """Return the clip frames that the teacher has labelled."""
    faces = _faces(cache)
    records = []
    for path in sorted((cache / "clips").glob("*.jpg")):
        height, width = cv2.imread(str(path)).shape[:2]
        record = _record(path, (height, width), NO_BOXES, faces.get(path.name, []))
        record.plates_known = False
        records.append(record)
    return records


def held_out(records: list[Record]) -> set[str]:
    """Return the names kept from training: one in ten, films by their last tenth.

    Neighbouring frames of a film are nearly the same picture, so a random split would put
    twins on both sides.
    """
    names = {r.name for r in records if crc32(r.name.encode()) % HELD_OUT == 0}
    rides: dict[str, list[str]] = {}
    for record in records:
        match = re.match(r"(rl_.+)_(\d+)\.jpg$", record.name)
        if match:
            names.discard(record.name)
            rides.setdefault(match.group(1), []).append(record.name)
    for ride in rides.values():
        ride.sort(key=lambda name: int(name.rsplit("_", 1)[1].split(".")[0]))
        names.update(ride[len(ride) - len(ride) // HELD_OUT :])
    return names


def apply_mined(records: list[Record], path: Path) -> None:
    """Add what an earlier model found: likely unlabelled plates, and false alarms."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    mined = {entry["image"]: entry for entry in map(json.loads, lines)}
    for record in records:
        entry = mined.get(record.name)
        if entry:
            record.plate_doubts = rows(entry["doubts"])
            record.negatives = rows(entry["negatives"])


def load_split(data: Path, cache: Path) -> tuple[list[Record], list[Record]]:
    """Return training and held-out records, mined notes applied."""
    records = labelled(data, cache)
    apply_mined(records, cache / "mined.jsonl")
    names = held_out(records)
    train = [r for r in records if r.name not in names] + clips(cache)
    return train, [r for r in records if r.name in names]


class Pixels:
    """Decoded pictures at full, half, quarter and eighth size, in memory-mapped files.

    Shrinking by area beforehand costs a third more room and halves the time of a view.
    """

    def __init__(self, records: list[Record], path: Path) -> None:
        self._levels: list[NDArray[np.uint8]] = []
        self._offsets: list[dict[str, int]] = []
        for level in range(LEVELS):
            offsets, total = {}, 0
            for record in records:
                offsets[record.name] = total
                total += (record.shape[0] >> level) * (record.shape[1] >> level) * 3
            file = path.with_suffix(f".{level}")
            if not file.exists() or file.stat().st_size != total:
                self._fill(records, file, level)
            self._levels.append(np.memmap(file, np.uint8, mode="r"))
            self._offsets.append(offsets)

    def _fill(self, records: list[Record], file: Path, level: int) -> None:
        with file.open("wb") as sink:
            for record in records:
                if level:
                    image = self._half(self.get(record, level - 1))
                else:
                    image = np.asarray(cv2.imread(str(record.path)), np.uint8)[:, :, ::-1]
                    if image.shape[:2] != record.shape:
                        raise ValueError(f"{record.name}: label says another size")
                sink.write(np.ascontiguousarray(image).tobytes())

    @staticmethod
    def _half(image: Picture) -> Picture:
        goal = (image.shape[1] // 2, image.shape[0] // 2)
        even = image[: goal[1] * 2, : goal[0] * 2]
        return np.asarray(cv2.resize(even, goal, interpolation=cv2.INTER_AREA), np.uint8)

    def get(self, record: Record, level: int = 0) -> Picture:
        """Return the RGB picture of a record, halved `level` times (read only)."""
        height, width = record.shape[0] >> level, record.shape[1] >> level
        start = self._offsets[level][record.name]
        flat = self._levels[level][start : start + height * width * 3]
        return np.asarray(flat).reshape(height, width, 3)
