# SPDX-License-Identifier: Apache-2.0
"""``event.json``: why a Tesla kept a folder of clips.

Seen in the wild: ``est_lat``, ``est_lon`` and ``camera`` as text or as numbers, ``street`` since
firmware 2025.38.6, fields left out. Unknown fields are allowed: each firmware may add one.
"""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

from incamera.encoding import parse_json
from incamera.errors import InputError
from incamera.recording.model import Event

__all__ = ["parse_event", "read_event", "wall_time"]

_MAX_BYTES = 65_536
_CAMERAS = {  # the community's mapping; Tesla publishes none
    "0": "front",
    "1": "front",
    "2": "front",
    "3": "left_repeater",
    "4": "right_repeater",
    "5": "left_pillar",
    "6": "right_pillar",
    "7": "back",
    "8": "cabin",
}


def wall_time(text: str, form: str, where: str) -> float:
    """Local wall time read as if it were UTC, in POSIX seconds; InputError if not of ``form``."""
    try:
        when = datetime.datetime.strptime(text, form)
    except ValueError as error:
        raise InputError(f"{where}: not a time: {text!r:.60}") from error
    return when.replace(tzinfo=datetime.UTC).timestamp()


def read_event(path: Path) -> Event:
    """The event of one folder; :class:`InputError` if the file is not what Tesla writes."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path}: too long for an event.json")
    return parse_event(data, str(path))


def parse_event(data: bytes, where: str) -> Event:
    """The event in ``data``. Its position is the car's estimate for display, and no fix."""
    value = parse_json(data.removeprefix(b"\xef\xbb\xbf"), where)
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object")
    timestamp, reason = value.get("timestamp"), value.get("reason")
    if not isinstance(timestamp, str) or not isinstance(reason, str) or not reason:
        raise InputError(f"{where}: timestamp and reason must be texts")
    camera = value.get("camera")
    if camera is not None and (isinstance(camera, bool) or not isinstance(camera, str | int)):
        raise InputError(f"{where}: camera must be a text or a whole number")
    latitude = _degrees(value, "est_lat", 90, where)
    longitude = _degrees(value, "est_lon", 180, where)
    if latitude is None or longitude is None or latitude == longitude == 0:
        latitude = longitude = None
    return Event(
        time=wall_time(timestamp, "%Y-%m-%dT%H:%M:%S", f"{where}: timestamp"),
        reason=reason[:200],
        camera=None if camera in (None, "") else _CAMERAS.get(str(camera), str(camera)[:40]),
        latitude=latitude,
        longitude=longitude,
    )


def _degrees(value: dict[str, Any], name: str, limit: float, where: str) -> float | None:
    number = value.get(name)
    if number is None or number == "":
        return None
    try:
        if isinstance(number, bool):
            raise TypeError("a truth value")
        degrees = float(number)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {name} is not a number: {number!r:.60}") from error
    if not math.isfinite(degrees) or abs(degrees) > limit:
        raise InputError(f"{where}: {name} is not on Earth: {number!r:.60}")
    return degrees
