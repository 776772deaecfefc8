# SPDX-License-Identifier: Apache-2.0
"""Positions from the subtitles DJI cameras write beside a video.

Newer firmware names what it writes, older does not, and its order differs by model::

    [latitude: 47.37690] [longitude: 8.54170] [rel_alt: 1.2 abs_alt: 408.1]
    [latitude : 47.37690] [longtitude : 8.54170]                              (their spelling)
    GPS(8.5417,47.3769,15)      GPS (8.5417, 47.3769, 15)                     lat or lon first?
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from incamera.errors import InputError
from incamera.recording.model import Fix

__all__ = ["Axes", "parse", "read"]

Axes = Literal["lat-lon", "lon-lat"]
"""What comes first in ``GPS(...)``."""

_MAX_BYTES = 64 << 20
_NUMBER = r"[+-]?\d{1,3}(?:\.\d{1,12})?"
_CUE = re.compile(
    r"(\d{1,3}):([0-5]\d):([0-5]\d)[,.](\d{3})[ \t]*-->[ \t]*\d+:\d\d:\d\d[,.]\d{3}", re.ASCII
)
_NAMED = re.compile(
    rf"\[latitude ?: ?({_NUMBER})\].{{0,80}}?\[long(?:t?)itude ?: ?({_NUMBER})\]",
    re.ASCII | re.DOTALL,
)
_UNNAMED = re.compile(rf"\bGPS ?\( ?({_NUMBER}) ?, ?({_NUMBER}) ?[,)]", re.ASCII)
_FAR = 1.0  # degrees; a hint nearer than this to one order only decides for it


def read(
    path: Path, axes: Axes | None = None, near: tuple[float, float] | None = None
) -> list[Fix]:
    """The positions in ``path``; see :func:`parse`."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: too long for the subtitles of one video")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read as subtitles: {error}") from error
    return parse(text, str(path), axes, near)


def parse(
    text: str,
    where: str,
    axes: Axes | None = None,
    near: tuple[float, float] | None = None,
) -> list[Fix]:
    """Positions by seconds from the first frame. A cue without one (no satellites) gives none.

    ``axes`` settles the order in unnamed positions; without it a value over 90 degrees does, or
    else ``near``, a latitude and longitude from another source. :class:`InputError` if neither
    does, or if no cue has a position.
    """
    cues = list(_cues(text))
    named = [(time, m) for time, body in cues if (m := _NAMED.search(body))]
    unnamed = (
        [(time, m) for time, body in cues if (m := _UNNAMED.search(body))] if not named else []
    )
    found = [(time, float(m[1]), float(m[2])) for time, m in named or unnamed]
    found = [(time, a, b) for time, a, b in found if a or b]  # 0, 0: no satellites
    if not found:
        raise InputError(f"{where}: no position in these subtitles")
    pairs = [(a, b) for _, a, b in found]
    if unnamed and (axes or _order(pairs, where, near)) == "lon-lat":
        found = [(time, b, a) for time, a, b in found]
    for _, latitude, longitude in found:
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise InputError(f"{where}: a position that is not on Earth")
    return sorted((Fix(*fix) for fix in found), key=lambda fix: fix.time)


def _cues(text: str) -> Iterator[tuple[float, str]]:
    """Start and text of each cue (a number, a line of times, lines of text, an empty line)."""
    times = list(_CUE.finditer(text))
    ends = [*(match.start() for match in times[1:]), len(text)]
    for match, end in zip(times, ends, strict=False):
        hours, minutes, seconds, thousandths = (int(part) for part in match.groups())
        yield hours * 3600 + minutes * 60 + seconds + thousandths / 1000, text[match.end() : end]


def _order(
    pairs: Sequence[tuple[float, float]], where: str, near: tuple[float, float] | None
) -> Axes:
    if any(abs(a) > 90 for a, _ in pairs):
        return "lon-lat"
    if any(abs(b) > 90 for _, b in pairs):
        return "lat-lon"
    if near is not None:
        a, b = pairs[0]
        first, second = math.dist((a, b), near), math.dist((b, a), near)
        if first < _FAR < second:
            return "lat-lon"
        if second < _FAR < first:
            return "lon-lat"
    raise InputError(
        f"{where}: GPS(...) may mean latitude or longitude first; it differs by camera model",
        hint="look at one position on a map and say --axes lat-lon or --axes lon-lat",
    )
