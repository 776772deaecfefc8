# SPDX-License-Identifier: Apache-2.0
"""Our hybrid HPKE key against the vectors of draft-ietf-hpke-pq in ``cryptography-vectors``.

The package is data from PyPI; it is found among the tools, see ``foreign.py``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from foreign import TOOLS

from incamera.sealing.keys import OpeningKey

KEMS = {0x647A: KEM.MLKEM768_X25519}
KDFS = {1: KDF.HKDF_SHA256, 17: KDF.SHAKE256}
AEADS = {1: AEAD.AES_128_GCM, 2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}


def vectors(name: str) -> Any:
    """A file of the package; the test is skipped where it is not installed."""
    found = sorted(TOOLS.glob(f"lib/python3.*/site-packages/cryptography_vectors/{name}"))
    if not found:
        pytest.skip("cryptography-vectors is not installed: see docs/verify-with-others.md")
    return json.loads(Path(found[0]).read_bytes())


def test_the_hybrid_kem_opens_the_drafts_seals() -> None:
    """Our key, made from the draft's seed, has its public key and opens what was sealed to it."""
    cases = [each for each in vectors("HPKE/hpke-pq-test-vectors.json") if each["kem_id"] in KEMS]
    assert len(cases) == 2
    for case in cases:
        key = OpeningKey(hashlib.shake_256(bytes.fromhex(case["skRm"])).digest(96))
        assert key.public.hex() == case["pkRm"]
        suite = Suite(KEMS[case["kem_id"]], KDFS[case["kdf_id"]], AEADS[case["aead_id"]])
        first = case["encryptions"][0]
        # The public call takes no aad, and every vector has one: the library's own tests do this.
        opened = openssl.hpke._decrypt_with_aad(
            suite,
            bytes.fromhex(case["enc"] + first["ct"]),
            key.hpke(),
            bytes.fromhex(case["info"]),
            bytes.fromhex(first["aad"]),
        )
        assert opened.hex() == first["pt"]
