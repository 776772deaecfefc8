# SPDX-License-Identifier: Apache-2.0
"""Who calls: a DSSE envelope in the ``Authorization`` header, or the log's bearer token.

A signed call is ``Authorization: DSSE <base64 of the envelope>``; the envelope's payload is
canonical JSON ``{"body", "key", "method", "path", "time", "v"}``: SHA-256 of the body in hex, the
signer's public key, the method, the target as sent (path and query), POSIX seconds. It holds for
300 seconds. Within them it can be shown again by whoever saw it, so only calls that change nothing,
or that change nothing twice, are opened by it, and only TLS keeps it from being seen.
"""

from __future__ import annotations

import hmac
import stat
from dataclasses import dataclass
from pathlib import Path

from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest, digest, parse_digest
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey
from incamera.service.answers import UnknownCallerError

__all__ = ["CALL_TYPE", "WINDOW", "Call", "Token", "open_call", "sign_call"]

CALL_TYPE = "application/vnd.incamera.call+json"

WINDOW = 300
"""Seconds a signed call may be old, or ahead."""

_MAX_CALL = 4_096
_MIN_TOKEN = 32


def sign_call(key: SigningKey, method: str, target: str, body: bytes, now: int) -> str:
    """The ``Authorization`` header of one call, signed at ``now`` (POSIX seconds).

    ``target``: path and query as they are sent, such as ``/capsules?tag=hard-brake``.
    """
    payload = canonical(
        {
            "v": 1,
            "method": method,
            "path": target,
            "time": now,
            "body": digest(body),
            "key": base64_text(key.public),
        }
    )
    return f"DSSE {base64_text(seal_envelope(payload, CALL_TYPE, key))}"


@dataclass(frozen=True, slots=True)
class Call:
    """A signed call whose signature, target and time hold; the body is the caller's to compare."""

    key: bytes  # 32, Ed25519; whose, the log says
    body: Digest


def open_call(header: str, method: str, target: str, now: int) -> Call:
    """The call in an ``Authorization`` header; :class:`UnknownCallerError` unless it holds."""
    where = "Authorization"
    scheme, _, text = header.partition(" ")
    if scheme != "DSSE":
        raise UnknownCallerError("unsigned", "this call must be signed by an enrolled key")
    try:
        envelope = open_envelope(
            base64_bytes(text, where), where, payload_type=CALL_TYPE, limit=_MAX_CALL
        )
        keys = ("v", "method", "path", "time", "body", "key")
        said = exact_keys(parse_canonical(envelope.payload, where), keys, where)
        key = base64_bytes(said["key"], f"{where}: key", 32)
        envelope.verify(key)
        body = parse_digest(said["body"], f"{where}: body")
    except Error as error:
        raise UnknownCallerError("bad-signature", error.message) from error
    if not is_version(said["v"], 1) or (said["method"], said["path"]) != (method, target):
        raise UnknownCallerError("other-call", "the signature is for another call")
    time = said["time"]
    if type(time) is not int or abs(now - time) > WINDOW:
        raise UnknownCallerError(
            "stale-call",
            f"signed more than {WINDOW} s ago, or ahead",
            hint="set the clock of the machine that asks",
        )
    return Call(key, body)


class Token:
    """The secret that opens the log to its vault, from a file that only its owner may read."""

    def __init__(self, secret: str) -> None:
        """``secret``: at least 32 printable ASCII characters without spaces."""
        if len(secret) < _MIN_TOKEN or not all("!" <= each <= "~" for each in secret):
            raise InputError(f"a token has at least {_MIN_TOKEN} printable characters, no spaces")
        self.secret = secret

    @classmethod
    def load(cls, path: Path) -> Token:
        """The one line of the file at ``path``, which others must not be able to read."""
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            line = path.read_bytes()
        except OSError as error:
            raise UnavailableError(f"{path}: cannot read the token: {error.strerror}") from error
        if mode & 0o077:
            raise InputError(
                f"{path}: other users may read this token (mode {mode:04o})",
                hint=f"chmod 600 {path}; if others may have read it, make a new one",
            )
        try:
            return cls(line.decode("ascii").removesuffix("\n"))
        except (UnicodeDecodeError, InputError) as error:
            raise InputError(
                f"{path}: not a token: one line of at least {_MIN_TOKEN} printable characters",
                hint="openssl rand -hex 32 makes one",
            ) from error

    def check(self, header: str) -> None:
        """:class:`UnknownCallerError` unless ``header`` bears the token; in constant time."""
        scheme, _, text = header.partition(" ")
        shown = text.encode("utf-8", "surrogateescape")
        if scheme != "Bearer" or not hmac.compare_digest(shown, self.secret.encode("ascii")):
            raise UnknownCallerError("token", "this call wants the log's token")

    def __repr__(self) -> str:
        return "Token(...)"
