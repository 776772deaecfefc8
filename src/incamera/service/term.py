# SPDX-License-Identifier: Apache-2.0
"""The lead of a log, as one session of PostgreSQL has it.

Who holds the advisory lock of the log's name leads. The lock belongs to the session, and the
server ends a session that says nothing for the length of the lease: of a process that was killed,
stopped, or cut off, whatever its own clock or kernel thinks of it. With each lead the fence, a
number in the table ``incamera_log``, grows by one, and every decision names it. It begins at the
seconds of the day the row is made, so that it is none of before where a row had to be made again::

    origin | fence | size | root | leader | since

A tree is decided by one UPDATE that finds the row as it was left, under this fence, over the
session that holds the lock. It is committed, on disk, when it is answered; where the answer is lost
the session is given up, and the next lead reads what was decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from incamera.clock import monotonic
from incamera.errors import Error, UnavailableError
from incamera.tlog.storage import Tree

__all__ = ["Session", "Term", "open_session"]

_TABLE = """
CREATE TABLE IF NOT EXISTS incamera_log (
    origin text PRIMARY KEY,
    fence bigint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    leader text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
)"""
_THERE = "SELECT to_regclass('incamera_log') IS NOT NULL AS there"
_LOCK = "SELECT pg_try_advisory_lock($1) AS held"
_LEADER = "SELECT leader FROM incamera_log WHERE origin = $1"
_BEGIN = """
UPDATE incamera_log SET fence = fence + 1, leader = $2, since = now() WHERE origin = $1
RETURNING fence, size, root"""
_ADOPT = """
INSERT INTO incamera_log (origin, fence, size, root, leader)
VALUES ($1, extract(epoch FROM now())::bigint, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING fence"""
_DECIDE = """
UPDATE incamera_log SET size = $5, root = $6
WHERE origin = $1 AND fence = $2 AND size = $3 AND root = $4 AND size < $5 RETURNING fence"""
_CHECK = """
SELECT fence FROM incamera_log WHERE origin = $1 AND fence = $2 AND size = $3 AND root = $4"""

_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    ValueError,
)


class Session:
    """One connection; after any failure it is over, and with it what it held."""

    def __init__(self, connection: asyncpg.Connection, seconds: float) -> None:
        self._connection: Any = connection
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        #: When the server answered last. Read by any thread.
        self._heard = monotonic()
        self.over = asyncio.Event()
        # A process that slept past its lease learns of it here, not when it asks next: until then
        # it would take what is meant for who leads by now.
        connection.add_termination_listener(lambda _: self.over.set())

    async def ask(self, sql: str, *values: object) -> Any:
        """The first row; :class:`UnavailableError`, and the session is over, if that fails."""
        async with self._turn:
            if self.over.is_set():
                raise _lost()
            try:
                async with asyncio.timeout(self._seconds):
                    row = await self._connection.fetchrow(sql, *values)
            except BaseException as error:
                self.end()
                if isinstance(error, Exception):
                    raise _silent(error) from error
                raise
            self._heard = monotonic()
            return row

    def fresh(self) -> bool:
        """True if the server answered so lately that it cannot have ended the session by itself."""
        return not self.over.is_set() and monotonic() - self._heard < self._seconds / 2

    def ask_now(self, sql: str, *values: object) -> Any:
        """As :meth:`ask`, for another thread."""
        try:
            asked = self.ask(sql, *values)
            waiting = asyncio.run_coroutine_threadsafe(asked, self._loop)
        except RuntimeError as error:  # the loop has ended
            asked.close()
            raise _lost() from error
        try:
            return waiting.result(2 * self._seconds)
        except TimeoutError as error:
            self._loop.call_soon_threadsafe(self.end)
            raise _silent(error) from error

    def end(self) -> None:
        """Cut the connection: what was being asked may have been done, or not."""
        self.over.set()
        self._connection.terminate()

    async def beat(self) -> None:
        """Say a word often enough, until the session is over."""
        with contextlib.suppress(UnavailableError):
            while True:
                await self.ask("SELECT 1")
                await asyncio.sleep(self._seconds / 3)

    async def elected(self, origin: str) -> bool:
        """True if this session now holds the lock of ``origin``."""
        name = hashlib.sha256(b"incamera log " + origin.encode()).digest()
        row = await self.ask(_LOCK, int.from_bytes(name[:8], signed=True))
        return row is not None and bool(row["held"])

    async def leader(self, origin: str) -> str | None:
        """Where the last to lead can be asked."""
        there = await self.ask(_THERE)
        row = await self.ask(_LEADER, origin) if there and there["there"] else None
        return None if row is None else str(row["leader"])


@contextlib.asynccontextmanager
async def open_session(database: str, seconds: float) -> AsyncIterator[Session]:
    """A session that the server ends after ``seconds`` without a word.

    :class:`UnavailableError`, which names no address or password, if there is none to be had.
    """
    lease = f"{round(1000 * seconds)}ms"
    settings = {
        "application_name": "incamera log",
        "idle_session_timeout": lease,  # PostgreSQL 14
        "idle_in_transaction_session_timeout": lease,
        "statement_timeout": lease,
        "synchronous_commit": "on",
    }
    try:
        connection = await asyncpg.connect(database, timeout=seconds, server_settings=settings)
    except Error:  # an address that is not the region's: an OSError too, and no outage
        raise
    except _ERRORS as error:
        raise _silent(error) from error
    session = Session(connection, seconds)
    try:
        yield session
        if not session.over.is_set():
            with contextlib.suppress(*_ERRORS):
                await connection.close(timeout=seconds)
    finally:
        session.end()


class Term:
    """One lead: an :class:`incamera.tlog.deciding.Lead`. Its calls block; not for the loop."""

    def __init__(self, session: Session, fence: int, tree: Tree) -> None:
        self._session = session
        self.fence = fence
        self._tree = tree

    @classmethod
    async def begin(cls, session: Session, origin: str, leader: str) -> Term | None:
        """Grow the fence; None where no tree of this log was decided yet. With the lock held."""
        there = await session.ask(_THERE)
        if not (there and there["there"]):
            await session.ask(_TABLE)
        row = await session.ask(_BEGIN, origin, leader)
        if row is None:
            return None
        return cls(session, row["fence"], Tree(origin, row["size"], bytes(row["root"])))

    @classmethod
    def adopt(cls, session: Session, tree: Tree, leader: str) -> Term:
        """The first lead of a log, which decided ``tree`` alone. With the lock held."""
        row = session.ask_now(_ADOPT, tree.origin, tree.size, tree.root, leader)
        if row is None:
            raise _lost()
        return cls(session, row["fence"], tree)

    @property
    def tree(self) -> Tree:
        """What was decided last."""
        return self._tree

    def decide(self, old: Tree, new: Tree) -> None:
        """The compare-and-swap; after a failure the lead is over."""
        before = (old.origin, self.fence, old.size, old.root)
        if (
            old.origin != new.origin
            or self._session.ask_now(_DECIDE, *before, new.size, new.root) is None
        ):
            raise self._over()
        self._tree = new

    def look(self, tree: Tree) -> None:
        """Believes the last answer of the session for half a lease: nobody leads before a whole."""
        if tree != self._tree or not self._session.fresh():
            self.check(tree)

    def check(self, tree: Tree) -> None:
        """Asks for the row."""
        if self._session.ask_now(_CHECK, tree.origin, self.fence, tree.size, tree.root) is None:
            raise self._over()

    def _over(self) -> UnavailableError:
        self._session._loop.call_soon_threadsafe(self._session.end)
        return _lost()


def _lost() -> UnavailableError:
    return UnavailableError(
        "this log does not lead any more", hint="ask again: another takes over, or this one again"
    )


def _silent(error: Exception) -> UnavailableError:
    kind = type(error).__name__
    said = getattr(error, "sqlstate", None) or getattr(error, "errno", None)
    return UnavailableError(
        f"the database that decides who leads does not answer ({kind}{f' {said}' if said else ''})",
        hint="see that PostgreSQL (14 or later) runs and that [leader] database is right",
    )
