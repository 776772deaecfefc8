# SPDX-License-Identifier: Apache-2.0
"""Where a trustee finds its share of a capsule, and the key that opens it: nowhere else."""

from __future__ import annotations

from incamera.errors import IntegrityError
from incamera.ids import Name
from incamera.ledger.queries import Queries
from incamera.ledger.request import CapsuleEvidence
from incamera.sealing.header import Header, ShareWrap
from incamera.sealing.keys import OpeningKey
from incamera.sealing.shares import check_share
from incamera.sealing.wrap import unwrap
from incamera.trustee import rules
from incamera.trustee.keyring import Keyring
from incamera.trustee.rules import RefusedError

__all__ = ["OwnShares"]


class OwnShares:
    """One trustee's shares, for one batch of requests."""

    def __init__(self, keys: Keyring, name: Name, state: Queries) -> None:
        self._keys = keys
        self._name = name
        self._state = state
        self._lasting: set[tuple[int, int]] = set()  # epoch and time, found good in this batch

    def find(self, header: Header, shown: CapsuleEvidence) -> ShareWrap:
        """The record of our share in ``header``; what is shown must be exactly that share."""
        return rules.our_share(header, shown, self._name)

    def open(self, header: Header, shown: CapsuleEvidence, share: ShareWrap, now: int) -> bytes:
        """Our share (32 bytes), the one that the car committed to; ``now`` is witness time.

        :class:`RefusedError` if its epoch's key has ended, :class:`IntegrityError` if it was
        sealed to another key, or is not what the car said.
        """
        key = self._key(share.epoch, now)
        if key.key_id != share.key:
            raise IntegrityError(f"the share was sealed to another key than ours of {share.epoch}")
        secret = unwrap(shown.wrapped, key, header.share_info(shown.index))
        check_share(header.capsule_id, shown.index, secret, share.commitment, "the car")
        return secret

    def _key(self, epoch: int, now: int) -> OpeningKey:
        if (epoch, now) not in self._lasting:
            rules.epoch_lasts(self._state, self._name, epoch, now)
            self._lasting.add((epoch, now))
        key = self._keys.epoch(epoch)
        if key is None:
            raise RefusedError("epoch-ended", f"the key of epoch {epoch} is destroyed")
        return key
