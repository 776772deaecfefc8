# SPDX-License-Identifier: Apache-2.0
"""What a reader signs to ask, and what it shows a trustee. Public data only: no key is needed.

A trustee takes nothing in a :class:`GrantRequest` on trust; it is only spared the search.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode, parse_int
from incamera.ledger.entries import MAX_SUCCESSION, CapsuleList, RequestEntry
from incamera.ledger.state import leaf_digest
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.sealing.keys import SigningKey
from incamera.sealing.wrap import WRAPPED_BYTES
from incamera.tlog.merkle import MAX_PROOF

__all__ = ["MAX_BATCH", "CapsuleEvidence", "GrantRequest", "build_request"]

MAX_BATCH = 128
"""Most capsules in one :class:`GrantRequest`; for more, ask again under the same leaf."""

_MAX_NOTE = 1 << 16
_MAX_BYTES = 1 << 24


def build_request(
    *,
    region: Region,
    reader: Name,
    capsules: Iterable[Digest] | CapsuleList,
    purpose: Name,
    policy: Digest,
    expires: int,
    recipient: bytes,
    time: int,
    key: SigningKey,
) -> bytes:
    """The leaf that asks for ``capsules``, signed with the reader's ``key``; a fresh nonce each.

    More than 512 capsules go into a list file first (:func:`incamera.ledger.codec.capsule_list`),
    published beside the log. ``recipient`` is a public opening key (1216 bytes), ``expires`` and
    ``time`` POSIX seconds.
    """
    named = capsules if isinstance(capsules, CapsuleList) else tuple(sorted(set(capsules)))
    entry = RequestEntry(
        region=region,
        time=time,
        reader=reader,
        capsules=named,
        purpose=purpose,
        policy=policy,
        expires=expires,
        nonce=secrets.token_bytes(16),
        recipient=recipient,
    )
    return encode(entry, key)


@dataclass(frozen=True, slots=True)
class CapsuleEvidence:
    """One wanted capsule: the envelope of its header, and the trustee's wrapped share."""

    envelope: bytes
    wrapped: bytes  # 1168; empty for a new share, which the trustee keeps itself
    index: int  # of the share, 1..n
    succession: int = 0  # the one that the share came by; 0: as the car sealed it
    capsule: Digest = field(init=False, repr=False, compare=False)  # its digest

    def __post_init__(self) -> None:
        """Made once: it is asked for at every step."""
        object.__setattr__(self, "capsule", digest(self.envelope))


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """A logged request, the proof that it is logged, and the capsules wanted now."""

    leaf: bytes  # the exact log entry
    index: int
    note: bytes  # a checkpoint, cosigned
    proof: tuple[bytes, ...]  # inclusion of the leaf in that checkpoint's tree, leaf sibling first
    capsules: tuple[CapsuleEvidence, ...]
    leaf_hash: Digest = field(init=False, repr=False, compare=False)  # how the request is named

    def __post_init__(self) -> None:
        """As for a capsule."""
        object.__setattr__(self, "leaf_hash", leaf_digest(self.leaf))

    def serialise(self) -> bytes:
        """As canonical JSON, for the way to a trustee; :meth:`parse` takes it back."""
        return canonical(
            {
                "v": 1,
                "leaf": base64_text(self.leaf),
                "index": self.index,
                "note": base64_text(self.note),
                "proof": [base64_text(each) for each in self.proof],
                "capsules": [_plain(each) for each in self.capsules],
            }
        )

    @classmethod
    def parse(cls, data: bytes, where: str = "grant request") -> GrantRequest:
        """From canonical JSON, strictly and bounded; :class:`InputError` names what is wrong."""
        if len(data) > _MAX_BYTES:
            raise InputError(f"{where}: may have {_MAX_BYTES} bytes")
        keys = ("v", "leaf", "index", "note", "proof", "capsules")
        value = exact_keys(parse_canonical(data, where), keys, where)
        if not is_version(value["v"], 1):
            raise InputError(f"{where}: a version not known here")
        proof, capsules = value["proof"], value["capsules"]
        if not isinstance(proof, list) or not isinstance(capsules, list):
            raise InputError(f"{where}: proof and capsules are lists")
        request = cls(
            leaf=base64_bytes(value["leaf"], f"{where}: leaf"),
            index=parse_int(value["index"], f"{where}: index"),
            note=base64_bytes(value["note"], f"{where}: note"),
            proof=tuple(base64_bytes(each, f"{where}: proof", 32) for each in proof),
            capsules=tuple(_evidence(each, f"{where}: capsule") for each in capsules),
        )
        request.check_bounds(where)
        return request

    def check_bounds(self, where: str = "grant request") -> None:
        """:class:`InputError` if anything is larger than an honest caller's ever is."""
        if len(self.leaf) > MAX_ENVELOPE or len(self.note) > _MAX_NOTE:
            raise InputError(f"{where}: leaf or note is too long")
        if len(self.proof) > MAX_PROOF:
            raise InputError(f"{where}: no proof has more than {MAX_PROOF} hashes")
        if not 1 <= len(self.capsules) <= MAX_BATCH:
            raise InputError(f"{where}: 1 to {MAX_BATCH} capsules at a time")
        if len({each.capsule for each in self.capsules}) != len(self.capsules):
            raise InputError(f"{where}: a capsule stands twice")


def _plain(each: CapsuleEvidence) -> dict[str, object]:
    plain: dict[str, object] = {"envelope": base64_text(each.envelope), "index": each.index}
    if each.succession:
        return plain | {"succession": each.succession}
    return plain | {"wrapped": base64_text(each.wrapped)}


def _evidence(value: object, where: str) -> CapsuleEvidence:
    passed_on = isinstance(value, dict) and "succession" in value
    kind = "succession" if passed_on else "wrapped"
    found = exact_keys(value, ("envelope", kind, "index"), where)
    envelope = base64_bytes(found["envelope"], f"{where}: envelope")
    index = parse_int(found["index"], f"{where}: index", 1, 255)
    if passed_on:
        number = parse_int(found[kind], f"{where}: succession", 1, MAX_SUCCESSION)
        return CapsuleEvidence(envelope, b"", index, number)
    wrapped = base64_bytes(found[kind], f"{where}: wrapped share", WRAPPED_BYTES)
    return CapsuleEvidence(envelope, wrapped, index)
