# SPDX-License-Identifier: Apache-2.0
"""What a witness signs (C2SP tlog-cosignature): Ed25519 ``cosignature/v1`` and ML-DSA-44. Pure.

A cosignature is a big-endian u64 POSIX timestamp followed by the raw signature over one of the
two messages below.
"""

from __future__ import annotations

from incamera.errors import InputError
from incamera.tlog.checkpoint import Checkpoint

__all__ = ["MAX_TIME", "ed25519_message", "join", "mldsa_message", "split", "subtree_message"]

MAX_TIME = 2**63 - 1
"""The latest timestamp a cosignature may carry."""

_LABEL = b"subtree/v1\n\x00"


def split(signature: bytes) -> tuple[int, bytes] | None:
    """Timestamp and raw signature, or None where the timestamp is out of range."""
    timestamp = int.from_bytes(signature[:8], "big")
    if len(signature) < 8 or timestamp > MAX_TIME:
        return None
    return timestamp, signature[8:]


def join(timestamp: int, raw: bytes) -> bytes:
    """The bytes that go on the signature line after the key ID."""
    return timestamp.to_bytes(8, "big") + raw


def ed25519_message(timestamp: int, text: bytes) -> bytes:
    """Type 0x04: two lines, then the whole checkpoint text.

    It does not name the cosigner, so a key must never serve two cosigners.
    """
    return b"cosignature/v1\ntime %d\n" % timestamp + text


def mldsa_message(name: str, timestamp: int, checkpoint: Checkpoint) -> bytes:
    """Type 0x06 over a checkpoint: the subtree from the first leaf to the last."""
    tree = (checkpoint.origin, 0, checkpoint.size, checkpoint.root)
    return subtree_message(name, timestamp, *tree)


def subtree_message(
    name: str, timestamp: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """Type 0x06: the binary ``cosigned_message`` for leaves ``start`` to ``end``."""
    names = []
    for each in (name, origin):
        data = each.encode()
        if not 1 <= len(data) <= 255:
            raise InputError(f"an ML-DSA cosignature allows names of 1 to 255 bytes: {each!r:.60}")
        names.append(bytes([len(data)]) + data)
    time, low, high = (number.to_bytes(8, "big") for number in (timestamp, start, end))
    return b"".join((_LABEL, names[0], time, names[1], low, high, root))
