# SPDX-License-Identifier: Apache-2.0
"""The region as the agent reaches it. The command line brings one that goes over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from incamera.ledger.state import State
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy

__all__ = ["Link"]


class Link(Protocol):
    """One region. Nothing that comes over it is believed unchecked."""

    policy: Policy
    """Pinned: whom this car believes about the log."""

    @property
    def state(self) -> State:
        """The log as this car read it last, however long ago."""
        ...

    @property
    def fetch(self) -> Fetch:
        """Public files beside the log, unchecked; :class:`UnavailableError` where offline."""
        ...

    def follow(self) -> int:
        """Read the log to its present checkpoint; its witness time.

        :class:`UnavailableError` where offline, :class:`IntegrityError` for a log that lies.
        """
        ...

    def admit(self, path: Path) -> bytes:
        """Deliver a capsule, as :data:`incamera.ingest.Admit` says; goes on where it stopped."""
        ...
