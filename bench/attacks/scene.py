# SPDX-License-Identifier: Apache-2.0
"""Films in which things of known identity move, redacted by the product, and read back.

The detector is the truth, shaken by a few per cent as a real one is: what it missed is another
bench's question, here all is found, and what counts is what the destruction leaves. Everything
behind the detector is the product: tracker, growth, fill, encoder, container, report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.ids import Digest, digest
from incamera.recording.model import Box
from incamera.redaction import Redactor, redact_path
from incamera.redaction.fill import FillKind
from incamera.redaction.report import read_report

Picture = NDArray[np.uint8]
Kind = Literal["face", "plate"]

SIZE = (1280, 720)
FRAMES = 60
COLUMNS, ROWS = 4, 3  # things in one film, each in a cell of its own
_BIT = 8  # pixels of a square of the frame number, drawn in the top left corner
_BITS = 8
_SOURCE = {"crf": "12", "preset": "veryfast"}


@dataclass(frozen=True)
class Thing:
    """Something to paste: ``image`` with ``box`` (x, y, w, h) around what must be destroyed."""

    name: str
    image: Picture
    box: tuple[float, float, float, float]
    height: float  # pixels the box is high in the film
    kind: Kind


@dataclass(frozen=True)
class Film:
    """A film, and per frame and thing where it truly is."""

    path: Path
    things: tuple[Thing, ...]
    truth: NDArray[np.float64]  # frames x things x (x, y, w, h)


class Oracle:
    """Knows where everything is, within ``shake`` of its size; told the frame by its number."""

    digest: Digest = digest(b"the truth, shaken")

    def __init__(self, film: Film, shake: float = 0.04) -> None:
        self._kinds = [thing.kind for thing in film.things]
        sides = film.truth[..., 2:]
        low, high = np.random.default_rng(5).uniform(-shake, shake, (2, *sides.shape)) * sides
        self._boxes = film.truth + np.concatenate([low, high - low], axis=-1)

    def detect(self, image: Picture) -> list[Box]:
        """All things of this frame."""
        frame = min(_number(image), len(self._boxes) - 1)
        return [
            Box(x, y, w, h, kind, 0.9)
            for (x, y, w, h), kind in zip(self._boxes[frame].tolist(), self._kinds, strict=True)
        ]


def _number(image: Picture) -> int:
    squares = image[:_BIT, : _BIT * _BITS, 1].reshape(_BIT, _BITS, _BIT)
    return sum(int(bright) << i for i, bright in enumerate(squares.mean((0, 2)) > 127))


def backdrop(data: Path) -> Picture:
    """A street to paste on: from the driving clip if it is there, else drawn."""
    clip = data / "clips" / "udacity-highway.mp4"
    if clip.exists():
        with av.open(str(clip)) as container:
            street = next(container.decode(video=0)).to_ndarray(format="rgb24")
    else:
        coarse = np.random.default_rng(2).integers(60, 190, (12, 20, 3), np.uint8)
        street = np.asarray(cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.asarray(cv2.resize(np.asarray(street, np.uint8), SIZE), np.uint8)


def make(path: Path, street: Picture, things: Sequence[Thing], seed: int) -> Film:
    """Film ``things``, each on a way of its own: wandering, swelling, turning a little."""
    rng = np.random.default_rng(seed)
    ways = rng.uniform(0, 2 * np.pi, (len(things), 6))
    truth = np.zeros((FRAMES, len(things), 4))
    grain = np.round(rng.normal(0, 2, (4, SIZE[1], SIZE[0], 3))).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options=dict(_SOURCE))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in range(FRAMES):
            image = np.roll(street, 2 * frame, axis=1)
            for index, thing in enumerate(things):
                truth[frame, index] = _paste(image, thing, index, ways[index], frame)
            noisy = cv2.add(image, grain[frame % len(grain)], dtype=cv2.CV_8U)
            image = np.asarray(noisy, np.uint8)
            _write_number(image, frame)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = frame, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return Film(path, tuple(things), truth)


def _paste(
    image: Picture, thing: Thing, index: int, way: NDArray[np.float64], frame: int
) -> NDArray[np.float64]:
    """Draw ``thing`` into ``image`` and tell where its box came to lie."""
    x, y, w, h = thing.box
    t = frame / FRAMES * 2 * np.pi
    scale = thing.height / h * (1 + 0.06 * np.sin(t + way[0]))
    angle = np.radians(2.5) * np.sin(0.7 * t + way[1])
    centre = np.array([SIZE[0] / COLUMNS, SIZE[1] / ROWS]) * (
        index % COLUMNS + 0.5,
        index // COLUMNS + 0.5,
    ) + (14 * np.sin(t + way[2]), 14 * np.sin(1.3 * t + way[3]))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([x + w / 2, y + h / 2])
    matrix = np.column_stack([turn, centre - turn @ middle])
    size = (SIZE[0] // COLUMNS, SIZE[1] // ROWS)  # drawn in its cell only
    corner = np.array([index % COLUMNS * size[0], index // COLUMNS * size[1]])
    local = np.column_stack([turn, matrix[:, 2] - corner])
    soft = cv2.GaussianBlur(thing.image, (0, 0), 0.45 / scale) if scale < 1 else thing.image
    drawn = cv2.warpAffine(soft, local, size, flags=cv2.INTER_LINEAR)
    mask = np.full(thing.image.shape[:2], 1, np.float32)
    share = cv2.warpAffine(mask, local, size, flags=cv2.INTER_LINEAR)[..., None]
    cell = image[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]]
    cell[:] = (cell * (1 - share) + drawn * share).astype(np.uint8)
    corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]]) @ turn.T + matrix[:, 2]
    low, high = corners.min(0), corners.max(0)
    return np.concatenate([low, high - low])


def _write_number(image: Picture, frame: int) -> None:
    for bit in range(_BITS):
        image[:_BIT, bit * _BIT : (bit + 1) * _BIT] = 255 * (frame >> bit & 1)


@dataclass(frozen=True)
class Seen:
    """What an attacker holds of one thing: its box and its pixels, frame by frame.

    ``planes[t]``: Y, Cb, Cr of the box's area as decoded; Cb and Cr at half the size.
    ``around[t]``: RGB of the box with half its size around it on each side.
    """

    name: str
    boxes: NDArray[np.float64]  # frames x (x, y, w, h)
    planes: list[tuple[Picture, Picture, Picture]]
    around: list[Picture]


def redact(film: Film, fill: FillKind, folder: Path) -> tuple[Path, Path]:
    """The product's output file and report."""
    out, report = folder / f"{film.path.stem}-{fill}.mp4", folder / f"{film.path.stem}-{fill}.jsonl"
    redactor = Redactor([Oracle(film)], fill=fill, threads=1)
    redact_path(film.path, out, report=report, redactor=redactor)
    return out, report


