# SPDX-License-Identifier: Apache-2.0
"""HPKE: the library on RFC 9180, our hybrid key on draft-ietf-hpke-pq (``cryptography-vectors``).

The package is data from PyPI; it is found among the tools, see ``foreign.py``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from foreign import TOOLS

from incamera.sealing.keys import OpeningKey

KDFS = {1: KDF.HKDF_SHA256, 3: KDF.HKDF_SHA512, 17: KDF.SHAKE256}
AEADS = {1: AEAD.AES_128_GCM, 2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}
CURVES = {0x10: (KEM.P256, ec.SECP256R1()), 0x12: (KEM.P521, ec.SECP521R1())}


def vectors(name: str) -> Any:
    """A file of the package; the test is skipped where it is not installed."""
    found = sorted(TOOLS.glob(f"lib/python3.*/site-packages/cryptography_vectors/{name}"))
    if not found:
        pytest.skip("cryptography-vectors is not installed: see docs/verify-with-others.md")
    return json.loads(Path(found[0]).read_bytes())


def opens(case: dict[str, Any], kem: KEM, key: Any) -> None:
    """The first message of a vector opens with ``key`` to what it says."""
    suite = Suite(kem, KDFS[case["kdf_id"]], AEADS[case["aead_id"]])
    first = case["encryptions"][0]
    # The public call takes no aad, and every vector has one: the library's own tests do this.
    opened = openssl.hpke._decrypt_with_aad(
        suite,
        bytes.fromhex(case["enc"] + first["ct"]),
        key,
        bytes.fromhex(case["info"]),
        bytes.fromhex(first["aad"]),
    )
    assert opened.hex() == first["pt"]


def test_the_hybrid_kem_opens_the_drafts_seals() -> None:
    """Our key, made from the draft's seed, has its public key and opens what was sealed to it."""
    cases = [e for e in vectors("HPKE/hpke-pq-test-vectors.json") if e["kem_id"] == 0x647A]
    assert len(cases) == 2
    for case in cases:
        key = OpeningKey(hashlib.shake_256(bytes.fromhex(case["skRm"])).digest(96))
        assert key.public.hex() == case["pkRm"]
        opens(case, KEM.MLKEM768_X25519, key.hpke())


def test_the_library_opens_the_seals_of_rfc_9180() -> None:
    """Base mode, the RFC's KEMs, KDFs and AEADs, as far as the library has them."""
    tried = 0
    for case in vectors("HPKE/test-vectors.json"):
        if case["mode"] != 0 or case["aead_id"] not in AEADS or case["kdf_id"] not in KDFS:
            continue
        secret = bytes.fromhex(case["skRm"])
        if case["kem_id"] == 0x20:
            opens(case, KEM.X25519, X25519PrivateKey.from_private_bytes(secret))
        elif case["kem_id"] in CURVES:
            kem, curve = CURVES[case["kem_id"]]
            opens(case, kem, ec.derive_private_key(int.from_bytes(secret, "big"), curve))
        else:
            continue
        tried += 1
    assert tried >= 12
