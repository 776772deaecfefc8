# SPDX-License-Identifier: Apache-2.0
"""Signed statements: DSSE envelopes with one Ed25519 signature, in one canonical form.

DSSE (github.com/secure-systems-lab/dsse, protocol v1) signs the payload together with its type,
so that a signature over a header can never be shown as a signature over a request. DSSE leaves
the JSON around it free and takes several signatures; here the envelope is canonical JSON
(RFC 8785) with exactly one, because the log, receipts and requests name it by its digest.
"""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass

from incamera import ed25519
from incamera.encoding import base64_bytes, base64_text, exact_keys, parse_canonical
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, parse_digest
from incamera.sealing.keys import SigningKey, key_id

__all__ = ["MAX_ENVELOPE", "Envelope", "forget_signatures", "open_envelope", "seal_envelope"]

MAX_ENVELOPE = 65_535
"""Longest envelope in bytes, unless a caller sets another limit: what fits a log entry."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9.+/-]{0,126}", re.ASCII)
_FORM = '{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}'
"""What canonical JSON makes of these four texts, none of which has a character to escape."""
_ENVELOPE = re.compile(
    re.escape(_FORM).replace("%s", "(%s)").encode()
    % (rb"[A-Za-z0-9+/]*={0,2}", _TYPE.pattern.encode(), b"[0-9a-f]{64}", rb"[A-Za-z0-9+/]{86}==")
)


class _Held:
    """Signatures that held before: what read a request in the log need not verify it twice.

    By the SHA-256 of key, signature and message, so nothing but the very same passes; only what
    held is kept, and of that the last few thousand.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn = threading.Lock()
        self._seen: dict[bytes, None] = {}  # in the order of their coming

    def __contains__(self, seen: bytes) -> bool:
        return seen in self._seen

    def add(self, seen: bytes) -> None:
        with self._turn:
            self._seen[seen] = None
            if len(self._seen) > self._most:
                del self._seen[next(iter(self._seen))]

    def clear(self) -> None:
        with self._turn:
            self._seen.clear()


_HELD = _Held(4096)


def _pae(payload: bytes, payload_type: str) -> bytes:
    """What is signed: DSSE's pre-authentication encoding (protocol v1).

    The tests hold it against securesystemslib, whose import brings a cloud's client where one is
    installed: a third of what ``incamera list`` imported.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _seen(public: bytes, signature: bytes, message: bytes) -> bytes:
    # 32 bytes before and after the signature's 64: no two ways to cut.
    return hashlib.sha256(public + signature + hashlib.sha256(message).digest()).digest()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope. Nothing in it is to be believed before :meth:`verify`."""

    payload: bytes
    payload_type: str
    key_id: Digest
    """The key that is said to have signed: SHA-256 of the 32 public bytes. A hint, not a proof."""
    signature: bytes
    where: str
    """What messages call it, such as a path or ``log entry 17``."""

    def verify(self, public: bytes) -> None:
        """:class:`IntegrityError` unless the key of 32 ``public`` bytes signed this payload."""
        named = key_id(public) == self.key_id
        pae = _pae(self.payload, self.payload_type)
        seen = _seen(public, self.signature, pae)
        if named and seen in _HELD:
            return
        key = ed25519.load_public(public, self.where)
        if not named:
            raise IntegrityError(f"{self.where}: signed by another key, {self.key_id[:16]}...")
        if not ed25519.verifies(key, self.signature, pae):
            raise IntegrityError(f"{self.where}: the signature does not match the content")
        _HELD.add(seen)


def seal_envelope(payload: bytes, payload_type: str, key: SigningKey) -> bytes:
    """``payload`` signed by ``key``, as the canonical bytes that are stored, logged and hashed.

    Who signs also knows that the signature holds: a trustee that reads its own grant in the log
    need not ask again.
    """
    if not _TYPE.fullmatch(payload_type):
        raise InputError(f"not a payload type: {payload_type!r:.80}")
    pae = _pae(payload, payload_type)
    signature = key.sign(pae)
    _HELD.add(_seen(key.public, signature, pae))
    named = (base64_text(payload), payload_type, key.key_id, base64_text(signature))
    return (_FORM % named).encode("ascii")


def forget_signatures() -> None:
    """Verify all anew from here on: for benches, in which signer and reader share a process."""
    _HELD.clear()


def open_envelope(
    data: bytes, where: str, *, payload_type: str | None = None, limit: int = MAX_ENVELOPE
) -> Envelope:
    """Parse ``data``, strictly; call :meth:`Envelope.verify` next.

    :class:`InputError` if it is longer than ``limit`` bytes, not canonical, has not exactly one
    signature, or is not of ``payload_type`` where one is given.
    """
    if len(data) > limit:
        raise InputError(f"{where}: an envelope may have {limit} bytes, this one has more")
    payload, found, keyid, signature = _texts(data, where)
    if payload_type is not None and found != payload_type:
        raise InputError(f"{where}: expected {payload_type}, found {found}")
    return Envelope(
        payload=base64_bytes(payload, f"{where}: payload"),
        payload_type=found,
        key_id=parse_digest(keyid, f"{where}: keyid"),
        signature=base64_bytes(signature, f"{where}: signature", 64),
        where=where,
    )


def _texts(data: bytes, where: str) -> tuple[str, str, str, str]:
    """Payload, type, key id and signature, as they stand in the envelope.

    What has the one form is taken apart at once. What has not is read as JSON, to say what is
    wrong with it.
    """
    if form := _ENVELOPE.fullmatch(data):
        payload, found, keyid, signature = (each.decode("ascii") for each in form.groups())
        return payload, found, keyid, signature
    value = exact_keys(
        parse_canonical(data, where), ("payload", "payloadType", "signatures"), where
    )
    kind, signatures = value["payloadType"], value["signatures"]
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise InputError(f"{where}: not a payload type: {kind!r:.80}")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise InputError(f"{where}: expected exactly one signature")
    signed = exact_keys(signatures[0], ("keyid", "sig"), f"{where}: signature")
    return value["payload"], kind, signed["keyid"], signed["sig"]
