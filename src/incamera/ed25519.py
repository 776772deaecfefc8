# SPDX-License-Identifier: Apache-2.0
"""Ed25519 public keys that are safe to trust.

The library verifies forged signatures over any message under the eight small-order points (and
their non-canonical encodings), so a key is refused when it is loaded, not when it is used.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from incamera.errors import InputError

__all__ = ["load_public", "verifies"]

_P = 2**255 - 19
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)


def load_public(raw: bytes, where: str) -> Ed25519PublicKey:
    """The public key of 32 ``raw`` bytes; small-order and non-canonical points are refused."""
    if len(raw) != 32:
        raise InputError(f"{where}: an Ed25519 public key has 32 bytes, not {len(raw)}")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _P or y in _SMALL_ORDER_Y:
        raise InputError(f"{where}: a small-order or non-canonical Ed25519 key: refused")
    return Ed25519PublicKey.from_public_bytes(raw)


def verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """True if ``signature`` (64 bytes) is ``key``'s over ``message``."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
