# SPDX-License-Identifier: Apache-2.0
"""Two libraries check a signature and one of them decides: they must not be seen to differ."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from incamera import ed25519

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORDER = 2**252 + 27742317777372353535851937790883648493
TORSION = [
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
]


def decided(public: bytes, signature: bytes, message: bytes) -> bool:
    """What cryptography alone says."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_twisted_signature_is_refused_by_both() -> None:
    """A signer who adds a point of order 8 to R does not get a yes from one and a no from other."""
    key, signature = ed25519._TWISTED_KEY, ed25519._TWISTED
    assert not decided(key, signature, b"")
    assert not ed25519.quickly(key, signature, b"")
    assert not ed25519.verifies(ed25519.load_public(key, "key"), signature, b"")


def test_a_laxer_libsodium_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libsodium would allow for the cofactor, cryptography alone is heard."""
    signature = KEY.sign(b"m")
    monkeypatch.setattr(ed25519, "_sodium", lambda public, signed: True)
    ed25519._stricter.cache_clear()
    try:
        assert not ed25519.quickly(PUBLIC, signature, b"m")
        assert not ed25519.verifies(KEY.public_key(), bytes(64), b"m")
        assert ed25519.verifies(KEY.public_key(), signature, b"m")
    finally:
        ed25519._stricter.cache_clear()


@pytest.mark.parametrize("change", ["R", "s", "s+L", "high bits"])
@pytest.mark.parametrize("point", TORSION)
def test_odd_signatures_get_the_verdict_of_cryptography(point: str, change: str) -> None:
    """Small-order R, an s beyond the group order, bits that should be zero: one answer."""
    signature = bytearray(KEY.sign(b"m"))
    s = int.from_bytes(signature[32:], "little")
    if change == "R":
        signature[:32] = bytes.fromhex(point)
    elif change == "s":
        signature[32:] = bytes.fromhex(point)
    elif change == "s+L":
        signature[32:] = (s + ORDER).to_bytes(32, "little")
    else:
        signature[63] |= 0xE0
    expected = decided(PUBLIC, bytes(signature), b"m")
    assert ed25519.verifies(KEY.public_key(), bytes(signature), b"m") == expected
    assert not ed25519.quickly(PUBLIC, bytes(signature), b"m") or expected


def test_what_only_libsodium_refuses_is_decided_by_cryptography() -> None:
    """A quick no is no verdict: the identity as R, made with the key, holds for OpenSSL."""
    import hashlib

    half = hashlib.sha512(bytes(range(32))).digest()[:32]
    secret = int.from_bytes(half, "little") & ((1 << 254) - 8) | 1 << 254
    r = (1).to_bytes(32, "little")
    h = int.from_bytes(hashlib.sha512(r + PUBLIC + b"m").digest(), "little")
    signature = r + (h * secret % ORDER).to_bytes(32, "little")
    assert not ed25519.quickly(PUBLIC, signature, b"m")
    assert ed25519.verifies(KEY.public_key(), signature, b"m") == decided(PUBLIC, signature, b"m")


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_signatures_of_other_lengths_are_no_signatures(length: int) -> None:
    """Nothing slides from the signature into the message."""
    signed = KEY.sign(b"abcdef") + b"abcdef"
    signature, message = signed[:length], signed[length:]
    assert not ed25519.quickly(PUBLIC, signature, message)
    assert not ed25519.verifies(KEY.public_key(), signature, message)


@given(st.binary(max_size=99), st.integers(0, 511), st.booleans())
def test_a_flipped_bit_gets_one_answer(message: bytes, bit: int, flip: bool) -> None:
    """Good and damaged signatures alike: quick implies decided, verifies equals decided."""
    signature = bytearray(KEY.sign(message))
    if flip:
        signature[bit // 8] ^= 1 << bit % 8
    expected = decided(PUBLIC, bytes(signature), message)
    assert expected == (not flip)
    assert ed25519.verifies(KEY.public_key(), bytes(signature), message) == expected
    assert ed25519.quickly(PUBLIC, bytes(signature), message) == expected
