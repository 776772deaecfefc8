# SPDX-License-Identifier: Apache-2.0
"""How much one caller may ask, in windows that slide."""

from __future__ import annotations

import sys

import pytest
from limits import RateLimitItemPerHour

from incamera.clock import FixedClock
from incamera.service.answers import TooLargeError, TooManyError
from incamera.service.limiting import Budget, Windows
from incamera.service.settings_limits import LimitSettings

HOUR, DAY = 3_600, 86_400
START = DAY * 20_000


def test_so_many_in_an_hour_and_then_with_time_more() -> None:
    """The hour is the last one: half of what the hour before had counts in its middle."""
    clock = FixedClock(START)
    budget = Budget(LimitSettings(capsules_per_hour=10), clock)
    for _ in range(10):
        budget.capsule("a", 1)
    with pytest.raises(TooManyError) as caught:
        budget.capsule("a", 1)
    assert HOUR < caught.value.after <= 2 * HOUR
    budget.capsule("b", 1)  # another car is not the first's trouble
    clock.advance(caught.value.after)
    budget.capsule("a", 1)
    clock.advance(HOUR // 2)
    for _ in range(4):
        budget.capsule("a", 1)


def test_the_time_that_is_told_is_enough() -> None:
    """Whoever waits as long as it was told is served, and a second before it was not."""
    clock = FixedClock(START + 1234)
    budget = Budget(LimitSettings(bytes_per_hour=1000), clock)
    budget.capsule("a", 900)
    for _ in range(20):
        try:
            budget.capsule("a", 300)
        except TooManyError as error:
            clock.advance(error.after)
            budget.capsule("a", 300)
        clock.advance(61)


def test_bytes_count_and_what_can_never_fit_is_too_large() -> None:
    """413 instead of a wait that would have no end; what failed by our fault is given back."""
    clock = FixedClock(START)
    budget = Budget(LimitSettings(bytes_per_hour=1000, capsules_per_hour=2), clock)
    with pytest.raises(TooLargeError):
        budget.capsule("a", 1001)
    for _ in range(5):
        budget.capsule("a", 1000)
        budget.back("a", 1000)
    budget.capsule("a", 600)
    for _ in range(5):  # refused for its bytes: its place among the capsules is not used up
        with pytest.raises(TooManyError, match="bytes in an hour"):
            budget.capsule("a", 600)
    budget.capsule("a", 400)
    with pytest.raises(TooManyError, match="capsules in an hour"):
        budget.capsule("a", 0)


def test_a_day_ends_too() -> None:
    """Within the hour's limit, past the day's."""
    clock = FixedClock(START)
    budget = Budget(LimitSettings(capsules_per_hour=5, capsules_per_day=8), clock)
    for _ in range(8):
        budget.capsule("a", 1)
        clock.advance(HOUR)
    with pytest.raises(TooManyError, match="capsules in a day"):
        budget.capsule("a", 1)


def test_texts_beside_the_log_are_counted_by_themselves() -> None:
    """Their number and their bytes."""
    budget = Budget(LimitSettings(texts_per_hour=2, text_bytes_per_day=100), FixedClock(START))
    budget.text("reader acme", 60)
    with pytest.raises(TooManyError, match="bytes of texts"):
        budget.text("reader acme", 60)
    budget.text("reader acme", 10)
    with pytest.raises(TooManyError, match="texts an hour"):
        budget.text("reader acme", 10)


def test_a_window_that_is_over_leaves_as_a_whole() -> None:
    """200,000 cars are two numbers each, and none of them after two hours."""
    clock = FixedClock(START)
    windows, item = Windows(clock), RateLimitItemPerHour(10)
    for number in range(1000):
        assert windows.acquire_sliding_window_entry(item.key_for(f"{number:064}"), 10, HOUR)
    seven = item.key_for(f"{7:064}")
    assert windows.get(seven) == windows.incr(seven, HOUR) - 1
    assert windows.get_expiry(seven) == START + HOUR
    _, before, now = windows._counts[HOUR]
    assert sys.getsizeof(now) + sum(map(sys.getsizeof, now)) < 1000 * 100
    clock.advance(2 * HOUR)
    windows.acquire_sliding_window_entry(item.key_for("x"), 10, HOUR)
    _, before, now = windows._counts[HOUR]
    assert (len(before), len(now)) == (0, 1)
    windows.clear(item.key_for("x"))
    assert windows.get(item.key_for("x")) == 0
    windows.reset()
    assert windows.check()
