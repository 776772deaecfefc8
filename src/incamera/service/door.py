# SPDX-License-Identifier: Apache-2.0
"""Who may deliver capsules, asked as soon as a header is here and before the rest is read."""

from __future__ import annotations

from incamera.sealing.header import Header
from incamera.service.callers import Callers
from incamera.service.guard import Pool
from incamera.vault import RefusedError

__all__ = ["CarDoor"]


class CarDoor:
    """Cars that the log knows. Whether the capsule itself is taken, the vault decides after."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._looks = Pool(threads=4, waiting=60)

    async def look(self, header: Header, size: int) -> None:
        """``unenrolled``: a key that no car has."""
        del size
        if self._callers.knows_car(header.car_key):
            return
        if not await self._looks.run(self._callers.is_car, header.car_key):
            raise RefusedError("unenrolled", "no car is enrolled with this key")

    def count(self, header: Header, size: int, outcome: Exception | None) -> None:
        """What came of it."""
