# SPDX-License-Identifier: Apache-2.0
"""The examples that the packages' faces show."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["incamera.ledger", "incamera.trustee", "world"])
def test_the_examples_in_the_docstrings_work(name: str) -> None:
    """What a reader of the package's face copies runs as it stands."""
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted >= 3
    assert result.failed == 0
