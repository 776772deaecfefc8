# SPDX-License-Identifier: Apache-2.0
"""The receipt on which a car deletes its copy: a ``.tlog-proof`` of the capsule's log entry.

The entry itself travels in the proof's ``extra`` line. That line is unauthenticated as such, but
the inclusion proof holds for these exact bytes only, and the vault signed them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.entries import CapsuleEntry, RegionEntry
from incamera.tlog.policy import Policy
from incamera.tlog.proof import Proof

__all__ = ["Receipt", "check_receipt", "make_receipt"]

_MAX_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Receipt:
    """A capsule stands at ``index`` of the log, as witnessed at ``time`` (POSIX seconds)."""

    capsule: Digest
    index: int
    time: int


def make_receipt(proof: bytes, entry: bytes) -> bytes:
    """The ``.tlog-proof`` file ``proof`` with the capsule ``entry`` it is about."""
    return replace(Proof.parse(proof, "receipt"), extra=entry).format()


def check_receipt(data: bytes, capsule: Digest, region: RegionEntry, policy: Policy) -> Receipt:
    """What ``data`` proves about ``capsule``, under the region's keys and the log's ``policy``.

    :class:`InputError` if malformed, :class:`IntegrityError` if it proves nothing: then the
    car must keep its copy.
    """
    if len(data) > _MAX_BYTES:
        raise InputError(f"receipt: may have {_MAX_BYTES} bytes")
    proof = Proof.parse(data, "receipt")
    if proof.extra is None:
        raise InputError("receipt: the entry is missing", hint="ask the vault for it again")
    signed = decode(proof.extra, "receipt")
    signed.envelope.verify(region.vault_key)
    entry = signed.entry
    if not isinstance(entry, CapsuleEntry) or entry.region != region.region:
        raise IntegrityError("receipt: not about a capsule of this region")
    if entry.capsule != capsule:
        raise IntegrityError(f"receipt: about capsule {entry.capsule[:16]}..., not this one")
    witnessed = proof.verify(proof.extra, policy, "receipt")
    return Receipt(capsule, proof.index, witnessed.time(policy))
