# SPDX-License-Identifier: Apache-2.0
"""The street and everything on it that stands still, in blocks of 63 m of a few kinds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import cv2
import numpy as np

from incamera.recording.sample.canvas import HAZE, Canvas, Color, Picture, haze, mix
from incamera.recording.sample.looks import WALLS, sign, tree, wall
from incamera.recording.sample.view import NEAR, Camera, Points, View

__all__ = [
    "ASPHALT",
    "BASE",
    "BLOCK",
    "TUNNEL",
    "backdrop",
    "blocks",
    "draw_ground",
    "draw_street",
    "kinds",
]

BLOCK = 63.0
TUNNEL = (5 * BLOCK, 8 * BLOCK)
BASE = (18 * BLOCK, 20 * BLOCK)  # the military site, on the right

ASPHALT: Color = (92, 94, 98)
_PAVEMENT: Color = (168, 164, 158)
_CURB: Color = (196, 194, 188)
_PAINT: Color = (232, 232, 226)
_GRASS: Color = (118, 142, 88)
_KERB_X, _WALL_X = 5.7, 9.2
_SEEN = 115.0  # m
_EAVES = 50.0  # m up to which eaves are drawn


@dataclass(frozen=True, slots=True)
class House:
    """A house front along the street: from ``start``, in metres of its block."""

    start: float
    bays: int  # of 4 m
    floors: int  # of 3 m
    kind: int
    bare: tuple[bool, bool] = (True, True)  # whether its ends stand free or above a neighbour's


def _row(*houses: House) -> tuple[House, ...]:
    """Houses side by side, each knowing which of its ends can be seen."""

    def covers(one: House, other: House) -> bool:
        return one.start + 4 * one.bays == other.start

    return tuple(
        replace(
            house,
            bare=(
                not any(covers(o, house) and o.floors >= house.floors for o in houses),
                not any(covers(house, o) and o.floors >= house.floors for o in houses),
            ),
        )
        for house in houses
    )


_TOWN: tuple[tuple[tuple[House, ...], tuple[House, ...]], ...] = (
    (
        _row(House(0, 4, 4, 0), House(16, 5, 3, 1), House(36, 3, 5, 2), House(48, 3, 3, 4)),
        _row(House(0, 5, 3, 3), House(20, 3, 4, 5), House(32, 4, 3, 6), House(51, 3, 4, 2)),
    ),
    (
        _row(House(0, 3, 3, 5), House(12, 4, 4, 3), House(31, 5, 3, 6), House(51, 3, 4, 0)),
        _row(House(0, 4, 4, 1), House(16, 4, 3, 4), House(35, 3, 5, 0), House(47, 4, 3, 2)),
    ),
)


def kinds(index: int) -> str:
    """What block ``index`` is: ``town0``, ``town1``, ``park``, ``base``, ``gate`` or ``tunnel``."""
    start = index * BLOCK
    if TUNNEL[0] <= start < TUNNEL[1]:
        return "tunnel"
    if start + BLOCK == TUNNEL[0] or start == TUNNEL[1]:
        return "gate"
    if BASE[0] <= start < BASE[1]:
        return "base"
    return "park" if BASE[0] - 2 * BLOCK <= start < BASE[0] else f"town{index % 2}"


@cache
def backdrop(camera: Camera, size: tuple[int, int]) -> tuple[Picture, int]:
    """Sky over ground, half as high again as a picture, and the row of its horizon."""
    width, height = size
    tall = height * 3
    horizon = tall // 2
    rows = np.arange(tall, dtype=np.float32)[:, None, None]
    up = np.clip((horizon - rows) / height, 0, 1) ** 0.7
    sky = np.array(HAZE, np.float32) * (1 - up) + np.array([108, 158, 214], np.float32) * up
    picture = np.repeat(sky, width, axis=1)
    picture += _clouds(camera, width, tall, horizon)[..., None] * (255 - picture) * 0.75
    focal = width / 2 / math.tan(math.radians(camera.width) / 2)
    below = np.maximum(rows - horizon, 0.5)
    near = np.exp(-(camera.up * focal / below) / 120)
    ground = np.array(_GRASS, np.float32) * near + np.array(HAZE, np.float32) * (1 - near)
    picture = np.where(rows >= horizon, ground, picture)
    return np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8)), horizon


def _clouds(camera: Camera, width: int, tall: int, horizon: int) -> Points:
    random = np.random.default_rng(round(camera.yaw) + 1000)
    noise = np.zeros((tall, width), np.float32)
    for cells, weight in ((4, 0.5), (9, 0.3), (22, 0.2)):
        grid = random.random((cells * 4, cells), dtype=np.float32)
        noise += weight * cv2.resize(grid, (width, tall), interpolation=cv2.INTER_CUBIC)
    rows = np.arange(tall)[:, None]
    fade = np.clip((horizon - rows) / (tall * 0.12), 0, 1)
    clouds: Points = np.clip((noise - 0.5) * 3.2, 0, 1) * fade
    return clouds


def _reach(view: View) -> tuple[float, float]:
    """From where to where along the street a view can see."""
    eye, forward = float(view.eye[2]), view.axes[2, 2]
    return eye - (_SEEN if forward < 0.7 else 12), eye + (_SEEN if forward > -0.7 else 12)


def blocks(view: View) -> range:
    """The blocks a view can see."""
    first, last = _reach(view)
    return range(math.floor(first / BLOCK), math.floor(last / BLOCK) + 1)


def draw_street(canvas: Canvas) -> None:
    """All that stands still, far things first."""
    view = canvas.view
    eye = float(view.eye[2])
    first, last = _reach(view)
    if TUNNEL[0] < eye < TUNNEL[1]:  # all else is behind its walls, but for what its ends show
        first, last = max(first, TUNNEL[0] - 60), min(last, TUNNEL[1] + 60)
    marks, colors = _marks(eye)
    canvas.quads(np.array(marks), colors)
    for index in sorted(blocks(view), key=lambda i: -abs((i + 0.5) * BLOCK - eye)):
        _block(canvas, index, first, last)


def _block(canvas: Canvas, index: int, first: float, last: float) -> None:
    start, kind = index * BLOCK, kinds(index)
    eye = float(canvas.view.eye[2])
    if kind == "tunnel":
        _tunnel(canvas, start, first, last)
        return
    if kind == "gate":
        _portal(canvas, start + BLOCK if start < TUNNEL[0] else start)
    things: list[tuple[float, float, House | int | str]] = []
    houses = _TOWN[index % 2] if kind.startswith("town") else ((), ())
    for side, fronts in zip((-1.0, 1.0), houses, strict=True):
        things += [(start + house.start + 2 * house.bays, side, house) for house in fronts]
    step, offset = (9.0, 4.0) if kind in {"park", "gate"} else (21.0, 10.5)
    for i in range(int(BLOCK / step)):
        z = start + offset + i * step
        things += [(z, side, i) for side in (-1.0, 1.0) if not (kind == "base" and side > 0)]
    if kind == "base":
        things += [(start + 10.5 * i + 5.25, 1.0, str(i)) for i in range(6)]
    for z, side, what in sorted(things, key=lambda thing: -abs(thing[0] - eye)):
        if not first - 12 < z < last + 12 or canvas.view.misses(side * _WALL_X, z, 13):
            continue
        if isinstance(what, House):
            _house(canvas, start, side, what)
        elif isinstance(what, str):
            _fence(canvas, z, int(what))
        else:
            canvas.sprite(
                tree((what + int(side) + index) % 2 + int(side > 0)), np.array([side * 8.3, 0.0, z])
            )
    _lamps(canvas, start)


def _strip(x0: float, x1: float, z0: float, z1: float, y: float = 0.0) -> Points:
    return np.array([[x0, y, z1], [x1, y, z1], [x1, y, z0], [x0, y, z0]])


def draw_ground(canvas: Canvas) -> None:
    """What looks the same all along the street."""
    view = canvas.view
    eye = float(view.eye[2])
    z0, z1 = eye - 260, eye + 260
    canvas.polygon(_strip(-12, -_KERB_X, z0, z1), _PAVEMENT)
    canvas.polygon(_strip(_KERB_X, 12, z0, z1), _PAVEMENT)
    canvas.polygon(_strip(-_KERB_X, _KERB_X, z0, z1), ASPHALT)
    for x in (-2.6, -0.95, 0.95, 2.6):  # worn by wheels
        canvas.polygon(_strip(x - 0.35, x + 0.35, z0, z1), mix(ASPHALT, (60, 60, 64), 0.22))
    for side in (-1, 1):
        inner, outer = sorted((side * _KERB_X, side * (_KERB_X + 0.22)))
        canvas.polygon(_strip(inner, outer, z0, z1, 0.02), _CURB)
        inner, outer = sorted((side * 3.45, side * 3.57))
        canvas.polygon(_strip(inner, outer, z0, z1), mix(_PAINT, ASPHALT, 0.25))
    _mist(canvas)


def _marks(eye: float) -> tuple[list[Points], list[Color]]:
    """Dashes, slabs, patches and crossings near ``eye``."""
    marks: list[Points] = []
    colors: list[Color] = []
    for i in range(math.floor((eye - 80) / 9), math.floor((eye + 90) / 9)):
        marks.append(_strip(-0.07, 0.07, i * 9, i * 9 + 4.0))
        colors.append(_PAINT)
    for i in range(math.floor((eye - 16) / 3), math.floor((eye + 19) / 3)):
        for side in (-1, 1):
            inner, outer = sorted((side * (_KERB_X + 0.22), side * _WALL_X))
            marks.append(_strip(inner, outer, i * 3.0, i * 3.0 + 0.06))
            colors.append(mix(_PAVEMENT, (90, 88, 84), 0.35))
    for i in range(math.floor((eye - 90) / BLOCK), math.floor((eye + 120) / BLOCK) + 1):
        start = i * BLOCK
        for x, z, w, long in ((1.2, 12, 1.1, 2.6), (-2.4, 31, 1.4, 4.2), (2.3, 44, 0.8, 1.8)):
            marks.append(_strip(x, x + w, start + z, start + z + long))
            colors.append(mix(ASPHALT, (50, 50, 54), 0.35))
        if kinds(i) == "town1":
            for x in np.arange(-5.1, 5.2, 1.02):
                marks.append(_strip(x - 0.26, x + 0.26, start + 57, start + 60.2))
                colors.append(_PAINT)
    return marks, colors


def _mist(canvas: Canvas) -> None:
    """Haze over the ground, by rows: the farther, the more."""
    view = canvas.view
    top = max(0, math.ceil(view.horizon) + 1)
    bottom = min(view.height, top + int(view.focal * view.eye[1] / 12))
    if bottom <= top:
        return
    rest, white = _veil(view.width, top, bottom, view.horizon, view.eye[1] * view.focal)
    under = canvas.picture[top:bottom]
    under[:] = cv2.add(cv2.multiply(under, rest, scale=1 / 255), white)


@lru_cache(maxsize=8)
def _veil(
    width: int, top: int, bottom: int, horizon: float, scale: float
) -> tuple[Picture, Picture]:
    """What is left of each pixel of the ground, times 255, and the haze that is added."""
    far = scale / np.maximum(np.arange(top, bottom) - horizon, 0.6)
    share = (1 - np.exp(-far / 150))[:, None, None]
    rest = np.broadcast_to(255 * (1 - share), (bottom - top, width, 3))
    white = np.broadcast_to(np.array(HAZE) * share, (bottom - top, width, 3))
    return rest.astype(np.uint8), white.astype(np.uint8)


@cache
def _front(kind: int, floors: int, bays: tuple[int, ...], share: float, lit: bool) -> Picture:
    """A stretch of a house front with ``share`` of haze."""
    picture = np.hstack([wall(kind, floors, bay) for bay in bays]) * (1.0 if lit else 0.84)
    if share > 0.3:  # far: fewer pixels, so that it does not flicker
        picture = np.asarray(
            cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.float64
        )
    hazy = picture * (1 - share) + np.array(HAZE) * share
    return np.ascontiguousarray(hazy.astype(np.uint8))


def _house(canvas: Canvas, block: float, side: float, house: House) -> None:
    start, end = block + house.start, block + house.start + 4 * house.bays
    top, eye = 3.0 * house.floors, float(canvas.view.eye[2])
    x, deep = side * _WALL_X, side * (_WALL_X + 9)
    base = WALLS[house.kind % len(WALLS)]
    flat: list[list[list[float]]] = []
    tones: list[Color] = []
    for z, bare in ((start, house.bare[0] and eye < start), (end, house.bare[1] and eye > end)):
        if bare:  # an end that can be seen
            flat.append([[x, top, z], [deep, top, z], [deep, 0, z], [x, 0, z]])
            tones.append(mix(base, (40, 44, 60), 0.42 if z == start else 0.30))
    if abs((start + end) / 2 - eye) < _EAVES:
        out, high, low = x - side * 0.3, top + 0.25, top - 0.15
        flat.append([[out, high, start], [out, high, end], [out, low, end], [out, low, start]])
        tones.append(mix(base, (70, 60, 56), 0.55))
    if flat:
        canvas.quads(np.array(flat), tones)
    far = haze(abs((start + end) / 2 - eye))
    middle = (start + end) / 2 - eye
    # One piece, unless a part of it is behind the lens.
    ahead, aside = canvas.view.axes[2, 2], canvas.view.axes[0, 2] * side
    depths = [(z - eye) * ahead + (_WALL_X - 1.7) * aside for z in (start, end)]
    if max(depths) < NEAR:
        return
    whole = abs(middle) > 40 or min(depths) > 1.0
    runs = [tuple(range(house.bays))] if whole else [(bay,) for bay in range(house.bays)]
    for run in runs:
        z0, z1 = start + 4 * run[0], start + 4 * (run[-1] + 1)
        order = run
        if side > 0:  # from over there, left is where we come to later
            z0, z1, order = z1, z0, run[::-1]
        corners = np.array([[x, top, z0], [x, top, z1], [x, 0, z1], [x, 0, z0]])
        canvas.texture(_front(house.kind, house.floors, order, far, side < 0), corners)


def _lamps(canvas: Canvas, start: float) -> None:
    parts: list[list[list[float]]] = []
    for z in (start + 15.0, start + 46.5):
        for side in (-1.0, 1.0):
            x, arm = side * (_KERB_X + 0.4), side * (_KERB_X - 1.1)
            parts.append([[x - 0.05, 6, z], [x + 0.05, 6, z], [x + 0.07, 0, z], [x - 0.07, 0, z]])
            parts.append([[x, 6.08, z], [arm, 6.18, z], [arm, 6.06, z], [x, 5.98, z]])
    canvas.quads(np.array(parts), [(72, 78, 84)] * len(parts))


def _fence(canvas: Canvas, z: float, number: int) -> None:
    """Ten metres of the military site's wall, and what looks over it."""
    x = _WALL_X - 0.6
    behind: list[Points] = []
    colors: list[Color] = []
    if number % 2:
        box = np.array(
            [[x + 14, 7, z + 5], [x + 14, 7, z - 5], [x + 14, 0, z - 5], [x + 14, 0, z + 5]]
        )
        behind, colors = [box], [(96, 104, 78)]
    else:
        for dx in (0.0, 1.6):
            behind.append(_upright(x + 5 + dx, z, 0.12, 9.0))
            colors.append((70, 66, 58))
        behind.append(_upright(x + 5.8, z, 1.4, 11.2, 8.6))
        colors.append((92, 98, 72))
        behind.append(_upright(x + 5.8, z, 1.9, 11.8, 11.2))
        colors.append((58, 62, 50))
    canvas.quads(np.array(behind), colors)
    corners = np.array([[x, 2.6, z + 5.25], [x, 2.6, z - 5.25], [x, 0, z - 5.25], [x, 0, z + 5.25]])
    canvas.texture(sign(number % 2), corners)
    wires = [
        [[x, y + 0.03, z + 5.25], [x, y + 0.03, z - 5.25], [x, y, z - 5.25], [x, y, z + 5.25]]
        for y in (2.75, 2.95, 3.15)
    ]
    canvas.quads(np.array(wires), [(60, 62, 66)] * 3)


