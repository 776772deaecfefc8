# SPDX-License-Identifier: Apache-2.0
"""Positions from a GPX 1.0 or 1.1 track (topografix.com), by gpxpy."""

from __future__ import annotations

import datetime
import math
import re
from pathlib import Path
from typing import Any

from incamera.errors import InputError
from incamera.recording.model import Fix

__all__ = ["parse", "read"]

_MAX_BYTES = 256 << 20
_ENTITY = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def read(path: Path) -> list[Fix]:
    """The track points of ``path`` by POSIX time; :class:`InputError` if there are none."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: too long for a track of one drive")
        return parse(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read as GPX: {error}") from error


def parse(text: str, where: str) -> list[Fix]:
    """The track points in ``text``. Points without a time are refused: no frame would have them."""
    import gpxpy
    from gpxpy.gpx import GPXException

    if _ENTITY.search(text):
        raise InputError(f"{where}: GPX with a document type, which no tracker writes")
    try:
        points = list(gpxpy.parse(text).walk(only_points=True))
    except (GPXException, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{where}: not a GPX track: {error}") from error
    if not points:
        raise InputError(f"{where}: no track points in it")
    return sorted((_fix(point, where) for point in points), key=lambda fix: fix.time)


def _fix(point: Any, where: str) -> Fix:
    if point.time is None:
        raise InputError(
            f"{where}: a track point without a time",
            hint="export the track with its times: without them nobody knows where a frame was",
        )
    # "NaN" parses as a number; the comparison is false for it.
    if not (abs(point.latitude) <= 90 and abs(point.longitude) <= 180):
        raise InputError(f"{where}: a track point that is not on Earth")
    zone = point.time.tzinfo or datetime.UTC  # GPX times are UTC; some writers forget the Z
    return Fix(
        time=point.time.replace(tzinfo=zone).timestamp(),
        latitude=point.latitude,
        longitude=point.longitude,
        heading=_finite(getattr(point, "course", None)),
        speed=_finite(point.speed),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
