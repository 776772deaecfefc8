# SPDX-License-Identifier: Apache-2.0
"""Spans of time worth keeping, and why."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds ``start <= t < end`` of a recording's clock, and the triggers that asked for them."""

    start: float
    end: float
    tags: tuple[str, ...]  # sorted, distinct trigger names
