# SPDX-License-Identifier: Apache-2.0
"""The world every trustee test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from world import World, quick_folder


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own for each test."""
    with quick_folder() as folder:
        yield World(folder)