def _upright(x: float, z: float, half: float, top: float, bottom: float = 0.0) -> Points:
    """A flat board that faces both ways along the street."""
    low, high = x - half, x + half
    return np.array([[low, top, z], [high, top, z], [high, bottom, z], [low, bottom, z]])


def _portal(canvas: Canvas, z: float) -> None:
    stone, hill = (150, 146, 138), (104, 128, 84)
    parts = [
        [[-40, 13, z], [40, 13, z], [40, 6, z], [-40, 6, z]],
        [[-40, 6.2, z], [-6.4, 6.2, z], [-6.4, 0, z], [-40, 0, z]],
        [[6.4, 6.2, z], [40, 6.2, z], [40, 0, z], [6.4, 0, z]],
        [[-14, 7.6, z], [14, 7.6, z], [14, 5.1, z], [-14, 5.1, z]],
        [[-14, 7.6, z], [-6.4, 7.6, z], [-6.4, 0, z], [-14, 0, z]],
        [[6.4, 7.6, z], [14, 7.6, z], [14, 0, z], [6.4, 0, z]],
        [[-14.3, 8.0, z], [14.3, 8.0, z], [14.3, 7.5, z], [-14.3, 7.5, z]],
    ]
    colors = [hill, hill, hill, stone, stone, stone, mix(stone, (70, 70, 70), 0.4)]
    canvas.quads(np.array(parts, dtype=np.float64), colors)


