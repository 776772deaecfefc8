# SPDX-License-Identifier: Apache-2.0
"""The vault's chore of destroying what has expired, once an hour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from incamera.clock import Clock
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.service.journal import Journal
from incamera.service.vaults import Vaults
from incamera.tlog import LogReader
from incamera.vault.retention import expire, over

__all__ = ["retiring"]


def retiring(
    vaults: Vaults, reader: LogReader, home: Path, key: SigningKey, clock: Clock, journal: Journal
) -> Callable[[], None]:
    """The chore of the vault in ``home``, whose key signs. To be called as often as one likes.

    ``reader``: of its log, where witness time goes on even if nothing is logged.
    """
    done = 0

    def retire() -> None:
        """Nothing until the hour by which capsules expire has changed; then all that is due."""
        nonlocal done
        writer = vaults.writer  # opens the vault, and with it the state of the log
        state = State(home / "state.db")
        try:
            Follower(reader, state, clock).follow()
            if over(state, clock) > done:
                found = expire(writer, state, key, clock)
                done = found.until
                if found.capsules:
                    journal.say("expired", capsules=found.capsules, entries=len(found.entries))
        finally:
            state.close()

    return retire
