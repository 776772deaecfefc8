# SPDX-License-Identifier: Apache-2.0
"""A clip says no more than its purpose needs: hours, not minutes; some 100 m, not a lane."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from incamera.errors import InputError
from incamera.ids import Name, parse_name
from incamera.recording.contents import Clock
from incamera.recording.model import Event, Fix, Recording, Telemetry
from incamera.trigger import Span

__all__ = ["camera_names", "events", "fixes", "hour_of", "telemetry"]

_TELEMETRY_S = 0.1  # one sample in so many seconds
_FIX_S = 1.0
_DECIMALS = 3  # of degrees: 111 m of latitude
_EARLIEST = 946_684_800  # 2000-01-01: what is before was not a date, but seconds from a start
_DAY = 86_400  # wall time may be ahead of UTC by hours
_NOT_NAME = re.compile(r"[^a-z0-9]+")

Timed = TypeVar("Timed", Telemetry, Fix, Event)


def hour_of(recording: Recording, span: Span, now: int) -> tuple[str, Clock]:
    """The hour in which ``span`` begins, and by what clock; ``now`` if the recording has no date.

    :class:`InputError` if it says that it was recorded in the future.
    """
    if not span.start >= _EARLIEST:
        return _hour(now), "ingest"
    if not span.start <= now + _DAY:
        raise InputError(
            f"{recording.name}: recorded in the future, by this machine's clock",
            hint="set the clock of the machine, or of the car",
        )
    return _hour(span.start), "utc" if recording.zoned else "local"


def _hour(time: float) -> str:
    return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%dT%H")


def camera_names(recording: Recording) -> dict[str, Name]:
    """A name for each camera as headers and clips allow it: ``left_repeater``: left-repeater."""
    names = {
        camera: parse_name(_NOT_NAME.sub("-", camera.lower()).strip("-")[:48].strip("-"), camera)
        for camera in recording.tracks
    }
    if len(set(names.values())) < len(names):
        raise InputError(f"{recording.name}: two cameras have nearly the same name")
    return names


def telemetry(recording: Recording, span: Span) -> tuple[Telemetry, ...]:
    """What the car said of itself, ten times a second, without frame numbers and places."""
    return tuple(
        Telemetry(
            time=each.time,
            speed=round(each.speed, 2),
            steering=round(each.steering, 1),
            accelerator=round(each.accelerator, 1),
            brake=each.brake,
            gear=each.gear,
            blinker_left=each.blinker_left,
            blinker_right=each.blinker_right,
            autopilot=each.autopilot,
            acceleration=(
                round(each.acceleration[0], 3),
                round(each.acceleration[1], 3),
                round(each.acceleration[2], 3),
            ),
        )
        for each in _spaced(_inside(recording.telemetry, span), _TELEMETRY_S)
    )


def fixes(recording: Recording, span: Span) -> tuple[Fix, ...]:
    """Where the car was, once a second, to some 100 m."""
    return tuple(
        Fix(
            time=each.time,
            latitude=round(each.latitude, _DECIMALS),
            longitude=round(each.longitude, _DECIMALS),
            heading=None if each.heading is None else round(each.heading),
            speed=None if each.speed is None else round(each.speed, 1),
        )
        for each in _spaced(_inside(recording.fixes, span), _FIX_S)
    )


def events(recording: Recording, span: Span) -> tuple[Event, ...]:
    """Why the car kept it: the reason only."""
    return tuple(
        Event(each.time, "".join(filter(str.isprintable, each.reason))[:64])
        for each in _inside(recording.events, span)
    )


def _inside(items: Sequence[Timed], span: Span) -> Iterator[Timed]:
    """Those within the span, their times in seconds from its start."""
    for each in items:
        if span.start <= each.time < span.end:
            yield replace(each, time=round(each.time - span.start, 3))


def _spaced(items: Iterable[Timed], seconds: float) -> Iterator[Timed]:
    """Items at least ``seconds`` apart (a twentieth less is let pass: clocks jitter)."""
    due = 0.0
    for each in items:
        if each.time >= due:
            due = each.time + 0.95 * seconds
            yield each
