# SPDX-License-Identifier: Apache-2.0
"""What a vault's server works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incamera.service.callers import Callers
from incamera.service.door import CarDoor
from incamera.service.hands import Hands
from incamera.service.limiting import Budget
from incamera.service.logclient import LogClient
from incamera.service.parts import Parts
from incamera.service.together import Together
from incamera.service.upload import Incoming
from incamera.service.vaults import Vaults

__all__ = ["Keep"]


@dataclass(frozen=True, slots=True)
class Keep:
    """The parts that routes share."""

    vaults: Vaults
    callers: Callers
    log: LogClient
    door: CarDoor
    budget: Budget
    incoming: Incoming
    parts: Parts
    largest: int  # bytes of a capsule
    #: Signed entries on their way into the log, logged as one batch if they come together.
    entries: Together[bytes, int]
    #: The process that admits, if it is not this one.
    hands: Hands | None
    #: For ``GET /region``: the log's URL, and each trustee's.
    urls: Mapping[str, Any]
