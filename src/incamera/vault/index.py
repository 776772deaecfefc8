# SPDX-License-Identifier: Apache-2.0
"""The seam to the vault's tables: what is being admitted, and what the log says of capsules.

Two engines stand behind it, :class:`incamera.vault.sqlite.SqliteIndex` for one machine and
:class:`incamera.vault.postgres.PostgresIndex` for any number of vaults. ``begun`` holds what some
vault is taking in, from before its blob is written until the log shows it; ``capsules`` and
``owners`` say nothing that log and blobs do not, and are made again from them. A row is

* ``pending``: begun, its entry made; whether that entry is in the log is not known yet;
* ``kept``: in the log, and stored;
* ``lost``: in the log, but its blob is missing or damaged, without an erasure;
* ``erased``: an erasure stands in the log; nothing but the digest is left here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from incamera.errors import InputError
from incamera.ids import Digest, Name, parse_digest, parse_name
from incamera.sealing.header import Header, parse_hour

__all__ = [
    "COLUMNS",
    "LONGEST_PAGE",
    "Begun",
    "Book",
    "Facts",
    "Index",
    "Row",
    "Standing",
    "Status",
    "Wanted",
    "parse_cursor",
    "row_of",
]

Status = Literal["pending", "kept", "lost", "erased"]

LONGEST_PAGE = 1_000
"""Rows that are in memory at a time."""

COLUMNS = (
    "digest, status, at, owner, vehicle, hour, duration, expires, bytes, cameras, tags, purposes"
)
"""Of a row, as :func:`row_of` takes them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a row says of a capsule, beside its place in the log."""

    name: Digest
    capsule_id: bytes
    owner: str | None
    vehicle: str
    hour: str
    duration: int  # seconds
    expires: int  # POSIX seconds
    size: int  # bytes of the capsule file
    cameras: str  # JSON list, as the next two
    tags: str
    purposes: str

    @classmethod
    def of(cls, name: Digest, header: Header, size: int, owner: str | None) -> Facts:
        """From a header that was checked; ``owner`` as the log has it."""
        lists = (json.dumps(each) for each in (header.cameras, header.tags, header.purposes))
        return cls(
            *(name, header.capsule_id, owner, str(header.vehicle), header.hour),
            *(header.duration, header.expires, size),
            *lists,
        )

    @property
    def values(self) -> tuple[Any, ...]:
        """From ``owner`` on, in the order of the tables' columns."""
        return (
            *(self.owner or "", self.vehicle, self.hour, self.duration, self.expires, self.size),
            *(self.cameras, self.tags, self.purposes),
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """A capsule about to be stored, with the log entry to append; None: the log has one."""

    facts: Facts
    entry: bytes | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a :class:`Begun`."""

    what: Literal["fresh", "met", "there", "twin"]
    """``fresh``: ours to append. ``met``: begun before, by us or another vault, and not finished.
    ``there``: the log has it already. ``twin``: another capsule has its id."""
    twin: Digest | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One capsule, for a list. What an erasure took is empty or 0."""

    digest: Digest
    status: Status
    index: int | None
    """Of its entry in the log; None while pending."""
    owner: str
    vehicle: str
    hour: str
    duration: int  # seconds
    expires: int  # POSIX seconds
    bytes: int  # of the capsule file
    cameras: tuple[Name, ...]
    tags: tuple[Name, ...]
    purposes: tuple[Name, ...]

    @property
    def cursor(self) -> str:
        """Where a list goes on after this row."""
        return f"{self.hour}.{self.digest}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: all, or those that match. ``since``, ``until``: hours, inclusive.

    What no row could have is refused (:class:`InputError`): an empty list would say that there is
    nothing, where only the question was wrong.
    """

    status: Status | None = None
    since: str | None = None
    until: str | None = None
    owner: str | None = None
    camera: str | None = None
    tag: str | None = None
    purpose: str | None = None

    def __post_init__(self) -> None:
        for where, hour in (("since", self.since), ("until", self.until)):
            if hour is not None:
                parse_hour(hour, where)
        for where in ("owner", "camera", "tag", "purpose"):
            if (name := getattr(self, where)) is not None:
                parse_name(name, where)
        if self.since is not None and self.until is not None and self.until < self.since:
            raise InputError(f"until: {self.until} is before since, {self.since}")

    @property
    def having(self) -> list[tuple[str, str]]:
        """Columns with lists, and what they must contain."""
        asked = (("cameras", self.camera), ("tags", self.tag), ("purposes", self.purpose))
        return [(column, value) for column, value in asked if value is not None]

    @property
    def bounds(self) -> list[tuple[str, str]]:
        """Conditions that each take one value."""
        asked = (("hour >=", self.since), ("hour <=", self.until), ("owner =", self.owner))
        return [(condition, value) for condition, value in asked if value is not None]


class Book(Protocol):
    """The tables while one vault, and no other, writes down what the log says."""

    @property
    def read(self) -> int:
        """How many log entries the tables know."""
        ...

    def set_read(self, size: int) -> None:
        """Everything up to log size ``size`` is in the tables."""
        ...

    def add_owner(self, key: Digest, name: str) -> None:
        """The opening key with digest ``key`` is or was the owner ``name``'s."""
        ...

    def owner_of(self, key: Digest) -> str | None:
        """The owner whose opening key has the digest ``key``."""
        ...

    def keep(self, places: Mapping[Digest, int]) -> set[Digest]:
        """Make begun capsules with these log indices ``kept``; which of them were begun."""
        ...

    def store(self, facts: Facts, at: int) -> None:
        """The capsule is stored, and its entry stands at ``at`` in the log; unless it is erased."""
        ...

    def lose(self, name: Digest, at: int) -> None:
        """The capsule is in the log at ``at`` but not stored; unless it is erased."""
        ...

    def erase(self, name: Digest, at: int | None) -> None:
        """Forget all but the digest; ``at``: the capsule's own entry, None if it has none."""
        ...


class Index(Protocol):
    """The tables. For any number of threads; :class:`UnavailableError` while they cannot be used.

    INVARIANT, by which any number of vaults may share them: who appends a capsule's entry to the
    log holds that capsule by :meth:`begin` or :meth:`resume`, and nobody else does.
    """

    @property
    def read(self) -> int:
        """How many log entries the tables know."""
        ...

    def accounting(self) -> AbstractContextManager[Book]:
        """The only writer of what the log says; all of it is kept, or, on an error, nothing."""
        ...

    def alone(self) -> AbstractContextManager[bool]:
        """Keep other processes from writing, where the engine can; True if it can."""
        ...

    def begin(
        self, capsules: Sequence[Begun], now: int
    ) -> AbstractContextManager[Sequence[Standing]]:
        """Rows of capsules (no name twice), durable on entering; hold those that are fresh.

        ``now``: POSIX seconds. Refused twins leave no row. :class:`UnavailableError` on leaving
        never means that what was done within was not done.
        """
        ...

    def resume(
        self, names: Collection[Digest], *, wait: bool = True
    ) -> AbstractContextManager[Mapping[Digest, bytes | None]]:
        """Hold what was begun and not finished, once nobody else does; its entries that stand.

        Only of what is still begun then. Without ``wait`` only of what nobody holds.
        """
        ...

    def held(self) -> None:
        """:class:`UnavailableError` unless what this thread holds is still held."""
        ...

    def give_up(self, names: Collection[Digest]) -> None:
        """Forget that these were begun; only of what the caller holds."""
        ...

    def begun_before(self, time: int, count: int) -> list[Digest]:
        """What was begun at or before ``time`` and is not finished, oldest first."""
        ...

    def due(self, until: int, count: int) -> list[Digest]:
        """What the log has, not erased, that had expired by ``until``: at most ``count``."""
        ...

    def owners_of(self, keys: Collection[Digest]) -> Mapping[Digest, str]:
        """The owners whose opening keys have these digests."""
        ...

    def statuses(self, names: Collection[Digest]) -> Mapping[Digest, Status]:
        """What the log says of these capsules; nothing of those that are only begun."""
        ...

    def get(self, name: Digest) -> Row | None:
        """The row of a capsule."""
        ...

    def page(self, wanted: Wanted, count: int, *, after: str = "", skip: int = 0) -> list[Row]:
        """Rows by hour, then digest, at most ``count``, after the cursor ``after``."""
        ...

    def close(self) -> None:
        """Let go of the tables."""
        ...


def parse_cursor(cursor: str) -> tuple[str, bytes]:
    """Hour and digest of a :attr:`Row.cursor`; :class:`InputError` if it is none."""
    hour, _, name = cursor.rpartition(".")
    try:
        if hour:  # an erased row has none
            parse_hour(hour, "hour")
        return hour, bytes.fromhex(parse_digest(name, "digest"))
    except InputError as error:
        raise InputError(f"not a place in a list: {cursor!r:.120}") from error


def row_of(row: Sequence[Any]) -> Row:
    """From the values of :data:`COLUMNS`."""
    digest, status, at, owner, vehicle, hour, duration, expires, size, *lists = row
    cameras, tags, purposes = (tuple(json.loads(each)) for each in lists)
    return Row(
        Digest(bytes(digest).hex()),
        status,
        at,
        owner or "",
        vehicle or "",
        hour or "",
        duration or 0,
        expires or 0,
        size,
        cameras,
        tags,
        purposes,
    )
