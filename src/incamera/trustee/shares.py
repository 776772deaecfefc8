# SPDX-License-Identifier: Apache-2.0
"""Where a trustee finds its share of a capsule, and the key that opens it: nowhere else."""

from __future__ import annotations

from incamera.errors import IntegrityError
from incamera.ids import Name, digest
from incamera.ledger.queries import Queries
from incamera.ledger.request import CapsuleEvidence
from incamera.sealing import dealing
from incamera.sealing.header import Header, ShareWrap
from incamera.sealing.keys import OpeningKey
from incamera.sealing.shares import check_share
from incamera.sealing.wrap import unwrap
from incamera.trustee import rules
from incamera.trustee.inherited import Inherited, NewShare
from incamera.trustee.keyring import Keyring
from incamera.trustee.rules import RefusedError

__all__ = ["OwnShares"]


class OwnShares:
    """One trustee's shares, for one batch of requests."""

    def __init__(self, keys: Keyring, name: Name, state: Queries, held: Inherited) -> None:
        """``held``: the shares that others passed on to us."""
        self._held = held
        self._keys = keys
        self._name = name
        self._state = state
        self._lasting: set[tuple[int, int]] = set()  # epoch and time, found good in this batch

    def find(self, header: Header, shown: CapsuleEvidence) -> ShareWrap:
        """The record of our share in ``header``; what is shown must be exactly that share.

        Of a share that was passed on to us the record is our own.
        """
        if shown.succession == 0:
            return rules.our_share(header, shown, self._name)
        new = self._new(header, shown)
        key = self._state.epoch(self._name, new.epoch)
        if key is None:
            raise IntegrityError(f"the log has no key of {self._name} for epoch {new.epoch}")
        where = (self._name, new.epoch, digest(key.key), digest(new.wrapped))
        return ShareWrap(*where, new.commitment)

    def _new(self, header: Header, shown: CapsuleEvidence) -> NewShare:
        """What we took over, and publicly said so."""
        number = shown.succession
        new = self._held.get(shown.capsule, number)
        said = {each.trustee for each in self._state.accepted(number)}
        if new is None or self._name not in said:
            raise RefusedError(
                "not-accepted",
                f"{self._name} took over no share of this capsule by succession {number}",
                public=False,
            )
        if new.seat != shown.index or new.capsule_id != header.capsule_id:
            raise IntegrityError(f"our share by succession {number} is number {new.seat}")
        return new

    def open(self, header: Header, shown: CapsuleEvidence, share: ShareWrap, now: int) -> bytes:
        """Our share (32 bytes), the one that the car committed to; ``now`` is witness time.

        :class:`RefusedError` if its epoch's key has ended, :class:`IntegrityError` if it was
        sealed to another key, or is not what the car said.
        """
        self.lasts(share.epoch, now)
        key = self._keys.epoch(share.epoch)
        if key is None:
            raise RefusedError(
                "epoch-ended", f"the key of epoch {share.epoch} is not here: destroyed, or lost"
            )
        if key.key_id != share.key:
            raise IntegrityError(f"the share was sealed to another key than ours of {share.epoch}")
        if shown.succession:
            return _open_new(self._new(header, shown), key)
        secret = unwrap(shown.wrapped, key, header.share_info(shown.index))
        check_share(header.capsule_id, shown.index, secret, share.commitment, "the car")
        return secret

    def lasts(self, epoch: int, now: int) -> None:
        """Our key of ``epoch`` may still open at witness time ``now``."""
        if (epoch, now) not in self._lasting:
            rules.epoch_lasts(self._state, self._name, epoch, now)
            self._lasting.add((epoch, now))


def _open_new(new: NewShare, key: OpeningKey) -> bytes:
    place = (bytes.fromhex(new.leaf), new.capsule_id, new.seat)
    secret = unwrap(new.wrapped, key, dealing.own_info(*place))
    if dealing.new_commitment(*place, secret) != new.commitment:
        raise IntegrityError("our own share is not the one that we committed to")
    return secret
