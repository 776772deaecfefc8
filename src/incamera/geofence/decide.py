# SPDX-License-Identifier: Apache-2.0
"""Which moments of a recording may be kept. Pure: fixes and zones in, a partition of time out.

A moment is kept only between two neighbouring fixes that are both good and at most ``stale_s``
apart. A good fix lies outside every zone's distance, is no end of an impossible jump, and is
neither in time nor in place near an end of its trip. The way between the two is checked as well,
every ten metres. Whatever cannot be shown to be clear is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import Field, dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from incamera.geofence import earth
from incamera.geofence.policy import GeofencePolicy
from incamera.geofence.zones import Zones
from incamera.recording.model import Fix, Recording

__all__ = ["Decision", "Dropped", "Reason", "judge", "keep"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Reason: TypeAlias = Literal["zone", "no fix", "stale fix", "jump", "trip end", "too short"]

_STEP_M = 10.0  # between two fixes the way is looked at this often


class Spanlike(Protocol):
    """A dataclass with a start and an end (:class:`incamera.trigger.model.Span` is one)."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def start(self) -> float:
        """Its first moment."""
        ...

    @property
    def end(self) -> float:
        """The moment just after."""
        ...


S = TypeVar("S", bound=Spanlike)


@dataclass(frozen=True, slots=True)
class Dropped(Generic[S]):
    """A piece of a span that must not leave the car, and why."""

    span: S
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """Pieces kept and pieces dropped: together exactly the spans asked for, in their order."""

    kept: tuple[S, ...]
    dropped: tuple[Dropped[S], ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds ``start <= t < end`` with one answer: kept (None), or the reason against."""

    start: float
    end: float
    reason: Reason | None


def keep(
    spans: Sequence[S], recording: Recording, zones: Zones, policy: GeofencePolicy
) -> Decision[S]:
    """Cut ``spans`` to what ``zones`` and ``policy`` allow of ``recording``."""
    stretches = judge(recording, zones, policy)
    kept: list[S] = []
    dropped: list[Dropped[S]] = []
    for span in spans:
        for part in _within(stretches, span.start, span.end):
            piece = replace(span, start=part.start, end=part.end)
            if part.reason is not None:
                dropped.append(Dropped(piece, part.reason))
            elif part.end - part.start < policy.least_s:
                dropped.append(Dropped(piece, "too short"))
            else:
                kept.append(piece)
    return Decision(tuple(kept), tuple(dropped))


def judge(recording: Recording, zones: Zones, policy: GeofencePolicy) -> list[Stretch]:
    """The time from first to last usable fix, in stretches of one answer; beyond: no fix."""
    times, lat, lon = _usable(recording.fixes)
    if len(times) < 2:
        return []
    place = earth.ecef(lon, lat)
    trips = _trips(times, policy)
    codes = _intervals(times, place, zones.near(lat, lon, policy.distance_m), trips, policy)
    _check_ways(codes, place, zones, policy)
    bounds = [(times[begin], times[end]) for begin, end in trips]
    if recording.tracks:
        bounds[0] = (min(times[0], recording.start), bounds[0][1])
        bounds[-1] = (bounds[-1][0], max(times[-1], recording.end))
    return _stretches(times, codes, _end_windows(bounds, policy))


# An interval between two fixes has one of these codes; the reason that stands first in
# _intervals wins.
_KEPT, _ZONE, _STALE, _JUMP, _TRIP_END = range(5)
_REASONS: tuple[Reason | None, ...] = (None, "zone", "stale fix", "jump", "trip end")


def _usable(fixes: Sequence[Fix]) -> tuple[Floats, Floats, Floats]:
    """Times, latitudes, longitudes, by time. 0, 0 is how receivers say that they have no fix."""
    table = np.array([(f.time, f.latitude, f.longitude) for f in fixes], dtype=np.float64)
    times, lat, lon = table.reshape(-1, 3).T
    usable = np.isfinite(times) & (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    usable &= (lat != 0) | (lon != 0)
    order = np.argsort(times[usable], kind="stable")
    return times[usable][order], lat[usable][order], lon[usable][order]


def _trips(times: Floats, policy: GeofencePolicy) -> list[tuple[int, int]]:
    """Index of first and last fix of each trip."""
    breaks = np.flatnonzero(np.diff(times) > policy.trip_gap_s)
    firsts, lasts = [0, *(breaks + 1).tolist()], [*breaks.tolist(), len(times) - 1]
    return list(zip(firsts, lasts, strict=True))


def _intervals(
    times: Floats, place: Floats, near: Flags, trips: list[tuple[int, int]], policy: GeofencePolicy
) -> NDArray[np.int8]:
    """The code of each interval between neighbouring fixes."""
    elapsed = np.diff(times)
    metres = _apart(place[1:], place[:-1])
    stale = elapsed > policy.stale_s
    jump = metres > policy.max_speed_m_s * elapsed + policy.jump_slack_m
    jump &= elapsed <= policy.trip_gap_s
    doubted = np.zeros(len(times), dtype=np.bool_)  # either end of a jump may be the wrong one
    doubted[1:] |= jump
    doubted[:-1] |= jump
    home = _near_ends(place, doubted, trips, policy)
    return np.select(
        (_either(near), stale, _either(doubted), _either(home)),
        (_ZONE, _STALE, _JUMP, _TRIP_END),
        _KEPT,
    ).astype(np.int8)


def _either(flags: Flags) -> Flags:
    """For each interval: whether one of its two fixes is flagged."""
    return flags[1:] | flags[:-1]


def _apart(a: Floats, b: Floats) -> Floats:
    found: Floats = np.sqrt(((a - b) ** 2).sum(axis=-1))
    return found


def _near_ends(
    place: Floats, doubted: Flags, trips: list[tuple[int, int]], policy: GeofencePolicy
) -> Flags:
    """Fixes within ``ends_m`` of where their trip begins or ends.

    As the crow flies: a way is never shorter than that, so this cuts at least the first and last
    ``ends_m`` of the way, and noise while parked does not count as way. A drive that passes its
    own beginning again does not show it either.
    """
    found = np.zeros(len(place), dtype=np.bool_)
    for first, last in trips:
        sure = first + np.flatnonzero(~doubted[first : last + 1])
        anchors = {first, last, *sure[:1].tolist(), *sure[-1:].tolist()}
        for anchor in anchors:
            piece = slice(first, last + 1)
            found[piece] |= _apart(place[piece], place[anchor]) < policy.ends_m
    return found


def _check_ways(
    codes: NDArray[np.int8], place: Floats, zones: Zones, policy: GeofencePolicy
) -> None:
    """Between two fixes further apart than a step, look at the way too; updates ``codes``."""
    metres = _apart(place[1:], place[:-1])
    longer = np.flatnonzero((codes == _KEPT) & (metres > _STEP_M))
    if not longer.size:
        return
    counts = np.ceil(metres[longer] / _STEP_M).astype(np.int64)
    owner = np.repeat(longer, counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = (number / np.repeat(counts, counts))[:, None]
    lon, lat = earth.lonlat(place[owner] * (1 - part) + place[owner + 1] * part)
    codes[owner[zones.near(lat, lon, policy.distance_m)]] = _ZONE


def _end_windows(
    bounds: list[tuple[float, float]], policy: GeofencePolicy
) -> list[tuple[float, float]]:
    """The first and last ``ends_s`` of each trip."""
    windows = []
    for begin, end in bounds:
        windows += [(begin, begin + policy.ends_s), (end - policy.ends_s, end)]
    return windows


def _stretches(
    times: Floats, codes: NDArray[np.int8], windows: list[tuple[float, float]]
) -> list[Stretch]:
    """Codes of intervals and windows at the ends, as stretches; neighbours of one answer join."""
    cuts = np.clip(np.array(windows, dtype=np.float64).ravel(), times[0], times[-1])
    points = np.unique(np.concatenate((times, cuts)))
    begins = points[:-1]
    found = codes[np.searchsorted(times, begins, side="right") - 1]
    for begin, end in windows:
        found[(found == _KEPT) & (begins >= begin) & (begins < end)] = _TRIP_END
    changes = np.flatnonzero(np.diff(found)) + 1
    edges = [0, *changes.tolist(), len(found)] if len(found) else []
    return [
        Stretch(float(points[a]), float(points[b]), _REASONS[found[a]]) for a, b in pairwise(edges)
    ]


def _within(stretches: Sequence[Stretch], start: float, end: float) -> Iterator[Stretch]:
    """The stretches of ``start <= t < end``, with "no fix" wherever there is none."""
    at = start
    for each in stretches:
        begin, stop = max(each.start, at), min(each.end, end)
        if begin >= stop:
            continue
        if begin > at:
            yield Stretch(at, begin, "no fix")
        yield Stretch(begin, stop, each.reason)
        at = stop
    if at < end:
        yield Stretch(at, end, "no fix")
