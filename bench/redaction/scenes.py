# SPDX-License-Identifier: Apache-2.0
"""Real driving clips as endless backgrounds, and what is planned to happen in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from bench.redaction.cuts import Cut, Kind, Picture, Rect
from bench.redaction.motion import STYLES, extent, path, truth
from bench.redaction.motion import Path as Way
from bench.redaction.painting import Bar

# Clip and the size it is brought to. None shows a face near enough to count as one.
PLACES: tuple[tuple[str, tuple[int, int]], ...] = (
    ("udacity-lane", (960, 540)),
    ("udacity-highway", (1280, 720)),
    ("udacity-lane", (1280, 960)),
    ("intel-car-detection", (768, 432)),
    ("mapillary-h265", (1280, 960)),
    ("udacity-highway", (1280, 960)),
    ("mapillary-gps-h264", (1280, 720)),
    ("intel-car-detection", (1280, 960)),
)
LIGHTS = ("day", "night", "day", "changing", "day", "night")
CODINGS = (
    {"crf": "20", "preset": "superfast", "bf": "0"},
    {"crf": "20", "preset": "superfast", "bf": "2"},
    {"crf": "24", "preset": "superfast", "bf": "3"},
)
RATES = (25, 36, 30)
SECONDS = (2.3, 3.1)
EACH = 10  # objects of each kind that a film shall have
SHORT = 0.3  # of the objects are seen for a second at most
TRIES = 40  # to find a path that crosses no other
DISCERNIBLE = 36.0  # standard deviation of grey that an object has at night at least
UPSCALE = 1.15  # of a cut at most: more would only show its own blur
TALLEST = {"face": (34.0, 150.0), "plate": (15.0, 80.0)}  # pixels, when nearest


@dataclass(frozen=True, slots=True)
class Object:
    """One track: what, where, when."""

    number: int
    cut: Cut
    way: Way
    gain: float
    truths: tuple[Rect, ...]  # of the object itself, for each of its poses
    extents: tuple[Rect, ...]  # of its surroundings too

    @classmethod
    def on(cls, number: int, cut: Cut, way: Way, gain: float) -> Object:
        """Its boxes follow from its way."""
        truths = tuple(truth(cut, pose) for pose in way.poses)
        return cls(number, cut, way, gain, truths, tuple(extent(cut, p) for p in way.poses))


@dataclass(frozen=True, slots=True)
class Scene:
    """One film to be made."""

    name: str
    clip: str
    size: tuple[int, int]
    frames: int
    rate: int
    light: str
    coding: dict[str, str]
    seed: int
    start: int


def scenes(count: int, seed: int) -> list[Scene]:
    """``count`` scenes: every place, light and coding in turn."""
    out = []
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        clip, size = PLACES[i % len(PLACES)]
        rate = RATES[i % len(RATES)]
        light = LIGHTS[(i + i // len(LIGHTS)) % len(LIGHTS)]
        frames = round(rng.uniform(*SECONDS) * min(rate, 30))
        coding = CODINGS[(i // 2) % len(CODINGS)]
        name = f"{i:03d}-{clip}-{size[1]}-{light}.mp4"
        start = int(rng.integers(0, 300))
        out.append(Scene(name, clip, size, frames, rate, light, coding, seed * 1000 + i, start))
    return out


def background(scene: Scene, clips: Path) -> Iterator[Picture]:
    """The clip's frames forth and back, from ``scene.start`` on, brought to size (RGB)."""
    width, height = scene.size
    with av.open(str(clips / f"{scene.clip}.mp4")) as container:
        total = container.streams.video[0].frames
        wanted = [_swing(scene.start + i, total) for i in range(scene.frames)]
        kept: dict[int, Picture] = {}
        for number, picture in enumerate(container.decode(video=0)):
            if number in set(wanted):
                scale = max(width / picture.width, height / picture.height)
                size = (round(picture.width * scale), round(picture.height * scale))
                whole = picture.reformat(size[0], size[1], "rgb24", interpolation="BICUBIC")
                image = np.asarray(whole.to_ndarray(), np.uint8)
                left, top = (size[0] - width) // 2, (size[1] - height) // 2
                kept[number] = image[top : top + height, left : left + width].copy()
            if number >= max(wanted):
                break
    last = len(kept) and max(kept)
    for number in wanted:
        yield kept[min(number, last)].copy()


def _swing(number: int, total: int) -> int:
    number %= max(1, 2 * total - 2)
    return number if number < total else 2 * total - 2 - number


