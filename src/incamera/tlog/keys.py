# SPDX-License-Identifier: Apache-2.0
"""Key files for logs and witnesses: one line, readable by their owner alone.

The line is ``PRIVATE+KEY+<name>+<hex key id>+<base64(type || seed)>``, the form that the Go tools
for signed notes read and write. The file may be closed with age (:mod:`incamera.keyfile`).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from incamera import durable, keyfile
from incamera.encoding import base64_bytes, base64_text
from incamera.errors import InputError
from incamera.tlog.note import COSIGNATURE, ED25519, ML_DSA, Cosigner, Signer

__all__ = ["generate_cosigner", "generate_signer", "load", "load_cosigner", "load_signer", "save"]

_PREFIX = "PRIVATE+KEY+"


def generate_signer(name: str) -> Signer:
    """A new log key; ``name`` is the log's origin."""
    return Signer(name, Ed25519PrivateKey.generate())


def generate_cosigner(name: str, *, ml_dsa: bool = False) -> Cosigner:
    """A new witness key: Ed25519, or ML-DSA-44, which names the cosigner and outlives quantum.

    tlog-cosignature recommends ML-DSA-44 for new deployments; what reads only ``cosignature/v1``
    then sees no cosignature.
    """
    if ml_dsa:
        return Cosigner(name, MLDSA44PrivateKey.generate())
    return Cosigner(name, Ed25519PrivateKey.generate())


def save(path: Path, key: Signer | Cosigner) -> None:
    """Write ``key`` to ``path`` with mode 0600; a file that is there already is not replaced."""
    if path.exists():
        raise InputError(f"{path}: exists already", hint="name another file: keys are never reused")
    verifier = key.verifier
    seed = base64_text(bytes([verifier.kind]) + key.seed)
    line = f"{_PREFIX}{verifier.name}+{verifier.key_id.hex()}+{seed}\n"
    durable.write(path, line.encode(), mode=0o600)


def load(path: Path) -> Signer | Cosigner:
    """The key of a log or a witness; :class:`InputError` if the file holds none."""
    try:
        line = keyfile.read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a note key file") from error
    parts = line.removeprefix(_PREFIX).removesuffix("\n").split("+", 2)
    if not line.startswith(_PREFIX) or len(parts) != 3:
        raise InputError(f"{path}: not a note key file")
    secret = base64_bytes(parts[2], str(path), 33)
    name, seed = parts[0], secret[1:]
    key: Signer | Cosigner
    match secret[0]:
        case kind if kind == ED25519:
            key = Signer(name, Ed25519PrivateKey.from_private_bytes(seed))
        case kind if kind == COSIGNATURE:
            key = Cosigner(name, Ed25519PrivateKey.from_private_bytes(seed))
        case kind if kind == ML_DSA:
            key = Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(seed))
        case kind:
            raise InputError(f"{path}: unknown key type 0x{kind:02x}")
    if key.verifier.key_id.hex() != parts[1]:
        raise InputError(f"{path}: the key ID is not that of this name and key")
    return key


def load_signer(path: Path) -> Signer:
    """A log's key; InputError if the file holds another kind of key."""
    key = load(path)
    if not isinstance(key, Signer):
        raise InputError(f"{path}: a witness's key where a log's key is expected")
    return key


def load_cosigner(path: Path) -> Cosigner:
    """A witness's key; InputError if the file holds another kind of key."""
    key = load(path)
    if not isinstance(key, Cosigner):
        raise InputError(f"{path}: a log's key where a witness's key is expected")
    return key
