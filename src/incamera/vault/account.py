# SPDX-License-Identifier: Apache-2.0
"""Blobs and index follow the log: the one place where an entry becomes a row, or a destruction.

It runs at every opening of the vault and after every append, over the entries not seen yet, and
doing it twice does no harm: so whatever was cut short by a crash is completed by the next run.
"""

from __future__ import annotations

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry, PartyEntry
from incamera.ledger.follower import Follower
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import key_id
from incamera.tlog.reader import LogReader
from incamera.vault.blobs import Blobs
from incamera.vault.index import Index

__all__ = ["Account"]


class Account:
    """Keeps blobs and index in step with what the follower reads. Under the vault's lock."""

    def __init__(self, follower: Follower, index: Index, blobs: Blobs) -> None:
        self._follower = follower
        self._state = follower.state
        self._index = index
        self._blobs = blobs

    def catch_up(self) -> None:
        """Follow the log to its present checkpoint and do what its new entries say."""
        witnessed = self._follower.follow()
        start, size = self._index.read, self._state.size
        if start > size:
            raise IntegrityError(f"the vault's index knows {start} log entries, the log has {size}")
        if start == size:
            return
        reader = LogReader(self._follower.reader.fetch, self._follower.policy)
        reader.trust(witnessed.checkpoint)
        # A crash rolls rows back but no destruction: the next run finds the blob gone already.
        erased = False
        with self._index.transaction():
            for at, data in enumerate(reader.entries(start, size, size), start):
                erased |= self._take(at, data)
            self._index.set_read(size)
        if erased:
            self._index.fold()

    def _take(self, at: int, data: bytes) -> bool:
        """What entry ``at`` changes here; one without effect in the ledger has none here.

        True for an erasure.
        """
        try:
            entry = decode(data, f"log entry {at}").entry
        except InputError:
            return False  # the state keeps it as a finding
        if isinstance(entry, PartyEntry) and entry.role == "owner" and entry.opening:
            if self._state.opening_holder(entry.opening) == f"owner {entry.name}":
                self._index.add_owner(key_id(entry.opening), entry.name)
        elif isinstance(entry, CapsuleEntry):
            self.settle(entry.capsule)
        elif isinstance(entry, ErasureEntry):
            for name in entry.capsules:
                self.settle(name)
        return isinstance(entry, ErasureEntry)

    def settle(self, name: Digest) -> None:
        """Make blob and row of capsule ``name`` what the log says of it."""
        admitted, erased = self._state.capsule(name), self._state.erased(name)
        if erased is not None:
            self._blobs.remove(name)
            if admitted is not None:
                self._index.erase(name, admitted.index)
            else:
                self._index.forget(name)
        elif admitted is not None:
            capsule = self.stored(name)
            if capsule is None:
                self._index.lose(name, admitted.index)
            else:
                self._index.keep(name, capsule.header, capsule.size, admitted.index)

    def stored(self, name: Digest) -> Capsule | None:
        """The capsule as stored, its ciphertext unread; None if it is missing or damaged."""
        try:
            capsule = read_capsule(self._blobs.path(name))
        except (InputError, IntegrityError):
            return None
        return capsule if capsule.digest == name else None

    def sound(self, name: Digest) -> bool:
        """True if every byte of the stored capsule ``name`` is right."""
        capsule = self.stored(name)
        try:
            if capsule is not None:
                capsule.verify_stored()
        except (InputError, IntegrityError):
            return False
        return capsule is not None
