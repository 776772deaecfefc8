# SPDX-License-Identifier: Apache-2.0
r"""Signed notes (C2SP signed-note): text, a blank line, and signature lines. Pure.

    <text>\n
    \n
    — <key name> <base64(4-byte key ID || signature)>\n

A key is known by its name *and* its key ID. Lines of unknown keys are kept apart and not trusted;
a line of a known key that does not verify makes the whole note void.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from incamera import ed25519
from incamera.encoding import base64_bytes, base64_text, hex_bytes
from incamera.errors import InputError, IntegrityError
from incamera.tlog import cosignature
from incamera.tlog.checkpoint import Checkpoint

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "ML_DSA",
    "Cosigner",
    "Note",
    "Signature",
    "Signer",
    "Verifier",
    "open_note",
    "sign",
    "split_note",
]

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA = 0x06

_KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, ML_DSA: 1312}
_SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 8 + 64, ML_DSA: 8 + 2420}
_MAX_NOTE = 1 << 20
_MAX_SIGNATURES = 100  # the specification asks for at least 16
_DASH = "— ".encode()
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")


def _check_name(name: str, where: str) -> str:
    odd = not name or "+" in name or any(c.isspace() or c < " " for c in name)
    if odd or any("\ud800" <= c <= "\udfff" for c in name):  # lone surrogates: not UTF-8
        raise InputError(f"{where}: not a key name: {name!r:.80}")
    return name


def _key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that signs notes: ``public`` raw bytes, ``kind`` the signature type."""

    name: str
    kind: int
    public: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        _check_name(self.name, "vkey")
        if len(self.public) != _KEY_BYTES.get(self.kind):
            raise InputError(f"vkey of {self.name}: unknown signature type or wrong key length")
        if self.kind == ML_DSA:
            if len(self.name.encode()) > 255:
                raise InputError(
                    f"vkey of {self.name:.40}: ML-DSA cosigner names have <= 255 bytes"
                )
            MLDSA44PublicKey.from_public_bytes(self.public)
        else:
            ed25519.load_public(self.public, f"vkey of {self.name}")
        object.__setattr__(self, "key_id", _key_id(self.name, self.kind, self.public))

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """From ``name+hex8(key id)+base64(type || key)``; small-order keys are refused."""
        parts = vkey.split("+", 2)  # base64 may hold '+', a name may not
        if len(parts) != 3:
            raise InputError(f"vkey: expected name+id+key, found {vkey!r:.80}")
        key = base64_bytes(parts[2], f"vkey of {parts[0]}")
        if not key:
            raise InputError(f"vkey of {parts[0]}: empty key")
        verifier = cls(parts[0], key[0], key[1:])
        if hex_bytes(parts[1], f"vkey of {parts[0]}: key ID", 4) != verifier.key_id:
            raise InputError(f"vkey of {parts[0]}: the key ID is not that of this name and key")
        return verifier

    @property
    def vkey(self) -> str:
        """The text form, as in policy files."""
        key = base64_text(bytes([self.kind]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    def timestamp(self, text: bytes, signature: bytes) -> int | None:
        """The POSIX seconds of a cosignature over ``text``; None where it does not hold.

        A plain signature that holds gives 0.
        """
        if len(signature) != _SIGNATURE_BYTES[self.kind]:
            return None
        if self.kind == ED25519:
            return 0 if self._ed25519(signature, text) else None
        if (parts := cosignature.split(signature)) is None:
            return None
        timestamp, raw = parts
        if self.kind == COSIGNATURE:
            message = cosignature.ed25519_message(timestamp, text)
            return timestamp if self._ed25519(raw, message) else None
        return timestamp if self._ml_dsa(raw, timestamp, text) else None

    def _ed25519(self, raw: bytes, message: bytes) -> bool:
        key = ed25519.load_public(self.public, f"vkey of {self.name}")
        return ed25519.verifies(key, raw, message)

    def _ml_dsa(self, raw: bytes, timestamp: int, text: bytes) -> bool:
        try:
            message = cosignature.mldsa_message(self.name, timestamp, Checkpoint.parse(text))
            MLDSA44PublicKey.from_public_bytes(self.public).verify(raw, message)
        except (InputError, InvalidSignature):
            return False
        return True


class NoteSigner(Protocol):
    """Whatever can add a signature line to a text."""

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        ...

    def signature(self, text: bytes) -> bytes:
        """The raw signature bytes over ``text``."""
        ...


class Signer:
    """A log's key: plain Ed25519 (type 0x01) signatures under ``name``."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = Verifier(name, ED25519, key.public_key().public_bytes_raw())

    @property
    def name(self) -> str:
        """The key name; for a log, its origin."""
        return self.verifier.name

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return self.verifier.vkey

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes; for :mod:`incamera.tlog.keys` alone."""
        return self._key.private_bytes_raw()

    def signature(self, text: bytes) -> bytes:
        """64 bytes over ``text``."""
        return self._key.sign(text)


class Cosigner:
    """A witness's key: timestamped cosignatures, Ed25519 (0x04) or ML-DSA-44 (0x06)."""

    def __init__(self, name: str, key: Ed25519PrivateKey | MLDSA44PrivateKey) -> None:
        self._key = key
        kind = COSIGNATURE if isinstance(key, Ed25519PrivateKey) else ML_DSA
        self.verifier = Verifier(name, kind, key.public_key().public_bytes_raw())

    @property
    def name(self) -> str:
        """The witness's name."""
        return self.verifier.name

    @property
    def vkey(self) -> str:
        """The public half as text."""
        return self.verifier.vkey

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes; for :mod:`incamera.tlog.keys` alone."""
        return self._key.private_bytes_raw()

    def line(self, text: bytes, timestamp: int) -> bytes:
        """A signature line over the checkpoint ``text`` as of ``timestamp`` (POSIX s, not 0)."""
        if not 0 < timestamp <= cosignature.MAX_TIME:
            raise InputError(f"cosignature time out of range: {timestamp}")
        if self.verifier.kind == COSIGNATURE:
            message = cosignature.ed25519_message(timestamp, text)
        else:
            message = cosignature.mldsa_message(self.name, timestamp, Checkpoint.parse(text))
        return Signature(self.verifier, cosignature.join(timestamp, self._key.sign(message))).line


@dataclass(frozen=True, slots=True)
class Signature:
    """One verified signature; ``timestamp`` in POSIX seconds (0: none claimed)."""

    verifier: Verifier
    signature: bytes
    timestamp: int = 0

    @property
    def line(self) -> bytes:
        """The signature line with its newline."""
        blob = base64_text(self.verifier.key_id + self.signature)
        return _DASH + f"{self.verifier.name} {blob}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its text, the signatures that hold, and the lines of unknown keys."""

    text: bytes
    verified: tuple[Signature, ...]
    unknown: tuple[bytes, ...]


def sign(text: bytes, signers: Iterable[NoteSigner]) -> bytes:
    """The note of ``text`` (ending in a newline) with one line per signer."""
    _check_text(text, "note")
    lines = [Signature(each.verifier, each.signature(text)).line for each in signers]
    return text + b"\n" + b"".join(lines)


def _check_text(data: bytes, where: str) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8") from error
    if _CONTROL.search(data) or not data.endswith(b"\n"):
        raise InputError(f"{where}: a control character, or no newline at the end")


def split_note(data: bytes, where: str = "note") -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """The text (still unverified!) and for each signature line: name, key ID || signature, line."""
    if len(data) > _MAX_NOTE:
        raise InputError(f"{where}: longer than {_MAX_NOTE} bytes")
    _check_text(data, where)
    gap = data.rfind(b"\n\n")
    lines = data[gap + 2 : -1].split(b"\n")
    if gap < 0 or lines == [b""]:
        raise InputError(f"{where}: no signatures")
    if len(lines) > _MAX_SIGNATURES:
        raise InputError(f"{where}: more than {_MAX_SIGNATURES} signatures")
    return data[: gap + 1], [(*_split_line(line, where), line) for line in lines]


def _split_line(line: bytes, where: str) -> tuple[str, bytes]:
    parts = line.removeprefix(_DASH).decode("utf-8").split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise InputError(f"{where}: not a signature line: {line!r:.80}")
    blob = base64_bytes(parts[1], f"{where}: signature of {parts[0]}")
    if len(blob) < 5:
        raise InputError(f"{where}: signature of {parts[0]} is too short")
    return _check_name(parts[0], where), blob


def open_note(data: bytes, verifiers: Sequence[Verifier], where: str = "note") -> Note:
    """Verify ``data`` under ``verifiers``.

    Raises :class:`InputError` for a malformed note, :class:`IntegrityError` where a known key's
    line does not verify or no known key signed. Of two lines of one key the first counts; both
    must hold.
    """
    text, lines = split_note(data, where)
    known = {(each.name, each.key_id): each for each in verifiers}
    verified: dict[tuple[str, bytes], Signature] = {}
    unknown = []
    for name, blob, line in lines:
        key = (name, blob[:4])
        if key not in known:
            unknown.append(line)
            continue
        timestamp = known[key].timestamp(text, blob[4:])
        if timestamp is None:
            raise IntegrityError(f"{where}: the signature of {name} does not hold")
        verified.setdefault(key, Signature(known[key], blob[4:], timestamp))
    if not verified:
        raise IntegrityError(f"{where}: not signed by any known key")
    return Note(text, tuple(verified.values()), tuple(unknown))
