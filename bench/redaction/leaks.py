# SPDX-License-Identifier: Apache-2.0
"""Frames leaked, tracks without any leak, and false area: what is shown against what is covered.

A frame of a track *counts* if the object is as large as the law asks (faces: short side of 32
pixels, plates: 16 pixels high), lies inside the frame, and half of its box at least is behind
nothing. It *leaks* if less than 80 % of the visible part of its box lies under what is covered in
that frame, of whatever kind. A track without leak has no frame that counts and leaks; one of which
fewer than three frames count is left out. Frames in which the border cuts up to a half off are
counted apart (`border`): nothing is asked of them, but they are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rect = tuple[float, float, float, float]

COVERED = 0.8
LEAST = {"face": 32.0, "plate": 16.0}
VISIBLE = 0.5
INSIDE = 0.95
FEWEST = 3
AWAY = 2.0  # the same, for what is false and no mere halo of a moving object
MARGIN = 0.5  # by which a truth box is grown, in all, before what lies outside is called false
STEPS = {"face": (32, 48, 80), "plate": (16, 24, 40)}


def short_side(kind: str, box: Sequence[float]) -> float:
    """What the size limit is about: a face's shorter side, a plate's height."""
    return min(box[2], box[3]) if kind == "face" else box[3]


def _window(box: Sequence[float], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels of a box inside a frame (height, width): left, top, right, below."""
    x, y, w, h = box[:4]
    left, top = min(shape[1], max(0, round(x))), min(shape[0], max(0, round(y)))
    right, below = min(shape[1], max(left, round(x + w))), min(shape[0], max(top, round(y + h)))
    return left, top, right, below


