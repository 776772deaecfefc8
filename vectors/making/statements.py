# SPDX-License-Identifier: Apache-2.0
"""What incamera says in its logs and files: entries, capsule headers, requests, evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import rfc8785
from making.base import (
    LOG,
    ORIGIN,
    POLICY_FILE,
    ROOT,
    TIME,
    W1,
    W2,
    NoteKey,
    Vector,
    b64,
    bad,
    checkpoint,
    ed25519,
    good,
    leaf,
    note,
    path,
    root,
)

ENTRY = "application/vnd.incamera.entry+json"
HEADER = "application/vnd.incamera.header+json"
CAPSULE = ROOT / "tests" / "vectors" / "capsule" / "v1.capsule"
SIGNER = "operator"


def public(name: str) -> bytes:
    """The raw public key called ``name``."""
    return ed25519(name).public_key().public_bytes_raw()


def canonical(value: Any) -> bytes:
    """RFC 8785."""
    return rfc8785.dumps(value)


def seal(payload: bytes, kind: str, signer: str = SIGNER, **change: Any) -> dict[str, Any]:
    """A DSSE envelope, as a value that can still be spoilt."""
    said = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = ed25519(signer).sign(said)
    key = hashlib.sha256(public(signer)).hexdigest()
    return {
        "payload": b64(payload),
        "payloadType": kind,
        "signatures": [{"keyid": key, "sig": b64(signature)}],
    } | change


POLICY_ENTRY = {"policy": "ab" * 32, "region": "eu", "time": TIME, "type": "policy", "v": 1}


def entries() -> Iterator[Vector]:
    """A log entry; ``facts.key`` is the public key that must have signed it."""
    facts = {"key": b64(public(SIGNER))}

    def entry(**change: Any) -> bytes:
        fields = {k: v for k, v in (POLICY_ENTRY | change).items() if v is not None}
        return canonical(seal(canonical(fields), ENTRY))

    ok = entry()
    envelope = json.loads(ok)
    yield good("entries/policy", ok, "a policy entry", **facts)
    revoke = entry(type="revoke", policy=None, role="reader", name="acme", reason="key-lost")
    yield good("entries/revoke", revoke, "a revocation", **facts)

    yield bad("entries/other-key", ok, "signed by another", key=b64(public("vault")))
    damaged = envelope | {"payload": b64(canonical(POLICY_ENTRY | {"policy": "cd" * 32}))}
    yield bad("entries/altered-payload", canonical(damaged), "not what was signed", **facts)
    spaced = json.dumps(envelope, sort_keys=True).encode()
    yield bad("entries/spaces", spaced, "the envelope is not canonical JSON", **facts)
    inner = json.dumps(POLICY_ENTRY, sort_keys=True).encode()
    yield bad("entries/spaces-inside", canonical(seal(inner, ENTRY)), "nor the payload", **facts)
    twice = canonical(POLICY_ENTRY).replace(b'"v":1', b'"v":1,"v":1')
    yield bad("entries/key-twice", canonical(seal(twice, ENTRY)), "v stands twice", **facts)
    two = envelope | {"signatures": envelope["signatures"] * 2}
    yield bad("entries/two-signatures", canonical(two), "exactly one signature", **facts)
    none = envelope | {"signatures": []}
    yield bad("entries/no-signature", canonical(none), "exactly one signature", **facts)
    more = envelope | {"comment": "hello"}
    yield bad("entries/unknown-envelope-key", canonical(more), "a key DSSE has not", **facts)
    as_header = canonical(seal(canonical(POLICY_ENTRY), HEADER))
    yield bad("entries/other-payload-type", as_header, "a header is no entry", **facts)
    loose = envelope | {"payload": envelope["payload"].rstrip("=") + "\n"}
    yield bad("entries/loose-base64", canonical(loose), "base64 with a newline", **facts)
    for what, change, why in (
        ("unknown-type", {"type": "gossip"}, "no such type"),
        ("unknown-field", {"note": "x"}, "a field the type has not"),
        ("missing-field", {"policy": None}, "policy is missing"),
        ("version-2", {"v": 2}, "a version not known"),
        ("negative-time", {"time": -1}, "time is negative"),
        ("fraction", {"time": 1.5}, "time is no integer"),
        ("time-as-text", {"time": str(TIME)}, "time is text"),
        ("true-as-number", {"v": True}, "true is no number"),
        ("region-upper-case", {"region": "EU"}, "regions are lower-case"),
        ("digest-upper-case", {"policy": "AB" * 32}, "digests are lower-case"),
        ("digest-short", {"policy": "ab" * 31}, "a digest has 64 digits"),
    ):
        yield bad(f"entries/{what}", entry(**change), why, **facts)
    payload = canonical(POLICY_ENTRY)
    yield bad("entries/payload-alone", payload, "no envelope", **facts)
    yield bad("entries/empty", b"", "nothing", **facts)


def headers() -> Iterator[Vector]:
    """The envelope of a capsule's header; the key is in it, as ``car_key``."""
    told = json.loads((CAPSULE.parent / "v1.json").read_text())["header"]
    told |= {"car_key": b64(public("car"))}

    def header(signer: str = "car", **change: Any) -> bytes:
        fields = {k: v for k, v in (told | change).items() if v is not None}
        return canonical(seal(canonical(fields), HEADER, signer))

    yield good("headers/good", header(), "as in docs/formats/capsule.md")
    yield bad("headers/other-signer", header("owner"), "not signed by car_key")
    as_entry = canonical(seal(canonical(told), ENTRY, "car"))
    yield bad("headers/other-payload-type", as_entry, "an entry is no header")
    shares = told["shares"]
    for what, change, why in (
        ("missing-consent", {"consent": None}, "consent is missing"),
        ("unknown-field", {"speed": 1}, "a field headers have not"),
        ("minute", {"hour": "2026-11-21T14:30"}, "no finer than the hour"),
        ("no-such-hour", {"hour": "2026-11-21T24"}, "hours are 00 to 23"),
        ("duration-zero", {"duration": 0}, "at least one second"),
        ("cameras-unsorted", {"cameras": told["cameras"][::-1]}, "lists are sorted"),
        ("purpose-twice", {"purposes": told["purposes"] * 2}, "no purpose twice"),
        ("threshold-above-shares", {"threshold": 4}, "4 of 3"),
        ("threshold-zero", {"threshold": 0}, "0 of 3"),
        ("one-trustee-twice", {"shares": [shares[0], shares[0], shares[2]]}, "one trustee twice"),
        ("short-capsule-id", {"capsule_id": "ab" * 31}, "31 bytes"),
        ("small-order-car-key", {"car_key": b64(b"\1" + bytes(31))}, "anybody signs under it"),
        ("length-zero", {"payload": told["payload"] | {"length": 0}}, "no ciphertext"),
    ):
        yield bad(f"headers/{what}", header(**change), why)


