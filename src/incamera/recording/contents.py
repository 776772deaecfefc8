# SPDX-License-Identifier: Apache-2.0
"""What a clip says of itself: ``clip.json``, read and written strictly (docs/formats/clip.md).

All times in it are seconds from the clip's first moment; the only absolute time is the hour.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from incamera.encoding import canonical, exact_keys, parse_canonical
from incamera.errors import InputError
from incamera.ids import Digest, Name, parse_digest, parse_name
from incamera.recording.model import Event, Fix, Telemetry

__all__ = ["MAX_CONTENTS", "Clock", "Contents", "Footage", "Report"]

MAX_CONTENTS = 1 << 26
"""Bytes that ``clip.json`` may have: a day of telemetry."""

_VERSION = 1
_HOUR = re.compile(r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3])", re.ASCII)
_MAX_SIZE = 2**33 - 1  # bytes: what eleven octal digits of a tar header can say
_MAX_SIDE = 1 << 16
_T = TypeVar("_T")

Clock: TypeAlias = Literal["utc", "local", "ingest"]


@dataclass(frozen=True, slots=True)
class Footage:
    """One camera's video in the clip: the file ``<camera>.mp4``."""

    camera: Name
    width: int
    height: int
    frames: int
    first: float  # time of the first frame, seconds
    last: float  # time of the last frame
    size: int  # bytes
    digest: Digest

    @property
    def file(self) -> str:
        """Its name in the clip."""
        return f"{self.camera}.mp4"


@dataclass(frozen=True, slots=True)
class Report:
    """The redaction report in the clip: the file ``report.jsonl``, one line a frame."""

    lines: int
    size: int  # bytes
    digest: Digest

    @property
    def file(self) -> str:
        """Its name in the clip."""
        return "report.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything a clip states. Times in seconds from its beginning."""

    hour: str
    """Hour of the recording, ``2026-11-21T14``."""
    clock: Clock
    """Whose hour that is: UTC; wall time where the car was; or, of a recording without a date, the
    hour in which it was ingested (UTC)."""
    duration: float
    tags: tuple[Name, ...]
    footage: tuple[Footage, ...]
    report: Report
    events: tuple[Event, ...] = ()  # without camera and place
    telemetry: tuple[Telemetry, ...] = ()  # without sequence and fix
    fixes: tuple[Fix, ...] = ()  # to three decimals
    fill: Literal["solid", "mosaic"]
    models: tuple[Digest, ...]
    zones: Digest
    campaign: Digest | None

    def serialise(self) -> bytes:
        """Canonical JSON; :meth:`parse` takes exactly these bytes back."""
        value = {
            "version": _VERSION,
            "hour": self.hour,
            "clock": self.clock,
            "duration": self.duration,
            "tags": list(self.tags),
            "cameras": [_footage_json(each) for each in self.footage],
            "report": {
                "file": self.report.file,
                "lines": self.report.lines,
                "size": self.report.size,
                "digest": self.report.digest,
            },
            "events": [{"time": each.time, "reason": each.reason} for each in self.events],
            "telemetry": [_telemetry_json(each) for each in self.telemetry],
            "positions": [
                {name: getattr(each, name) for name in _FIX_FIELDS} for each in self.fixes
            ],
            "fill": self.fill,
            "models": list(self.models),
            "zones": self.zones,
            "campaign": self.campaign,
        }
        return canonical(value)

    @classmethod
    def parse(cls, data: bytes, where: str = "clip.json") -> Contents:
        """From canonical JSON, strictly; :class:`InputError` names what is wrong."""
        if len(data) > MAX_CONTENTS:
            raise InputError(f"{where}: longer than {MAX_CONTENTS} bytes")
        value = exact_keys(parse_canonical(data, where), _KEYS, where)
        if value["version"] != _VERSION or type(value["version"]) is not int:
            raise InputError(f"{where}: a clip version not known here", hint="use a newer incamera")
        footage = tuple(_list(value["cameras"], f"{where}: cameras", _footage))
        names = [each.camera for each in footage]
        if not names or names != sorted(set(names)):
            raise InputError(f"{where}: cameras must be one or more, sorted, none twice")
        campaign = value["campaign"]
        return cls(
            hour=_matching(value["hour"], _HOUR, f"{where}: hour"),
            clock=_one_of(value["clock"], ("utc", "local", "ingest"), f"{where}: clock"),
            duration=_number(value["duration"], f"{where}: duration", 0.0),
            tags=tuple(_list(value["tags"], f"{where}: tags", parse_name)),
            footage=footage,
            report=_report(value["report"], f"{where}: report"),
            events=tuple(_list(value["events"], f"{where}: events", _event)),
            telemetry=tuple(_list(value["telemetry"], f"{where}: telemetry", _telemetry)),
            fixes=tuple(_list(value["positions"], f"{where}: positions", _fix)),
            fill=_one_of(value["fill"], ("solid", "mosaic"), f"{where}: fill"),
            models=tuple(_list(value["models"], f"{where}: models", parse_digest)),
            zones=parse_digest(value["zones"], f"{where}: zones"),
            campaign=None if campaign is None else parse_digest(campaign, f"{where}: campaign"),
        )


