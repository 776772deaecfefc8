# SPDX-License-Identifier: Apache-2.0
"""The small parts: thinning, names, the stopwatch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from incamera.errors import InputError
from incamera.ingest import thin
from incamera.ingest.stopwatch import Stopwatch
from incamera.recording.model import Event, Fix, Recording, Telemetry
from incamera.trigger import Span

SPAN = Span(1000.0, 1010.0, ())


def named(*cameras: str) -> Recording:
    """A recording with cameras of these names."""
    return Recording("r", dict.fromkeys(cameras))  # type: ignore[arg-type]


NOW = 1_800_000_000


def hour(time: float, *, zoned: bool = True) -> tuple[str, str]:
    """The hour that is told of a span at ``time``."""
    return thin.hour_of(Recording("r", {}, zoned=zoned), Span(time, time + 1, ()), NOW)


def test_the_hour_is_all_that_is_told_of_a_time() -> None:
    """The hour of a time, whatever the minute, and whose hour it is."""
    assert hour(NOW - 7200.0) == hour(NOW - 7200.0 + 500) == ("2027-01-15T06", "utc")
    assert hour(NOW - 7200.0, zoned=False) == ("2027-01-15T06", "local")


@pytest.mark.parametrize("time", [0.0, 86_400.0, -1e18, float("nan"), float("-inf")])
def test_without_a_date_the_hour_is_that_of_the_ingest(time: float) -> None:
    """A clock that was never set tells nothing, so the present hour is named as such."""
    assert hour(time) == ("2027-01-15T08", "ingest")


@pytest.mark.parametrize("time", [NOW + 86_401.0, 1e18, float("inf")])
def test_a_recording_from_the_future_is_refused(time: float) -> None:
    """A day ahead is a time zone; more is a clock that nobody should believe."""
    with pytest.raises(InputError, match="future"):
        hour(time)


def test_cameras_get_names_that_headers_allow() -> None:
    """Tesla's and ROS-like names become lower-case letters, digits and dashes."""
    names = thin.camera_names(named("front", "left_repeater", "/Camera/Front-Wide/image"))
    assert list(names.values()) == ["front", "left-repeater", "camera-front-wide-image"]


@pytest.mark.parametrize("cameras", [("a_b", "a-b"), ("___",), ("",)])
def test_cameras_that_cannot_be_told_apart_are_refused(cameras: tuple[str, ...]) -> None:
    """Two names that become one, or none, are an InputError."""
    with pytest.raises(InputError):
        thin.camera_names(named(*cameras))


def test_positions_are_rounded_and_thinned() -> None:
    """A fix a second, to three decimals, times from the clip's start."""
    fixes = [Fix(995 + i / 10, 48.13712345, -11.57549, 271.7, 13.37) for i in range(200)]
    found = thin.fixes(Recording("r", {}, fixes=fixes), SPAN)
    assert [fix.time for fix in found] == [float(i) for i in range(10)]
    assert {(f.latitude, f.longitude, f.heading, f.speed) for f in found} == {
        (48.137, -11.575, 272, 13.4)
    }


def test_telemetry_loses_numbers_and_places() -> None:
    """Frame numbers and fixes do not travel; ten samples a second do."""
    at = Fix(0.0, 1.0, 2.0)
    samples = [Telemetry(1000 + i / 36, 1.23456, sequence=i, fix=at) for i in range(360)]
    found = thin.telemetry(Recording("r", {}, telemetry=samples), SPAN)
    assert 80 <= len(found) <= 100
    assert all((t.sequence, t.fix, t.speed) == (0, None, 1.23) for t in found)


def test_events_keep_their_reason_only() -> None:
    """Camera and place of an event stay in the car; a reason is one short printable line."""
    events = [Event(1001.0, "honk\n" * 30, "3", 1.0, 2.0), Event(999.0, "early")]
    (found,) = thin.events(Recording("r", {}, events=events), SPAN)
    assert (found.time, found.camera, found.latitude) == (1.0, None, None)
    assert found.reason == ("honk" * 30)[:64]


def test_a_stage_inside_a_stage_counts_for_itself() -> None:
    """Each moment belongs to the innermost stage; the sum is the whole time."""
    ticks = iter(range(100))
    watch = Stopwatch(lambda: float(next(ticks)))
    with watch.stage("outer"):
        with watch.stage("inner"):
            pass
        with watch.stage("inner"):
            pass
    assert watch.seconds == {"outer": 3.0, "inner": 2.0}


def test_a_stream_is_timed_item_by_item_and_closed() -> None:
    """Only the time to get items counts, and giving up closes the source."""
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    ticks = iter(range(100))
    watch = Stopwatch(lambda: float(next(ticks)))
    stream = watch.each("get", source())
    assert [next(stream), next(stream)] == [0, 1]
    stream.close()
    assert closed == [True]
    assert watch.seconds == {"get": 2.0}
