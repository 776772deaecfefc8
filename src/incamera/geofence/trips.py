# SPDX-License-Identifier: Apache-2.0
"""Where trips begin and end: that is where people live, work and visit.

A trip ends where a recording ends, where five minutes pass without a fix, and where the car stands
for five minutes (a car may film on while it is parked). It goes on in another recording if that
one shows the car, at that moment and place, going on: a saved event is a piece of a drive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from incamera.geofence import earth
from incamera.geofence.policy import GeofencePolicy
from incamera.recording.model import Fix, Recording

__all__ = ["Course", "Trip", "apart", "course_of", "find_trips", "trips_of"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_STANDING_M = 25.0  # a receiver at rest wanders about as far
_LATEST = 1e12  # seconds: beyond it a time is noise, and NaN compares false
_THIN_S = 1.0  # for standing and going on, one fix a second is plenty


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The usable fixes of a recording by time, and when its frames begin and end."""

    times: Floats  # (n,)
    place: Floats  # (n, 3), metres: earth.ecef
    begin: float
    end: float
    zoned: bool

    def thinned(self) -> Course:
        """The same with one fix a second."""
        slots = np.floor(self.times / _THIN_S)
        chosen = np.flatnonzero(np.diff(slots, prepend=-np.inf))
        if self.times.size:
            chosen = np.union1d(chosen, [len(self.times) - 1])
        return Course(self.times[chosen], self.place[chosen], self.begin, self.end, self.zoned)


def course_of(recording: Recording) -> Course:
    """The course of a recording. 0, 0 is how receivers say that they have no fix."""
    fixes: Sequence[Fix] = recording.fixes
    table = np.array([(f.time, f.latitude, f.longitude) for f in fixes], dtype=np.float64)
    times, lat, lon = table.reshape(-1, 3).T
    usable = (np.abs(times) < _LATEST) & (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    usable &= (lat != 0) | (lon != 0)
    order = np.flatnonzero(usable)[np.argsort(times[usable], kind="stable")]
    times, place = times[order], earth.ecef(lon[order], lat[order])
    inner = (float(times[0]), float(times[-1])) if len(times) else (np.inf, -np.inf)
    outer = (recording.start, recording.end) if recording.tracks else inner
    begin, end = min(inner[0], outer[0]), max(inner[1], outer[1])
    return Course(times, place, begin, end, recording.zoned)


def trips_of(recording: Recording, policy: GeofencePolicy) -> list[Course]:
    """The trips in a recording, each a course of its own with one fix a second.

    This is what is worth knowing of a car's other recordings: see ``others`` of ``keep``.
    """
    whole = course_of(recording).thinned()
    if not whole.times.size:
        return []
    found = []
    for first, last in _pieces(whole.times, whole.place, policy):
        begin = whole.begin if first == 0 else float(whole.times[first])
        end = whole.end if last == len(whole.times) - 1 else float(whole.times[last])
        piece = slice(first, last + 1)
        found.append(Course(whole.times[piece], whole.place[piece], begin, end, whole.zoned))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Trip:
    """Fixes ``first`` to ``last`` (indices of the course, both included) of one trip."""

    first: int
    last: int
    begin: float  # when the trip began, in this recording or another
    end: float
    ends: Floats  # (k, 3): places that count as where it began or ended


def find_trips(
    course: Course, doubted: Flags, others: Sequence[Course], policy: GeofencePolicy
) -> list[Trip]:
    """The trips in a course of at least one fix, by time; fixes between them are of parking.

    ``doubted``: fixes (n,) that may be wrong; where the first or last of a trip is, the nearest
    that is not counts as its end as well. ``others``: trips of the same car's other recordings.
    """
    times, place = course.times, course.place
    trips = []
    for first, last in _pieces(times, place, policy):
        sure = first + np.flatnonzero(~doubted[first : last + 1])
        heads, tails = place[[first, *sure[:1]]], place[[last, *sure[-1:]]]
        begin, end = float(times[first]), float(times[last])
        if first == 0:
            origin = _followed(course, others, policy, -1)
            begin, heads = origin.begin, heads if origin is course else origin.place[:1]
        if last == len(times) - 1:
            outcome = _followed(course, others, policy, 1)
            end, tails = outcome.end, tails if outcome is course else outcome.place[-1:]
        trips.append(Trip(first, last, begin, end, np.concatenate((heads, tails))))
    return trips


def _pieces(times: Floats, place: Floats, policy: GeofencePolicy) -> Iterator[tuple[int, int]]:
    """First and last fix of each stretch without a long gap and without a long stand."""
    breaks = np.flatnonzero(np.diff(times) > policy.trip_gap_s)
    firsts, lasts = [0, *(breaks + 1).tolist()], [*breaks.tolist(), len(times) - 1]
    for first, last in zip(firsts, lasts, strict=True):
        begin = first
        for arrived, left in _stands(times, place, first, last, policy):
            yield begin, arrived
            begin = left
        yield begin, last


def _stands(
    times: Floats, place: Floats, first: int, last: int, policy: GeofencePolicy
) -> Iterator[tuple[int, int]]:
    """First and last fix of each time the car stood for long."""
    anchor, due = first, -np.inf
    at: int
    for at in range(first, last + 1):
        if times[at] < due and at != last:
            continue
        due = times[at] + _THIN_S
        away = float(np.linalg.norm(place[at] - place[anchor]))
        if away > _STANDING_M or at == last:
            if times[at] - times[anchor] >= policy.trip_gap_s:
                yield anchor, at
            anchor = at


def _followed(course: Course, others: Sequence[Course], policy: GeofencePolicy, way: int) -> Course:
    """The recording in which the trip began (``way`` -1) or ended (1), as far as is known.

    From one to the next only where that one has a fix within ``stale_s`` beyond this one's last
    (or before its first), at a place that a car can reach in the time between.
    """
    found = True
    while found:
        found = False
        for other in others:
            beyond = other.end > course.end if way > 0 else other.begin < course.begin
            if beyond and other.zoned == course.zoned and _goes_on(course, other, policy, way):
                course, found = other, True
                break
    return course


def _goes_on(course: Course, other: Course, policy: GeofencePolicy, way: int) -> bool:
    edge = -1 if way > 0 else 0
    elapsed = way * (other.times - course.times[edge])
    beyond = np.flatnonzero((elapsed > 0) & (elapsed <= policy.stale_s))
    metres = apart(other.place[beyond], course.place[edge])
    reach = policy.max_speed_m_s * elapsed[beyond] + policy.jump_slack_m
    return bool(beyond.size and (metres <= reach).all())


def apart(a: Floats, b: Floats) -> Floats:
    """Metres between points (n, 3), pair by pair."""
    found: Floats = np.sqrt(((a - b) ** 2).sum(axis=-1))
    return found
