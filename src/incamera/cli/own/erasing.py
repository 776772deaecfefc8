# SPDX-License-Identifier: Apache-2.0
"""Erasures into the log, signed by who erases."""

from __future__ import annotations

from typing import Literal

from incamera.cli.desk import Desk
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import MAX_INLINE, ErasureEntry

__all__ = ["By", "erase"]

By = Literal["owner", "operator"]


def erase(desk: Desk, capsules: list[Digest], by: By, reason: str) -> list[int]:
    """Log erasures of at most 512 capsules each; their log indices.

    What an erasure that was interrupted has said is not said again: its index is among them.
    """
    name, key, state = "", None, desk.state()
    if by == "owner":
        owner = desk.owner()
        name, key = owner.name, owner.signing
    said = {each: found.index for each in capsules if (found := state.erased(each))}
    entries = sorted(set(said.values()))
    capsules = [each for each in capsules if each not in said]
    for start in range(0, len(capsules), MAX_INLINE):
        entry = ErasureEntry(
            region=desk.region().region,
            time=desk.clock.now(),
            capsules=tuple(sorted(capsules[start : start + MAX_INLINE])),
            by=by,
            name=name,
            reason=reason,
        )
        entries.append(desk.submit(encode(entry, key or desk.operator())))
    return entries
