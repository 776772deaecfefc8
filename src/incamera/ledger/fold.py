# SPDX-License-Identifier: Apache-2.0
"""One entry's effect on a state: was it the signer's to say, and what follows from it.

``check`` only reads and raises :class:`InputError` or :class:`IntegrityError` for an entry that
must have no effect; ``write`` only writes. An entry is judged by the keys that stood when it was
logged, so the verdict is the same for everybody who reads the log in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest
from incamera.ledger import passing, rights
from incamera.ledger.codec import Signed, entry_payload
from incamera.ledger.database import Database
from incamera.ledger.entries import (
    AcceptEntry,
    AddressesEntry,
    CampaignEntry,
    CapsuleEntry,
    DatasetEntry,
    DemandEntry,
    DestroyEntry,
    Entry,
    EpochEntry,
    ErasureEntry,
    FreezeEntry,
    GrantEntry,
    PartyEntry,
    PolicyEntry,
    RefusalEntry,
    RegionEntry,
    RequestEntry,
    ReshareEntry,
    RevokeEntry,
    Role,
    SuccessionEntry,
    WithdrawEntry,
    ZonesEntry,
)
from incamera.ledger.queries import Queries

__all__ = ["check", "write"]

_BY_TRUSTEE = (
    EpochEntry,
    GrantEntry,
    RefusalEntry,
    FreezeEntry,
    DestroyEntry,
    ReshareEntry,
    AcceptEntry,
)


def check(state: Queries, signed: Signed, index: int) -> None:
    """Raise unless ``signed`` verifies under the key that may say this, and makes sense."""
    entry, where = signed.entry, signed.envelope.where
    signed.envelope.verify(_signer(state, entry, index, where))
    if (sense := _SENSE.get(type(entry))) is not None:
        sense(state, entry, where)


def _signer(state: Queries, entry: Entry, index: int, where: str) -> bytes:
    """The key that must have signed ``entry``."""
    if isinstance(entry, RegionEntry):
        if index != 0:
            raise InputError(f"{where}: a log is founded once, by entry 0")
        return entry.operator_key
    region = state.region
    if region is None:
        raise InputError(f"{where}: this log has no valid region entry at 0: nothing is believed")
    if entry.region != region.region:
        raise InputError(f"{where}: for region {entry.region}, but this is {region.region}'s log")
    if isinstance(entry, CapsuleEntry):
        return region.vault_key
    if isinstance(entry, (RequestEntry, DatasetEntry)):
        return _party_key(state, "reader", entry.reader, where)
    if isinstance(entry, _BY_TRUSTEE):
        return _party_key(state, "trustee", entry.trustee, where)
    if isinstance(entry, WithdrawEntry):
        return _party_key(state, "owner", entry.owner, where)
    if isinstance(entry, ErasureEntry) and entry.by != "operator":
        by_vault = entry.by == "vault"
        return region.vault_key if by_vault else _party_key(state, "owner", entry.name, where)
    return region.operator_key


def _party_key(state: Queries, role: Role, name: str, where: str) -> bytes:
    party = state.party(role, name)
    if party is None:
        raise IntegrityError(f"{where}: no {role} {name or '(no name)'} is enrolled")
    return party.key


# Does it make sense?


def _region_sense(_state: Queries, entry: RegionEntry, where: str) -> None:
    if entry.operator_key == entry.vault_key:
        raise InputError(f"{where}: operator and vault must not share a key")


def _party_sense(state: Queries, entry: PartyEntry, where: str) -> None:
    """One key, one party: else one signer could count as two, or return after a revocation."""
    now = state.party(entry.role, entry.name)
    if (now is None or now.key != entry.key) and state.had(entry.key):
        raise InputError(f"{where}: the signing key of {entry.role} {entry.name} was used before")
    _opening_is_new(state, entry.opening, f"{entry.role} {entry.name}", where)
    if entry.role in ("car", "trustee") and entry.opening:
        raise InputError(f"{where}: a {entry.role} has no opening key in its enrolment")


def _revoke_sense(state: Queries, entry: RevokeEntry, where: str) -> None:
    if state.party(entry.role, entry.name) is None:
        raise InputError(f"{where}: no {entry.role} {entry.name} is enrolled")


def _epoch_sense(state: Queries, entry: EpochEntry, where: str) -> None:
    if entry.not_before >= entry.not_after:
        raise InputError(f"{where}: the epoch ends before it begins")
    if state.epoch(entry.trustee, entry.epoch) is not None:
        raise InputError(f"{where}: {entry.trustee} has a key for epoch {entry.epoch} already")
    _opening_is_new(state, entry.key, f"trustee {entry.trustee} epoch {entry.epoch}", where)


def _opening_is_new(state: Queries, key: bytes, holder: str, where: str) -> None:
    if key and state.opening_holder(key) not in (None, holder):
        raise InputError(f"{where}: the opening key of {holder} is somebody else's already")


def _answer_sense(
    state: Queries, entry: GrantEntry | RefusalEntry | DatasetEntry, where: str
) -> None:
    request = state.request(entry.request)
    if request is None:
        raise InputError(f"{where}: no request {entry.request[:16]}... stands in the log before")
    if isinstance(entry, DatasetEntry) and request.entry.reader != entry.reader:
        raise InputError(f"{where}: that request was {request.entry.reader}'s")


def _erasure_sense(_state: Queries, entry: ErasureEntry, where: str) -> None:
    if entry.by != "owner" and entry.name:
        raise InputError(f"{where}: an erasure by the {entry.by} names no owner")


_SENSE: dict[type[Entry], Callable[[Queries, Any, str], None]] = {
    RegionEntry: _region_sense,
    PartyEntry: _party_sense,
    RevokeEntry: _revoke_sense,
    EpochEntry: _epoch_sense,
    GrantEntry: _answer_sense,
    RefusalEntry: _answer_sense,
    DatasetEntry: _answer_sense,
    ErasureEntry: _erasure_sense,
    DestroyEntry: passing.destroy_sense,
    SuccessionEntry: passing.succession_sense,
    ReshareEntry: passing.reshare_sense,
    AcceptEntry: passing.accept_sense,
    WithdrawEntry: rights.withdraw_sense,
}


# What follows from it


def write(database: Database, signed: Signed, leaf: Digest, index: int, time: int) -> bool:
    """Write what an entry changes; False if it is a repeat and changes nothing."""
    entry = signed.entry
    if isinstance(entry, CapsuleEntry):
        sql = "INSERT OR IGNORE INTO capsules VALUES (?, ?, ?)"
        return database.run(sql, bytes.fromhex(entry.capsule), index, time) == 1
    database.run("INSERT INTO leaves VALUES (?, ?)", bytes.fromhex(leaf), index)
    if isinstance(entry, RequestEntry):
        return _write_request(database, entry, signed.envelope.payload, leaf, index, time)
    return _WRITE[type(entry)](database, entry, leaf, index, time)


def _write_region(db: Database, e: RegionEntry, _leaf: str, _index: int, _time: int) -> bool:
    db.run("INSERT INTO meta VALUES ('region', ?)", entry_payload(e))
    return True


def _write_party(db: Database, e: PartyEntry, _leaf: str, index: int, _time: int) -> bool:
    _end(db, e.role, e.name, index)
    db.run(
        "INSERT INTO parties VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        *(e.role, e.name, e.kind, e.country, e.key, e.opening, index),
    )
    if e.opening:
        holder = f"{e.role} {e.name}"
        db.run("INSERT OR IGNORE INTO openings VALUES (?, ?)", e.opening, holder)
    return True


def _end(db: Database, role: str, name: str, index: int) -> None:
    db.run(
        "UPDATE parties SET until = ? WHERE role = ? AND name = ? AND until IS NULL",
        *(index, role, name),
    )


def _write_revoke(db: Database, e: RevokeEntry, _leaf: str, index: int, _time: int) -> bool:
    _end(db, e.role, e.name, index)
    return True


def _write_epoch(db: Database, e: EpochEntry, _leaf: str, index: int, _time: int) -> bool:
    db.run(
        "INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?)",
        *(e.trustee, e.epoch, e.key, e.not_before, e.not_after, index),
    )
    holder = f"trustee {e.trustee} epoch {e.epoch}"
    db.run("INSERT INTO openings VALUES (?, ?)", e.key, holder)
    return True


def _document(field: str) -> Callable[[Database, Any, str, int, int], bool]:
    def write_document(db: Database, e: Entry, _leaf: str, index: int, _time: int) -> bool:
        value = bytes.fromhex(getattr(e, field))
        return db.run("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", field, value, index) == 1

    return write_document


def _write_request(
    db: Database, e: RequestEntry, payload: bytes, leaf: str, index: int, time: int
) -> bool:
    sql = "INSERT INTO requests VALUES (?, ?, ?, ?, ?)"
    db.run(sql, bytes.fromhex(leaf), index, time, e.reader, payload)
    return True


def _write_grant(db: Database, e: GrantEntry, _leaf: str, index: int, time: int) -> bool:
    request = bytes.fromhex(e.request)
    db.run(
        "INSERT INTO grants SELECT ?, ?, leaf, reader, ?, ?, ? FROM requests WHERE leaf = ?",
        *(index, e.trustee, bytes.fromhex(e.capsules), e.count, time, request),
    )
    return True


def _write_refusal(db: Database, e: RefusalEntry, _leaf: str, index: int, _time: int) -> bool:
    request = bytes.fromhex(e.request)
    db.run(
        "INSERT INTO refusals VALUES (?, ?, ?, ?, ?)", index, e.trustee, request, e.code, e.reason
    )
    return True


def _write_erasure(db: Database, e: ErasureEntry, _leaf: str, index: int, _time: int) -> bool:
    sql = "INSERT OR IGNORE INTO erasures VALUES (?, ?, ?, ?)"
    return sum(db.run(sql, bytes.fromhex(c), index, e.by, e.name) for c in e.capsules) > 0


def _write_dataset(db: Database, e: DatasetEntry, _leaf: str, index: int, _time: int) -> bool:
    db.run(
        "INSERT INTO datasets VALUES (?, ?, ?, ?)",
        *(index, e.reader, bytes.fromhex(e.request), bytes.fromhex(e.manifest)),
    )
    return True


def _write_freeze(db: Database, e: FreezeEntry, _leaf: str, index: int, _time: int) -> bool:
    db.run("INSERT INTO freezes VALUES (?, ?, ?)", index, e.trustee, bytes.fromhex(e.evidence))
    return True


def _write_addresses(db: Database, e: AddressesEntry, _leaf: str, index: int, _time: int) -> bool:
    db.run("INSERT INTO addresses VALUES (?, ?)", index, entry_payload(e))
    return True


_WRITE: dict[type[Entry], Callable[[Database, Any, str, int, int], bool]] = {
    RegionEntry: _write_region,
    PartyEntry: _write_party,
    RevokeEntry: _write_revoke,
    EpochEntry: _write_epoch,
    PolicyEntry: _document("policy"),
    CampaignEntry: _document("campaign"),
    ZonesEntry: _document("zones"),
    GrantEntry: _write_grant,
    RefusalEntry: _write_refusal,
    ErasureEntry: _write_erasure,
    DatasetEntry: _write_dataset,
    FreezeEntry: _write_freeze,
    DemandEntry: passing.write_demand,
    DestroyEntry: passing.write_destroy,
    SuccessionEntry: passing.write_succession,
    ReshareEntry: passing.write_passing,
    AcceptEntry: passing.write_passing,
    WithdrawEntry: rights.write_withdraw,
    AddressesEntry: _write_addresses,
}
