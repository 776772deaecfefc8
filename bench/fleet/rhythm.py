# SPDX-License-Identifier: Apache-2.0
"""When capsules come: at a steady rate, or in the rhythm of a day in which people drive."""

from __future__ import annotations

import random

__all__ = ["MEAN", "day", "steady"]

MEAN = 200_000 * 20 / 86_400
"""46.3 capsules a second: 200,000 cars, 20 capsules each a day."""

_HOURS: tuple[float, ...] = (0.2, 0.2, 0.2, 0.2, 0.3, 0.6, 1.0, 1.2, 1.1, 1.0, 1.0, 1.1)
_HOURS += (1.2, 1.1, 1.0, 1.0, 1.2, 1.3, 1.2, 1.0, 0.8, 0.6, 0.4, 0.3)
"""How much of the mean comes in each hour, but for the peaks."""

_PEAKS = ((7.5, 8.7), (16.9, 18.1))
"""Two, of 1.2 hours each: a tenth of the day, all cars come home at once."""


def steady(rate: float, seconds: float, seed: int = 1) -> list[float]:
    """Times of arrivals, independent of each other."""
    dice, now, found = random.Random(seed), 0.0, []
    while (now := now + dice.expovariate(rate)) < seconds:
        found.append(now)
    return found


def day(seconds: float, *, mean: float = MEAN, peak: float = 10.0, seed: int = 1) -> list[float]:
    """A whole day pressed into ``seconds``: arrivals at ``mean`` a second, in peaks ``peak`` times.

    The clock runs faster, the cars do not: a second of load is a second of the real day's load.
    """
    dice, now, found = random.Random(seed), 0.0, []
    most = mean * max(peak, *_HOURS)
    while (now := now + dice.expovariate(most)) < seconds:
        hour = 24 * now / seconds
        share = peak if any(a <= hour < b for a, b in _PEAKS) else _HOURS[int(hour)]
        if dice.random() < mean * share / most:
            found.append(now)
    return found
