# SPDX-License-Identifier: Apache-2.0
"""Apply what is missing of the steps, once, however many vaults start at this moment."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]  # it has no types
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from incamera.errors import InputError

__all__ = ["migrate"]

_LOCK = 0x494E434C
"""Of the database, for as long as steps are looked at and applied ("INCL")."""


async def migrate(url: str) -> None:
    """Bring the database at ``url`` (``postgresql://``) to the newest step of this program.

    :class:`InputError` if a newer program has been there. Errors of the database as they come.
    """
    # The URL is asyncpg's to read, as for the pool: SQLAlchemy understands other options in it.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "incamera.vault:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        known = ScriptDirectory.from_config(config).get_current_head()
        raise InputError(
            f"the database has tables of a newer incamera than this one ({known}): {error}",
            hint="use the newer incamera, for all vaults of the database",
        ) from error
