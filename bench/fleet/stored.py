# SPDX-License-Identifier: Apache-2.0
"""How many bytes a capsule takes, where."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no types

from bench.fleet.fleet import Ready

__all__ = ["stored"]


def stored(ready: Ready) -> dict[str, int]:
    """Bytes on disk now: of the log as it is published, the vault's reading of it, the catalogue.

    ``blobs``: 0 where they lie in a bucket.
    """
    home = ready.region.home
    found = {
        "log": sum(_sizes(home.public)),
        "state": sum(_sizes(home.vault, "state.db*")),
        "blobs": sum(_sizes(home.vault / "blobs")),
        "catalogue": sum(_sizes(home.vault, "index.db*")),
    }
    if ready.plan.postgres:
        found["catalogue"] = asyncio.run(_database(ready.engines["postgres"].url))
    return found


def _sizes(folder: Path, pattern: str = "**/*") -> Iterator[int]:
    for path in folder.glob(pattern):
        if path.is_file():
            yield 512 * path.stat().st_blocks


async def _database(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        asked = "SELECT coalesce(pg_total_relation_size(to_regclass('capsules')), 0)"
        return int(await connection.fetchval(asked))
    finally:
        await connection.close()
