# SPDX-License-Identifier: Apache-2.0
"""Blobs and tables follow the log: the one place where an entry becomes a row, or a destruction.

It runs at every opening of the vault and after every append, over the entries that no vault has
taken yet, and doing it twice does no harm: so whatever was cut short by a crash is completed by
the next run, of this vault or another.
"""

from __future__ import annotations

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.entries import ErasureEntry, PartyEntry
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import key_id
from incamera.vault.blobs import Blobs
from incamera.vault.index import Book, Facts, Index
from incamera.vault.reading import Reading

__all__ = ["Account"]

_STEP = 1024
"""Entries of one transaction: others wait for no more."""


class Account:
    """Keeps blobs and tables in step with what was read. Under the vault's lock."""

    def __init__(self, reading: Reading, index: Index, blobs: Blobs) -> None:
        self._reading = reading
        self._state = reading.state
        self._index = index
        self._blobs = blobs
        #: Entries that the tables knew when they were asked last.
        self._read = 0

    def catch_up(self, *, recent: float = 0.0, told: bool = False) -> set[Digest]:
        """Follow the log to its present checkpoint and do what its new entries say.

        The capsules that were ``kept`` by this; another vault may have been first. ``recent``,
        ``told``: as :meth:`Reading.follow`.
        """
        kept = set[Digest]()
        looked = self._reading.follow(recent=recent, told=told)
        if not looked and self._read >= self._reading.size:
            return kept
        read = self._index.read
        while read < self._reading.size:
            read, more = self._step()
            kept |= more
        if read > self._reading.size:
            self._reading.follow()  # another vault was quicker
            if read > self._reading.size:
                raise IntegrityError(
                    f"the vault's tables know {read} log entries, the log has {self._reading.size}"
                )
        self._read = read
        return kept

    def _step(self) -> tuple[int, set[Digest]]:
        """How many entries the tables know now, and what was kept by it."""
        # A crash rolls rows back but no destruction: the next run finds the blob gone already.
        with self._index.accounting() as book:
            start = book.read
            end = min(start + _STEP, self._reading.size)
            if start >= end:
                return start, set()
            admitted = dict[Digest, int]()
            for at, (data, name) in enumerate(self._reading.entries(start, end), start):
                if name is not None:
                    self._admitted(book, name, at, admitted)
                else:
                    self._take(book, at, data)
            kept = book.keep(admitted)
            for name in admitted.keys() - kept:
                self.settle(book, name)
            book.set_read(end)
            return end, kept

    def _admitted(self, book: Book, name: Digest, at: int, admitted: dict[Digest, int]) -> None:
        """Entry ``at`` speaks of a capsule: note it if it is the one that counts."""
        found = self._state.capsule(name)
        if found is None or found.index != at:
            return  # by no key of the vault, or a repeat
        if self._state.erased(name) is not None:
            self.settle(book, name)
        else:
            admitted[name] = at

    def _take(self, book: Book, at: int, data: bytes) -> None:
        """What entry ``at`` changes here; one without effect in the ledger has none here."""
        try:
            entry = decode(data, f"log entry {at}").entry
        except InputError:
            return  # the state keeps it as a finding
        if isinstance(entry, PartyEntry) and entry.role == "owner" and entry.opening:
            if self._state.opening_holder(entry.opening) == f"owner {entry.name}":
                book.add_owner(key_id(entry.opening), entry.name)
        elif isinstance(entry, ErasureEntry):
            for name in entry.capsules:
                self.settle(book, name)

    def settle(self, book: Book, name: Digest) -> None:
        """Make blob and row of capsule ``name`` what the log says of it."""
        admitted, erased = self._state.capsule(name), self._state.erased(name)
        if erased is not None:
            self._blobs.remove(name)
            book.erase(name, None if admitted is None else admitted.index)
        elif admitted is not None:
            # The row first: whoever else has it in hand is waited for before the blob is looked at.
            book.lose(name, admitted.index)
            if (capsule := self.stored(name)) is not None:
                owner = book.owner_of(capsule.header.owner.key)
                book.store(Facts.of(name, capsule.header, capsule.size, owner), admitted.index)

    def lose(self, book: Book, name: Digest) -> bool:
        """Say that the blob of ``name`` is damaged; False if the log knows no such capsule now."""
        admitted = self._state.capsule(name)
        if admitted is None or self._state.erased(name) is not None:
            return False
        book.lose(name, admitted.index)
        return True

    def stored(self, name: Digest) -> Capsule | None:
        """The capsule as stored, its ciphertext unread; None if it is missing or damaged."""
        try:
            with self._blobs.local(name) as path:
                capsule = read_capsule(path)
        except (InputError, IntegrityError):
            return None
        return capsule if capsule.digest == name else None

    def sound(self, name: Digest) -> bool:
        """True if every byte of the stored capsule ``name`` is right."""
        try:
            with self._blobs.local(name) as path:
                capsule = read_capsule(path)
                capsule.verify_stored()
        except (InputError, IntegrityError):
            return False
        return capsule.digest == name
