# SPDX-License-Identifier: Apache-2.0
"""Vaults over either engine: an SQLite file, and a database of its own in a real PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import Engine, postgres
from incamera.vault.postgres import PostgresIndex
from incamera.vault.sqlite import SqliteIndex
from vaults import Shared, fresh_database
from world import World, quick_folder

__all__ = ["Shared"]


@pytest.fixture(scope="session")
def server() -> Iterator[Engine]:
    """One PostgreSQL for all; that its disk is fast is nobody's claim here."""
    with postgres(options=["fsync=off"]) as engine:
        yield engine


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest) -> Iterator[Shared]:
    """A region of its own, over either engine."""
    with quick_folder() as folder, contextlib.ExitStack() as stack:
        yield _shared(request, request.param, folder, stack)


@pytest.fixture
def on_postgres(request: pytest.FixtureRequest) -> Iterator[Shared]:
    """A region of its own, over PostgreSQL."""
    with quick_folder() as folder, contextlib.ExitStack() as stack:
        yield _shared(request, "postgres", folder, stack)


def _shared(
    request: pytest.FixtureRequest, kind: str, folder: Path, stack: contextlib.ExitStack
) -> Shared:
    if kind == "sqlite":
        return Shared(World(folder), lambda: SqliteIndex(folder / "index.db"), stack)
    url = fresh_database(request.getfixturevalue("server"))
    return Shared(World(folder), lambda: PostgresIndex(url, connections=4), stack)
