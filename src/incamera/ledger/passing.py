# SPDX-License-Identifier: Apache-2.0
"""What the entries about keys that end, and shares that pass on, mean and do.

The other half of :mod:`incamera.ledger.fold`: ``sense`` functions raise for an entry that must
have no effect, ``write`` functions write.
"""

from __future__ import annotations

from collections import Counter

from incamera.errors import InputError
from incamera.ids import digest
from incamera.ledger.codec import check_entry
from incamera.ledger.database import Database
from incamera.ledger.entries import (
    AcceptEntry,
    DemandEntry,
    DestroyEntry,
    ReshareEntry,
    Seat,
    SuccessionEntry,
)
from incamera.ledger.queries import Queries

__all__ = [
    "accept_sense",
    "destroy_sense",
    "reshare_sense",
    "succession_sense",
    "write_demand",
    "write_destroy",
    "write_passing",
    "write_succession",
]


def destroy_sense(state: Queries, entry: DestroyEntry, where: str) -> None:
    """Only a key that was announced can be said to be gone."""
    known = state.epoch(entry.trustee, entry.epoch)
    if known is None or digest(known.key) != entry.key:
        raise InputError(f"{where}: {entry.trustee} announced no such key for epoch {entry.epoch}")


def succession_sense(state: Queries, entry: SuccessionEntry, where: str) -> None:
    """The new set can open together, no country can open alone, and every seat has a key."""
    last = max((each.entry.number for each in state.successions()), default=0)
    if entry.number != last + 1:
        raise InputError(f"{where}: succession {entry.number}, but {last + 1} comes next")
    if entry.source >= entry.number:
        raise InputError(f"{where}: passes on shares of succession {entry.source}, a later one")
    if not 2 <= entry.threshold <= len(entry.seats):
        raise InputError(f"{where}: {entry.threshold} of {len(entry.seats)} is no threshold")
    countries = Counter(_country(state, seat, where) for seat in entry.seats)
    country, most = countries.most_common(1)[0]
    if most >= entry.threshold:
        raise InputError(f"{where}: {country} alone would have {most} of {entry.threshold} shares")


def _country(state: Queries, seat: Seat, where: str) -> str:
    party = state.party("trustee", seat.trustee)
    if party is None:
        raise InputError(f"{where}: no trustee {seat.trustee} is enrolled")
    if state.epoch(seat.trustee, seat.epoch) is None or state.destroyed(seat.trustee, seat.epoch):
        raise InputError(f"{where}: {seat.trustee} has no key for epoch {seat.epoch}")
    return party.country


def reshare_sense(state: Queries, entry: ReshareEntry, where: str) -> None:
    """The succession stands in the log, and the signer may hold shares that it passes on."""
    source = _succession(state, entry.succession, where).source
    if source == 0:
        return  # who holds shares that cars sealed stands in each capsule's header
    if entry.trustee not in {seat.trustee for seat in _succession(state, source, where).seats}:
        raise InputError(f"{where}: {entry.trustee} has no seat in succession {source}")


def accept_sense(state: Queries, entry: AcceptEntry, where: str) -> None:
    """The signer has a seat, and somebody dealt to it."""
    succession = _succession(state, entry.succession, where)
    if entry.trustee not in {seat.trustee for seat in succession.seats}:
        raise InputError(f"{where}: {entry.trustee} has no seat in succession {entry.succession}")
    if len(state.reshared(entry.succession)) < 2:
        raise InputError(f"{where}: fewer than two trustees passed their shares on")


def _succession(state: Queries, number: int, where: str) -> SuccessionEntry:
    found = state.succession(number)
    if found is None:
        raise InputError(f"{where}: no succession {number} stands in the log before")
    return found.entry


def write_demand(db: Database, e: DemandEntry, _leaf: str, index: int, _time: int) -> bool:
    """Keep a demand; each entry counts, none replaces another."""
    db.run("INSERT INTO demands VALUES (?, ?, ?)", index, e.reference, check_entry(e))
    return True


def write_destroy(db: Database, e: DestroyEntry, _leaf: str, index: int, time: int) -> bool:
    """Note the end of a key, once."""
    sql = "INSERT OR IGNORE INTO destroyed VALUES (?, ?, ?, ?)"
    return db.run(sql, e.trustee, e.epoch, index, time) == 1


def write_succession(db: Database, e: SuccessionEntry, leaf: str, index: int, time: int) -> bool:
    """Keep a succession."""
    values = (e.number, bytes.fromhex(leaf), check_entry(e), index, time)
    db.run("INSERT INTO successions VALUES (?, ?, ?, ?, ?)", *values)
    return True


def write_passing(
    db: Database, e: ReshareEntry | AcceptEntry, _leaf: str, index: int, _time: int
) -> bool:
    """Keep who dealt and who accepted, each once for a succession."""
    file = bytes.fromhex(e.dealing if isinstance(e, ReshareEntry) else e.commitments)
    sql = "INSERT OR IGNORE INTO passings VALUES (?, ?, ?, ?, ?)"
    return db.run(sql, e.succession, e.type, e.trustee, file, index) == 1