_KEYS = (
    "version", "hour", "clock", "duration", "tags", "cameras", "report", "events", "telemetry",
    "positions", "fill", "models", "zones", "campaign",
)  # fmt: skip
_FOOTAGE_FIELDS = ("camera", "file", "width", "height", "frames", "first", "last", "size", "digest")
_FIX_FIELDS = ("time", "latitude", "longitude", "heading", "speed")
_FLOATS = ("time", "speed", "steering", "accelerator")
_BOOLS = ("brake", "blinker_left", "blinker_right")
_INTS = ("gear", "autopilot")


def _footage_json(footage: Footage) -> dict[str, Any]:
    return {name: getattr(footage, name) for name in _FOOTAGE_FIELDS}


def _telemetry_json(sample: Telemetry) -> dict[str, Any]:
    plain = {name: getattr(sample, name) for name in (*_FLOATS, *_BOOLS, *_INTS)}
    return {**plain, "acceleration": list(sample.acceleration)}


def _footage(value: object, where: str) -> Footage:
    found = exact_keys(value, _FOOTAGE_FIELDS, where)
    footage = Footage(
        camera=parse_name(found["camera"], f"{where}: camera"),
        width=_int(found["width"], f"{where}: width", 1, _MAX_SIDE),
        height=_int(found["height"], f"{where}: height", 1, _MAX_SIDE),
        frames=_int(found["frames"], f"{where}: frames", 1),
        first=_number(found["first"], f"{where}: first", 0.0),
        last=_number(found["last"], f"{where}: last", 0.0),
        size=_int(found["size"], f"{where}: size", 1, _MAX_SIZE),
        digest=parse_digest(found["digest"], f"{where}: digest"),
    )
    if found["file"] != footage.file:
        raise InputError(f"{where}: file is not {footage.file!r}")
    return footage


def _report(value: object, where: str) -> Report:
    found = exact_keys(value, ("file", "lines", "size", "digest"), where)
    report = Report(
        lines=_int(found["lines"], f"{where}: lines"),
        size=_int(found["size"], f"{where}: size", 0, _MAX_SIZE),
        digest=parse_digest(found["digest"], f"{where}: digest"),
    )
    if found["file"] != report.file:
        raise InputError(f"{where}: file is not {report.file!r}")
    return report


def _event(value: object, where: str) -> Event:
    found = exact_keys(value, ("time", "reason"), where)
    reason = found["reason"]
    if not isinstance(reason, str) or len(reason) > 64 or not reason.isprintable():
        raise InputError(f"{where}: reason must be one line of at most 64 characters")
    return Event(_number(found["time"], f"{where}: time", 0.0), reason)


def _telemetry(value: object, where: str) -> Telemetry:
    found = exact_keys(value, (*_FLOATS, *_BOOLS, *_INTS, "acceleration"), where)
    if any(type(found[name]) is not bool for name in _BOOLS):
        raise InputError(f"{where}: {', '.join(_BOOLS)} must be true or false")
    across = list(_list(found["acceleration"], f"{where}: acceleration", _number))
    if len(across) != 3:
        raise InputError(f"{where}: acceleration needs x, y and z")
    plain: dict[str, Any] = {name: _number(found[name], f"{where}: {name}") for name in _FLOATS}
    plain |= {name: found[name] for name in _BOOLS}
    plain |= {name: _int(found[name], f"{where}: {name}", 0, 255) for name in _INTS}
    return Telemetry(**plain, acceleration=(across[0], across[1], across[2]))


def _fix(value: object, where: str) -> Fix:
    found = exact_keys(value, _FIX_FIELDS, where)
    rest = {
        name: None if found[name] is None else _number(found[name], f"{where}: {name}")
        for name in ("heading", "speed")
    }
    return Fix(
        _number(found["time"], f"{where}: time", 0.0),
        _number(found["latitude"], f"{where}: latitude", -90.0, 90.0),
        _number(found["longitude"], f"{where}: longitude", -180.0, 180.0),
        **rest,
    )


def _list(value: object, where: str, item: Callable[[object, str], _T]) -> list[_T]:
    if not isinstance(value, list):
        raise InputError(f"{where}: expected a list, found {type(value).__name__}")
    return [item(each, f"{where}[{index}]") for index, each in enumerate(value)]


def _int(value: object, where: str, low: int = 0, high: int = 2**53 - 1) -> int:
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{where}: not a whole number of {low} to {high}: {value!r:.40}")
    return value


def _number(value: object, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    if type(value) not in {int, float}:
        raise InputError(f"{where}: not a number: {value!r:.40}")
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number) or not low <= number <= high:
        raise InputError(f"{where}: not a number of {low} to {high}: {value!r:.40}")
    return number


def _matching(value: object, pattern: re.Pattern[str], where: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InputError(f"{where}: not in the expected form: {value!r:.40}")
    return value


def _one_of(value: object, allowed: tuple[str, ...], where: str) -> Any:
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{where}: expected one of {', '.join(allowed)}, found {value!r:.40}")
    return value
