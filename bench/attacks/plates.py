# SPDX-License-Identifier: Apache-2.0
"""Plates of known text, all of one design: who knows it is as strong as can be."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .scene import Thing

Picture = NDArray[np.uint8]

HEIGHTS = (18, 24, 32, 40, 48, 56)  # pixels in the film, swelling by 6 % included: all above 16
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_SIZE = (416, 96)
_CAR = 40  # pixels of paint drawn around a plate


def texts(count: int, seed: int = 11) -> list[str]:
    """Different plates of seven characters: two letters, two digits, three letters."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        letters = "".join(rng.choice(list(_LETTERS), 5))
        digits = "".join(rng.choice(list("0123456789"), 2))
        found[letters[:2] + digits + letters[2:]] = None
    return list(found)


@lru_cache(maxsize=1024)
def drawn(text: str) -> Picture:
    """The plate alone, RGB, 96 x 416: dark on white, a blue band at the left."""
    image = Image.new("RGB", _SIZE, (238, 238, 232))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, _SIZE[0] - 1, _SIZE[1] - 1), outline=(30, 30, 30), width=4)
    draw.rectangle((4, 4, 34, _SIZE[1] - 5), fill=(20, 60, 160))
    font = ImageFont.load_default(78)
    step = (_SIZE[0] - 60) / len(text)
    for index, character in enumerate(text):
        middle = (48 + step * (index + 0.5), _SIZE[1] / 2)
        draw.text(middle, character, font=font, fill=(15, 15, 20), anchor="mm", stroke_width=1)
    return np.asarray(image, np.uint8)


def thing(text: str, height: float, paint: tuple[int, int, int]) -> Thing:
    """The plate on a car of colour ``paint``."""
    high, wide = _SIZE[1] + 2 * _CAR, _SIZE[0] + 2 * _CAR
    image = np.empty((high, wide, 3), np.uint8)
    image[:] = paint
    image[_CAR:-_CAR, _CAR:-_CAR] = drawn(text)
    return Thing(text, image, (_CAR, _CAR, *_SIZE), height, "plate")


def things(count: int, seed: int = 11) -> list[Thing]:
    """``count`` plates of all heights on cars of many colours."""
    rng = np.random.default_rng(seed)
    paints = rng.integers(20, 200, (count, 3))
    return [
        thing(text, HEIGHTS[i % len(HEIGHTS)], (int(p[0]), int(p[1]), int(p[2])))
        for i, (text, p) in enumerate(zip(texts(count, seed), paints, strict=True))
    ]