def _marked(
    window: tuple[int, int, int, int], boxes: Sequence[Sequence[float]], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Of the pixels of a window, those under any of the boxes."""
    left, top, right, below = window
    out = np.zeros((below - top, right - left), bool)
    for box in boxes:
        x0, y0, x1, y1 = _window(box, shape)
        out[max(0, y0 - top) : max(0, y1 - top), max(0, x0 - left) : max(0, x1 - left)] = True
    return out


def shown(box: Rect, hidden: Sequence[Sequence[float]], shape: tuple[int, int]) -> float:
    """The share of a box that is inside the frame and behind nothing."""
    window = _window(box, shape)
    pixels = max(1, round(box[2]) * round(box[3]))
    return float((~_marked(window, hidden, shape)).sum()) / pixels


def covered(
    box: Rect,
    hidden: Sequence[Sequence[float]],
    boxes: Sequence[Sequence[float]],
    shape: tuple[int, int],
) -> float:
    """The share of the visible part of ``box`` that lies under ``boxes``; 1 if none is visible."""
    window = _window(box, shape)
    visible = ~_marked(window, hidden, shape)
    total = int(visible.sum())
    return float((visible & _marked(window, boxes, shape)).sum()) / total if total else 1.0


@dataclass(slots=True)
class TrackResult:
    """One track: the frames that count, and how much of each is covered."""

    film: str
    track: int
    kind: str
    tags: tuple[str, ...]
    frames: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    border: list[float] = field(default_factory=list)  # shares in frames where it is cut off

    @property
    def leaked(self) -> list[int]:
        """The frames that leak."""
        return [f for f, s in zip(self.frames, self.shares, strict=True) if s < COVERED]


Sight = list[Any]  # frame, x, y, w, h, blur, yaw
Boxes = Mapping[int, Sequence[Sequence[float]]]  # by frame: x, y, w, h, ... of what is covered


def judged(
    film: Mapping[str, Any], boxes: Boxes, kinds: Sequence[str] = ("face", "plate")
) -> list[TrackResult]:
    """Every track of one film (a line of truth, see `films`) that counts at all."""
    shape = (film["height"], film["width"])
    out = []
    for track in film["tracks"]:
        counted, cut = _counting(film, track, shape)
        if track["kind"] not in kinds or len(counted) < FEWEST:
            continue
        tags = tuple(conditions(film, track, counted, cut))
        result = TrackResult(film["film"], track["track"], track["kind"], tags)
        for sights, shares in ((counted, result.shares), (cut, result.border)):
            for frame, *box in sights:
                hidden = film["hidden"].get(str(frame), [])
                shares.append(covered(_rect(box), hidden, boxes.get(frame, []), shape))
        result.frames = [sight[0] for sight in counted]
        out.append(result)
    return out


def _rect(values: Sequence[float]) -> Rect:
    return values[0], values[1], values[2], values[3]


def _counting(
    film: Mapping[str, Any], track: Mapping[str, Any], shape: tuple[int, int]
) -> tuple[list[Sight], list[Sight]]:
    """The sights that count, and those that would, did the border not cut them off."""
    inside: list[Sight] = []
    border: list[Sight] = []
    for sight in track["sights"]:
        box, hidden = _rect(sight[1:5]), film["hidden"].get(str(sight[0]), [])
        if short_side(track["kind"], box) < LEAST[track["kind"]]:
            continue
        if shown(box, hidden, shape) >= VISIBLE:
            (inside if shown(box, (), shape) >= INSIDE else border).append(sight)
    return inside, border


def conditions(
    film: Mapping[str, Any],
    track: Mapping[str, Any],
    counted: Sequence[Sight],
    border: Sequence[Sight],
) -> Iterator[str]:
    """What makes a track hard: names the results are grouped by."""
    shape = (film["height"], film["width"])
    steps = STEPS[track["kind"]]
    side = float(np.median([short_side(track["kind"], sight[1:5]) for sight in counted]))
    number = sum(side >= step for step in steps[1:])
    yield f"{steps[number]}-{steps[number + 1]} px" if number < 2 else f">{steps[2]} px"
    yield film["light"]
    yield track["style"]
    if len(track["sights"]) <= film["rate"]:
        yield "short"
    if float(np.median([sight[5] for sight in counted])) >= 2:
        yield "blur"
    yaws = [sight[6] for sight in counted]
    if max(yaws) - min(yaws) >= 15:
        yield "turning"
    if border:
        yield "edge"
    if any(shown(_rect(s[1:5]), film["hidden"].get(str(s[0]), []), shape) < 0.9 for s in counted):
        yield "occluded"


def false_area(
    film: Mapping[str, Any], boxes: Boxes, beside: Boxes | None = None, margin: float = MARGIN
) -> tuple[int, int]:
    """Pixels covered outside all objects (grown by ``margin``), and pixels in all.

    ``beside``: boxes that do not count as false either.
    """
    shape = (film["height"], film["width"])
    whole = (0, 0, shape[1], shape[0])
    truth: dict[int, list[Rect]] = {}
    for track in film["tracks"]:
        for frame, x, y, w, h, *_ in track["sights"]:
            dx, dy = w * margin / 2, h * margin / 2
            truth.setdefault(frame, []).append((x - dx, y - dy, w + 2 * dx, h + 2 * dy))
    total = 0
    for frame, rows in boxes.items():
        mask = _marked(whole, rows, shape)
        for box in (*truth.get(frame, ()), *((beside or {}).get(frame, ()))):
            left, top, right, below = _window(box, shape)
            mask[top:below, left:right] = False
        total += int(mask.sum())
    return total, film["frames"] * shape[0] * shape[1]


def summary(results: Sequence[TrackResult]) -> dict[str, Any]:
    """Shares by kind: of frames that leak, of tracks without any leak; the latter by condition."""
    out: dict[str, Any] = {}
    for kind in ("face", "plate"):
        chosen = [r for r in results if r.kind == kind]
        if not chosen:
            continue
        frames = sum(len(r.frames) for r in chosen)
        names = sorted({tag for r in chosen for tag in r.tags})
        border = [share for r in chosen for share in r.border]
        groups = {name: [r for r in chosen if name in r.tags] for name in names}
        out[kind] = {
            "tracks": len(chosen),
            "tracks_without_leak": _share(chosen),
            "frames": frames,
            "frames_leaked": round(_leaking([s for r in chosen for s in r.shares]), 5),
            "border": {"frames": len(border), "leaked": round(_leaking(border), 5)},
            "by": {
                name: {"tracks": len(g), "without_leak": _share(g)} for name, g in groups.items()
            },
        }
    return out


def _leaking(shares: Sequence[float]) -> float:
    return sum(share < COVERED for share in shares) / max(1, len(shares))


def _share(results: Sequence[TrackResult]) -> float:
    return round(sum(not r.leaked for r in results) / len(results), 4)
