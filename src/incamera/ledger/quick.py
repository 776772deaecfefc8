# SPDX-License-Identifier: Apache-2.0
"""The common entry, told at a glance: a capsule, admitted under the vault's key.

Nearly all of a long log is capsule entries, and a valid one has one form, byte for byte, in which
only the digest, the time and the signature differ. What has that form and a signature that holds
is exactly what :func:`incamera.ledger.codec.decode` and :func:`incamera.ledger.fold.check` would
accept. The converse is not claimed: whatever is not recognised here goes the long way.
"""

from __future__ import annotations

import binascii
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass

from incamera import ed25519
from incamera.ids import Region
from incamera.ledger.codec import ENTRY_TYPE, MAX_TIME
from incamera.sealing.keys import key_id

__all__ = ["CapsuleForm", "Run"]

_HEAD = b'{"payload":"'
_END = b'"}]}'
_SIGNATURE = 88  # characters of base64: 64 bytes
_HEADED = len(_HEAD)
_FROM, _TO = -_SIGNATURE - len(_END), -len(_END)
_PAE = b"DSSEv1 %d %s " % (len(ENTRY_TYPE), ENTRY_TYPE.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Run:
    """Entries from index ``first`` on, looked at: those recognised, and all others as they are."""

    first: int
    #: Entries that :meth:`CapsuleForm.read` recognised: for each stretch of them the index of its
    #: first, and their capsules' digests (32 bytes each), one after the other.
    capsules: Sequence[tuple[int, bytes]]
    #: (index, entry) of each other one.
    others: Sequence[tuple[int, bytes]]
    #: The roots of the complete subtrees of ``2**height`` leaves that the run consists of.
    hashes: Sequence[bytes]
    height: int


class CapsuleForm:
    """The form of a valid capsule entry in one region's log."""

    def __init__(self, region: Region, vault_key: bytes) -> None:
        """``vault_key``: 32 bytes that :func:`incamera.ed25519.load_public` took."""
        self._key = vault_key
        self._payload = re.compile(
            rb'\{"capsule":"([0-9a-f]{64})","region":"%s","time":(0|[1-9][0-9]{0,15}),'
            rb'"type":"capsule","v":1\}' % re.escape(region.encode("ascii"))
        )
        self._middle = b'","payloadType":"%s","signatures":[{"keyid":"%s","sig":"' % (
            ENTRY_TYPE.encode("ascii"),
            key_id(vault_key).encode("ascii"),
        )
        self._tail = len(self._middle) + _SIGNATURE + len(_END)

    def read(self, entry: bytes) -> bytes | None:
        """The digest of the capsule that ``entry`` validly admits; None says nothing."""
        cut = len(entry) - self._tail
        if (
            entry[cut:_FROM] != self._middle
            or not entry.startswith(_HEAD)
            or not entry.endswith(_END)
        ):
            return None
        text, signed = entry[_HEADED:cut], entry[_FROM:_TO]
        try:
            payload, signature = a2b_base64(text), a2b_base64(signed)
        except binascii.Error:
            return None
        said = self._payload.fullmatch(payload)
        if said is None or int(said[2]) > MAX_TIME:
            return None
        # Canonical base64: the one way to write these bytes.
        if b2a_base64(payload, newline=False) != text or (
            b2a_base64(signature, newline=False) != signed
        ):
            return None
        if not ed25519.quickly(self._key, signature, b"%s%d %s" % (_PAE, len(payload), payload)):
            return None
        return bytes.fromhex(said[1].decode("ascii"))
