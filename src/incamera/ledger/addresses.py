# SPDX-License-Identifier: Apache-2.0
"""The list of addresses that a region declared, for the parties that must keep to it.

A party that follows the log takes the newest list that it has read (``state.db``). Before it has
read any, and for a witness, which reads no entries, the list of the founding stands in its folder
(``addresses.json``, an entry's payload). The log itself keeps no state of its entries and looks
through them for this one type: :class:`Scan`.

Who can write to a party's folder can change what it keeps to; the packet filter is for that.
"""

from __future__ import annotations

import contextlib
import ipaddress
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from incamera import durable
from incamera.encoding import base64_bytes, base64_text, canonical, exact_keys, parse_canonical
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, parse_digest
from incamera.ledger.codec import check_entry, decode, entry_payload, parse_entry, parse_int
from incamera.ledger.entries import AddressesEntry, RegionEntry
from incamera.tlog.fetch import FolderFetch
from incamera.tlog.merkle import leaf_hash
from incamera.tlog.policy import Policy
from incamera.tlog.reader import LogReader
from incamera.wire import egress
from incamera.wire.egress import Place

__all__ = ["FILE", "Scan", "declared", "found_under", "hold", "places"]

FILE = "addresses.json"
"""In a party's folder: the list that stood when it took its place."""

_BEGIN = b'{"payload":"' + base64_text(b'{"allowed":[').encode("ascii")
"""How the bytes of an addresses entry begin, and of no other type's: keys are sorted."""
_FAR = 1 << 16  # entries read through until it is noted how far


def places(entry: AddressesEntry) -> tuple[Place, ...]:
    """The list in the form in which connections are held to it."""
    return tuple(
        Place(each.party, each.host, ipaddress.ip_network(each.network), each.port)
        for each in entry.allowed
    )


def found_under(folder: Path, entry: AddressesEntry) -> None:
    """Leave the list of the founding in a party's ``folder``."""
    durable.write(folder / FILE, check_entry(entry), mode=0o600)


def hold(folder: Path) -> None:
    """Hold this process to what the party in ``folder`` has read, whenever it reads on."""
    egress.guard(lambda: declared(folder))


def declared(folder: Path) -> tuple[Place, ...] | None:
    """The newest list that the party in ``folder`` knows; None if it knows of none.

    :class:`UnavailableError` or :class:`IntegrityError` if what it knows cannot be read.
    """
    entry = _from_state(folder / "state.db") or _from_file(folder / FILE)
    return None if entry is None else places(entry)


def _from_state(path: Path) -> AddressesEntry | None:
    """Beside the party's own connection: what was committed, and never a wait for its lock."""
    if not path.exists():
        return None
    sql = "SELECT at, data FROM addresses ORDER BY at DESC LIMIT 1"
    try:
        opened = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=5, uri=True)
        with contextlib.closing(opened) as db:
            there = "SELECT 1 FROM sqlite_schema WHERE name = 'addresses'"
            if db.execute(there).fetchone() is None:
                return None  # of an earlier version: its party refuses it, or reads the log again
            row = db.execute(sql).fetchone()
    except sqlite3.Error as error:
        raise UnavailableError(f"{path}: the list of addresses cannot be read: {error}") from error
    return None if row is None else _entry(bytes(row[1]), f"log entry {row[0]}")


def _from_file(path: Path) -> AddressesEntry | None:
    try:
        return _entry(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be read: {error.strerror}") from error


def _entry(payload: bytes, where: str) -> AddressesEntry:
    entry = parse_entry(payload, where)
    if not isinstance(entry, AddressesEntry):
        raise IntegrityError(f"{where}: not a list of addresses")
    return entry


class Scan:
    """The newest list in a log's own folder, found without a state of all its entries.

    Each entry is looked at once, ever: how far it came, and what it found, is in ``memory``. It
    comes to the same list as :class:`incamera.ledger.State`: signed by the operator of entry 0,
    for that region, the same bytes counting once. Call it to read on; from one thread at a time.
    """

    def __init__(self, public: Path, policy: Policy, memory: Path, floor: Path) -> None:
        """``memory``: a file, made when needed; ``floor``: folder with the founding's list."""
        self._reader = LogReader(FolderFetch(public), policy)
        self._checkpoint = public / "checkpoint"
        self._memory, self._floor = memory, floor
        self._size = self._noted = 0
        self._founding: RegionEntry | None = None
        self._seen: set[Digest] = set()
        self._newest: AddressesEntry | None = None
        self._remember()

    def __call__(self) -> tuple[Place, ...] | None:
        """The list as of the log's published checkpoint; None if it never declared one."""
        if self._checkpoint.exists():
            size = self._reader.checkpoint().checkpoint.size
            if size > self._size:
                self._read(self._reader.entries(self._size, size, size), size)
        entry = self._newest or _from_file(self._floor / FILE)
        return None if entry is None else places(entry)

    def _read(self, entries: Iterable[bytes], size: int) -> None:
        before = self._newest
        for index, data in enumerate(entries, self._size):
            if index == 0 or data.startswith(_BEGIN):
                self._judge(index, data)
        self._size = size
        if self._newest is not before or size - self._noted >= _FAR:
            self._note()

    def _judge(self, index: int, data: bytes) -> None:
        leaf = Digest(leaf_hash(data).hex())
        try:
            signed = decode(data, f"log entry {index}")
            entry = signed.entry
            if index == 0 and isinstance(entry, RegionEntry):
                signed.envelope.verify(entry.operator_key)
                self._founding = entry
            elif isinstance(entry, AddressesEntry) and self._founding and leaf not in self._seen:
                signed.envelope.verify(self._founding.operator_key)
                if entry.region == self._founding.region:
                    self._newest = entry
                    self._seen.add(leaf)
        except (InputError, IntegrityError):
            return  # without effect, as everywhere; an audit names it

    def _note(self) -> None:
        found, newest = self._founding, self._newest
        value = {
            "v": 1,
            "size": self._size,
            "founding": "" if found is None else base64_text(entry_payload(found)),
            "newest": "" if newest is None else base64_text(entry_payload(newest)),
            "seen": sorted(self._seen),
        }
        durable.write(self._memory, canonical(value), mode=0o600)
        self._noted = self._size

    def _remember(self) -> None:
        try:
            data = self._memory.read_bytes()
        except FileNotFoundError:
            return
        where = str(self._memory)
        value = exact_keys(
            parse_canonical(data, where), ("v", "size", "founding", "newest", "seen"), where
        )
        founding, newest = (base64_bytes(value[key], where) for key in ("founding", "newest"))
        found = parse_entry(founding, where) if founding else None
        assert found is None or isinstance(found, RegionEntry)
        self._founding = found
        self._newest = _entry(newest, where) if newest else None
        self._seen = {parse_digest(each, where) for each in value["seen"]}
        self._size = self._noted = parse_int(value["size"], where)