def destroyed(film: Film, report: Path) -> NDArray[np.float64]:
    """The report's box of each thing in each frame: the one with the nearest middle.

    Raises ``RuntimeError`` if one does not hold all of its thing: then what is read is a miss.
    """
    out = np.zeros_like(film.truth)
    for line in read_report(report):
        boxes = np.array([[b.x, b.y, b.w, b.h] for b in line.boxes])
        for index, true in enumerate(film.truth[line.frame]):
            gap = np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - true[:2] - true[2:] / 2).sum(1)
            out[line.frame, index] = boxes[gap.argmin()]
    low = out[..., :2] - film.truth[..., :2]
    high = film.truth[..., :2] + film.truth[..., 2:] - out[..., :2] - out[..., 2:]
    worst = float(max(low.max(), high.max()))
    if worst > 2:
        raise RuntimeError(f"{film.path}: {worst:.1f} pixels of a thing were not covered")
    return out


def read(path: Path, film: Film, boxes: NDArray[np.float64]) -> list[Seen]:
    """What lies in ``boxes`` (frames x things x 4) in the film at ``path``."""
    out = [Seen(t.name, boxes[:, i], [], []) for i, t in enumerate(film.things)]
    with av.open(str(path)) as container:
        for frame, picture in enumerate(container.decode(video=0)):
            rgb = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
            y, cb, cr = (_plane(picture, i) for i in range(3))
            for seen in out:
                left, top, w, h = (int(v) for v in seen.boxes[frame])
                half = np.s_[top // 2 : (top + h) // 2, left // 2 : (left + w) // 2]
                part = y[top : top + h, left : left + w]
                # Copies: a view would keep the whole frame in memory.
                seen.planes.append((part.copy(), cb[half].copy(), cr[half].copy()))
                seen.around.append(_around(rgb, left, top, w, h))
    return out


def _around(rgb: Picture, left: int, top: int, w: int, h: int) -> Picture:
    """Twice the box's width and height, continued where the frame ends."""
    rows = np.clip(np.arange(top - h // 2, top + h + h // 2), 0, rgb.shape[0] - 1)
    columns = np.clip(np.arange(left - w // 2, left + w + w // 2), 0, rgb.shape[1] - 1)
    return rgb[np.ix_(rows, columns)]


def _plane(picture: av.VideoFrame, number: int) -> Picture:
    plane = picture.planes[number]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]
