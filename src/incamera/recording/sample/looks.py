# SPDX-License-Identifier: Apache-2.0
"""What things look like: plates, walls, trees and people, each drawn once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from incamera.errors import InputError
from incamera.recording.sample.canvas import Color, Picture, Sprite, mix

__all__ = ["PEOPLE", "WALLS", "FaceBox", "person", "plate", "sign", "tree", "wall"]

FaceBox = tuple[float, float, float, float]  # x, y, w, h as shares of the figure

_DARK: Color = (38, 41, 48)
_HEAD_METRES = 0.38  # crown to neck: a little larger than life, as are the plates
_PER_METRE = 300  # pixels of a figure
_TALL = 1.82
# Forehead to chin and cheek to cheek within face.png, as shares of it.
_FACE_IN_HEAD = (0.20, 0.28, 0.56, 0.68)


@cache
def plate(kind: str, text: str) -> Picture:
    """A licence plate: ``eu`` (one row), ``two`` (two rows), ``us`` (coloured, wide characters)."""
    if kind == "two":
        picture = _blank(300, 200, (246, 246, 240))
        first, second = text.split(" ", 1)
        _write(picture, first, (62, 14, 280, 92), (18, 18, 22), 9)
        _write(picture, second, (24, 106, 280, 186), (18, 18, 22), 9)
        _band(picture, 46, 100)
    elif kind == "us":
        picture = _blank(300, 150, (238, 242, 250))
        picture[:34] = (28, 64, 140)
        _write(picture, "INCAMERA", (90, 6, 210, 28), (250, 250, 250), 2)
        _write(picture, text, (22, 46, 280, 128), (24, 40, 96), 9)
    else:
        picture = _blank(520, 110, (246, 246, 240))
        _write(picture, text, (66, 16, 508, 94), (18, 18, 22), 9)
        _band(picture, 48, 110)
    cv2.rectangle(picture, (1, 1), (picture.shape[1] - 2, picture.shape[0] - 2), (30, 30, 34), 3)
    return picture


def _band(picture: Picture, width: int, height: int) -> None:
    picture[:height, :width] = (0, 51, 153)
    cv2.circle(picture, (width // 2, height // 3), width // 4, (255, 204, 0), 2, cv2.LINE_AA)
    _write(picture, "EU", (8, height - 40, width - 6, height - 12), (250, 250, 250), 2)


def _blank(width: int, height: int, color: Color) -> Picture:
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = color
    return picture


def _write(
    picture: Picture, text: str, box: tuple[int, int, int, int], color: Color, thick: int
) -> None:
    """Text that fills ``box`` (left, top, right, bottom), whatever its natural shape."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 4.0, thick * 2)
    pad = thick * 2
    ink = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    cv2.putText(
        ink, text, (pad, height + pad), cv2.FONT_HERSHEY_SIMPLEX, 4.0, 255, thick * 2, cv2.LINE_AA
    )
    left, top, right, bottom = box
    fitted = cv2.resize(ink, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    under = picture[top:bottom, left:right]
    share = fitted[..., None].astype(np.float32) / 255
    under[:] = (under * (1 - share) + np.array(color, np.float32) * share).astype(np.uint8)


@cache
def wall(kind: int, floors: int, bay: int) -> Picture:
    """One bay (4 m) of a house front; ``kind`` chooses its colours, ``bay`` its details."""
    random = np.random.default_rng([kind, bay])
    base = WALLS[kind % len(WALLS)]
    floor, width = 78, 104
    picture = _blank(width, floor * floors, base)
    for story in range(floors - 1):
        top = story * floor
        cv2.rectangle(picture, (0, top), (width, top + 3), mix(base, (255, 255, 255), 0.35), -1)
        lit = mix((96, 112, 132), (255, 255, 255), float(random.uniform(0, 0.35)))
        _window(picture, (28, top + 16, 76, top + 66), lit, mix(base, (255, 255, 255), 0.6))
        if (kind + story) % 3 == 0:
            cv2.rectangle(picture, (22, top + 50), (82, top + 68), _DARK, 1)
            for x in range(22, 83, 6):
                cv2.line(picture, (x, top + 50), (x, top + 68), _DARK, 1)
    _ground_floor(picture, (floors - 1) * floor, kind, bay, random)
    return picture


WALLS: tuple[Color, ...] = (
    (214, 196, 168),
    (196, 134, 108),
    (226, 218, 204),
    (172, 182, 190),
    (222, 178, 128),
    (188, 202, 182),
    (150, 98, 86),
)
_AWNINGS: tuple[Color, ...] = ((172, 48, 44), (38, 96, 88), (210, 150, 48), (52, 76, 128))


def _window(picture: Picture, box: tuple[int, int, int, int], glass: Color, frame: Color) -> None:
    x0, y0, x1, y1 = box
    cv2.rectangle(picture, (x0 - 4, y0 - 4), (x1 + 4, y1 + 6), frame, -1)
    for y in range(y0, y1 + 1):
        tone = mix(glass, (30, 36, 48), 0.75 * (y - y0) / (y1 - y0))
        cv2.line(picture, (x0, y), (x1, y), tone, 1)
    cv2.line(picture, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), frame, 2)
    cv2.line(picture, (x0, (2 * y0 + y1) // 3), (x1, (2 * y0 + y1) // 3), frame, 2)


def _ground_floor(
    picture: Picture, top: int, kind: int, bay: int, random: np.random.Generator
) -> None:
    width, bottom = picture.shape[1], picture.shape[0]
    if kind % 3 == 2:  # a dwelling: a door in one bay, windows in the others
        if bay % 3 == 1:
            cv2.rectangle(picture, (34, top + 14), (72, bottom), (86, 58, 42), -1)
            cv2.rectangle(picture, (40, top + 20), (66, top + 40), (150, 168, 180), -1)
        else:
            _window(picture, (28, top + 18, 76, top + 58), (120, 134, 150), (238, 236, 230))
        return
    cv2.rectangle(picture, (0, top), (width, bottom), (78, 72, 70), -1)
    for y in range(top + 22, bottom - 10):
        tone = mix((196, 206, 210), (64, 72, 84), (y - top) / (bottom - top))
        cv2.line(picture, (6, y), (width - 7, y), tone, 1)
    color = _AWNINGS[(kind + bay // 3) % len(_AWNINGS)]
    for stripe in range(0, width, 26):
        cv2.rectangle(picture, (stripe, top + 4), (stripe + 12, top + 24), color, -1)
        cv2.rectangle(picture, (stripe + 13, top + 4), (stripe + 25, top + 24), (240, 236, 226), -1)
    x = int(random.integers(20, 60))
    cv2.rectangle(picture, (x, bottom - 44), (x + 22, bottom - 14), (120, 90, 70), -1)


@cache
def tree(kind: int) -> Sprite:
    """A tree of 7 to 9 m, from blobs of leaves lit from the upper left."""
    random = np.random.default_rng([7, kind])
    height, width = 420, 300
    rgb = np.zeros((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    trunk = np.array([[140, height], [147, 210], [157, 210], [166, height]])
    for target, color in ((rgb, (92, 72, 54)), (alpha, (255,))):
        cv2.fillConvexPoly(target, trunk, color, cv2.LINE_AA)
    blobs = random.normal((150, 140), (52, 52), (230, 2))
    blobs = blobs[np.hypot((blobs[:, 0] - 150) / 112, (blobs[:, 1] - 140) / 108) < 1]
    for x, y in blobs[np.argsort(blobs[:, 1] * -1 - blobs[:, 0] * -0.3)]:
        light = np.clip(1.15 - ((x - 60) + (y - 20)) / 330 + random.normal(0, 0.10), 0.45, 1.25)
        tone = [(74, 112, 52), (96, 122, 46), (62, 104, 66)][kind % 3]
        red, green, blue = (int(min(255, part * light)) for part in tone)
        radius = int(random.uniform(11, 24))
        center = (int(x), int(y))
        cv2.circle(rgb, center, radius, (red, green, blue), -1, cv2.LINE_AA)
        cv2.circle(alpha, center, radius, (255,), -1, cv2.LINE_AA)
    return Sprite(rgb, alpha, 7.2 + 0.8 * (kind % 3))


@cache
def _head() -> NDArray[np.uint8]:
    """``face.png`` as RGBA; where it comes from stands in ``face.txt``."""
    data = resources.files("incamera.recording.sample").joinpath("face.png").read_bytes()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.shape[2:] != (4,):
        raise InputError(
            "incamera/recording/sample/face.png is damaged", hint="install incamera again"
        )
    return np.ascontiguousarray(picture[..., [2, 1, 0, 3]]).astype(np.uint8)


# Coat, trousers, scarf: one row a person.
PEOPLE: tuple[tuple[Color, Color, Color], ...] = (
    ((42, 62, 104), (58, 58, 66), (196, 60, 54)),
    ((176, 52, 48), (44, 50, 70), (232, 226, 214)),
    ((88, 96, 84), (96, 84, 68), (214, 170, 60)),
    ((222, 178, 62), (52, 60, 92), (60, 70, 80)),
    ((70, 70, 78), (34, 36, 42), (120, 150, 190)),
    ((54, 116, 108), (78, 72, 70), (236, 232, 222)),
    ((142, 106, 140), (50, 54, 64), (240, 200, 190)),
    ((206, 200, 188), (86, 66, 54), (120, 40, 44)),
)


@cache
def person(who: int, step: int) -> tuple[Sprite, FaceBox]:
    """One of the people, at one of four moments of a step, and where their face is."""
    coat, trousers, scarf = PEOPLE[who % len(PEOPLE)]
    width, height = 220, round(_TALL * _PER_METRE)
    rgb = np.zeros((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)

    def shape(points: Sequence[tuple[float, float]], color: Color) -> None:
        pixels = np.array([(x + width / 2, height - y) for x, y in points]).astype(np.int32)
        cv2.fillPoly(rgb, [pixels], color, cv2.LINE_AA)
        cv2.fillPoly(alpha, [pixels], (255,), cv2.LINE_AA)

    swing = (0.0, 14.0, 0.0, -14.0)[step % 4]
    for side, lift in ((-1, swing), (1, -swing)):
        foot = side * 24 + lift
        tone = mix(trousers, (0, 0, 0), 0.25 if side > 0 else 0.0)
        leg = [(side * 4, 245), (side * 46, 245), (foot + side * 20, 16), (foot - side * 10, 16)]
        shape(leg, tone)
        shape([(foot - 16, 0), (foot + 18, 0), (foot + 16, 20), (foot - 14, 22)], (40, 34, 32))
    for side, lift in ((-1, -swing), (1, swing)):
        tone = mix(coat, (0, 0, 0), 0.30 if side > 0 else 0.12)
        hand = side * (64 + abs(lift) * 0.5)
        arm = [(side * 42, 425), (side * 70, 405), (hand + side * 10, 232), (hand - side * 16, 232)]
        shape(arm, tone)
        shape(
            [(hand - 12, 236), (hand + 10, 236), (hand + 8, 212), (hand - 10, 212)], (216, 172, 146)
        )
    shape([(-50, 428), (50, 428), (62, 400), (54, 205), (-54, 205), (-62, 400)], coat)
    shape([(8, 428), (50, 428), (62, 400), (54, 205), (8, 205)], mix(coat, (0, 0, 0), 0.16))
    shape([(-3, 400), (3, 400), (3, 210), (-3, 210)], mix(coat, (0, 0, 0), 0.4))
    shape([(-34, 446), (34, 446), (40, 414), (0, 396), (-40, 414)], scarf)
    box = _put_head(rgb, alpha, who, height - 430)
    return Sprite(rgb, alpha, _TALL), box


def _put_head(rgb: Picture, alpha: Picture, who: int, chin: int) -> FaceBox:
    """The head on its shoulders; every second person looks the other way round."""
    head = _head()[:, ::-1] if who % 2 else _head()
    tall = round(_HEAD_METRES * _PER_METRE)
    wide = round(tall * head.shape[1] / head.shape[0])
    whole = np.ascontiguousarray(head)
    fitted = cv2.resize(whole, (wide, tall), interpolation=cv2.INTER_AREA).astype(np.uint8)
    left, top = (rgb.shape[1] - wide) // 2, chin - tall + 8
    share = fitted[..., 3:].astype(np.float32) / 255
    light = 0.86 + 0.05 * (who % 4)
    under = rgb[top : top + tall, left : left + wide]
    under[:] = (under * (1 - share) + fitted[..., :3] * share * light).astype(np.uint8)
    covered = alpha[top : top + tall, left : left + wide]
    np.maximum(covered, fitted[..., 3], out=covered)
    x, y, w, h = _FACE_IN_HEAD
    x = 1 - x - w if who % 2 else x
    height, width = alpha.shape
    return (left + x * wide) / width, (top + y * tall) / height, w * wide / width, h * tall / height


@cache
def sign(kind: int) -> Picture:
    """Ten metres of concrete wall; on one kind of them hangs a warning."""
    random = np.random.default_rng([11, kind])
    picture = _blank(420, 104, (150, 150, 142))
    picture[:] = np.clip(picture + random.normal(0, 4, (104, 420, 1)), 0, 255).astype(np.uint8)
    for x in range(0, 420, 84):
        cv2.line(picture, (x, 0), (x, 104), (118, 118, 112), 2)
    if kind == 0:
        cv2.rectangle(picture, (130, 18), (290, 84), (178, 26, 30), -1)
        cv2.rectangle(picture, (134, 22), (286, 80), (250, 250, 246), 2)
        _write(picture, "MILITARY ZONE", (142, 28, 278, 50), (255, 255, 255), 3)
        _write(picture, "NO PHOTOGRAPHY", (150, 56, 270, 74), (255, 255, 255), 3)
    return picture
