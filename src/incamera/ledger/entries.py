# SPDX-License-Identifier: Apache-2.0
"""What can be said in a region's public log: one frozen class for each type of entry.

Byte formats and who may sign what: ``docs/formats/entries.md``. An entry names parties by short
names and things by digest, and carries no personal data. ``time`` is what the signer claims; no
rule rests on it (witness time rules).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from incamera.ids import Digest, Name, Region

__all__ = [
    "ENTRY_CLASSES",
    "MAX_INLINE",
    "MAX_LISTED",
    "MAX_SUCCESSION",
    "AcceptEntry",
    "Address",
    "AddressesEntry",
    "CampaignEntry",
    "CapsuleEntry",
    "CapsuleList",
    "DatasetEntry",
    "DemandEntry",
    "DestroyEntry",
    "Entry",
    "EpochEntry",
    "ErasureEntry",
    "FreezeEntry",
    "GrantEntry",
    "Outcome",
    "PartyEntry",
    "PolicyEntry",
    "RefusalEntry",
    "RegionEntry",
    "RequestEntry",
    "ReshareEntry",
    "RevokeEntry",
    "Role",
    "Seat",
    "SuccessionEntry",
    "WithdrawEntry",
    "ZonesEntry",
]

MAX_INLINE = 512
"""Most capsules named inside one entry; a request for more points at a list beside the log."""

MAX_LISTED = 100_000
"""Most capsules in a list file (65 bytes each)."""

MAX_SUCCESSION = 2**31 - 1
"""The largest number of a succession; that of an epoch, too."""

Role = Literal["car", "owner", "reader", "trustee"]

Outcome = Literal["pending", "refused", "contested", "withdrawn", "nothing-held", "complied"]
"""What became of a legal demand so far. ``complied``: something was handed over, in the open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What every entry says: which region's log it is for, and the signer's own clock."""

    type: ClassVar[str]
    region: Region
    time: int  # POSIX seconds, claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionEntry(Entry):
    """Entry 0, and only there: the keys and numbers this log stands under. Operator-signed."""

    type: ClassVar[str] = "region"
    operator_key: bytes  # 32, Ed25519
    vault_key: bytes  # 32, Ed25519
    log_policy: Digest  # of public/tlog-policy as it was at the founding
    threshold: int  # trustees needed to open a capsule
    notice: int  # seconds a request is public before a trustee grants it
    retention: int  # days until epoch keys are destroyed
    quota: int  # capsules one reader may be granted a day (UTC), by each trustee


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyEntry(Entry):
    """An enrolment, or a change to one (a new key, another country). Operator-signed."""

    type: ClassVar[str] = "party"
    role: Role
    name: Name
    kind: Name  # company, research, journalist, government ...; of cars and owners too
    country: str  # ISO 3166-1 alpha-2
    key: bytes  # 32, Ed25519; never one that another party has or had
    opening: bytes  # 1216, HPKE; or empty (cars; trustees have one per epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeEntry(Entry):
    """The end of an enrolment. Operator-signed."""

    type: ClassVar[str] = "revoke"
    role: Role
    name: Name
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEntry(Entry):
    """A trustee's opening key, and from when to when cars may seal to it. Trustee-signed."""

    type: ClassVar[str] = "epoch"
    trustee: Name
    epoch: int
    key: bytes  # 1216, HPKE
    not_before: int  # POSIX seconds
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry(Entry):
    """A Cedar policy capsules may be sealed under (``policy/<digest>.cedar``). Operator-signed."""

    type: ClassVar[str] = "policy"
    policy: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignEntry(Entry):
    """What cars may be asked to look for (``campaign/<digest>.toml``). Operator-signed."""

    type: ClassVar[str] = "campaign"
    campaign: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonesEntry(Entry):
    """The digest of a set of forbidden zones (which may be secret by law). Operator-signed."""

    type: ClassVar[str] = "zones"
    zones: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CapsuleEntry(Entry):
    """A capsule was admitted; the digest of its header's envelope. Vault-signed."""

    type: ClassVar[str] = "capsule"
    capsule: Digest


