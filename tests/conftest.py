# SPDX-License-Identifier: Apache-2.0
"""Its place puts this folder on the import path, so that tests share ``sealed`` and the like."""

from __future__ import annotations

import os

import pytest

import warm

warm.begin()

_LANES = (
    ("test_cut_off.py", "faults"),
    ("test_url.py", "test_car.py", "browser", "interop", "models"),
    ("journeys",),
)
"""What takes long, in thirds that take about as long: files and folders, in their order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker begins with tests that start processes and wait, and has short ones at its end.

    pytest-xdist deals the list out in equal runs, one for each worker; who is done takes from the
    far end of what another has left, and so nobody waits for a minute's journey begun last.
    """
    lanes: list[list[pytest.Item]] = [[] for _ in _LANES]
    short: list[pytest.Item] = []
    for item in items:
        place = _place(item)
        (short if place is None else lanes[place[0]]).append(item)
    for lane in lanes:
        lane.sort(key=lambda item: _place(item) or (0, 0))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    runs = [[each for lane in lanes[n::workers] for each in lane] for n in range(workers)]
    left = len(items)
    for number, run in enumerate(runs):
        share = left // (workers - number)
        more = max(0, share - len(run)) if number < workers - 1 else len(short)
        run.extend(short[:more])
        del short[:more]
        left -= len(run)
    items[:] = [each for run in runs for each in run]


def _place(item: pytest.Item) -> tuple[int, int] | None:
    """The lane of a test, and where in it."""
    for number, names in enumerate(_LANES):
        for at, name in enumerate(names):
            if name in item.path.parts:
                return number, at
    return None
