# SPDX-License-Identifier: Apache-2.0
"""The parties valid inputs come from. Their keys are fixed: a found input stays what it was."""

from __future__ import annotations

import functools
import hashlib
import json
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from incamera.encoding import base64_bytes
from incamera.errors import Error
from incamera.ids import Digest, digest
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Cosigner, Signer, sign
from incamera.tlog.policy import Policy

__all__ = [
    "LOG",
    "NOW",
    "POLICY",
    "POLICY_TEXT",
    "WITNESSES",
    "hash_of",
    "note",
    "opening",
    "resign",
    "resign_behind",
    "resign_note",
    "secret",
    "signing",
]

NOW: Final = 1_795_000_000


def secret(name: str, length: int = 32) -> bytes:
    """The same bytes for the same ``name``, always: keys of nobody."""
    return hashlib.shake_256(f"incamera fuzz {name}".encode()).digest(length)


def hash_of(name: str) -> Digest:
    """A digest that stands for something."""
    return digest(name.encode())


@functools.cache
def signing(name: str) -> SigningKey:
    """The signing key of ``name``."""
    return SigningKey(secret(name))


@functools.cache
def opening(name: str) -> OpeningKey:
    """The opening key of ``name``."""
    return OpeningKey(secret(name, 96))


LOG = Signer("log.example/eu", Ed25519PrivateKey.from_private_bytes(secret("log")))
WITNESSES = (
    Cosigner("w1.example", Ed25519PrivateKey.from_private_bytes(secret("w1"))),
    Cosigner("w2.example", Ed25519PrivateKey.from_private_bytes(secret("w2"))),
    Cosigner("w3.example", MLDSA44PrivateKey.from_seed_bytes(secret("w3"))),
)
POLICY_TEXT = (
    "# whom to believe\n"
    f"log {LOG.vkey} https://log.example/eu\n"
    + "".join(f"witness w{i} {each.vkey}\n" for i, each in enumerate(WITNESSES, 1))
    + "group eu any w1 w2\ngroup both all eu w3\nquorum both\n"
).encode()
POLICY = Policy.parse(POLICY_TEXT)


def note(size: int, root: bytes, *, origin: str = LOG.name) -> bytes:
    """A checkpoint note of the log, cosigned by all."""
    text = Checkpoint(origin, size, root).text
    return sign(text, [LOG]) + b"".join(each.line(text, NOW) for each in WITNESSES)


def resign_note(data: bytes, rng: Random) -> bytes:
    """``data``'s text under fresh signatures, half of the time; by all, or by the log alone."""
    text, gap, _ = data.rpartition(b"\n\n")
    if not gap or rng.random() < 0.5:
        return data
    try:
        signed = sign(text + b"\n", [LOG])
        if rng.random() < 0.5:
            signed += b"".join(each.line(text + b"\n", NOW) for each in WITNESSES)
    except Error:
        return data
    return signed


def resign_behind(data: bytes, rng: Random) -> bytes:
    """The note that stands behind a head and a blank line, under fresh signatures."""
    head, gap, shown = data.partition(b"\n\n")
    return head + gap + resign_note(shown, rng)


def resign(name: str, data: bytes) -> bytes:
    """The envelope ``data`` with ``name``'s signature over the payload it has now."""
    try:
        value = json.loads(data)
        payload = base64_bytes(value["payload"], "payload")
        return seal_envelope(payload, value["payloadType"], signing(name))
    except (Error, ValueError, TypeError, KeyError, RecursionError):
        return data
