# SPDX-License-Identifier: Apache-2.0
"""A 32-byte secret sealed to one key (HPKE, RFC 9180, base mode), and what each seal is bound to.

Suite: KEM MLKEM768-X25519 (draft-ietf-hpke-pq), KDF HKDF-SHA256, AEAD AES-256-GCM. The library's
single-shot interface takes no aad, so the whole context goes into ``info``, as RFC 9180 section
8.1 advises: a seal made for one place does not open in another.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from incamera.encoding import base64_text, canonical
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, digest
from incamera.sealing.keys import OpeningKey, parse_opening_public

__all__ = [
    "SECRET_BYTES",
    "WRAPPED_BYTES",
    "grant_info",
    "owner_info",
    "share_info",
    "unwrap",
    "wrap",
]

SECRET_BYTES = 32
"""Length of what is wrapped: a data key, or a share of one."""

WRAPPED_BYTES = 1088 + 32 + SECRET_BYTES + 16
"""1168 = ML-KEM-768 ciphertext || X25519 ephemeral key || AES-GCM ciphertext and tag."""


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _info(label: str, facts: dict[str, object]) -> bytes:
    return label.encode("ascii") + b"\0" + bytes.fromhex(digest(canonical(facts)))


def share_info(
    capsule_id: bytes,
    car_key: bytes,
    policy: Digest,
    *,
    trustee: Name,
    epoch: int,
    index: int,
    threshold: int,
    count: int,
) -> bytes:
    """Context of share ``index`` (1..count) as the car seals it to a trustee's epoch key."""
    return _info(
        "incamera share 1",
        {
            "capsule_id": capsule_id.hex(),
            "car_key": base64_text(car_key),
            "count": count,
            "epoch": epoch,
            "index": index,
            "policy": policy,
            "threshold": threshold,
            "trustee": trustee,
        },
    )


def owner_info(capsule_id: bytes, car_key: bytes, policy: Digest) -> bytes:
    """Context of the data key as the car seals it to the owner."""
    return _info(
        "incamera owner 1",
        {"capsule_id": capsule_id.hex(), "car_key": base64_text(car_key), "policy": policy},
    )


def grant_info(leaf_hash: bytes, capsule_id: bytes, index: int, succession: int = 0) -> bytes:
    """Context of a share as a trustee re-seals it to a reader.

    ``leaf_hash``: the 32-byte Merkle leaf hash of the logged request, so that a grant is of use
    for that request only; ``capsule_id``: 32 bytes; ``index``: 1..32. ``succession``: the number
    of the one that the share came by; 0 for a share as the car sealed it.
    """
    if len(leaf_hash) != 32 or len(capsule_id) != 32 or not 1 <= index <= 255:
        raise InputError("a grant needs a leaf hash and a capsule id of 32 bytes and an index")
    place = leaf_hash + capsule_id + bytes((index,))
    if succession == 0:
        return b"incamera grant 1\0" + place
    return b"incamera grant of a new share 1\0" + place + succession.to_bytes(4, "big")


def wrap(secret: bytes, recipient_public: bytes, info: bytes) -> bytes:
    """``secret`` (32 bytes) sealed to a public opening key (1216 bytes): 1168 bytes."""
    if len(secret) != SECRET_BYTES:
        raise InputError(f"a secret to wrap has {SECRET_BYTES} bytes, not {len(secret)}")
    recipient = parse_opening_public(recipient_public, "recipient")
    return _suite().encrypt(secret, recipient, info)


def unwrap(data: bytes, key: OpeningKey, info: bytes) -> bytes:
    """The secret (32 bytes), or :class:`IntegrityError`: other key, other context, or altered."""
    if len(data) != WRAPPED_BYTES:
        raise IntegrityError(f"a wrapped secret has {WRAPPED_BYTES} bytes, not {len(data)}")
    try:
        return _suite().decrypt(data, key.hpke(), info)
    except (InvalidTag, ValueError) as error:
        raise IntegrityError(
            "a wrapped secret does not open: altered, or made for another key or context"
        ) from error
