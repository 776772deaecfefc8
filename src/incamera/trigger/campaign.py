# SPDX-License-Identifier: Apache-2.0
"""A campaign: which moments are worth keeping, as a small TOML read strictly.

The format is described in ``docs/formats/campaign.md``. A campaign is public and signed, so
nothing in it may be overlooked: an unknown key, a wrong type or a value out of range refuses the
whole file, with the line.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from incamera.errors import InputError
from incamera.ids import Digest, Name, digest, parse_name

__all__ = [
    "Campaign",
    "HardBrake",
    "Rule",
    "Sample",
    "Swerve",
    "TakeOver",
    "default_campaign",
]

MAX_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Seconds kept before and after what a trigger fires on."""

    before: float = 5.0
    after: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HardBrake(Rule):
    """Slowing by ``deceleration`` m/s2 for ``hold`` s, from ``speed`` m/s or more."""

    deceleration: float = 4.5
    hold: float = 0.4
    speed: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver(Rule):
    """Automation that steers ends at ``speed`` m/s or more, and ``within`` s the driver acts.

    Acts: the brake, ``pedal`` % of the accelerator, or ``steering`` degrees of the wheel.
    """

    within: float = 2.0
    steering: float = 15.0
    pedal: float = 10.0
    speed: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swerve(Rule):
    """The wheel turns ``rate`` deg/s, or the car moves ``lateral`` m/s2, for ``hold`` s."""

    rate: float = 150.0
    lateral: float = 5.0
    hold: float = 0.2
    speed: float = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Rule):
    """One of ``every`` slots of ``length`` s, chosen by a hash keyed with ``key``."""

    before: float = 0.0
    after: float = 0.0
    every: int = 1000
    length: float = 10.0
    key: str = ""


RULES: Mapping[str, type[Rule]] = {
    "hard-brake": HardBrake,
    "take-over": TakeOver,
    "swerve": Swerve,
    "honk": Rule,
    "sentry": Rule,
    "saved": Rule,
    "sample": Sample,
}

_RANGES: Mapping[str, tuple[float, float]] = {
    "before": (0, 120),
    "after": (0, 120),
    "deceleration": (1, 15),
    "hold": (0, 5),
    "speed": (0, 70),
    "within": (0.1, 10),
    "steering": (1, 720),
    "pedal": (1, 100),
    "rate": (10, 2000),
    "lateral": (1, 15),
    "every": (1, 1_000_000_000),
    "length": (1, 600),
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """A checked set of triggers. ``rules`` holds those that are on, by tag."""

    name: Name
    rules: Mapping[str, Rule] = field(default_factory=dict)
    digest: Digest | None = None  # of the text it was read from: what the log names
    expires: int | None = None  # POSIX seconds; None: it goes on until another one is logged

    @classmethod
    def load(cls, path: Path) -> Campaign:
        """Read the campaign file at ``path``; :class:`InputError` if it is not one."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot read the campaign: {error.strerror}") from error
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, where: str = "campaign") -> Campaign:
        """Read a campaign's text. :class:`InputError` names ``where``, the line and the key."""
        if len(data) > MAX_BYTES:
            raise InputError(f"{where}: a campaign has at most {MAX_BYTES} bytes")
        try:
            text = data.decode("utf-8")
            tables = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not TOML: {error}") from error
        reader = _Reader(text, where)
        if (version := tables.pop("version", None)) != 1 or isinstance(version, bool):
            raise reader.error("", "version", "version = 1 is the one that is known")
        name = parse_name(tables.pop("name", None), f"{where}: name")
        expires = reader.moment("expires", tables.pop("expires", None))
        rules = {tag: reader.rule(tag, table) for tag, table in tables.items()}
        if not rules:
            known = " ".join(f"[{tag}]" for tag in RULES)
            raise InputError(f"{where}: no trigger is on", hint=f"add one of {known}")
        return cls(name, rules, digest(data), expires)


class _Reader:
    """Checks tables against the rules and knows where in the text a key stands."""

    def __init__(self, text: str, where: str) -> None:
        self._lines = text.splitlines()
        self._where = where

    def rule(self, tag: str, table: object) -> Rule:
        kind = RULES.get(tag)
        if kind is None:
            raise self.error("", tag, f"unknown; triggers are {', '.join(RULES)}")
        if not isinstance(table, dict):
            raise self.error("", tag, f"has to be a table: [{tag}]")
        defaults: dict[str, Any] = {item.name: item.default for item in fields(kind)}
        for key, value in table.items():
            if key not in defaults:
                raise self.error(tag, key, f"unknown; keys here are {', '.join(defaults)}")
            self._check(tag, key, value, defaults[key])
        return kind(**{key: type(defaults[key])(value) for key, value in table.items()})

    def moment(self, key: str, value: object) -> int | None:
        if value is None:
            return None
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            raise self.error("", key, "has to be a time with its zone: 2027-03-01T00:00:00Z")
        return int(value.timestamp())

    def _check(self, tag: str, key: str, value: Any, default: object) -> None:
        if isinstance(default, str):
            if not isinstance(value, str) or len(value) > 64:
                raise self.error(tag, key, "has to be text of at most 64 characters")
            return
        wanted = int if isinstance(default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            kind = "a whole number" if wanted is int else "a number"
            raise self.error(tag, key, f"has to be {kind}, not {value!r:.40}")
        low, high = _RANGES[key]
        if not low <= value <= high:
            raise self.error(tag, key, f"{value!r:.40} is out of range {low:g} to {high:g}")

    def error(self, tag: str, key: str, problem: str) -> InputError:
        """``problem`` with ``key`` of table ``tag`` ("": the top), and its line if it is found."""
        name = f"[{tag}] {key}" if tag else key
        line = self._line(tag, key)
        at = f", line {line}" if line else ""
        return InputError(f"{self._where}{at}: {name}: {problem}")

    def _line(self, tag: str, key: str) -> int | None:
        table, header = "", None
        assigned = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]")
        for number, line in enumerate(self._lines, start=1):
            if opened := re.match(r"\s*\[+\s*[\"']?([^\]\"']*?)[\"']?\s*\]", line):
                table = opened[1]
                if table in {tag, key} and header is None:
                    header = number
            elif table == tag and assigned.match(line):
                return number
        return header


def default_campaign() -> Campaign:
    """The campaign that comes with incamera, ``default.toml`` beside this file."""
    data = resources.files("incamera.trigger").joinpath("default.toml").read_bytes()
    return Campaign.parse(data, "the default campaign")