def requests() -> Iterator[Vector]:
    """What a reader hands a trustee; ``facts.policy`` decides on the checkpoint in it."""
    data = CAPSULE.read_bytes()
    length = int.from_bytes(data[19:23], "big")
    envelope, wrapped = data[23 : 23 + length], data[23 + length : 23 + length + 1168]
    wanted = {
        "capsules": [hashlib.sha256(envelope).hexdigest()],
        "expires": TIME + 86_400,
        "nonce": b64(bytes(16)),
        "policy": "ab" * 32,
        "purpose": "perception",
        "reader": "acme",
        "recipient": b64(bytes(1216)),
        "region": "eu",
        "time": TIME,
        "type": "request",
        "v": 1,
    }
    asked = canonical(seal(canonical(wanted), ENTRY, "acme"))
    leaves = [leaf(b"founding"), leaf(asked), leaf(b"later")]
    signed = note(checkpoint(3, root(leaves)), LOG, W1, W2)
    capsule = {"envelope": b64(envelope), "index": 1, "wrapped": b64(wrapped)}
    told: dict[str, Any] = {
        "v": 1,
        "leaf": b64(asked),
        "index": 1,
        "note": b64(signed),
        "proof": [b64(each) for each in path(1, leaves)],
        "capsules": [capsule],
    }
    facts = {"policy": POLICY_FILE}

    def request(**change: Any) -> bytes:
        return canonical({k: v for k, v in (told | change).items() if v is not None})

    yield good("requests/good", request(), "a leaf, proven, and one capsule", **facts)
    few = b64(note(checkpoint(3, root(leaves)), LOG, W1))
    alien = NoteKey("other.example/log", 1)
    other = b64(note(checkpoint(3, root(leaves), alien.name), alien, W1, W2))
    grown = b64(note(checkpoint(4, root([*leaves, leaf(b"x")])), LOG, W1, W2))
    proof = told["proof"]
    for what, change, why in (
        ("other-leaf", {"leaf": b64(asked + b" ")}, "the leaf is not the one proven"),
        ("other-index", {"index": 0}, "the path is that of entry 1"),
        ("hash-missing", {"proof": proof[:-1]}, "a hash is missing"),
        ("sixty-four", {"proof": proof[:1] * 64}, "no proof has 64 hashes"),
        ("below-quorum", {"note": few}, "one of two cosignatures"),
        ("other-log", {"note": other}, "a log the policy does not name"),
        ("other-checkpoint", {"note": grown}, "a checkpoint of size 4"),
        ("no-capsule", {"capsules": []}, "nothing is wanted"),
        ("capsule-twice", {"capsules": [capsule, capsule]}, "a capsule stands twice"),
        ("short-share", {"capsules": [capsule | {"wrapped": b64(wrapped[:-1])}]}, "1167 bytes"),
        ("share-index-0", {"capsules": [capsule | {"index": 0}]}, "shares count from 1"),
        ("unknown-field", {"purpose": "perception"}, "only the leaf says what is asked"),
        ("missing-field", {"note": None}, "note is missing"),
        ("version-2", {"v": 2}, "a version not known"),
        ("index-as-text", {"index": "1"}, "index is text"),
    ):
        yield bad(f"requests/{what}", request(**change), why, **facts)
    spaced = json.dumps(told, sort_keys=True)
    yield bad("requests/spaces", spaced, "not canonical JSON", **facts)


