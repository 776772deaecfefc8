# SPDX-License-Identifier: Apache-2.0
"""Which seconds of a drive survive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from incamera.errors import InputError
from incamera.geofence import Course, GeofencePolicy, Zones, keep, trips_of
from incamera.geofence.geojson import Part
from incamera.recording.model import Fix, Frame, Recording
from incamera.trigger.model import Span

LAT = 1 / 111_132.0  # degrees of latitude a metre, near 45
SPEED = 20.0
POLICY = GeofencePolicy()


@dataclass
class NoPictures:
    """A track with a beginning and an end, as far as the geofence looks."""

    start: float
    end: float
    camera: str = "front"
    width: int = 64
    height: int = 64
    sources: Sequence[Path] = ()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Nothing to see."""
        return iter(())


def drive(seconds: int = 600, hertz: int = 2, start: float = 1000.0) -> Recording:
    """Straight north along 10 E from 45 N at 20 m/s."""
    fixes = [
        Fix(start + i / hertz, 45 + SPEED * i / hertz * LAT, 10.0)
        for i in range(seconds * hertz + 1)
    ]
    return Recording("drive", {"front": NoPictures(start, start + seconds)}, fixes=fixes)


def all_of(recording: Recording) -> list[Span]:
    """One span over the whole recording."""
    return [Span(recording.start, recording.end, ("all",))]


def point(metres: float) -> Zones:
    """A point zone so many metres up the road."""
    return Zones([Part("point", (np.array([[10.0, 45 + metres * LAT]]),), ())])


def without(recording: Recording, begin: float, end: float) -> Recording:
    """The recording without the fixes strictly between two seconds of it."""
    return replace(recording, fixes=[f for f in recording.fixes if not begin < f.time - 1000 < end])


def seconds(
    recording: Recording,
    zones: Zones,
    policy: GeofencePolicy = POLICY,
    others: Sequence[Course] = (),
) -> list[tuple[float, float, str | None]]:
    """What became of the whole drive: (from, to, reason or None), in seconds of the drive."""
    decision = keep(all_of(recording), recording, zones, policy, others)
    found: list[tuple[float, float, str | None]] = [(s.start, s.end, None) for s in decision.kept]
    found += [(d.span.start, d.span.end, d.reason) for d in decision.dropped]
    return [(round(a - 1000, 3), round(b - 1000, 3), why) for a, b, why in sorted(found)]


def test_both_ends_of_a_trip_are_cut_by_time_and_place() -> None:
    """At 20 m/s the sixty seconds cut more; at a crawl the two hundred metres do."""
    assert seconds(drive(), Zones.empty()) == [
        (0, 60, "trip end"),
        (60, 540, None),
        (540, 600, "trip end"),
    ]
    slow = replace(
        drive(),
        fixes=[replace(f, latitude=45 + (f.latitude - 45) / 10) for f in drive().fixes],
    )
    cut = seconds(slow, Zones.empty())
    assert [why for *_, why in cut] == ["trip end", None, "trip end"]
    assert cut[1] == pytest.approx((100.5, 499.5, None), abs=1)


def test_passing_the_beginning_again_is_cut_too() -> None:
    """A loop that comes back past its first position drops that as well."""
    there = drive(300).fixes
    back = [replace(f, time=2 * 1300 - f.time) for f in reversed(there[:-1])]
    onward = [Fix(1600 + i / 2, 45 - SPEED * i / 2 * LAT, 10.0) for i in range(1, 601)]
    loop = Recording("loop", {"front": NoPictures(1000, 1900)}, fixes=[*there, *back, *onward])
    assert (589.5, 610.5, "trip end") in seconds(loop, Zones.empty())


def test_near_a_zone_is_dropped_up_to_the_next_good_fixes() -> None:
    """250 m before and behind a point zone nothing is kept, outward to the next good fix."""
    assert seconds(drive(), point(6000)) == [
        (0, 60, "trip end"),
        (60, 287, None),
        (287, 313, "zone"),
        (313, 540, None),
        (540, 600, "trip end"),
    ]


def test_a_larger_distance_drops_more() -> None:
    """The distance can be raised, and only raised."""
    wide = seconds(drive(), point(6000), replace(POLICY, distance_m=1000.0))
    assert (249.5, 350.5, "zone") in wide
    with pytest.raises(InputError, match="below 250"):
        GeofencePolicy(distance_m=249.9)


@pytest.mark.parametrize(
    "wrong", [{"stale_s": float("nan")}, {"ends_m": -1.0}, {"max_speed_m_s": float("inf")}]
)
def test_a_policy_of_nonsense_is_refused(wrong: dict[str, float]) -> None:
    """Numbers that are none, or negative, are InputErrors."""
    with pytest.raises(InputError, match="geofence"):
        GeofencePolicy(**wrong)


