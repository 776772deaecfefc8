# SPDX-License-Identifier: Apache-2.0
"""What of a log concerns one car, each entry with its proof, and the vault's word that it is all.

A fleet's log is nearly all capsules, which concern no other car. What an extract shows is proven:
each entry is in the log under the checkpoint. That nothing is missing is the vault's signed word,
which whoever reads the whole log can hold against it; a car looks for itself now and then
(:mod:`incamera.ledger.sparse`). Format: ``docs/formats/extract.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
    parse_json,
)
from incamera.errors import InputError
from incamera.ids import Name, Region, parse_name
from incamera.ledger.codec import parse_int
from incamera.ledger.entries import (
    AddressesEntry,
    CampaignEntry,
    DestroyEntry,
    Entry,
    EpochEntry,
    PartyEntry,
    PolicyEntry,
    RegionEntry,
    RevokeEntry,
    WithdrawEntry,
    ZonesEntry,
)
from incamera.sealing.envelope import Envelope, open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey
from incamera.tlog import merkle

__all__ = ["EXTRACT_TYPE", "MOST", "Extract", "Proven", "Statement", "concerns", "open_statement"]

EXTRACT_TYPE = "application/vnd.incamera.extract+json"
MOST = 10_000
"""Entries of one extract: what parties and rules make in many years."""

_LONGEST = 1 << 18  # bytes of a statement
_RULES = (RegionEntry, PolicyEntry, CampaignEntry, ZonesEntry, AddressesEntry)
_KEYS = (EpochEntry, DestroyEntry)
_PARTS = ("v", "note", "statement", "consistency", "entries")
_SAID = ("v", "region", "car", "owner", "since", "size", "root", "indices")


def concerns(entry: Entry, car: Name, owner: Name) -> bool:
    """True if ``car`` of ``owner`` must know of ``entry``: rules, trustees, and the two of them."""
    if isinstance(entry, (PartyEntry, RevokeEntry)):
        return entry.role == "trustee" or (entry.role, entry.name) in (
            ("car", car),
            ("owner", owner),
        )
    if isinstance(entry, WithdrawEntry):
        return entry.owner == owner
    return isinstance(entry, (*_RULES, *_KEYS))


@dataclass(frozen=True, slots=True)
class Statement:
    """Of the entries from ``since`` to ``size``, those at ``indices`` concern the car: no others.

    What stands in the log without effect need not be among them.
    """

    region: Region
    car: Name
    owner: Name
    since: int
    size: int
    root: bytes  # 32, of the tree of ``size``
    indices: tuple[int, ...]  # ascending

    def seal(self, key: SigningKey) -> bytes:
        """Signed by the vault."""
        said = {
            "v": 1,
            "region": self.region,
            "car": self.car,
            "owner": self.owner,
            "since": self.since,
            "size": self.size,
            "root": base64_text(self.root),
            "indices": list(self.indices),
        }
        return seal_envelope(canonical(said), EXTRACT_TYPE, key)


def open_statement(data: bytes, where: str) -> tuple[Statement, Envelope]:
    """A statement, and the envelope whose signature is to be verified; :class:`InputError`."""
    envelope = open_envelope(data, where, payload_type=EXTRACT_TYPE, limit=_LONGEST)
    said = exact_keys(parse_canonical(envelope.payload, where), _SAID, where)
    if not is_version(said["v"], 1) or not isinstance(said["indices"], list):
        raise InputError(f"{where}: not a statement of a version known here")
    indices = tuple(parse_int(each, where) for each in said["indices"])
    since, size = parse_int(said["since"], where), parse_int(said["size"], where)
    if not all(a < b for a, b in zip((since - 1, *indices), (*indices, size), strict=True)):
        raise InputError(f"{where}: its entries are not in order between {since} and {size}")
    found = Statement(
        region=Region(parse_name(said["region"], where)),
        car=parse_name(said["car"], where),
        owner=parse_name(said["owner"], where),
        since=since,
        size=size,
        root=base64_bytes(said["root"], where, merkle.HASH),
        indices=indices,
    )
    return found, envelope


@dataclass(frozen=True, slots=True)
class Proven:
    """One entry, and its inclusion proof in the tree of the extract's checkpoint."""

    entry: bytes
    proof: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Extract:
    """What a vault answers. Nothing in it is believed unchecked."""

    note: bytes
    """A checkpoint with its cosignatures."""
    statement: bytes
    entries: tuple[Proven, ...]
    """At the statement's indices, in that order."""
    consistency: tuple[bytes, ...] = ()
    """That the tree of ``size`` goes on from that of ``since``; empty for the same, or the first.
    """

    def format(self) -> bytes:
        """As JSON."""
        return canonical(
            {
                "v": 1,
                "note": self.note.decode("utf-8"),
                "statement": base64_text(self.statement),
                "consistency": [base64_text(node) for node in self.consistency],
                "entries": [
                    {
                        "entry": base64_text(each.entry),
                        "proof": [base64_text(node) for node in each.proof],
                    }
                    for each in self.entries
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes, where: str) -> Extract:
        """Strictly; :class:`InputError`."""
        said = exact_keys(parse_json(data, where), _PARTS, where)
        note, entries = said["note"], said["entries"]
        if not is_version(said["v"], 1) or not isinstance(note, str):
            raise InputError(f"{where}: not an extract of a version known here")
        if not isinstance(entries, list) or len(entries) > MOST:
            raise InputError(f"{where}: an extract has at most {MOST} entries")
        found = tuple(_proven(each, where) for each in entries)
        statement = base64_bytes(said["statement"], f"{where}: statement")
        consistency = _nodes(said["consistency"], where)
        return cls(note.encode("utf-8", "replace"), statement, found, consistency)


def _proven(value: object, where: str) -> Proven:
    said = exact_keys(value, ("entry", "proof"), where)
    return Proven(base64_bytes(said["entry"], f"{where}: entry"), _nodes(said["proof"], where))


def _nodes(value: object, where: str) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > merkle.MAX_PROOF:
        raise InputError(f"{where}: not a proof")
    return tuple(base64_bytes(each, where, merkle.HASH) for each in value)
