# SPDX-License-Identifier: Apache-2.0
"""Signing keys (Ed25519) and opening keys (HPKE, ML-KEM-768 with X25519), and their files.

An opening key is a hybrid: what is harvested today stays closed to tomorrow's quantum computer,
and to today's breaker of ML-KEM. A key file is one line, ``INCAMERA-SIGNING-KEY-1 <base64>`` or
``INCAMERA-OPENING-KEY-1 <base64>``, that only its owner may read, or closed with age
(:mod:`incamera.keyfile`).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from incamera import durable, keyfile
from incamera.encoding import base64_bytes, base64_text
from incamera.errors import InputError
from incamera.ids import Digest, digest

__all__ = ["OPENING_PUBLIC_BYTES", "OpeningKey", "SigningKey", "key_id", "parse_opening_public"]

_MLKEM_PUBLIC = 1184
_MLKEM_SEED = 64
_X25519 = 32
OPENING_PUBLIC_BYTES = _MLKEM_PUBLIC + _X25519
"""Length of a public opening key: 1216 = ML-KEM-768 (1184) || X25519 (32)."""

_SIGNING_TAG = "INCAMERA-SIGNING-KEY-1"
_OPENING_TAG = "INCAMERA-OPENING-KEY-1"
_MAX_LINE = 512
_P = 2**255 - 19


def key_id(public: bytes) -> Digest:
    """How a public key is named in envelopes and headers: its SHA-256."""
    return digest(public)


class SigningKey:
    """An Ed25519 key (RFC 8032) of a car, owner, reader, trustee, vault or operator."""

    __slots__ = ("_private", "key_id", "public")

    def __init__(self, seed: bytes) -> None:
        """``seed``: 32 bytes."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._private.public_key().public_bytes_raw()
        self.key_id: Digest = key_id(self.public)

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in the file at ``path``; :class:`InputError` if it is none."""
        return cls(_load(path, _SIGNING_TAG, 32))

    def save(self, path: Path, *, like: Path | None = None) -> None:
        """Write the key to ``path`` (mode 0600). A file with another key is never overwritten.

        ``like``: a key file; if that is closed with age, the new one is closed the same way.
        """
        _save(path, _SIGNING_TAG, self._private.private_bytes_raw(), like)

    def sign(self, message: bytes) -> bytes:
        """The signature (64 bytes) over ``message``."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id[:16]})"


class OpeningKey:
    """An HPKE key for the KEM MLKEM768-X25519, of an owner, a reader or a trustee's epoch."""

    __slots__ = ("_mlkem", "_x25519", "key_id", "public")

    def __init__(self, seed: bytes) -> None:
        """``seed``: 96 bytes = ML-KEM-768 seed (64, FIPS 203 d || z) || X25519 private key (32)."""
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(seed[:_MLKEM_SEED])
        self._x25519 = X25519PrivateKey.from_private_bytes(seed[_MLKEM_SEED:])
        self.public: bytes = (
            self._mlkem.public_key().public_bytes_raw()
            + self._x25519.public_key().public_bytes_raw()
        )
        self.key_id: Digest = key_id(self.public)

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
        return cls(mlkem.private_bytes_raw() + x25519.private_bytes_raw())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in the file at ``path``; :class:`InputError` if it is none."""
        return cls(_load(path, _OPENING_TAG, _MLKEM_SEED + _X25519))

    def save(self, path: Path, *, like: Path | None = None) -> None:
        """Write the key to ``path`` as :meth:`SigningKey.save` does."""
        seed = self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()
        _save(path, _OPENING_TAG, seed, like)

    def hpke(self) -> MLKEM768X25519PrivateKey:
        """The key as :mod:`incamera.sealing.wrap` hands it to the library."""
        return MLKEM768X25519PrivateKey(self._mlkem, self._x25519)

    def __repr__(self) -> str:
        return f"OpeningKey({self.key_id[:16]})"


def parse_opening_public(raw: bytes, where: str) -> MLKEM768X25519PublicKey:
    """The public opening key of 1216 ``raw`` bytes.

    :class:`InputError` for a wrong length, a ML-KEM key that fails the modulus check of FIPS 203,
    and an X25519 point that is of small order or not in canonical form: one key, one encoding,
    or "distinct recipients" could not be told by comparing bytes.
    """
    try:
        return _opening_public(raw)
    except InputError as error:
        raise InputError(f"{where}: {error.message}") from error


@functools.lru_cache(maxsize=512)
def _opening_public(raw: bytes) -> MLKEM768X25519PublicKey:
    """Remembered, since the checks cost as much as a seal and the same few keys come again."""
    if len(raw) != OPENING_PUBLIC_BYTES:
        raise InputError(f"an opening key has {OPENING_PUBLIC_BYTES} bytes, not {len(raw)}")
    point = raw[_MLKEM_PUBLIC:]
    if int.from_bytes(point, "little") >= _P:
        raise InputError("a non-canonical X25519 key: refused")
    try:
        x25519 = X25519PublicKey.from_public_bytes(point)
        # The exchange fails for every point of small order (RFC 7748 section 6.1).
        X25519PrivateKey.generate().exchange(x25519)
        mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"not a usable opening key: {error}") from error
    return MLKEM768X25519PublicKey(mlkem, x25519)


def _save(path: Path, tag: str, secret: bytes, like: Path | None) -> None:
    durable.folder(path.parent)
    data = f"{tag} {base64_text(secret)}\n".encode("ascii")
    if like is not None and not path.exists():
        data = keyfile.closed_like(data, like)
    durable.create(path, data, mode=0o600)


def _load(path: Path, tag: str, length: int) -> bytes:
    line = keyfile.read(path)
    prefix = f"{tag} ".encode("ascii")
    if len(line) > _MAX_LINE or not line.startswith(prefix) or not line.endswith(b"\n"):
        raise InputError(f"{path}: not a key file: expected one line '{tag} <base64>'")
    # Never the content in a message: it is the secret.
    return base64_bytes(line[len(prefix) : -1].decode("latin-1"), str(path), length)
