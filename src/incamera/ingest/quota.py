# SPDX-License-Identifier: Apache-2.0
"""How much the spool may hold, and what goes from it when it is full.

What is unwanted goes first, the oldest first: what nobody would take or open any more (its time is
over, the vault refused it for good, its consent was withdrawn), and then, if there must be room,
clips that no trigger asked for but chance (``sample``). A triggered clip that was not sent stays,
and ingest waits, unless the owner of the disk says otherwise; whatever goes, it is said first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from incamera.errors import UnavailableError
from incamera.sealing.header import Header

__all__ = ["FINAL", "FullError", "Quota", "sampled"]

FINAL = frozenset(
    (
        *("wrong-region", "excluded", "consent-missing", "consent-withdrawn"),
        *("expired", "retention", "duplicate"),
    )
)
"""Refusals that no time and no operator mends: asking again changes nothing."""

_SAMPLE = frozenset(("sample",))


class FullError(UnavailableError):
    """There is no room for another capsule: ingest waits until some were sent."""


def sampled(header: Header) -> bool:
    """True for a clip that only chance asked for."""
    return set(header.tags) <= _SAMPLE


def _wanted(header: Header) -> str | None:
    del header
    return None


@dataclass(frozen=True, slots=True)
class Quota:
    """The room that a spool has."""

    limit: int = 1 << 62
    """Bytes of all capsules that wait."""
    free: int = 0
    """Bytes that must stay free on the spool's disk."""
    drop_triggered: bool = False
    """Whether, rather than wait, the oldest triggered clip may go unsent."""
    unwanted: Callable[[Header], str | None] = _wanted
    """Why a capsule is unwanted, in words, as the log has it now; None if it is not."""

    def lacks(self, spool: Path, used: int, more: int) -> str | None:
        """Why ``more`` bytes have no room beside the ``used`` ones, in words; None if they do."""
        if used + more > self.limit:
            return f"{used} bytes wait in it, {more} would come, and {self.limit} are allowed"
        try:
            free = shutil.disk_usage(spool).free
        except OSError as error:
            raise UnavailableError(f"{spool}: cannot be measured: {error.strerror}") from error
        if free - more < self.free:
            return f"its disk has {free} bytes left, {more} would go, and {self.free} must stay"
        return None
