# SPDX-License-Identifier: Apache-2.0
"""Its place puts this folder on the import path, so that tests share ``sealed`` and the like."""

from __future__ import annotations

import pytest

import warm

warm.begin()

_LONGEST = "test_cut_off.py"
_FIRST = ("journeys", "faults", "browser", "interop", "models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that start processes and wait: at the end nobody else would work.

    Before all others the one that takes minutes: there one worker has all of its module, whose
    machines are cut off once, and others take from the far end of what that worker has left.
    """

    def place(item: pytest.Item) -> int:
        if item.path.name == _LONGEST:
            return 0
        return 1 if any(f"tests/{each}/" in str(item.path) for each in _FIRST) else 2

    items.sort(key=place)