def evidence() -> Iterator[Vector]:
    """Proof that a log forked; ``facts.policy`` names the log."""
    one = note(checkpoint(3, root([leaf(b"a")])), LOG)
    two = note(checkpoint(3, root([leaf(b"b")])), LOG)
    facts = {"policy": POLICY_FILE}

    def fork(**change: Any) -> bytes:
        fields = {"v": 1, "seen": TIME, "ours": b64(one), "theirs": b64(two)} | change
        return canonical({k: v for k, v in fields.items() if v is not None})

    yield good("evidence/fork", fork(), "two roots for size 3, both signed by the log", **facts)
    witnessed = b64(two + W1.line(checkpoint(3, root([leaf(b"b")]))))
    yield good("evidence/cosigned", fork(theirs=witnessed), "cosignatures do no harm", **facts)
    larger = b64(note(checkpoint(4, root([leaf(b"b")])), LOG))
    forged = NoteKey(ORIGIN, 1, "not the log's key")
    by_other = b64(note(checkpoint(3, root([leaf(b"b")])), forged))
    alien = NoteKey("other.example/log", 1)
    other = b64(note(checkpoint(3, root([leaf(b"b")]), alien.name), alien))
    broken = one.replace(b"\n3\n", b"\n4\n")
    for what, change, why in (
        ("same-note", {"theirs": b64(one)}, "no contradiction"),
        ("other-size", {"theirs": larger}, "sizes 3 and 4: no contradiction by itself"),
        ("not-the-log", {"theirs": by_other}, "the second is not signed by the log"),
        ("other-log", {"theirs": other}, "the second is another log's"),
        ("bad-signature", {"theirs": b64(broken)}, "the second's signature does not verify"),
        ("missing-note", {"theirs": None}, "one note alone"),
        ("unknown-field", {"accused": ORIGIN}, "only the notes accuse"),
        ("version-2", {"v": 2}, "a version not known"),
    ):
        yield bad(f"evidence/{what}", fork(**change), why, **facts)
