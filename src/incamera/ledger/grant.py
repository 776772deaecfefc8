# SPDX-License-Identifier: Apache-2.0
"""A trustee's answer: its shares of the capsules a request named, sealed to the request's key.

Format: ``docs/formats/grant.md``. The shares in it are of use to the reader alone, so a grant
needs no secrecy of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, parse_digest, parse_name
from incamera.ledger.codec import parse_int
from incamera.ledger.entries import MAX_SUCCESSION
from incamera.ledger.request import MAX_BATCH
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey
from incamera.sealing.wrap import WRAPPED_BYTES

__all__ = ["GRANT_TYPE", "Grant", "SealedShare"]

GRANT_TYPE = "application/vnd.incamera.grant+json"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SealedShare:
    """One share: open it with ``sealing.opening.open_share`` and the request's private key."""

    capsule: Digest
    capsule_id: bytes  # 32
    index: int  # 1..n
    sealed: bytes  # 1168, HPKE with info = leaf hash || capsule id || index
    succession: int = 0  # the one that the share came by; 0: as the car sealed it


@dataclass(frozen=True, slots=True)
class Grant:
    """A parsed grant. Nothing in it is to be believed before :meth:`open` or :meth:`make`."""

    request: Digest  # leaf hash
    trustee: Name
    shares: tuple[SealedShare, ...]
    entries: tuple[int, ...]  # log indices of the grant entries that cover these shares
    envelope: bytes  # the signed bytes

    @classmethod
    def make(
        cls,
        request: Digest,
        trustee: Name,
        shares: tuple[SealedShare, ...],
        entries: tuple[int, ...],
        key: SigningKey,
    ) -> Grant:
        """A grant signed with the trustee's ``key``."""
        payload = {
            "v": 1,
            "request": request,
            "trustee": trustee,
            "entries": list(entries),
            "shares": [_plain(each) for each in shares],
        }
        return cls(
            request, trustee, shares, entries, seal_envelope(canonical(payload), GRANT_TYPE, key)
        )

    @classmethod
    def open(cls, data: bytes, public: bytes, request: Digest, where: str = "grant") -> Grant:
        """The grant in ``data``: signed by the trustee's key ``public``, and for ``request``.

        :class:`InputError` if malformed, :class:`IntegrityError` if it is not that.
        """
        envelope = open_envelope(data, where, payload_type=GRANT_TYPE, limit=_MAX_BYTES)
        envelope.verify(public)
        keys = ("v", "request", "trustee", "entries", "shares")
        value = exact_keys(parse_canonical(envelope.payload, where), keys, where)
        shares, entries = value["shares"], value["entries"]
        if (
            not is_version(value["v"], 1)
            or not isinstance(shares, list)
            or not isinstance(entries, list)
        ):
            raise InputError(f"{where}: not a grant of version 1")
        if len(shares) > MAX_BATCH or len(entries) > MAX_BATCH:
            raise InputError(f"{where}: more than {MAX_BATCH} shares")
        if parse_digest(value["request"], f"{where}: request") != request:
            raise IntegrityError(f"{where}: answers another request")
        return cls(
            request=request,
            trustee=parse_name(value["trustee"], f"{where}: trustee"),
            shares=tuple(_share(each, f"{where}: share") for each in shares),
            entries=tuple(parse_int(each, f"{where}: entries") for each in entries),
            envelope=data,
        )


def _plain(each: SealedShare) -> dict[str, object]:
    plain: dict[str, object] = {
        "capsule": each.capsule,
        "capsule_id": each.capsule_id.hex(),
        "index": each.index,
        "sealed": base64_text(each.sealed),
    }
    return plain | ({"succession": each.succession} if each.succession else {})


def _share(value: object, where: str) -> SealedShare:
    passed_on = ("succession",) if isinstance(value, dict) and "succession" in value else ()
    found = exact_keys(value, ("capsule", "capsule_id", "index", "sealed", *passed_on), where)
    capsule_id = found["capsule_id"]
    number = found.get("succession", 0)
    return SealedShare(
        capsule=parse_digest(found["capsule"], f"{where}: capsule"),
        capsule_id=bytes.fromhex(parse_digest(capsule_id, f"{where}: capsule id")),
        index=parse_int(found["index"], f"{where}: index", 1, 255),
        sealed=base64_bytes(found["sealed"], f"{where}: sealed", WRAPPED_BYTES),
        succession=parse_int(number, f"{where}: succession", 1 if passed_on else 0, MAX_SUCCESSION),
    )
