# SPDX-License-Identifier: Apache-2.0
"""The published capsule opens, by this program and by a second one written from the document."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from incamera.sealing import opening
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import OpeningKey
from incamera.sealing.wrap import unwrap

HERE = Path(__file__).parent / "capsule"
CAPSULE = HERE / "v1.capsule"
FACTS: dict[str, Any] = json.loads((HERE / "v1.json").read_text())
PAYLOAD = (FACTS["payload"]["text"] * FACTS["payload"]["repeat"]).encode()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, OpeningKey]:
    """The private keys in the vector."""
    found = {}
    for name, line in FACTS["keys"].items():
        path = tmp_path / name
        path.write_text(f"{line}\n")
        path.chmod(0o600)
        found[name] = OpeningKey.load(path)
    return found


def test_the_published_capsule_reads_as_it_did() -> None:
    """Digest, header and every byte."""
    capsule = read_capsule(CAPSULE)
    capsule.verify_stored()
    assert capsule.digest == FACTS["digest"]
    assert capsule.header.to_json() == FACTS["header"]


def test_the_published_capsule_opens(keys: dict[str, OpeningKey], tmp_path: Path) -> None:
    """For its owner, and for trustees whose shares come out as they did."""
    capsule = read_capsule(CAPSULE)
    opening.open_as_owner(CAPSULE, keys["owner"], tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == PAYLOAD
    shares = {
        i: unwrap(capsule.wrapped[i - 1], keys[each.trustee], capsule.header.share_info(i))
        for i, each in enumerate(capsule.header.shares, start=1)
    }
    assert {str(i): share.hex() for i, share in shares.items()} == FACTS["shares"]


# A second implementation. It imports nothing of incamera.


def gf_double(a: int) -> int:
    """Times x in GF(2^128) modulo 1 + x + x^2 + x^7 + x^128."""
    return (a << 1) ^ ((a >> 127) * ((1 << 128) | 0x87))


def combine_first_two(one: bytes, two: bytes) -> bytes:
    """The value at 0 of the lines through (1, a) and (2, b), for k = 2.

    f(x) = s + cx, so a + b = c(1 + 2) and s = a + c. Dividing by 3 = multiplying by its inverse.
    """
    key = b""
    for half in (slice(16), slice(16, 32)):
        a, b = int.from_bytes(one[half], "big"), int.from_bytes(two[half], "big")
        slope = gf_multiply(a ^ b, gf_inverse(3))
        key += (a ^ slope).to_bytes(16, "big")
    return key


def gf_multiply(a: int, b: int) -> int:
    """Bit by bit."""
    found = 0
    while b:
        if b & 1:
            found ^= a
        a, b = gf_double(a), b >> 1
    return found


def gf_inverse(a: int) -> int:
    """a^(2^128 - 2)."""
    found, power = 1, a
    for _ in range(127):
        power = gf_multiply(power, power)
        found = gf_multiply(found, power)
    return found


def cobblestone_256(data: bytes, key: bytes, context: bytes) -> bytes:
    """C2SP chunked-encryption with AES-256-GCM, whole in memory."""
    salt, commitment, rest = data[:24], data[24:56], data[56:]
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    material = HKDFExpand(SHA512(), 32 + 12 + 32, info).derive(key)
    assert hmac.compare_digest(material[44:], commitment)
    cipher, nonce = AESGCM(material[:32]), int.from_bytes(material[32:44], "big")
    chunks = [rest[i : i + 16_400] for i in range(0, len(rest) + 1, 16_400)]
    assert len(chunks[-1]) < 16_400
    return b"".join(
        cipher.decrypt((nonce ^ n).to_bytes(12, "big"), chunk, b"")
        for n, chunk in enumerate(chunks)
    )


def test_the_document_is_enough_to_read_a_capsule() -> None:
    """File, envelope, digests, commitments, shares and ciphertext, as docs/formats/capsule.md."""
    data = CAPSULE.read_bytes()
    assert data[:19] == b"incamera-capsule-1\n"
    length = int.from_bytes(data[19:23], "big")
    envelope, at = data[23 : 23 + length], 23 + length
    assert hashlib.sha256(envelope).hexdigest() == FACTS["digest"]
    parts = json.loads(envelope)
    payload, kind = base64.b64decode(parts["payload"]), parts["payloadType"].encode()
    header = json.loads(payload)
    car_key = base64.b64decode(header["car_key"])
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signature = base64.b64decode(parts["signatures"][0]["sig"])
    Ed25519PublicKey.from_public_bytes(car_key).verify(signature, signed)

    capsule_id, shares = bytes.fromhex(header["capsule_id"]), FACTS["shares"]
    for index, share in enumerate(header["shares"], start=1):
        assert hashlib.sha256(data[at : at + 1168]).hexdigest() == share["digest"]
        opened = bytes.fromhex(shares[str(index)])
        committed = b"incamera commitment 1\0" + capsule_id + bytes([index]) + opened
        assert hashlib.sha256(committed).hexdigest() == share["commitment"]
        at += 1168
    assert hashlib.sha256(data[at : at + 1168]).hexdigest() == header["owner"]["digest"]
    stream = data[at + 1168 :]
    assert hashlib.sha256(stream).hexdigest() == header["payload"]["digest"]
    assert len(stream) == header["payload"]["length"] == 56 + len(PAYLOAD) + 16 * 2

    key = combine_first_two(bytes.fromhex(shares["1"]), bytes.fromhex(shares["2"]))
    policy = bytes.fromhex(header["policy"])
    context = b"incamera payload 1\0" + capsule_id + car_key + policy
    assert cobblestone_256(stream, key, context) == PAYLOAD
