# SPDX-License-Identifier: Apache-2.0
"""What the vectors are made of: keys, notes and trees, written from the standards.

Nothing of incamera is imported here, so that a vector is no mere echo of the program it tests.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

ROOT = Path(__file__).parents[2]
SIGNATURES = Path(__file__).with_name("mldsa44.json")
ORIGIN = "log.example/eu"
TIME = 1_795_000_000  # POSIX seconds: 2026-11-18


@dataclass(frozen=True)
class Vector:
    """One file: ``verdict`` is accept or refuse; ``facts`` are what a checker is given besides."""

    file: str
    data: bytes
    verdict: str
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The folder it lies in."""
        return self.file.split("/")[0]


def good(file: str, data: bytes | str, reason: str, **facts: Any) -> Vector:
    """A vector that must be accepted."""
    return Vector(file, _bytes(data), "accept", reason, facts)


def bad(file: str, data: bytes | str, reason: str, **facts: Any) -> Vector:
    """A vector that must be refused, for this one reason."""
    return Vector(file, _bytes(data), "refuse", reason, facts)


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def b64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def seed(name: str) -> bytes:
    """The 32 secret bytes of the key called ``name``: anybody can make them."""
    return hashlib.sha256(f"incamera vector key {name}".encode()).digest()


@functools.cache
def ed25519(name: str) -> Ed25519PrivateKey:
    """An Ed25519 key."""
    return Ed25519PrivateKey.from_private_bytes(seed(name))


@functools.cache
def mldsa(name: str) -> MLDSA44PrivateKey:
    """An ML-DSA-44 key."""
    return MLDSA44PrivateKey.from_seed_bytes(seed(name))


@functools.cache
def _signatures() -> dict[str, str]:
    return dict(json.loads(SIGNATURES.read_text())) if SIGNATURES.exists() else {}


def mldsa_signature(name: str, message: bytes) -> bytes:
    """The deterministic signature of FIPS 204, as dilithium-py makes it.

    The library used elsewhere signs with fresh randomness, so these signatures are kept in
    ``mldsa44.json``; a new message needs dilithium-py once.
    """
    index = hashlib.sha256(name.encode() + b"\0" + message).hexdigest()
    if index not in _signatures():
        from dilithium_py.ml_dsa import ML_DSA_44  # type: ignore[import-not-found]

        _, secret = ML_DSA_44.key_derive(seed(name))
        _signatures()[index] = b64(ML_DSA_44.sign(secret, message, deterministic=True))
        SIGNATURES.write_text(json.dumps(_signatures(), indent=1, sort_keys=True) + "\n")
    return base64.b64decode(_signatures()[index])


@dataclass(frozen=True)
class NoteKey:
    """A key that signs notes: 0x01 a log's, 0x04 and 0x06 a witness's."""

    name: str
    kind: int
    secret: str = ""

    @property
    def public(self) -> bytes:
        """The raw public key."""
        secret = self.secret or self.name
        key = mldsa(secret) if self.kind == 6 else ed25519(secret)
        return key.public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        """The four bytes of the key ID."""
        return key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    def signature(self, text: bytes, time: int = TIME) -> bytes:
        """What follows the key ID on the signature line; ``time`` is a witness's."""
        secret = self.secret or self.name
        if self.kind == 1:
            return ed25519(secret).sign(text)
        stamp = time.to_bytes(8, "big")
        if self.kind == 4:
            return stamp + ed25519(secret).sign(b"cosignature/v1\ntime %d\n" % time + text)
        return stamp + mldsa_signature(secret, subtree(self.name, time, text))

    def line(self, text: bytes, time: int = TIME) -> bytes:
        """The signature line."""
        return line(self.name, self.id + self.signature(text, time))


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """SHA-256(name || 0x0A || type || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def line(name: str, blob: bytes) -> bytes:
    """A signature line with ``blob``, key ID and signature."""
    return f"— {name} {b64(blob)}\n".encode()


def subtree(name: str, time: int, text: bytes) -> bytes:
    """tlog-cosignature's ``cosigned_message`` for a checkpoint."""
    origin, size, root_hash, _ = text.split(b"\n")
    cosigner = bytes([len(name)]) + name.encode()
    log = bytes([len(origin)]) + origin
    tree = bytes(8) + int(size).to_bytes(8, "big") + base64.b64decode(root_hash)
    return b"subtree/v1\n\0" + cosigner + time.to_bytes(8, "big") + log + tree


LOG = NoteKey(ORIGIN, 1)
W1, W2, W3 = (NoteKey(f"witness.example/w{n}", 4) for n in (1, 2, 3))
PQ = NoteKey("witness.example/pq", 6)


def checkpoint(size: int, root_hash: bytes, origin: str = ORIGIN) -> bytes:
    """A checkpoint's three lines."""
    return f"{origin}\n{size}\n{b64(root_hash)}\n".encode()


def note(text: bytes, *keys: NoteKey) -> bytes:
    """``text`` signed by ``keys``."""
    return text + b"\n" + b"".join(each.line(text) for each in keys)


def leaf(entry: bytes) -> bytes:
    """RFC 6962: the hash of an entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """RFC 6962: the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1: the Merkle tree hash over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    middle = _split(len(leaves))
    return node(root(leaves[:middle]), root(leaves[middle:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 2.1.1: the audit path."""
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*path(index, leaves[:middle]), root(leaves[middle:])]
    return [*path(index - middle, leaves[middle:]), root(leaves[:middle])]


def extends(old: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """RFC 6962 2.1.2: the consistency proof from size ``old``."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    middle = _split(len(leaves))
    if old <= middle:
        return [*extends(old, leaves[:middle], whole=whole), root(leaves[middle:])]
    return [*extends(old - middle, leaves[middle:], whole=False), root(leaves[:middle])]


ENTRIES = [b"entry %d" % number for number in range(8)]
LEAVES = [leaf(each) for each in ENTRIES]
TREE = checkpoint(8, root(LEAVES))
POLICY = (
    f"log {LOG.vkey}\nwitness w1 {W1.vkey}\nwitness w2 {W2.vkey}\nwitness w3 {W3.vkey}\n"
    f"witness pq {PQ.vkey}\ngroup two-of-four 2 w1 w2 w3 pq\nquorum two-of-four\n"
)
POLICY_FILE = "policies/threshold"
"""Where ``POLICY`` lies; facts name it so."""