def _tunnel(canvas: Canvas, start: float, first: float, last: float) -> None:
    """Walls, roof and lamps in pieces of 7 m, far pieces first."""
    eye = float(canvas.view.eye[2])
    pieces = [start + 7 * i for i in range(int(BLOCK / 7))]
    parts: list[Points] = []
    colors: list[Color] = []
    for z in sorted(pieces, key=lambda z: -abs(z + 3.5 - eye)):
        if not first - 7 < z < last:
            continue
        parts += _tunnel_piece(z, z + 7)
        colors += _TUNNEL_COLORS
    if parts:
        canvas.quads(np.array(parts), colors, hazy=False)


_TUNNEL_COLORS: list[Color] = [
    (50, 50, 54), (62, 62, 64), (62, 62, 64), (170, 160, 120),
    (104, 98, 84), (110, 104, 90), (190, 180, 150), (190, 180, 150), (66, 64, 62), (255, 240, 196),
]  # fmt: skip


def _tunnel_piece(z0: float, z1: float) -> Iterator[Points]:
    middle = (z0 + z1) / 2
    yield _strip(-6.4, 6.4, z0, z1)
    yield _strip(-6.4, -5.7, z0, z1, 0.02)
    yield _strip(5.7, 6.4, z0, z1, 0.02)
    yield _strip(-0.07, 0.07, z0 + 1, z0 + 5)
    for side in (-1, 1):
        x = side * 6.4
        yield np.array([[x, 5.1, z1], [x, 5.1, z0], [x, 0, z0], [x, 0, z1]])
    for side in (-1, 1):
        x = side * 6.35
        yield np.array([[x, 1.2, z1], [x, 1.2, z0], [x, 0.9, z0], [x, 0.9, z1]])
    yield _strip(-6.4, 6.4, z0, z1, 5.1)
    yield _strip(-0.5, 0.5, middle - 1.3, middle + 1.3, 5.05)
