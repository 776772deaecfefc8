# SPDX-License-Identifier: Apache-2.0
"""Shares passed on to a new set of trustees without the data key ever being put together.

Secret redistribution with hash commitments (after Desmedt and Jajodia 1997; Wong, Wang and Wing
2002): each old trustee i splits its share s_i anew, by a polynomial g_i with g_i(0) = s_i, and
gives g_i(j) to seat j. From k of them seat j combines sum(lambda_i * g_i(j)), a share of the same
key on a new polynomial. That sum is what Lagrange's formula gives for the points (i, g_i(j)), so
:func:`incamera.sealing.shares.combine` is all it takes. All seats must use the same k dealers, or
their shares lie on different polynomials.

A plain hash commits to a part and hides it, but cannot show that the part belongs to the dealer's
share. A dealer that lies there spoils the new shares, which a reader sees when the capsule's own
key commitment fails. Nothing is lost by that: the old shares still open, and the log names the
dealers.

>>> from incamera.sealing import shares
>>> key = bytes(range(32))
>>> old = shares.split(key, 2, 3)
>>> dealt = {i: deal(old[i - 1], 3, 4) for i in (1, 3)}
>>> new = {j: take_over({i: parts[j - 1] for i, parts in dealt.items()}, 2) for j in (1, 2, 4)}
>>> shares.combine(new, 3) == key
True
"""

from __future__ import annotations

from collections.abc import Mapping

from incamera.errors import InputError
from incamera.ids import Digest, digest
from incamera.sealing import shares

__all__ = ["deal", "new_commitment", "own_info", "part_commitment", "part_info", "take_over"]


def deal(share: bytes, threshold: int, seats: int) -> list[bytes]:
    """``share`` (32 bytes) split for ``seats`` seats; part j of 1..seats stands at j-1."""
    return shares.split(share, threshold, seats)


def take_over(parts: Mapping[int, bytes], threshold: int) -> bytes:
    """The new share of one seat from its parts (32 bytes) by the dealers' share index.

    ``threshold`` is that of the OLD set, and exactly so many parts must come: which dealers are
    used is settled before, for all seats alike.
    """
    if len(parts) != threshold:
        raise InputError(f"{len(parts)} dealers' parts where exactly {threshold} are combined")
    return shares.combine(parts, threshold)


def _place(succession: bytes, capsule_id: bytes, *numbers: int) -> bytes:
    if len(succession) != 32 or len(capsule_id) != 32:
        raise InputError("a succession's leaf hash and a capsule id have 32 bytes each")
    if not all(1 <= number <= shares.MAX_SHARES for number in numbers):
        raise InputError(f"dealers and seats are numbered 1 to {shares.MAX_SHARES}")
    return succession + capsule_id + bytes(numbers)


def part_info(succession: bytes, capsule_id: bytes, dealer: int, seat: int) -> bytes:
    """Context of a part as it is sealed to a seat's key.

    ``succession``: leaf hash (32 bytes) of the entry; ``dealer``: index of the old share.
    """
    return b"incamera part 1\0" + _place(succession, capsule_id, dealer, seat)


def own_info(succession: bytes, capsule_id: bytes, seat: int) -> bytes:
    """Context of a new share as its own trustee keeps it, sealed to its own epoch key."""
    return b"incamera new share 1\0" + _place(succession, capsule_id, seat)


def part_commitment(
    succession: bytes, capsule_id: bytes, dealer: int, seat: int, part: bytes
) -> Digest:
    """What a dealer commits to: SHA-256 over label, place and part."""
    return digest(
        b"incamera part commitment 1\0" + _place(succession, capsule_id, dealer, seat) + part
    )


def new_commitment(succession: bytes, capsule_id: bytes, seat: int, share: bytes) -> Digest:
    """What a seat commits to when it accepts, so that a reader knows a false share from a true."""
    return digest(b"incamera new commitment 1\0" + _place(succession, capsule_id, seat) + share)
