# SPDX-License-Identifier: Apache-2.0
"""The car's TOML file, strictly: nothing is guessed, nothing is ignored.

Paths are relative to the file they stand in. Each key is explained in ``docs/operating/car.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from incamera.car.settings import Budget, CarSettings, DriveSource, Places, Room
from incamera.cli.card import read_card
from incamera.errors import InputError
from incamera.geofence import GeofencePolicy
from incamera.ids import Digest, parse_digest, parse_name
from incamera.ingest.seating import Seating
from incamera.ledger.queries import DAY
from incamera.sealing.keys import key_id
from incamera.service.toml import Table, read_table

__all__ = ["CarFile", "load"]

_MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class CarFile:
    """What the agent is told, and where the region is."""

    settings: CarSettings
    vault: str  # URL
    log: str  # URL, or empty: the one that the vault names
    ca: Path | None
    reads: Literal["extract", "log"] = "extract"
    """What of the log: what the vault shows to concern this car, or all of it."""


def load(file: Path) -> CarFile:
    """Read ``file``; :class:`InputError` names the key that is wrong."""
    table = read_table(file)
    parts = {
        name: table.optional_table(name)
        for name in ("drive", "consent", "parked", "work", "disk", "trustees", "geofence")
    }
    home = table.folder("home")
    card, _ = read_card(home)
    if card.role != "car":
        raise InputError(
            f"{home}: the keys of {card.role} {card.name}, not of a car",
            hint="home is the folder that `incamera init DIR --as car` made",
        )
    upload = table.text("upload", "always")
    if upload not in ("always", "resting"):
        raise InputError(f"{table.where('upload')} is 'always' or 'resting'")
    settings = CarSettings(
        places=Places(home),
        vehicle=card.name,
        car=key_id(card.key),
        owner=parse_name(table.text("owner"), table.where("owner")),
        watch=table.folder("watch"),
        drive=_drive(parts["drive"]),
        zones=_zones(file, table),
        campaign=_campaign(table),
        quiet=table.number("quiet", 30, 1, 3_600),
        ring=parts["parked"].number("ring", 600, 1, 600),
        fresh=parts["consent"].number("fresh", DAY, 60, 30 * DAY),
        upload="always" if upload == "always" else "resting",
        budget=_budget(parts["work"]),
        room=_room(parts["disk"]),
        seating=_seating(parts["trustees"]),
        geofence=_geofence(parts["geofence"]),
    )
    vault, log = _url(table, "vault"), _url(table, "log", "")
    reads = table.text("reads", "extract")
    if reads not in ("extract", "log"):
        raise InputError(f"{table.where('reads')} is 'extract' or 'log'")
    whole: Literal["extract", "log"] = "log" if reads == "log" else "extract"
    found = CarFile(settings, vault, log, table.optional_file("ca"), whole)
    for each in (table, *parts.values()):
        each.done()
    return found


def _url(table: Table, key: str, default: str | None = None) -> str:
    told = table.text(key, default)
    if told and not told.startswith(("http://", "https://")):
        raise InputError(f"{table.where(key)}: not a URL: {told!r}", hint="https://vault.example")
    return told


def _zones(file: Path, table: Table) -> Path | None:
    """Asked for always: that there are none is said on purpose, by an empty text."""
    told = table.text("zones")
    if not told:
        return None
    path = file.parent / told
    if not path.is_file():
        raise InputError(f"{table.where('zones')}: no such file: {path}")
    return path


def _campaign(table: Table) -> Digest | None:
    told = table.text("campaign", "newest")
    return None if told == "newest" else parse_digest(told, table.where("campaign"))


def _drive(table: Table) -> DriveSource:
    command = tuple(table.texts("command"))
    file = table.folder("file") if "file" in table.names() else None
    if bool(command) == (file is not None):
        raise InputError(
            f"{table.where('file')}: name a file or a command by which the car says that it drives",
            hint="docs/operating/car.md has both",
        )
    return DriveSource(file, command, table.number("stale", 60, 0, 3_600))


def _budget(table: Table) -> Budget:
    return Budget(
        nice=table.number("nice", 10, 0, 19),
        share=table.number("share", 50, 1, 100),
        load=float(table.number("load", 0, 0, 1_000)),
        every=table.number("every", 60, 1, 86_400),
    )


def _room(table: Table) -> Room:
    full = table.text("full", "wait")
    if full not in ("wait", "drop-oldest"):
        raise InputError(f"{table.where('full')} is 'wait' or 'drop-oldest'")
    return Room(
        spool=table.number("spool", 8_000, 1, 1 << 30) * _MEGA,
        free=table.number("free", 1_000, 0, 1 << 30) * _MEGA,
        drop_triggered=full == "drop-oldest",
    )


def _seating(table: Table) -> Seating:
    age, pins = table.number("age", 7, 0, 365), table.optional_table("pins")
    pinned = {
        parse_name(name, pins.where(name)): parse_digest(pins.text(name), pins.where(name))
        for name in pins.names()
    }
    pins.done()
    return Seating(age * DAY, pinned)


def _geofence(table: Table) -> GeofencePolicy:
    return GeofencePolicy(
        distance_m=float(table.number("metres", 250, 250, 100_000)),
        ends_m=float(table.number("ends_metres", 200, 0, 100_000)),
        ends_s=float(table.number("ends_seconds", 60, 0, 3_600)),
    )
