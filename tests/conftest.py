# SPDX-License-Identifier: Apache-2.0
"""Its place puts this folder on the import path, so that tests share ``sealed`` and the like."""

from __future__ import annotations

import pytest

_FIRST = ("journeys", "faults", "browser", "interop", "models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that start processes and wait: at the end nobody else would work."""
    items.sort(key=lambda item: not any(f"tests/{each}/" in str(item.path) for each in _FIRST))
