# SPDX-License-Identifier: Apache-2.0
"""Drawn pictures: licence plates of many looks, road signs that are none, and face masks.

The labelled pictures hold mostly Western plates; drawn ones widen shapes, colours and scripts.
"""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

LATIN = "ABCDEFGHJKLMNPRSTUVWXYZ"
# Written as escapes: half of these look like Latin letters.
CYRILLIC = "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"
ARABIC = (
    "\u0627\u0628\u062c\u062f\u0631\u0633\u0635\u0637\u0639"
    "\u0642\u0643\u0644\u0645\u0646\u0647\u0648\u064a"
)
SCRIPTS = (LATIN, LATIN, LATIN, LATIN, CYRILLIC, ARABIC)
# (background, text): white, yellow, blue, green, black, red, olive, sky, orange ...
COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((245, 245, 245), (15, 15, 15)),
    ((240, 240, 235), (20, 30, 90)),
    ((235, 235, 235), (150, 20, 25)),
    ((240, 240, 240), (20, 100, 50)),
    ((245, 200, 40), (15, 15, 15)),
    ((240, 170, 20), (20, 20, 20)),
    ((20, 60, 160), (245, 245, 245)),
    ((20, 110, 60), (245, 245, 245)),
    ((120, 210, 150), (15, 15, 15)),
    ((20, 20, 22), (240, 240, 240)),
    ((170, 25, 30), (245, 245, 245)),
    ((190, 215, 235), (20, 40, 110)),
    ((225, 120, 30), (20, 20, 20)),
    ((200, 200, 205), (40, 40, 45)),
)
# Width to height, with weights: long EU, shorter AU/CN, US/JP, square, motorcycle.
RATIOS = (4.7, 3.8, 3.1, 2.0, 1.5, 1.2)
RATIO_WEIGHTS = (5, 3, 2, 5, 3, 2)


@lru_cache(maxsize=1)
def font_files() -> tuple[str, ...]:
    """Return upright TrueType fonts of this machine; their look matters little when small."""
    files = sorted(str(p) for p in Path("/usr/share/fonts").rglob("*.ttf"))
    chosen = [f for f in files if "Sans" in f or "Mono" in f]
    return tuple(f for f in chosen if not any(w in f for w in ("Oblique", "Italic", "TeX")))


@lru_cache(maxsize=512)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def _serial(rng: random.Random) -> str:
    letters = rng.choice(SCRIPTS)
    parts = []
    for _ in range(rng.choice((1, 2, 2, 3))):
        pool = letters if rng.random() < 0.5 else "0123456789"
        parts.append("".join(rng.choice(pool) for _ in range(rng.randint(1, 4))))
    return rng.choice(("", " ", " ", "-")).join(parts)[:9]


def _write(
    canvas: Image.Image, box: tuple[int, int, int, int], text: str, ink: Colour, rng: random.Random
) -> None:
    """Fill `box` (x, y, w, h) with the text, stretched as plate fonts are."""
    font = _font(rng.choice(font_files()), 64)
    left, top, right, bottom = font.getbbox(text)
    glyphs = Image.new("L", (max(1, int(right - left)), max(1, int(bottom - top))))
    ImageDraw.Draw(glyphs).text((-left, -top), text, font=font, fill=255)
    x, y, w, h = box
    mask = glyphs.resize((max(1, w), max(1, h)), Image.Resampling.BILINEAR)
    canvas.paste(Image.new("RGB", mask.size, ink), (x, y), mask)


def plate(rng: random.Random) -> Picture:
    """Return one drawn plate, 96 px high."""
    ratio = rng.choices(RATIOS, RATIO_WEIGHTS)[0] * rng.uniform(0.93, 1.07)
    height, width = 96, int(96 * ratio)
    ground, ink = rng.choices(COLOURS, (8, 3, 2, 2, 5, 2, 3, 2, 3, 3, 1, 2, 1, 2))[0]
    canvas = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(canvas)
    if rng.random() < 0.6:
        edge = ink if rng.random() < 0.6 else (60, 60, 60)
        draw.rectangle((1, 1, width - 2, height - 2), outline=edge, width=rng.randint(1, 5))
    left = int(width * 0.05)
    if ratio > 2.5 and rng.random() < 0.5:
        band = int(width * rng.uniform(0.06, 0.11))
        draw.rectangle((0, 0, band, height), fill=rng.choice(((0, 50, 150), (180, 20, 20))))
        left = band + 4
    right = int(width * rng.uniform(0.9, 0.96))
    if ratio < 2.4 and rng.random() < 0.65:
        split = int(height * rng.uniform(0.3, 0.52))
        _write(canvas, (left + 8, 9, right - left - 16, split - 14), _serial(rng), ink, rng)
        _write(canvas, (left, split + 2, right - left, height - split - 12), _serial(rng), ink, rng)
    else:
        margin = int(height * rng.uniform(0.1, 0.24))
        box = (left, margin, right - left, height - 2 * margin)
        _write(canvas, box, _serial(rng), ink, rng)
    return np.asarray(canvas, np.uint8)


def sign(rng: random.Random) -> Picture:
    """Return a drawn sign with text or rings: much like a plate, and not one."""
    height, width = 128, int(128 * rng.uniform(0.6, 2.2))
    ground = rng.choice(
        ((20, 90, 50), (20, 60, 150), (245, 245, 245), (240, 190, 30), (30, 30, 30))
    )
    ink: Colour = (245, 245, 245) if sum(ground) < 400 else (20, 20, 20)
    canvas = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(canvas)
    if rng.random() < 0.4:
        draw.ellipse((8, 8, height - 8, height - 8), outline=(190, 20, 20), width=12)
        _write(canvas, (34, 44, height - 68, 40), str(rng.randint(1, 13) * 10), ink, rng)
    else:
        lines = rng.randint(3, 5)
        step = (height - 16) // lines
        for i in range(lines):
            wide = int((width - 24) * rng.uniform(0.4, 1.0))
            word = "".join(rng.choice(LATIN.lower()) for _ in range(rng.randint(4, 11)))
            _write(canvas, (12, 10 + i * step, wide, int(step * 0.6)), word, ink, rng)
    return np.asarray(canvas, np.uint8)


def mask_face(image: Picture, box: NDArray[np.float32], rng: random.Random) -> None:
    """Draw a cloth mask over the lower half of a face, in place."""
    x, y, w, h = (float(v) for v in box)
    top = y + h * rng.uniform(0.42, 0.55)
    points = np.array(
        [
            (x + w * 0.04, top),
            (x + w * 0.5, top - h * rng.uniform(0.0, 0.1)),
            (x + w * 0.96, top),
            (x + w * 0.9, y + h * 0.82),
            (x + w * 0.6, y + h * 1.0),
            (x + w * 0.4, y + h * 1.0),
            (x + w * 0.1, y + h * 0.82),
        ]
    )
    points[:, 0] += w * rng.uniform(-0.12, 0.12)
    tone = rng.choice(
        ((235, 240, 245), (160, 200, 225), (25, 25, 28), (90, 130, 180), (150, 60, 70))
    )
    light = rng.uniform(0.55, 1.0)
    colour = tuple(int(c * light) for c in tone)
    cv2.fillPoly(image, [np.round(points * 8).astype(np.int32)], colour, cv2.LINE_AA, 3)
