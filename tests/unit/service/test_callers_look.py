# SPDX-License-Identifier: Apache-2.0
"""Who is unknown may be new: nobody is called unenrolled before the log was asked again."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from incamera.errors import UnavailableError
from incamera.service.callers import Callers


class _Log:
    """Follows when it is let; a car is enrolled as soon as the log was read."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.began = threading.Event()
        self.looks = 0

    def follow(self) -> None:
        self.began.set()
        self.let.wait(10)
        self.looks += 1


@pytest.fixture
def callers() -> tuple[Callers, _Log]:
    """Callers over a log that is read by hand."""
    log = _Log()
    made: Any = object.__new__(Callers)
    made._follower, made._looking = log, threading.Lock()
    made._waiting, made._never = threading.BoundedSemaphore(4), threading.Event()
    made._looked, made._failed, made._cars = -1.0, None, {}
    made._known = lambda key: ("car", "car-7") if log.looks else None
    return made, log


def test_a_car_that_is_new_is_found_though_another_call_is_looking_at_this_moment(
    callers: tuple[Callers, _Log],
) -> None:
    """All that come at once are answered by looks that began after them."""
    made, log = callers
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(made.is_car(b"k"))) for _ in range(4)]
    for each in threads:
        each.start()
    assert log.began.wait(5)
    log.let.set()
    for each in threads:
        each.join(10)
    assert found == [True] * 4
    assert log.looks <= 2


def test_more_than_a_few_that_wait_are_told_to_ask_again_and_not_that_they_are_unenrolled(
    callers: tuple[Callers, _Log],
) -> None:
    """A car takes 403 for final, and 503 for later."""
    made, log = callers
    threads = [threading.Thread(target=made.is_car, args=(b"k",)) for _ in range(4)]
    for each in threads:
        each.start()
    assert log.began.wait(5)
    while made._waiting._value:
        pass
    with pytest.raises(UnavailableError, match="looked up"):
        made.is_car(b"another")
    log.let.set()
    for each in threads:
        each.join(10)


def test_a_log_that_does_not_answer_is_told_to_all_who_waited_for_the_look(
    callers: tuple[Callers, _Log],
) -> None:
    """Not that they are unenrolled."""
    made, log = callers

    def away() -> None:
        raise UnavailableError("the log does not answer")

    log.follow = away  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="does not answer"):
        made.is_car(b"k")