class Casting:
    """Hands out cuts so that all are used about equally often."""

    def __init__(self, cuts: list[Cut]) -> None:
        self._cuts = cuts
        self._uses = [0] * len(cuts)

    def pick(self, rng: np.random.Generator, kind: Kind, height: float) -> tuple[int, Cut] | None:
        """A cut that is large enough to be ``height`` pixels high, of those least used."""
        fit = [
            i
            for i, cut in enumerate(self._cuts)
            if cut.kind == kind and cut.box[3] * UPSCALE >= height
        ]
        if not fit:
            return None
        least = min(self._uses[i] for i in fit)
        number = int(rng.choice([i for i in fit if self._uses[i] == least]))
        return number, self._cuts[number]

    def used(self, number: int) -> None:
        """Note that a cut has found its place."""
        self._uses[number] += 1


def objects(scene: Scene, casting: Casting) -> list[Object]:
    """What moves through a scene: EACH of both kinds, as far as they find room."""
    rng = np.random.default_rng((scene.seed, 1))
    out: list[Object] = []
    for turn in range(2 * EACH):
        kind: Kind = "plate" if turn % 2 else "face"
        short = bool(rng.random() < SHORT)
        for _ in range(TRIES):
            made = _try(rng, scene, kind, short, len(out), casting)
            if made and not any(_meet(made[1], other) for other in out):
                casting.used(made[0])
                out.append(made[1])
                break
    return out


def _try(
    rng: np.random.Generator,
    scene: Scene,
    kind: Kind,
    short: bool,
    number: int,
    casting: Casting,
) -> tuple[int, Object] | None:
    low, high = TALLEST[kind]
    height = float(np.exp(rng.uniform(np.log(low), np.log(min(high, scene.size[1] / 5)))))
    picked = casting.pick(rng, kind, height)
    if picked is None:
        return None
    index, cut = picked
    style = STYLES[int(rng.integers(len(STYLES)))]
    seconds = rng.uniform(0.3, 1.0) if short else rng.uniform(1.2, 3.0)
    count = min(scene.frames, max(6, round(seconds * scene.rate)))
    first = int(rng.integers(0, scene.frames - count + 1))
    way = path(rng, kind, style, scene.size, (first, count), height, cut.box[2] / cut.box[3])
    if scene.light == "night":  # plates throw the headlights back
        wanted = rng.uniform(110, 190) if kind == "plate" else rng.uniform(70, 130)
        gain = min(3.0, max(0.6, wanted / cut.brightness, DISCERNIBLE / cut.contrast))
    else:
        gain = rng.uniform(0.8, 1.1)
    return index, Object.on(number, cut, way, float(gain))


def _meet(a: Object, b: Object) -> bool:
    """Whether one's surroundings ever lie over the other itself."""
    first = max(a.way.first, b.way.first)
    last = min(a.way.first + len(a.truths), b.way.first + len(b.truths))
    for frame in range(first, last):
        here, there = frame - a.way.first, frame - b.way.first
        if _touch(a.extents[here], b.truths[there]) or _touch(b.extents[there], a.truths[here]):
            return True
    return False


def _touch(a: Rect, b: Rect) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def bars(scene: Scene, shown: list[Object]) -> list[Bar]:
    """Poles and car sides that pass in front of one object in four."""
    rng = np.random.default_rng((scene.seed, 2))
    out = []
    for thing in shown:
        if rng.random() < 0.25 and len(thing.way.poses) > 12:
            out.append(_bar(rng, thing))
    return out


def _bar(rng: np.random.Generator, thing: Object) -> Bar:
    """Passes from one side of the object to the other."""
    poses, first = thing.way.poses, thing.way.first
    middle = int(rng.integers(len(poses) // 4, 3 * len(poses) // 4 + 1))
    x, y, w, h = thing.truths[middle]
    wide = rng.uniform(0.25, 0.9) * w
    pole = rng.random() < 0.6
    top, tall = (y - 4 * h, 9 * h) if pole else (y - 0.3 * h, 2.5 * h)
    if not pole:
        wide *= rng.uniform(1.0, 2.5)
    beats = rng.uniform(6, 18)  # frames from touching to having passed
    speed = (w + wide) / beats * rng.choice([-1.0, 1.0])
    rects = {}
    for number in range(len(poses)):
        left = x + w / 2 - wide / 2 + speed * (number - middle)
        if left < x + 6 * w and left + wide > x - 5 * w:
            rects[first + number] = (float(left), float(top), float(wide), float(tall))
    colours = ((70, 72, 76), (120, 120, 116), (40, 46, 60), (110, 40, 38), (150, 152, 150))
    return Bar(rects, colours[int(rng.integers(len(colours)))])
