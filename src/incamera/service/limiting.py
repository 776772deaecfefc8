# SPDX-License-Identifier: Apache-2.0
"""How much one caller may ask: sliding windows by ``limits``, over counters that stay small.

The library's own memory store looks at every caller's every window each 10 ms (200,000 cars have
800,000 of them), and one for a moving window keeps an entry for each byte of cost. Here a window
is two numbers a caller, of this hour or day and of the one before, and leaves as a whole.

Callers stand in it by Python's hash of their key, SipHash under a secret of this process: 64 bits
instead of a text of some 90. Of 200,000 cars two would share a budget once in 10^9 starts.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour
from limits.storage.base import SlidingWindowCounterSupport, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from incamera.clock import Clock
from incamera.service.answers import TooLargeError, TooManyError
from incamera.service.settings_limits import LimitSettings

__all__ = ["Budget", "Windows"]


_Counters = dict[int, int]


class Windows(Storage, SlidingWindowCounterSupport):
    """Counters by key, for windows that begin at multiples of their length."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        """``clock``: seconds are enough."""
        super().__init__()
        self._clock = clock
        self._turn = threading.Lock()
        #: Length of the window -> its number, and the counters of the one before and of it.
        self._counts: dict[int, tuple[int, _Counters, _Counters]] = {}

    def _at(self, expiry: int) -> tuple[int, _Counters, _Counters]:
        """Seconds into the present window, and the two counters. Under ``_turn``."""
        number, into = divmod(self._clock.now(), expiry)
        then, before, now = self._counts.get(expiry, (number, {}, {}))
        if number != then:
            before, now = (now if number == then + 1 else {}), {}
        self._counts[expiry] = (number, before, now)
        return into, before, now

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count ``amount`` unless that is past ``limit``; a negative amount is given back."""
        with self._turn:
            into, before, now = self._at(expiry)
            who = hash(key)
            count = before.get(who, 0) * (expiry - into) / expiry + now.get(who, 0)
            if amount > 0 and count + amount > limit:
                return False
            now[who] = max(0, now.get(who, 0) + amount)
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Counter and seconds left of the window before, and of the present one."""
        with self._turn:
            into, before, now = self._at(expiry)
            who = hash(key)
            return before.get(who, 0), expiry - into, now.get(who, 0), 2 * expiry - into

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget ``key``."""
        with self._turn:
            for counter in self._at(expiry)[1:]:
                counter.pop(hash(key), None)

    def after(self, key: str, item: RateLimitItem, cost: int) -> int:
        """Seconds until ``cost`` fits, if nothing else is counted."""
        expiry = item.get_expiry()
        before, left, now, _ = self.get_sliding_window(key, expiry)
        over = before * left / expiry + now + cost - item.amount
        if before and over * expiry / before <= left:
            return max(1, math.ceil(over * expiry / before))
        over = now + cost - item.amount  # when this window is the one before
        return max(1, math.ceil(left + (over * expiry / now if now and over > 0 else 0)))

    # What other strategies than ours would ask.

    @property
    def base_exceptions(self) -> type[Exception]:
        """It raises none."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in the present window; its counter."""
        self.acquire_sliding_window_entry(key, 1 << 62, expiry, amount)
        return self.get_sliding_window(key, expiry)[2]

    def get(self, key: str) -> int:
        """The counters of all present windows."""
        return sum(now.get(hash(key), 0) for _, _, now in self._counts.values())

    def get_expiry(self, key: str) -> float:
        """When the first present window that counts ``key`` ends."""
        ends = [e - self._clock.now() % e for e, v in self._counts.items() if hash(key) in v[2]]
        return self._clock.now() + min(ends, default=0)

    def check(self) -> bool:
        """It is there."""
        return True

    def reset(self) -> int | None:
        """Forget everybody."""
        self._counts.clear()
        return None

    def clear(self, key: str) -> None:
        """Forget ``key``."""
        for expiry in list(self._counts):
            self.clear_sliding_window(key, expiry)


class Budget:
    """What a car, or a party, may use of the vault, in this process."""

    def __init__(self, limits: LimitSettings, clock: Clock) -> None:
        self._windows = Windows(clock)
        self._strategy = SlidingWindowCounterRateLimiter(self._windows)
        self._capsules = (
            (RateLimitItemPerHour(limits.capsules_per_hour, 1, "capsules"), "capsules in an hour"),
            (RateLimitItemPerDay(limits.capsules_per_day, 1, "capsules"), "capsules in a day"),
        )
        self._bytes = (
            (RateLimitItemPerHour(limits.bytes_per_hour, 1, "bytes"), "bytes in an hour"),
            (RateLimitItemPerDay(limits.bytes_per_day, 1, "bytes"), "bytes in a day"),
        )
        self._texts = ((RateLimitItemPerHour(limits.texts_per_hour, 1, "texts"), "texts an hour"),)
        self._text_bytes = (
            (RateLimitItemPerDay(limits.text_bytes_per_day, 1, "texts"), "bytes of texts a day"),
        )

    def capsule(self, car: str, size: int) -> None:
        """Count a capsule of ``size`` bytes; :class:`TooManyError` if it is one too many."""
        self._take(car, (*((each, 1) for each in self._capsules), *self._sized(size)))

    def back(self, car: str, size: int) -> None:
        """Give back what :meth:`capsule` counted: that it failed was not the car's doing."""
        for (item, _), cost in (*((each, 1) for each in self._capsules), *self._sized(size)):
            self._strategy.hit(item, car, cost=-cost)

    def text(self, party: str, size: int) -> None:
        """Count a text of ``size`` bytes beside the log; errors as :meth:`capsule`."""
        sized = ((each, size) for each in self._text_bytes)
        self._take(party, (*((each, 1) for each in self._texts), *sized))

    def _sized(self, size: int) -> list[tuple[tuple[RateLimitItem, str], int]]:
        return [(each, size) for each in self._bytes]

    def _take(self, who: str, costs: Sequence[tuple[tuple[RateLimitItem, str], int]]) -> None:
        """All or nothing."""
        taken: list[tuple[RateLimitItem, int]] = []
        for (item, means), cost in costs:
            if cost > item.amount:
                error: TooLargeError | TooManyError = TooLargeError(
                    f"more than this vault ever takes of one caller: {item.amount} {means}"
                )
            elif self._strategy.hit(item, who, cost=cost):
                taken.append((item, cost))
                continue
            else:
                after = self._windows.after(item.key_for(who), item, cost)
                error = TooManyError(
                    f"this caller had its {item.amount} {means}", after, hint=f"wait {after} s"
                )
            for done, back in taken:
                self._strategy.hit(done, who, cost=-back)
            raise error
