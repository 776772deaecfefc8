# SPDX-License-Identifier: Apache-2.0
"""Ed25519: public keys that are safe to trust, and signatures checked by two libraries.

``cryptography`` (OpenSSL) verifies forged signatures over any message under the eight small-order
points (and their non-canonical encodings), so a key is refused when it is loaded, not when it is
used. And it decides: libsodium, half as slow, is asked first, but only its yes counts. That is
sound where libsodium's rule is the stricter of the two, which one signature tells: see
``docs/decisions/0012-how-ten-million-entries-are-read.md``.
"""

from __future__ import annotations

import functools

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from incamera.errors import InputError

__all__ = ["load_public", "quickly", "verifies"]

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
# Under this key (of full order), s*B - h*A differs from R by a point of order 8: who multiplies
# by the cofactor says yes to this signature over the empty message; RFC 8032 as OpenSSL reads it,
# and libsodium up to 1.0.20, say no.
_TWISTED_KEY = bytes.fromhex("069858bc87e1494e61611096c7803d76703803d9952a4f3527d52e3568e31e39")
_TWISTED = bytes.fromhex(
    "607055ca3d4aa8af26961afb12b1e60a75fac88f9c260ff25806631dbb269159"
    "5feae5b5ccb8bdcbc9ba70fe64d42dab8879d44a1026365c81ebb3a229fdf30d"
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
    if quickly(key.public_bytes_raw(), signature, message):
        return True
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def quickly(public: bytes, signature: bytes, message: bytes) -> bool:
    """True only where :func:`verifies` would say so; False says nothing: ask that one.

    ``public`` are the 32 bytes of a key that :func:`load_public` took.
    """
    return _stricter() and len(signature) == 64 and _sodium(public, signature + message)


def _sodium(public: bytes, signed: bytes) -> bool:
    try:
        crypto_sign_open(signed, public)
    except BadSignatureError:
        return False
    return True


@functools.cache
def _stricter() -> bool:
    """True if this libsodium compares R itself; one that allows for the cofactor is not used."""
    return not _sodium(_TWISTED_KEY, _TWISTED)
