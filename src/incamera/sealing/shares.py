# SPDX-License-Identifier: Apache-2.0
"""A data key cut into n shares of which k give it back (Shamir), and a commitment to each.

The arithmetic is pycryptodome's, over GF(2**128), so a 32-byte key is two secrets of 16 bytes
with polynomials of their own; share i is both values at i. Fewer than k shares say nothing
about the key. Why this library: ``docs/decisions/0003-shamir.md``.

Combining cannot notice a wrong share: it gives a wrong key. So the car commits to every share
in its signed header, and a reader checks a share against that before using it: a lying trustee
is named. The commitment is a plain hash and still hides: a share is 32 uniformly random bytes,
so there is nothing to guess.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from Crypto.Protocol.SecretSharing import Shamir

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, digest

__all__ = ["MAX_SHARES", "check_share", "check_threshold", "combine", "commitment", "split"]

MAX_SHARES = 32
_HALF = 16
_SHARE = 2 * _HALF


def check_threshold(threshold: int, count: int, where: str) -> None:
    """:class:`InputError` unless 2 <= threshold <= count <= 32.

    A threshold of 1 would let a single trustee, in a single country, read alone.
    """
    if not 2 <= threshold <= count <= MAX_SHARES:
        raise InputError(
            f"{where}: threshold {threshold} of {count} shares is not allowed",
            hint=f"2 <= threshold <= trustees <= {MAX_SHARES}",
        )


def split(key: bytes, threshold: int, count: int) -> list[bytes]:
    """``count`` shares of 32 bytes of ``key`` (32 bytes); share i of 1..count stands at i-1."""
    check_threshold(threshold, count, "split")
    if len(key) != _SHARE:
        raise InputError(f"a data key has {_SHARE} bytes, not {len(key)}")
    first = Shamir.split(threshold, count, key[:_HALF])
    second = Shamir.split(threshold, count, key[_HALF:])
    return [a + b for (_, a), (_, b) in zip(first, second, strict=True)]


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The 32-byte key from at least ``threshold`` shares by index.

    Check each share first (:func:`check_share`): wrong ones give a wrong key, not an error.
    More shares than needed do no harm; the lowest indices are used.
    """
    check_threshold(threshold, MAX_SHARES, "combine")
    if len(shares) < threshold:
        raise InputError(
            f"{len(shares)} shares, but this capsule needs {threshold}",
            hint="ask more trustees for a grant",
        )
    if any(not 1 <= i <= MAX_SHARES or len(s) != _SHARE for i, s in shares.items()):
        raise InputError(f"a share has {_SHARE} bytes and an index of 1 to {MAX_SHARES}")
    chosen = sorted(shares)[:threshold]
    halves = (slice(_HALF), slice(_HALF, _SHARE))
    return b"".join(
        bytes(Shamir.combine([(i, shares[i][half]) for i in chosen])) for half in halves
    )


def commitment(capsule_id: bytes, index: int, share: bytes) -> Digest:
    """SHA-256 of label || capsule id (32 bytes) || index (1 byte) || share (32 bytes)."""
    if len(capsule_id) != 32 or len(share) != _SHARE or not 1 <= index <= MAX_SHARES:
        raise InputError("a commitment needs a capsule id and a share of 32 bytes and an index")
    return digest(b"incamera commitment 1\0" + capsule_id + bytes((index,)) + share)


def check_share(capsule_id: bytes, index: int, share: bytes, expected: Digest, who: str) -> None:
    """:class:`IntegrityError` naming ``who`` unless ``share`` is the one committed to."""
    if not hmac.compare_digest(commitment(capsule_id, index, share), expected):
        raise IntegrityError(
            f"share {index} from {who} is not the share that the car sealed",
            hint=f"ask another trustee, and report {who}: it answered with a wrong share",
        )
