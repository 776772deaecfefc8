# SPDX-License-Identifier: Apache-2.0
"""``[leader]`` of a log: the database that decides, for several processes that stand ready."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from incamera.errors import InputError
from incamera.service.toml import Table

__all__ = ["LeaderSettings"]


@dataclass(frozen=True, slots=True)
class LeaderSettings:
    """Which database, for how long without a word the lead is kept, and where we can be asked."""

    database: str  # may hold a password: never shown
    url: str | None  # what clients call this process; None: as it listens
    lease: int  # seconds

    @classmethod
    def take(cls, table: Table) -> LeaderSettings | None:
        """From ``[leader]`` of a log's file; None if it has none."""
        leader = table.optional_table("leader")
        if not leader.names():
            return None
        database = leader.text("database")
        try:
            scheme = urlsplit(database).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("postgresql", "postgres"):
            raise InputError(
                f"{leader.where('database')}: not the URL of a PostgreSQL",
                hint='for example "postgresql://incamera@db.example.org/incamera"',
            )
        url = leader.text("url") if "url" in leader.names() else None
        found = cls(database, url, leader.number("lease", 3, 2, 60))
        leader.done()
        return found

    def __repr__(self) -> str:
        return f"LeaderSettings(url={self.url!r}, lease={self.lease})"