def test_a_zone_between_two_fixes_is_seen() -> None:
    """Two fixes 130 m apart, both just outside the distance, do not hide the way between them."""
    zones = Zones([Part("point", (np.array([[10.0 + 247 * LAT / 0.7071, 45 + 6000 * LAT]]),), ())])
    sparse = replace(drive(1200, 1), fixes=[f for f in drive(1200, 1).fixes if f.time % 4 == 2])
    loose = replace(POLICY, stale_s=5.0)
    assert any(why == "zone" for *_, why in seconds(sparse, zones, loose))


def test_no_fix_at_all_keeps_nothing() -> None:
    """Without a position nothing is known, so nothing is kept."""
    blind = replace(drive(), fixes=())
    assert seconds(blind, Zones.empty()) == [(0, 600, "no fix")]
    assert seconds(replace(drive(), fixes=drive().fixes[:1]), Zones.empty())[0][2] == "no fix"


def test_frames_beyond_the_fixes_have_no_fix() -> None:
    """Frames before the first and after the last fix are dropped for want of one."""
    cut = replace(drive(), fixes=drive().fixes[200:-200])
    found = seconds(cut, Zones.empty())
    assert found[0] == (0, 100, "no fix")
    assert found[-1] == (500, 600, "no fix")


def test_a_stale_fix_drops_the_whole_gap() -> None:
    """A gap longer than the limit between two fixes is dropped from one to the other."""
    assert (200, 203, "stale fix") in seconds(without(drive(), 200, 203), Zones.empty())
    assert (200, 230, "no fix") in seconds(without(drive(), 200, 230), Zones.empty())
    assert (60, 540, None) in seconds(without(drive(), 200, 202), Zones.empty())


@pytest.mark.parametrize(
    ("lat", "lon"), [(0.0, 0.0), (float("nan"), 10.0), (45.0, float("inf")), (91.0, 10.0)]
)
def test_a_fix_that_is_none_does_not_bracket(lat: float, lon: float) -> None:
    """0/0, NaN, infinity and out of range are no fixes: a run of them is a gap."""
    spoilt = [
        replace(f, latitude=lat, longitude=lon) if 200 < f.time - 1000 < 210 else f
        for f in drive().fixes
    ]
    assert (200, 210, "stale fix") in seconds(replace(drive(), fixes=spoilt), Zones.empty())


def test_an_impossible_jump_doubts_both_its_ends() -> None:
    """One wild fix drops the seconds up to the second-next fix on either side."""
    wild = [replace(f, longitude=10.5) if f.time - 1000 == 300 else f for f in drive().fixes]
    assert (299, 301, "jump") in seconds(replace(drive(), fixes=wild), Zones.empty())


def test_a_wild_first_fix_does_not_hide_where_the_trip_began() -> None:
    """The trip's ends are also measured from the first and last fix that is believed."""
    still = [
        replace(f, latitude=45.0 + (f.time > 1200) * (f.time - 1200) * 20 * LAT)
        for f in drive().fixes
    ]
    still[0] = replace(still[0], longitude=11.0)
    found = seconds(replace(drive(), fixes=still), Zones.empty())
    assert [row for row in found if row[2] is None] == [(210.5, 540, None)]


def test_a_long_gap_makes_two_trips() -> None:
    """Five minutes without a fix end one trip and begin another; all four ends are cut."""
    first, second = drive(300).fixes, drive(300, start=2000.0).fixes
    both = Recording(
        "two",
        {"front": NoPictures(1000, 2300)},
        fixes=[*first, *(replace(f, longitude=12.0) for f in second)],
    )
    assert seconds(both, Zones.empty()) == [
        (0, 60, "trip end"),
        (60, 240, None),
        (240, 300, "trip end"),
        (300, 1000, "no fix"),
        (1000, 1060, "trip end"),
        (1060, 1240, None),
        (1240, 1300, "trip end"),
    ]


def part(begin: float, end: float, **change: object) -> Recording:
    """The piece of the drive between two seconds of it, as a recording of its own."""
    whole = drive()
    fixes = [f for f in whole.fixes if begin <= f.time - 1000 <= end]
    tracks = {"front": NoPictures(1000 + begin, 1000 + end)}
    return replace(whole, tracks=tracks, fixes=fixes, **change)  # type: ignore[arg-type]


def trips(*recordings: Recording) -> list[Course]:
    """What is known of other recordings."""
    return [trip for each in recordings for trip in trips_of(each, POLICY)]


