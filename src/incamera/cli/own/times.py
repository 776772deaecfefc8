# SPDX-License-Identifier: Apache-2.0
"""Times for people."""

from __future__ import annotations

import datetime

__all__ = ["day", "minute"]


def day(time: int) -> str:
    """POSIX seconds as ``2026-11-22``; as a number where no calendar has it."""
    return _shown(time, "%Y-%m-%d")


def minute(time: int) -> str:
    """POSIX seconds as ``2026-11-22 14:05 UTC``."""
    return _shown(time, "%Y-%m-%d %H:%M UTC")


def _shown(time: int, form: str) -> str:
    try:
        return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return str(time)
