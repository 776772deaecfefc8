# SPDX-License-Identifier: Apache-2.0
"""Envelopes: DSSE as others make it, one form, one signature."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib import dsse

from incamera.encoding import canonical
from incamera.errors import InputError, IntegrityError
from incamera.sealing.envelope import _Held, open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey

TYPE = "application/vnd.incamera.entry+json"
KEY = SigningKey(bytes(range(32)))
GOOD = seal_envelope(b'{"v":1}', TYPE, KEY)


def altered(**changes: Any) -> bytes:
    """The good envelope with some members changed, canonical again."""
    value = json.loads(GOOD)
    value.update(changes)
    return canonical(value)


def test_an_envelope_gives_back_what_was_signed() -> None:
    """Payload, type and key id come back and the signature holds."""
    envelope = open_envelope(GOOD, "here", payload_type=TYPE)
    assert (envelope.payload, envelope.payload_type) == (b'{"v":1}', TYPE)
    assert envelope.key_id == KEY.key_id
    envelope.verify(KEY.public)


def test_the_signature_is_over_the_dsse_pre_authentication_encoding() -> None:
    """What DSSE v1 says to sign is what is signed, computed here by hand."""
    envelope = open_envelope(GOOD, "here")
    message = b"DSSEv1 35 application/vnd.incamera.entry+json 7 " + b'{"v":1}'
    assert len(TYPE) == 35
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(envelope.signature, message)


@given(st.binary(max_size=300))
def test_what_is_signed_is_what_securesystemslib_would_sign(payload: bytes) -> None:
    """The encoding is three lines of ours: the library that others use says the same."""
    envelope = open_envelope(seal_envelope(payload, TYPE, KEY), "here")
    message = dsse.Envelope(payload, TYPE, {}).pae()
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(envelope.signature, message)


def test_another_key_does_not_verify() -> None:
    """An envelope shown as somebody else's is an IntegrityError."""
    with pytest.raises(IntegrityError, match="another key"):
        open_envelope(GOOD, "here").verify(SigningKey.generate().public)


def test_a_payload_shown_under_another_type_does_not_verify() -> None:
    """The type is signed too: a header cannot be passed off as a request."""
    moved = altered(payloadType="application/vnd.incamera.header+json")
    with pytest.raises(IntegrityError, match="does not match"):
        open_envelope(moved, "here").verify(KEY.public)
    with pytest.raises(InputError, match="expected application"):
        open_envelope(moved, "here", payload_type=TYPE)


def test_a_changed_payload_does_not_verify() -> None:
    """One other byte in the payload and the signature fails."""
    moved = altered(payload=base64.b64encode(b'{"v":2}').decode())
    with pytest.raises(IntegrityError):
        open_envelope(moved, "here").verify(KEY.public)


def test_a_forged_envelope_under_a_small_order_key_is_refused() -> None:
    """The identity point, under which the library verifies anything, is refused as a key."""
    identity = (1).to_bytes(32, "little")
    with pytest.raises(InputError, match="small-order"):
        open_envelope(GOOD, "here").verify(identity)


SIGNATURE = json.loads(GOOD)["signatures"][0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        GOOD + b"\n",
        b" " + GOOD,
        json.dumps(json.loads(GOOD)).encode(),
        altered(extra=1),
        altered(signatures=[]),
        altered(signatures=[SIGNATURE, SIGNATURE]),
        altered(signatures={"keyid": "", "sig": ""}),
        altered(signatures=[{**SIGNATURE, "cert": "x"}]),
        altered(signatures=[{**SIGNATURE, "keyid": KEY.key_id.upper()}]),
        altered(signatures=[{**SIGNATURE, "sig": "AAAA"}]),
        altered(signatures=[{**SIGNATURE, "sig": SIGNATURE["sig"][:-3] + "B=="}]),
        altered(payload="e30"),
        altered(payload="e31="),
        altered(payload=7),
        altered(payloadType=""),
        altered(payloadType="A B"),
        altered(payloadType=None),
        b'{"payload":"e30=","payload":"e30="}',
        b'{"\\ud800":1}',
        b"[" * 994 + b"]" * 994,
        b"9" * 5000,
    ],
)
def test_an_envelope_in_any_other_form_is_refused(data: bytes) -> None:
    """Not canonical, not exactly one signature, or with anything more: InputError."""
    with pytest.raises(InputError):
        open_envelope(data, "here")


def test_an_envelope_longer_than_a_log_entry_is_refused_unless_allowed() -> None:
    """The limit is 65535 bytes, or what the caller says."""
    long = seal_envelope(b"x" * 60_000, TYPE, KEY)
    with pytest.raises(InputError, match="65535"):
        open_envelope(long, "here")
    assert open_envelope(long, "here", limit=100_000).payload == b"x" * 60_000


@pytest.mark.parametrize("kind", ["", "A", "a b", "a\n", "é", "a" * 128])
def test_a_payload_type_has_one_plain_form(kind: str) -> None:
    """Types are short lower-case ASCII: nothing else is signed."""
    with pytest.raises(InputError):
        seal_envelope(b"", kind, KEY)


def test_a_signature_that_held_before_holds_for_the_very_same_only() -> None:
    """Remembering that it held lets no other key, payload, type or signature pass."""
    envelope, other = open_envelope(GOOD, "here"), SigningKey.generate()
    for _ in range(2):
        envelope.verify(KEY.public)
        for wrong in (
            replace(envelope, payload=b'{"v":2}'),
            replace(envelope, payload_type=TYPE.replace("entry", "grant")),
            replace(envelope, signature=bytes(64)),
            replace(envelope, signature=envelope.signature[::-1]),
            replace(envelope, signature=envelope.signature + b"\0"),
            replace(envelope, key_id=other.key_id),
        ):
            with pytest.raises(IntegrityError):
                wrong.verify(KEY.public)
        with pytest.raises(IntegrityError):
            replace(envelope, key_id=other.key_id).verify(other.public)


def test_what_held_is_forgotten_in_time() -> None:
    """The oldest goes first, and what is forgotten is only verified again."""
    held = _Held(3)
    for name in (b"1", b"2", b"3", b"2", b"4"):
        held.add(name)
    assert [name in held for name in (b"1", b"2", b"3", b"4")] == [False, True, True, True]


def test_the_quick_way_of_reading_takes_what_the_slow_way_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One byte changed, doubled or left out anywhere: the same envelope or the same refusal."""
    cases = [GOOD, seal_envelope(b"", TYPE, KEY), seal_envelope(b"\xff" * 31, "a", KEY)]
    for place in range(len(GOOD)):
        rest = GOOD[place + 1 :]
        for byte in (b"", b'"', b"=", b"A", b"\\", b" ", GOOD[place : place + 1] * 2):
            cases.append(GOOD[:place] + byte + rest)

    def outcome(data: bytes) -> object:
        try:
            return open_envelope(data, "here")
        except InputError as error:
            return error.message

    quick = [outcome(each) for each in cases]
    monkeypatch.setattr("incamera.sealing.envelope._ENVELOPE", re.compile(b"never"))
    assert [outcome(each) for each in cases] == quick
    assert sum(not isinstance(each, str) for each in quick) >= 3
