# SPDX-License-Identifier: Apache-2.0
"""Who may deliver capsules, asked as soon as a header is here and before the rest is read."""

from __future__ import annotations

from incamera.errors import UnavailableError
from incamera.sealing.header import Header
from incamera.sealing.keys import key_id
from incamera.service.callers import Callers
from incamera.service.guard import Pool
from incamera.service.limiting import Budget
from incamera.vault import RefusedError

__all__ = ["CarDoor"]


class CarDoor:
    """Cars that the log knows, within what each may send. The capsule itself the vault judges."""

    def __init__(self, callers: Callers, budget: Budget) -> None:
        self._callers = callers
        self._budget = budget
        self._looks = Pool(threads=4, waiting=60)

    async def known(self, header: Header) -> None:
        """``unenrolled``, ``revoked``: a key that no car has, or has any more."""
        if self._callers.knows_car(header.car_key):
            return
        if await self._looks.run(self._callers.is_car, header.car_key):
            return
        if await self._looks.run(self._callers.had, header.car_key):
            raise RefusedError("revoked", "the car's key was revoked or replaced")
        raise RefusedError("unenrolled", "no car is enrolled with this key")

    async def look(self, header: Header, size: int) -> None:
        """As :meth:`known`; and count the capsule, :class:`TooManyError` if it is one too many."""
        await self.known(header)
        self._budget.capsule(key_id(header.car_key), size)

    def back(self, header: Header, size: int, outcome: Exception) -> None:
        """A capsule was not admitted: counted all the same, unless that was our fault."""
        if isinstance(outcome, UnavailableError):
            self._budget.back(key_id(header.car_key), size)
