# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a state. Each answer is as of the last entry that was applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from incamera import ids
from incamera.errors import IntegrityError
from incamera.ids import Digest, Name
from incamera.ledger.codec import parse_entry
from incamera.ledger.database import Database
from incamera.ledger.entries import (
    AddressesEntry,
    DemandEntry,
    RegionEntry,
    RequestEntry,
    Role,
    SuccessionEntry,
)
from incamera.ledger.rows import (
    Admitted,
    Dataset,
    Declared,
    Demanded,
    Destroyed,
    EpochKey,
    Erased,
    Finding,
    Frozen,
    Granted,
    Party,
    Refused,
    Requested,
    Reshared,
    Succession,
    Withdrawn,
)

__all__ = ["DAY", "Queries"]

DAY = 86_400
"""Seconds; days are counted from 1970-01-01 UTC by witness time."""


def _hex(raw: Any) -> Digest:
    return Digest(bytes(raw).hex())


class Queries:
    """The reading half of a state."""

    #: False for a state of some entries only: what it has not heard of may stand in the log.
    whole = True

    def __init__(self, database: Database) -> None:
        """``database``: with the tables of a state."""
        self._database = database
        self._region: tuple[bytes, RegionEntry] | None = None

    def _meta(self, name: str) -> bytes | None:
        row = self._database.one("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def _number(self, name: str) -> int:
        value = self._meta(name)
        return 0 if value is None else int(value)

    # The log

    @property
    def size(self) -> int:
        """How many entries were applied: the next index."""
        return self._number("size")

    @property
    def time(self) -> int:
        """The latest witness time seen, in POSIX seconds; 0 before the first checkpoint."""
        return self._number("time")

    @property
    def note(self) -> bytes | None:
        """The checkpoint note this state stands under, or None before the first."""
        return self._meta("note")

    def checkpoint(self, size: int) -> tuple[bytes, bytes] | None:
        """The root (32 bytes) and note this state stood under at ``size``, if it ever did."""
        row = self._database.one("SELECT root, note FROM checkpoints WHERE size = ?", size)
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    @property
    def region(self) -> RegionEntry | None:
        """Entry 0, or None before it was read (or if it is bad: then nothing is believed)."""
        data = self._meta("region")
        if data is None:
            return None
        if self._region is None or self._region[0] != data:
            entry = parse_entry(data, "log entry 0")
            assert isinstance(entry, RegionEntry)
            self._region = (data, entry)
        return self._region[1]

    def founded(self) -> int:
        """How many entries found the region: its parties and rules, and no trustee after those."""
        sql = (
            "SELECT since, CASE role WHEN 'trustee' THEN 1 ELSE 0 END FROM parties "
            "UNION SELECT at, 0 FROM epochs UNION SELECT at, 2 FROM documents ORDER BY 1"
        )
        count, trustees, rules = 1, False, False  # the region's own entry
        for at, what in self._database.rows(sql):
            if at != count or (rules and what == 1):
                break
            trustees = trustees or what == 1
            rules = rules or (trustees and what == 2)
            count += 1
        return count

    def stood_after(self, index: int) -> bytes | None:
        """The first note this state stood under that covers entry ``index``, or None.

        Its witness time is the latest at which the entry can have been logged.
        """
        sql = "SELECT note FROM checkpoints WHERE size > ? ORDER BY size LIMIT 1"
        row = self._database.one(sql, index)
        return None if row is None else bytes(row[0])

    def index_of(self, leaf: Digest) -> int | None:
        """Where the entry with leaf hash ``leaf`` first took effect (all types but capsules)."""
        row = self._database.one("SELECT at FROM leaves WHERE leaf = ?", bytes.fromhex(leaf))
        return None if row is None else int(row[0])

    def concerning(
        self, car: str, owner: str, since: int, until: int, *, founded: int, count: int
    ) -> list[int]:
        """Where entries from ``since`` to ``until`` stand that ``car`` of ``owner`` must know of.

        As :func:`incamera.ledger.extract.concerns` says, and in effect; with all of the founding,
        the first ``founded`` entries. Ascending, ``count`` at most.
        """
        who = "role = 'trustee' OR (role = 'car' AND name = ?1) OR (role = 'owner' AND name = ?2)"
        sql = (
            f"SELECT at FROM (SELECT 0 AS at UNION SELECT since FROM parties WHERE {who} "  # noqa: S608
            f"UNION SELECT until FROM parties WHERE {who} UNION SELECT at FROM epochs "
            "UNION SELECT at FROM documents UNION SELECT at FROM destroyed "
            "UNION SELECT at FROM addresses UNION SELECT at FROM withdrawals WHERE owner = ?2 "
            "UNION SELECT since FROM parties WHERE since < ?6) "
            "WHERE at >= ?3 AND at < ?4 ORDER BY at LIMIT ?5"
        )
        rows = self._database.rows(sql, (car, owner, since, until, count, founded))
        return [int(row[0]) for row in rows]

    # Who

    def party(self, role: Role, name: str) -> Party | None:
        """The party as now enrolled; None if unknown or revoked."""
        row = self._database.one(
            "SELECT * FROM parties WHERE role = ? AND name = ? AND until IS NULL",
            role,
            name,
        )
        return None if row is None else Party(*row)

    def party_at(self, role: Role, name: str, at: int) -> Party | None:
        """The party as enrolled when entry ``at`` was logged."""
        row = self._database.one(
            "SELECT * FROM parties WHERE role = ?1 AND name = ?2 AND since < ?3 "
            "AND (until IS NULL OR ?3 < until)",
            *(role, name, at),
        )
        return None if row is None else Party(*row)

    def parties(self, role: Role) -> Iterator[Party]:
        """All now enrolled in ``role``, by name."""
        sql = "SELECT * FROM parties WHERE role = ? AND until IS NULL ORDER BY name"
        return (Party(*row) for row in self._database.rows(sql, (role,)))

    def holder(self, key: bytes, *, at: int | None = None) -> Party | None:
        """Whose signing key ``key`` is now, or was when entry ``at`` was logged."""
        return next((each for each in self.enrolments(key) if each.stood(at)), None)

    def enrolments(self, key: bytes) -> list[Party]:
        """Every enrolment with the signing key ``key``, ended ones too: one party's, always."""
        rows = self._database.rows("SELECT * FROM parties WHERE key = ?", [key])
        return [Party(*row) for row in rows]

    def had(self, key: bytes) -> bool:
        """True if ``key`` is or ever was somebody's signing key, the operator's or the vault's."""
        region = self.region
        if region is not None and key in (region.operator_key, region.vault_key):
            return True
        return self._database.one("SELECT 1 FROM parties WHERE key = ? LIMIT 1", key) is not None

    def opening_holder(self, key: bytes) -> str | None:
        """Whose opening key ``key`` is or was (``reader acme``), or None."""
        row = self._database.one("SELECT holder FROM openings WHERE key = ?", key)
        return None if row is None else str(row[0])

    def epoch(self, trustee: str, epoch: int) -> EpochKey | None:
        """A trustee's opening key by its number."""
        row = self._database.one(
            "SELECT * FROM epochs WHERE trustee = ? AND epoch = ?", trustee, epoch
        )
        return None if row is None else EpochKey(*row)

    def epochs(self, trustee: str, *, at: int | None = None) -> list[EpochKey]:
        """A trustee's opening keys, oldest first; ``at``: only those to seal to at that time."""
        rows = self._database.rows(
            "SELECT * FROM epochs WHERE trustee = ? ORDER BY epoch", (trustee,)
        )
        found = [EpochKey(*row) for row in rows]
        return [e for e in found if at is None or e.not_before <= at <= e.not_after]

    def destroyed(self, trustee: str, epoch: int) -> Destroyed | None:
        """The entry by which a trustee destroyed the key of an epoch, or None."""
        row = self._database.one(
            "SELECT * FROM destroyed WHERE trustee = ? AND epoch = ?", trustee, epoch
        )
        return None if row is None else Destroyed(*row)

    # Passing shares on

    def succession(self, number: int) -> Succession | None:
        """A succession by its number."""
        sql = "SELECT leaf, data, at, time FROM successions WHERE number = ?"
        row = self._database.one(sql, number)
        return None if row is None else self._succession(row)

    def successions(self) -> Iterator[Succession]:
        """Every succession, oldest first."""
        rows = self._database.rows("SELECT leaf, data, at, time FROM successions ORDER BY number")
        return (self._succession(row) for row in rows)

    def _succession(self, row: tuple[Any, ...]) -> Succession:
        entry = parse_entry(bytes(row[1]), f"log entry {row[2]}")
        if not isinstance(entry, SuccessionEntry):
            raise IntegrityError(f"{self._database.where}: row {row[2]} is no succession")
        return Succession(_hex(row[0]), entry, row[2], row[3])

    def reshared(self, succession: int) -> list[Reshared]:
        """Who split its shares for a succession, in log order: the first ones are combined."""
        return self._passings(succession, "reshare")

    def accepted(self, succession: int) -> list[Reshared]:
        """Who of the new set combined its shares, in log order."""
        return self._passings(succession, "accept")

    def _passings(self, succession: int, step: str) -> list[Reshared]:
        rows = self._database.rows(
            "SELECT trustee, file, at FROM passings WHERE succession = ? AND step = ? ORDER BY at",
            (succession, step),
        )
        return [Reshared(row[0], succession, _hex(row[1]), row[2]) for row in rows]

    # What

    def published(self, kind: Literal["policy", "campaign", "zones"], digest: str) -> int | None:
        """The index of the entry that names this document, or None."""
        row = self._database.one(
            "SELECT at FROM documents WHERE kind = ? AND digest = ?", kind, bytes.fromhex(digest)
        )
        return None if row is None else int(row[0])

    def documents(self, kind: Literal["policy", "campaign", "zones"]) -> list[Digest]:
        """The digests of all documents of a kind, in log order."""
        sql = "SELECT digest FROM documents WHERE kind = ? ORDER BY at"
        return [_hex(row[0]) for row in self._database.rows(sql, (kind,))]

    def capsule(self, digest: str) -> Admitted | None:
        """The entry that admitted a capsule (erased since or not)."""
        row = self._database.one(
            "SELECT digest, at, time FROM capsules WHERE digest = ?", bytes.fromhex(digest)
        )
        return None if row is None else Admitted(_hex(row[0]), row[1], row[2])

    def capsules(self) -> Iterator[Admitted]:
        """Every capsule that was admitted, by digest."""
        rows = self._database.rows("SELECT digest, at, time FROM capsules ORDER BY digest")
        return (Admitted(_hex(row[0]), row[1], row[2]) for row in rows)

    def erased(self, digest: str) -> Erased | None:
        """The first erasure of a capsule, or None."""
        row = self._database.one(
            "SELECT digest, at, by, name FROM erasures WHERE digest = ?", bytes.fromhex(digest)
        )
        return None if row is None else Erased(_hex(row[0]), *row[1:])

    def erasures(self) -> Iterator[Erased]:
        """Every erased capsule, by digest."""
        rows = self._database.rows("SELECT digest, at, by, name FROM erasures ORDER BY digest")
        return (Erased(_hex(row[0]), *row[1:]) for row in rows)

    def withdrawals(self) -> list[Withdrawn]:
        """Consents and car keys that owners ended, in log order."""
        sql = "SELECT kind, digest, owner, at FROM withdrawals ORDER BY at, kind, digest"
        rows = self._database.rows(sql)
        return [Withdrawn(row[0], _hex(row[1]), Name(row[2]), row[3]) for row in rows]

    def withdrawn(self, consent: Digest, owner_key: Digest) -> int | None:
        """The entry that took back ``consent`` for what is sealed to ``owner_key``, or None.

        ``owner_key``: digest of an opening key. A withdrawal counts for all keys that its owner
        has or had, and for nobody else's.
        """
        sql = (
            "SELECT w.at, p.opening FROM withdrawals w JOIN parties p ON p.name = w.owner "
            "AND p.role = 'owner' WHERE w.kind = 'consent' AND w.digest = ? ORDER BY w.at"
        )
        rows = self._database.rows(sql, (bytes.fromhex(consent),))
        return next((at for at, key in rows if ids.digest(bytes(key)) == owner_key), None)

    # Reading

    def request(self, leaf: str) -> Requested | None:
        """The request whose leaf hash is ``leaf``."""
        row = self._database.one(
            "SELECT leaf, data, at, time FROM requests WHERE leaf = ?", bytes.fromhex(leaf)
        )
        return None if row is None else self._requested(row)

    def requests(self) -> Iterator[Requested]:
        """Every request, in log order."""
        rows = self._database.rows("SELECT leaf, data, at, time FROM requests ORDER BY at")
        return (self._requested(row) for row in rows)

    def _requested(self, row: tuple[Any, ...]) -> Requested:
        entry = parse_entry(bytes(row[1]), f"log entry {row[2]}")
        if not isinstance(entry, RequestEntry):
            raise IntegrityError(f"{self._database.where}: row {row[2]} is not a request")
        return Requested(_hex(row[0]), entry, row[2], row[3])

    def grants(self, request: str | None = None) -> Iterator[Granted]:
        """Grant entries of one request, or all, in log order."""
        sql = "SELECT trustee, request, capsules, count, at, time FROM grants"
        for row in self._of(sql, request):
            yield Granted(row[0], _hex(row[1]), _hex(row[2]), *row[3:])

    def granted_on(self, trustee: str, reader: str, day: int) -> int:
        """Capsules that ``trustee`` granted ``reader`` on ``day``, as the log has it."""
        row = self._database.one(
            "SELECT COALESCE(SUM(count), 0) FROM grants "
            "WHERE trustee = ? AND reader = ? AND time >= ? AND time < ?",
            trustee,
            reader,
            day * DAY,
            (day + 1) * DAY,
        )
        return int(row[0]) if row else 0

    def refusals(self, request: str | None = None) -> Iterator[Refused]:
        """Refusal entries of one request, or all, in log order."""
        sql = "SELECT trustee, request, code, reason, at FROM refusals"
        for row in self._of(sql, request):
            yield Refused(Name(row[0]), _hex(row[1]), Name(row[2]), row[3], row[4])

    def datasets(self, request: str | None = None) -> Iterator[Dataset]:
        """Dataset entries of one request, or all, in log order."""
        for row in self._of("SELECT reader, request, manifest, at FROM datasets", request):
            yield Dataset(row[0], _hex(row[1]), _hex(row[2]), row[3])

    def _of(self, sql: str, request: str | None) -> Iterator[tuple[Any, ...]]:
        if request is None:
            return self._database.rows(f"{sql} ORDER BY at")
        return self._database.rows(
            f"{sql} WHERE request = ? ORDER BY at", (bytes.fromhex(request),)
        )

    def demands(self) -> Iterator[Demanded]:
        """Demand entries, in log order."""
        for at, data in self._database.rows("SELECT at, data FROM demands ORDER BY at"):
            entry = parse_entry(bytes(data), f"log entry {at}")
            if not isinstance(entry, DemandEntry):
                raise IntegrityError(f"{self._database.where}: row {at} is no demand")
            yield Demanded(entry, at)

    def addresses(self) -> Iterator[Declared]:
        """Every list of addresses that was declared, in log order: the last one counts."""
        for at, data in self._database.rows("SELECT at, data FROM addresses ORDER BY at"):
            entry = parse_entry(bytes(data), f"log entry {at}")
            if not isinstance(entry, AddressesEntry):
                raise IntegrityError(f"{self._database.where}: row {at} is no list of addresses")
            yield Declared(entry, at)

    # What went wrong

    def freezes(self) -> Iterator[Frozen]:
        """Freeze entries, in log order."""
        for row in self._database.rows("SELECT trustee, evidence, at FROM freezes ORDER BY at"):
            yield Frozen(row[0], _hex(row[1]), row[2])

    def findings(self) -> Iterator[Finding]:
        """Entries without effect, in log order."""
        rows = self._database.rows("SELECT at, kind, text FROM findings ORDER BY at")
        return (Finding(*row) for row in rows)
