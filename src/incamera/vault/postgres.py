# SPDX-License-Identifier: Apache-2.0
"""The vault's tables in PostgreSQL: for any number of vaults at once.

Each batch of admissions holds a lock of the database under a number of its own (an advisory lock
of its connection: gone when that process dies), which its rows in ``begun`` carry. Who meets such
a row waits for that lock, and then knows: the row is gone and the log has the capsule, or who
began it is dead. What the log says is written by one vault at a time, who holds the row ``read``.

asyncpg at first hand, not by SQLAlchemy: half the work of an admission's rows would be the
toolkit's. One event loop has a thread of its own; the vault's threads wait for it.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it has no types
from sqlalchemy.exc import SQLAlchemyError

from incamera.errors import Error, UnavailableError
from incamera.ids import Digest
from incamera.vault import queries
from incamera.vault.index import Begun, Book, Facts, Row, Standing, Status, Wanted, row_of
from incamera.vault.loop import Loop
from incamera.vault.migrations.run import migrate

__all__ = ["PostgresIndex"]

T = TypeVar("T")

_SECONDS = 30.0
"""For an answer of the database, waiting for others' locks included."""
_SETTINGS = {
    "application_name": "incamera-vault",
    # Every look has its index: a plan made while a table was small must not outlive that.
    "enable_seqscan": "off",
    "jit": "off",
    # One that stands still in the middle of writing rows holds up the others no longer than this.
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": "20s",
    # A machine that is gone lets go of what it holds within half a minute.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_PATIENCE = "3s"
"""With another vault that holds what is to be resumed: it needs a fraction of that."""
_DOWN = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was lost in the middle of a word
    SQLAlchemyError,
    OSError,
    TimeoutError,
)


