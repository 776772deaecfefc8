# SPDX-License-Identifier: Apache-2.0
"""``[leader]`` of a log: the database that decides, for several processes that stand ready."""

from __future__ import annotations

from dataclasses import dataclass

from incamera.service.settings_postgres import take_postgres
from incamera.service.toml import Table

__all__ = ["LeaderSettings"]


@dataclass(frozen=True, slots=True)
class LeaderSettings:
    """Which database, for how long without a word the lead is kept, and where we can be asked."""

    database: str  # its URL
    url: str | None  # what clients call this process; None: as it listens
    lease: int  # seconds

    @classmethod
    def take(cls, table: Table) -> LeaderSettings | None:
        """From ``[leader]`` of a log's file; None if it has none."""
        leader = table.optional_table("leader")
        if not leader.names():
            return None
        database = take_postgres(leader, "database")
        url = leader.text("url") if "url" in leader.names() else None
        found = cls(database, url, leader.number("lease", 3, 2, 60))
        leader.done()
        return found
