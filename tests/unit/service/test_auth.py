# SPDX-License-Identifier: Apache-2.0
"""Signed calls and the log's token."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.encoding import base64_bytes, base64_text, canonical
from incamera.errors import InputError, UnavailableError
from incamera.ids import digest
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import SigningKey
from incamera.service.answers import UnknownCallerError
from incamera.service.auth import CALL_TYPE, WINDOW, Token, open_call, sign_call

NOW = 1_800_000_000
KEY = SigningKey.generate()


def test_a_signed_call_says_who_and_what() -> None:
    """The key, and the digest of the body, for this method and target."""
    header = sign_call(KEY, "POST", "/evidence?x=1", b"body", NOW)
    call = open_call(header, "POST", "/evidence?x=1", NOW + WINDOW)
    assert (call.key, call.body) == (KEY.public, digest(b"body"))


@pytest.mark.parametrize(
    ("method", "target", "now", "code"),
    [
        ("GET", "/evidence", NOW, "other-call"),
        ("POST", "/evidence/", NOW, "other-call"),
        ("POST", "/evidence?", NOW, "other-call"),
        ("POST", "/evidence", NOW + WINDOW + 1, "stale-call"),
        ("POST", "/evidence", NOW - WINDOW - 1, "stale-call"),
    ],
)
def test_a_signature_is_for_one_call_at_one_time(
    method: str, target: str, now: int, code: str
) -> None:
    """Another method or target, too old, too far ahead."""
    header = sign_call(KEY, "POST", "/evidence", b"", NOW)
    with pytest.raises(UnknownCallerError) as caught:
        open_call(header, method, target, now)
    assert caught.value.code == code


def test_an_altered_call_is_nobodys() -> None:
    """Any byte of the envelope changed, another key put in, or none at all."""
    header = sign_call(KEY, "GET", "/capsules", b"", NOW)
    raw = base64_bytes(header.removeprefix("DSSE "), "test")
    named = {"v": 1, "method": "GET", "path": "/capsules", "time": NOW, "body": digest(b"")}
    named["key"] = base64_text(SigningKey.generate().public)
    bad = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(0, len(raw), 7)]
    bad.append(seal_envelope(canonical(named), CALL_TYPE, KEY))  # in another's name
    for each in [
        *(f"DSSE {base64_text(data)}" for data in bad),
        "",
        "DSSE",
        "Bearer x",
        header * 9,
    ]:
        with pytest.raises(UnknownCallerError):
            open_call(each, "GET", "/capsules", NOW)


def test_a_token_is_a_secret_file(tmp_path: Path) -> None:
    """One line of 32 characters or more, for its owner alone; never shown."""
    path = tmp_path / "token"
    with pytest.raises(UnavailableError):
        Token.load(path)
    path.write_text("0123456789abcdef0123456789abcdef\n")
    path.chmod(0o640)
    with pytest.raises(InputError, match="other users"):
        Token.load(path)
    path.chmod(0o600)
    token = Token.load(path)
    token.check("Bearer 0123456789abcdef0123456789abcdef")
    assert "0123" not in repr(token)
    for shown in (
        "",
        "Bearer",
        "Bearer 0",
        "Bearer 0123456789abcdef0123456789abcdef\n",
        "Bearer é",
    ):
        with pytest.raises(UnknownCallerError):
            token.check(shown)


@pytest.mark.parametrize("text", ["", "short", "x" * 32 + " y", "x" * 31, "ü" * 40, "a\n" * 20])
def test_a_weak_token_is_refused(tmp_path: Path, text: str) -> None:
    """Too short, blanks, not ASCII; the message does not repeat it."""
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError) as caught:
        Token.load(path)
    assert not text.strip() or text not in caught.value.message
