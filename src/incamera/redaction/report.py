# SPDX-License-Identifier: Apache-2.0
"""The redaction report: JSON Lines, one line a frame, in ``docs/formats/report.md``.

::

    {"source": "a/front.mp4", "frame": 17, "time": 0.566667, "width": 1280, "height": 960,
     "boxes": [{"x": 10, "y": 4, "w": 32, "h": 40, "kind": "face", "score": 0.93,
                "via": "detected"}]}

The writer streams; the reader is strict, so that what tests and auditors accept is what is
promised and nothing near it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incamera.encoding import exact_keys, parse_json
from incamera.errors import InputError
from incamera.recording.model import Box, RedactedFrame

__all__ = ["Line", "line", "parse_line", "read_report"]

_KEYS = ("source", "frame", "time", "width", "height", "boxes")
_BOX_KEYS = ("x", "y", "w", "h", "kind", "score", "via")
_LONGEST = 1 << 22  # bytes of one line: some 40,000 boxes


@dataclass(frozen=True, slots=True)
class Line:
    """What happened to one frame. ``time`` in seconds from the first frame of its source."""

    source: str  # path relative to SOURCE, with "/"; the bare name if SOURCE is a file
    frame: int
    time: float
    width: int
    height: int
    boxes: tuple[Box, ...]


def line(source: str, frame: RedactedFrame, time: float) -> bytes:
    """One frame's line, with its newline: keys in the order of the contract."""
    boxes = [
        {
            "x": _whole(box.x),
            "y": _whole(box.y),
            "w": _whole(box.w),
            "h": _whole(box.h),
            "kind": box.kind,
            "score": round(min(max(box.score, 0.0), 1.0), 4),
            "via": box.via,
        }
        for box in frame.boxes
    ]
    value = {
        "source": source,
        "frame": frame.index,
        "time": round(time, 6),
        "width": frame.picture.width,
        "height": frame.picture.height,
        "boxes": boxes,
    }
    # ASCII: a file name that is no UTF-8 still makes valid JSON, by escaped lone surrogates.
    return json.dumps(value, allow_nan=False).encode("ascii") + b"\n"


def _whole(value: float) -> float:
    """Destroyed areas are whole pixels: written without ``.0``."""
    return int(value) if float(value).is_integer() else round(value, 3)


def read_report(path: Path) -> Iterator[Line]:
    """Every line of the report at ``path``; :class:`InputError` at the first that is not one."""
    try:
        with path.open("rb") as file:
            number = 0
            while data := file.readline(_LONGEST):
                number += 1
                yield parse_line(data, f"{path}, line {number}")
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error


def parse_line(data: bytes, where: str) -> Line:
    """One line with its newline. Boxes must lie inside the frame and not be empty."""
    if not data.endswith(b"\n"):
        raise InputError(f"{where}: no newline at its end: torn, or too long")
    value = exact_keys(parse_json(data, where), _KEYS, where)
    if not isinstance(value["source"], str) or not isinstance(value["boxes"], list):
        raise InputError(f"{where}: source must be text and boxes a list")
    width = _integer(value, "width", 1, where)
    height = _integer(value, "height", 1, where)
    return Line(
        source=value["source"],
        frame=_integer(value, "frame", 0, where),
        time=_number(value, "time", 0.0, math.inf, where),
        width=width,
        height=height,
        boxes=tuple(_box(box, width, height, where) for box in value["boxes"]),
    )


def _box(value: Any, width: int, height: int, where: str) -> Box:
    value = exact_keys(value, _BOX_KEYS, where)
    x, y = _number(value, "x", 0.0, width, where), _number(value, "y", 0.0, height, where)
    w, h = (
        _number(value, "w", 0.0, width - x, where),
        _number(value, "h", 0.0, height - y, where),
    )
    if w <= 0 or h <= 0:
        raise InputError(f"{where}: an empty box")
    if value["kind"] not in {"face", "plate"} or value["via"] not in {"detected", "tracked"}:
        raise InputError(f"{where}: a box of unknown kind or origin")
    score = _number(value, "score", 0.0, 1.0, where)
    return Box(x, y, w, h, kind=value["kind"], score=score, via=value["via"])


def _integer(value: dict[str, Any], key: str, least: int, where: str) -> int:
    number = value[key]
    if type(number) is not int or number < least:
        raise InputError(f"{where}: {key} must be a whole number from {least} up")
    return number


def _number(value: dict[str, Any], key: str, least: float, most: float, where: str) -> float:
    number = value[key]
    if type(number) not in {int, float} or not least <= number <= most:
        raise InputError(f"{where}: {key} must be a number from {least} to {most}")
    return float(number)
