# SPDX-License-Identifier: Apache-2.0
"""``[database]`` of a vault: the PostgreSQL that vaults share, instead of a file of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from incamera.service.settings_postgres import take_postgres
from incamera.service.toml import Table

if TYPE_CHECKING:
    from incamera.vault import Index

__all__ = ["DatabaseSettings"]

_MOST = 100


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the catalogue is."""

    url: str
    connections: int  # at most, at a time

    @classmethod
    def take(cls, table: Table) -> DatabaseSettings | None:
        """From ``[database]`` of a vault's file; None if it has none."""
        database = table.optional_table("database")
        if not database.names():
            return None
        url = take_postgres(database, "url")
        found = cls(url=url, connections=database.number("connections", 8, 2, _MOST))
        database.done()
        return found

    def open(self) -> Index:
        """The tables, brought up to date; errors as :class:`PostgresIndex` raises them."""
        from incamera.vault.postgres import PostgresIndex

        return PostgresIndex(self.url, connections=self.connections)