@dataclass(frozen=True, slots=True)
class CapsuleList:
    """Capsules named in a file beside the log, ``list/<digest>``."""

    digest: Digest
    length: int  # bytes
    count: int  # capsules


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEntry(Entry):
    """A reader asks to read named capsules; these exact bytes are what is granted. Reader-signed.

    A government that asks to read does it this way too, in the open; a demand that comes by letter
    is a :class:`DemandEntry`.
    """

    type: ClassVar[str] = "request"
    reader: Name
    capsules: tuple[Digest, ...] | CapsuleList  # sorted, distinct
    purpose: Name
    policy: Digest
    expires: int  # POSIX seconds, compared with witness time
    nonce: bytes  # 16
    recipient: bytes  # 1216, HPKE: shares are sealed to this key and no other


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantEntry(Entry):
    """A trustee is about to re-seal its shares of ``capsules`` for a request. Trustee-signed."""

    type: ClassVar[str] = "grant"
    trustee: Name
    request: Digest  # leaf hash
    capsules: Digest  # of the granted capsules as a list file
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalEntry(Entry):
    """A trustee will not grant a request. Trustee-signed."""

    type: ClassVar[str] = "refusal"
    trustee: Name
    request: Digest  # leaf hash
    code: Name
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureEntry(Entry):
    """These capsules are destroyed; trustees obey from here on. Signed by whom ``by`` names.

    By the vault it says, too, that each of them had expired by ``time``, as its header has it.
    """

    type: ClassVar[str] = "erasure"
    capsules: tuple[Digest, ...]  # sorted, distinct
    by: Literal["owner", "operator", "vault"]
    name: str  # the owner's name; empty for the others
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEntry(Entry):
    """A reader opened what it was granted; the digest of the manifest. Reader-signed."""

    type: ClassVar[str] = "dataset"
    reader: Name
    request: Digest  # leaf hash
    manifest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeEntry(Entry):
    """A trustee saw proof of a forked log and opens nothing any more. Trustee-signed."""

    type: ClassVar[str] = "freeze"
    trustee: Name
    evidence: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandEntry(Entry):
    """A legal or governmental demand the operator received, or its next outcome. Operator-signed.

    Later entries of one ``reference`` tell how it went on; none takes an earlier one back.
    """

    type: ClassVar[str] = "demand"
    reference: Name  # the operator's own number for it
    authority: str  # the office, never a person
    country: str  # ISO 3166-1 alpha-2
    date: str  # on the demand, YYYY-MM-DD
    scope: Digest  # of the document, which the operator keeps
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyEntry(Entry):
    """A trustee destroyed its opening key of an epoch: no share opens with it. Trustee-signed."""

    type: ClassVar[str] = "destroy"
    trustee: Name
    epoch: int
    key: Digest  # of the public key, as capsule headers name it


@dataclass(frozen=True, slots=True, order=True)
class Seat:
    """One place in a set of trustees: who sits there, and the epoch whose key it takes in with."""

    trustee: Name
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessionEntry(Entry):
    """The capsules listed are to pass to a new set of trustees. Operator-signed.

    It moves nothing by itself: that takes a threshold of the trustees who hold them now, each by
    a :class:`ReshareEntry` of its own.
    """

    type: ClassVar[str] = "succession"
    number: int  # 1, 2 ...: each one more than the last
    source: int  # the succession whose shares are passed on; 0: those sealed by the cars
    threshold: int  # of the new set
    seats: tuple[Seat, ...]  # share j of a capsule is for seat j, counted from 1
    capsules: CapsuleList
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReshareEntry(Entry):
    """A trustee split its shares for a succession's new set. Trustee-signed.

    The first ``threshold of the source`` such entries are the ones that the new set combines.
    """

    type: ClassVar[str] = "reshare"
    trustee: Name
    succession: int
    dealing: Digest  # of the file with the sealed sub-shares


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptEntry(Entry):
    """A trustee of the new set has combined its shares and can open with them. Trustee-signed."""

    type: ClassVar[str] = "accept"
    trustee: Name
    succession: int
    commitments: Digest  # of the file with a commitment to each of its new shares


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawEntry(Entry):
    """An owner takes consents back, and with a car's own word ends that car's key. Owner-signed.

    From here on nothing that was sealed to this owner under these consents is admitted or
    granted, and nothing that these keys sign is admitted.
    """

    type: ClassVar[str] = "withdraw"
    owner: Name
    consents: tuple[Digest, ...]  # sorted, distinct: see ledger.rights
    cars: tuple[bytes, ...]  # sorted, distinct: retirements, each signed by the car's key


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a party of the region may be connected to: a network and a port, by TCP or UDP."""

    party: Name
    host: str  # the name that may be looked up for it, in lower case; or empty
    network: str  # as Python's ipaddress writes it: 192.0.2.7/32, 2001:db8::/64
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressesEntry(Entry):
    """All that the region's parties may connect to, from here on. Operator-signed.

    The newest counts, and replaces what was declared before.
    """

    type: ClassVar[str] = "addresses"
    allowed: tuple[Address, ...]  # sorted, distinct


ENTRY_CLASSES: tuple[type[Entry], ...] = (
    RegionEntry,
    PartyEntry,
    RevokeEntry,
    EpochEntry,
    PolicyEntry,
    CampaignEntry,
    ZonesEntry,
    CapsuleEntry,
    RequestEntry,
    GrantEntry,
    RefusalEntry,
    ErasureEntry,
    DatasetEntry,
    FreezeEntry,
    DemandEntry,
    DestroyEntry,
    SuccessionEntry,
    ReshareEntry,
    AcceptEntry,
    WithdrawEntry,
    AddressesEntry,
)