class PostgresIndex:
    """The database at a URL. See :class:`incamera.vault.index.Index`."""

    def __init__(self, url: str, *, connections: int = 8) -> None:
        """``url``: ``postgresql://user@host/name``; its tables are made, or brought up to date.

        ``connections``: at most, at a time. :class:`UnavailableError` if it does not answer, and
        :class:`InputError` if a newer program has been there.
        """
        self._where = f"the database at {url.rsplit('@', 1)[-1].partition('?')[0]}"
        self._held = threading.local()
        self._loop = Loop("catalogue")
        try:
            self._pool = self._run(self._open, url, connections)
        except BaseException:
            self._loop.close()
            raise

    async def _open(self, url: str, connections: int) -> asyncpg.Pool:
        await migrate(url)
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=connections,
            timeout=_SECONDS,
            command_timeout=_SECONDS,
            server_settings=_SETTINGS,
        )

    def _run(self, ask: Callable[..., Awaitable[Any]], *values: Any) -> Any:
        try:
            return self._loop.run(ask, *values)
        except Error:  # an address that is not the region's: an OSError too, and no outage
            raise
        except _DOWN as error:
            raise self._down(error) from error

    def _down(self, error: BaseException) -> UnavailableError:
        said = str(error).split("\n", 1)[0] or type(error).__name__
        return UnavailableError(
            f"{self._where} cannot be used: {said:.200}",
            hint="see that PostgreSQL runs and lets this vault in; nothing was lost, try again",
        )

    async def _acquire(self) -> Any:
        return await self._pool.acquire(timeout=_SECONDS)

    def _fetch(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = self._run(self._pool.fetch, sql, *values)
        return found

    @property
    def read(self) -> int:
        """How many log entries the tables know."""
        return int(self._fetch("SELECT value FROM marks WHERE name = 'read'")[0][0])

    @contextlib.contextmanager
    def accounting(self) -> Iterator[Book]:
        """The only writer, of all vaults, of what the log says."""
        connection, read = self._run(self._account)
        try:
            book = _Book(self._run, connection, read)
            yield book
            self._run(_close, connection, book.read)
        except BaseException:
            with contextlib.suppress(Error):  # a connection that is lost has forgotten already
                self._run(connection.execute, "ROLLBACK")
            raise
        finally:
            self._let_go(connection)

    async def _account(self) -> tuple[Any, int]:
        connection = await self._acquire()
        try:
            await connection.execute(queries.ACCOUNT)
            return connection, int(await connection.fetchval(queries.READ))
        except BaseException:
            await self._pool.release(connection)
            raise

    def _let_go(self, connection: Any) -> None:
        """Nobody waits for that: whoever wants what it locks waits for the lock."""
        self._loop.spawn(self._pool.release, connection)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Nothing to hold: the other vaults go on."""
        yield False

    @contextlib.contextmanager
    def _holding(self, ask: Callable[..., Awaitable[T]], *values: Any) -> Iterator[T]:
        """What ``ask`` finds by a connection; what it locks is let go with that."""
        connection, found = self._run(self._asked, ask, *values)
        self._held.connection = connection
        try:
            yield found
        finally:
            self._held.connection = None
            self._let_go(connection)

    async def _asked(self, ask: Callable[..., Awaitable[T]], *values: Any) -> tuple[Any, T]:
        connection = await self._acquire()
        try:
            return connection, await ask(connection, *values)
        except BaseException:
            await self._pool.release(connection)
            raise

    @contextlib.contextmanager
    def begin(self, capsules: Sequence[Begun], now: int) -> Iterator[Sequence[Standing]]:
        """One transaction, behind a lock under a new number."""
        with self._holding(_begin, capsules, now) as found:
            yield found

    @contextlib.contextmanager
    def resume(
        self, names: Collection[Digest], *, wait: bool = True
    ) -> Iterator[Mapping[Digest, bytes | None]]:
        """Take the locks of those who began them, in order; look what is left."""
        with self._holding(_resume, _raw(names), wait) as found:
            yield found

    def held(self) -> None:
        """The locks are those of a connection that lives."""
        connection = getattr(self._held, "connection", None)
        try:
            lost = connection is None or connection.is_closed()
        except asyncpg.InterfaceError:
            lost = True  # the pool took it back already
        if lost:
            raise UnavailableError(f"{self._where} was lost meanwhile", hint="try again")

    def give_up(self, names: Collection[Digest]) -> None:
        """Forget that these were begun."""
        self._fetch("DELETE FROM begun WHERE digest = ANY($1)", _raw(names))

    def begun_before(self, time: int, count: int) -> list[Digest]:
        """What was begun at or before ``time``, oldest first."""
        sql = "SELECT digest FROM begun WHERE began <= $1 ORDER BY began, digest LIMIT $2"
        return [Digest(row[0].hex()) for row in self._fetch(sql, time, count)]

    def due(self, until: int, count: int) -> list[Digest]:
        """What had expired by ``until``, the oldest first."""
        sql = (
            "SELECT digest FROM capsules WHERE expires > 0 AND expires <= $1 "
            "ORDER BY expires, digest LIMIT $2"
        )
        return [Digest(row[0].hex()) for row in self._fetch(sql, until, count)]

    def owners_of(self, keys: Collection[Digest]) -> Mapping[Digest, str]:
        """The owners whose opening keys have these digests."""
        rows = self._fetch("SELECT key, name FROM owners WHERE key = ANY($1)", _raw(keys))
        return {Digest(key.hex()): name for key, name in rows}

    def statuses(self, names: Collection[Digest]) -> Mapping[Digest, Status]:
        """What the log says of these capsules."""
        rows = self._fetch(
            "SELECT digest, status FROM capsules WHERE digest = ANY($1)", _raw(names)
        )
        return {Digest(name.hex()): status for name, status in rows}

    def get(self, name: Digest) -> Row | None:
        """The row of a capsule."""
        rows = self._fetch(queries.ROW, bytes.fromhex(name))
        return row_of(rows[0]) if rows else None

    def page(self, wanted: Wanted, count: int, *, after: str = "", skip: int = 0) -> list[Row]:
        """Rows by hour, then digest."""
        sql, values = queries.page(wanted, count, after, skip)
        return [row_of(row) for row in self._fetch(sql, *values)]

    def close(self) -> None:
        """Let go of the connections."""
        with contextlib.suppress(Error):
            self._run(self._pool.close)
        self._loop.close()


class _Book:
    """Within one transaction that holds the row ``read``."""

    def __init__(self, run: Callable[..., Any], connection: Any, read: int) -> None:
        self._run = run
        self._connection = connection
        #: Nobody else changes it meanwhile; written with the commit.
        self._read = read

    def _do(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = self._run(self._connection.fetch, sql, *values)
        return found

    @property
    def read(self) -> int:
        return self._read

    def set_read(self, size: int) -> None:
        self._read = size

    def add_owner(self, key: Digest, name: str) -> None:
        sql = "INSERT INTO owners VALUES ($1, $2) ON CONFLICT DO NOTHING"
        self._do(sql, bytes.fromhex(key), name)

    def owner_of(self, key: Digest) -> str | None:
        rows = self._do("SELECT name FROM owners WHERE key = $1", bytes.fromhex(key))
        return rows[0][0] if rows else None

    def keep(self, places: Mapping[Digest, int]) -> set[Digest]:
        if not places:
            return set()
        moved = self._do(queries.KEEP, _raw(places), list(places.values()))
        return {Digest(row[0].hex()) for row in moved}

    def store(self, facts: Facts, at: int) -> None:
        name = bytes.fromhex(facts.name)
        self._do("DELETE FROM capsules WHERE digest = $1 AND status <> 'erased'", name)
        self._do(queries.STORE, name, facts.capsule_id, at, *facts.values)

    def lose(self, name: Digest, at: int) -> None:
        self._do(queries.LOSE, bytes.fromhex(name), at)

    def erase(self, name: Digest, at: int | None) -> None:
        raw = bytes.fromhex(name)
        self._do(queries.UNMAKE, raw)
        if at is not None:
            self._do(queries.ERASE, raw, at)


async def _close(connection: Any, read: int) -> None:
    await connection.execute("UPDATE marks SET value = $1 WHERE name = 'read'", read)
    await connection.execute("COMMIT")


def _raw(names: Collection[Digest]) -> list[bytes]:
    return [bytes.fromhex(name) for name in names]


async def _begin(connection: Any, capsules: Sequence[Begun], now: int) -> list[Standing]:
    """What each is; see :meth:`Index.begin`. Sorted by id, so that no two wait for each other."""
    batch = secrets.randbits(62)
    await connection.execute("SELECT pg_advisory_lock($1)", batch)
    ordered = sorted(capsules, key=lambda each: each.facts.capsule_id)
    rows = [
        (bytes.fromhex(each.facts.name), each.facts.capsule_id, each.entry, *each.facts.values)
        for each in ordered
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    names, ids = columns[:2]
    async with connection.transaction():
        fresh = {row[0] for row in await connection.fetch(queries.BEGIN, batch, now, *columns)}
        # Two statements: the second one sees what was committed while the first one waited.
        said = await connection.fetch(queries.THERE, names, ids)
        begun = await connection.fetch(queries.BEGUN, names, ids)
        found = [_standing(each, fresh, said, begun) for each in capsules]
        gone = [
            bytes.fromhex(each.facts.name)
            for each, standing in zip(capsules, found, strict=True)
            if standing.what != "fresh" and bytes.fromhex(each.facts.name) in fresh
        ]
        if gone:
            await connection.execute("DELETE FROM begun WHERE digest = ANY($1)", gone)
    return found


def _standing(
    begun: Begun, fresh: set[bytes], said: Sequence[Any], others: Sequence[Any]
) -> Standing:
    name, capsule_id = bytes.fromhex(begun.facts.name), begun.facts.capsule_id
    for digest, its_id in said:
        if digest == name and begun.entry is not None:
            return Standing("there")
        if digest != name and its_id == capsule_id:
            return Standing("twin", Digest(digest.hex()))
    if name in fresh:
        return Standing("fresh")
    for digest, its_id in others:
        if digest != name and its_id == capsule_id:
            return Standing("twin", Digest(digest.hex()))
    # Begun by another, or just finished: who resumes it will see.
    return Standing("met")


async def _resume(
    connection: Any, names: Sequence[bytes], wait: bool
) -> dict[Digest, bytes | None]:
    left = "SELECT digest, entry, batch FROM begun WHERE digest = ANY($1)"
    batches = sorted({row[2] for row in await connection.fetch(left, names)})
    if wait:
        # Until the connection is given back, which resets it.
        await connection.execute(f"SET lock_timeout = '{_PATIENCE}'")
        for batch in batches:
            await connection.execute("SELECT pg_advisory_lock($1)", batch)
        mine = set(batches)
    else:
        sql = "SELECT pg_try_advisory_lock($1)"
        mine = {batch for batch in batches if await connection.fetchval(sql, batch)}
    rows = await connection.fetch(left, names)
    return {Digest(row[0].hex()): row[1] for row in rows if row[2] in mine}
