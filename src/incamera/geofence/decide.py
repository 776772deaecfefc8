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
from incamera.geofence.trips import Course, Trip, apart, course_of, find_trips
from incamera.geofence.zones import Zones
from incamera.recording.model import Recording

__all__ = ["Decision", "Dropped", "Reason", "judge", "keep"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Reason: TypeAlias = Literal["zone", "no fix", "stale fix", "jump", "trip end", "too short"]

_LOST_S = 10.0  # a longer gap between fixes is called one without a fix; it is dropped anyway
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
    spans: Sequence[S],
    recording: Recording,
    zones: Zones,
    policy: GeofencePolicy,
    others: Sequence[Course] = (),
) -> Decision[S]:
    """Cut ``spans`` to what ``zones`` and ``policy`` allow of ``recording``.

    ``others``: trips of the same car's recordings (:func:`incamera.geofence.trips_of`), in which
    this one's may begin or go on; without them a trip begins and ends with the recording.
    """
    stretches = judge(recording, zones, policy, others)
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


def judge(
    recording: Recording, zones: Zones, policy: GeofencePolicy, others: Sequence[Course] = ()
) -> list[Stretch]:
    """The time from first to last usable fix, in stretches of one answer; beyond: no fix."""
    course = course_of(recording)
    times, place = course.times, course.place
    if len(times) < 2:
        return []
    jumps = _jumps(times, place, policy)
    doubted = np.zeros(len(times), dtype=np.bool_)  # either end of a jump may be the wrong one
    doubted[1:] |= jumps
    doubted[:-1] |= jumps
    trips = find_trips(course, doubted, others, policy)
    lon, lat = earth.lonlat(place)
    codes = np.select(
        (
            _either(zones.near(lat, lon, policy.distance_m)),
            np.diff(times) > max(policy.stale_s, _LOST_S),
            np.diff(times) > policy.stale_s,
            _either(doubted),
            _either(_near_ends(place, trips, policy)),
        ),
        (_ZONE, _LOST, _STALE, _JUMP, _TRIP_END),
        _KEPT,
    ).astype(np.int8)
    _check_ways(codes, place, zones, policy)
    return _stretches(times, codes, _end_windows(trips, policy))


# An interval between two fixes has one of these codes; the first in judge that holds wins.
_KEPT, _ZONE, _LOST, _STALE, _JUMP, _TRIP_END = range(6)
_REASONS: tuple[Reason | None, ...] = (
    None,
    "zone",
    "no fix",
    "stale fix",
    "jump",
    "trip end",
)


def _jumps(times: Floats, place: Floats, policy: GeofencePolicy) -> Flags:
    """Intervals (n - 1,) in which nothing on wheels can have come so far."""
    elapsed = np.diff(times)
    reach = policy.max_speed_m_s * elapsed + policy.jump_slack_m
    return (apart(place[1:], place[:-1]) > reach) & (elapsed <= policy.trip_gap_s)


def _either(flags: Flags) -> Flags:
    """For each interval: whether one of its two fixes is flagged."""
    return flags[1:] | flags[:-1]


def _near_ends(place: Floats, trips: Sequence[Trip], policy: GeofencePolicy) -> Flags:
    """Fixes within ``ends_m`` of where their trip begins or ends, and all of parking.

    As the crow flies: a way is never shorter than that, so this cuts at least the first and last
    ``ends_m`` of the way, and noise while parked does not count as way. A drive that passes its
    own beginning again does not show it either.
    """
    found = np.ones(len(place), dtype=np.bool_)
    for trip in trips:
        piece = place[trip.first : trip.last + 1]
        near = [apart(piece, end) < policy.ends_m for end in trip.ends]
        found[trip.first : trip.last + 1] = np.any(near, axis=0)
    return found


def _check_ways(
    codes: NDArray[np.int8], place: Floats, zones: Zones, policy: GeofencePolicy
) -> None:
    """Between two fixes further apart than a step, look at the way too; updates ``codes``."""
    metres = apart(place[1:], place[:-1])
    longer = np.flatnonzero((codes == _KEPT) & (metres > _STEP_M))
    if not longer.size:
        return
    counts = np.ceil(metres[longer] / _STEP_M).astype(np.int64)
    owner = np.repeat(longer, counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = (number / np.repeat(counts, counts))[:, None]
    lon, lat = earth.lonlat(place[owner] * (1 - part) + place[owner + 1] * part)
    codes[owner[zones.near(lat, lon, policy.distance_m)]] = _ZONE


def _end_windows(trips: Sequence[Trip], policy: GeofencePolicy) -> list[tuple[float, float]]:
    """The first and last ``ends_s`` of each trip."""
    windows = []
    for trip in trips:
        windows += [(trip.begin, trip.begin + policy.ends_s), (trip.end - policy.ends_s, trip.end)]
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