def test_a_saved_event_is_a_piece_of_its_drive() -> None:
    """Where another recording shows the car going on, the recording's end is not the trip's."""
    event = part(200, 320)
    assert seconds(event, Zones.empty()) == [(200, 320, "trip end")]
    assert seconds(event, Zones.empty(), others=trips(drive(), event)) == [(200, 320, None)]
    late = part(500, 590)
    assert seconds(late, Zones.empty(), others=trips(drive(), late)) == [
        (500, 540, None),
        (540, 590, "trip end"),
    ]


def test_a_drive_in_pieces_is_followed_from_one_to_the_next() -> None:
    """Recordings that follow each other without a gap are one trip, cut at its own ends only."""
    pieces = [part(0, 200), part(200.5, 400), part(400.5, 600)]
    known = trips(*pieces)
    assert seconds(pieces[0], Zones.empty(), others=known)[-1] == (60, 200, None)
    assert seconds(pieces[1], Zones.empty(), others=known) == [(200.5, 400, None)]
    assert seconds(pieces[2], Zones.empty(), others=known)[0] == (400.5, 540, None)


def test_what_does_not_show_the_car_going_on_does_not_count() -> None:
    """A gap in time, another place or another clock: the recording's end stays the trip's."""
    event = part(200, 320)
    elsewhere = replace(drive(), fixes=[replace(f, longitude=11.0) for f in drive().fixes])
    gap = [part(0, 197), part(323, 600)]
    for others in ([elsewhere], gap, [replace(drive(), zoned=True)], [replace(drive(), fixes=())]):
        found = seconds(event, Zones.empty(), others=trips(*others))
        assert found == [(200, 320, "trip end")]


def parked(begin: float, end: float) -> Recording:
    """The drive, standing between two seconds of it, with a receiver that wanders by 10 m."""

    def still(fix: Fix) -> Fix:
        time = fix.time - 1000
        metres = SPEED * (min(time, begin) + max(0.0, time - end))
        metres += 10 * np.sin(time) if begin < time < end else 0
        return replace(fix, latitude=45 + metres * LAT)

    whole = drive(1500)
    return replace(whole, fixes=[still(fix) for fix in whole.fixes])


def test_a_car_that_stands_for_long_has_arrived() -> None:
    """A car that films on while it is parked: the stop ends one trip and begins another."""
    found = seconds(parked(600, 1000), Zones.empty())
    assert [why for *_, why in found] == ["trip end", None, "trip end", None, "trip end"]
    assert found[1] == pytest.approx((60, 540, None), abs=2)
    assert found[3] == pytest.approx((1060, 1440, None), abs=3)
    assert len(seconds(parked(600, 800), Zones.empty())) == 3  # a red light, or a jam


def test_a_stop_in_another_recording_ends_the_trip_too() -> None:
    """An event just before the car parks is cut, though the other recording films on for long."""
    whole = parked(600, 1000)
    fixes = [f for f in whole.fixes if 400 <= f.time - 1000 <= 590]
    event = replace(whole, tracks={"front": NoPictures(1400, 1590)}, fixes=fixes)
    found = seconds(event, Zones.empty(), others=trips(whole, event))
    assert found == [
        (400, pytest.approx(540, abs=2), None),
        (pytest.approx(540, abs=2), 590, "trip end"),
    ]


def test_unsorted_fixes_are_sorted_first() -> None:
    """Fixes out of order give the same answer."""
    mixed = replace(drive(), fixes=list(reversed(drive().fixes)))
    assert seconds(mixed, point(6000)) == seconds(drive(), point(6000))


def test_pieces_below_a_second_are_dropped() -> None:
    """What is left of a span must be worth a clip."""
    decision = keep([Span(1300, 1300.9, ("a",))], drive(), Zones.empty(), POLICY)
    assert decision.kept == ()
    assert [d.reason for d in decision.dropped] == ["too short"]


def test_a_span_keeps_its_tags_in_every_piece() -> None:
    """A span cut in two comes back as two pieces with its tags."""
    decision = keep([Span(1200, 1400, ("a", "b"))], drive(), point(6000), POLICY)
    assert decision.kept == (Span(1200, 1287, ("a", "b")), Span(1313, 1400, ("a", "b")))


def test_a_drive_over_the_antimeridian_is_no_jump() -> None:
    """East over 180 degrees is a drive like any other."""
    lon = [179.95 + i / 2 * SPEED * LAT / 0.7071 for i in range(1201)]
    fixes = [Fix(1000 + i / 2, 45.0, x if x <= 180 else x - 360) for i, x in enumerate(lon)]
    assert seconds(replace(drive(), fixes=fixes), Zones.empty())[1] == (60, 540, None)
