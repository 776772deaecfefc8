# SPDX-License-Identifier: Apache-2.0
"""Who holds the shares of a capsule now: the set its car sealed to, or one they were passed on to.

A succession is in force for a capsule as soon as enough of its seats to open have accepted. The
latest one counts; until then the set before it does. Whoever combines shares takes them all from
one set.
"""

from __future__ import annotations

from dataclasses import dataclass

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, digest
from incamera.ledger.codec import parse_capsule_list
from incamera.ledger.dealing import COMMITMENT, parse_commitments
from incamera.ledger.queries import Queries
from incamera.ledger.rows import Succession
from incamera.sealing.header import Header
from incamera.tlog.fetch import Fetch

__all__ = ["Holders", "Holdings"]


@dataclass(frozen=True, slots=True)
class Holders:
    """A set of trustees; share i of 1..n is of ``names[i - 1]``."""

    succession: int  # 0: as the car sealed it
    leaf: bytes  # 32, of the succession's entry; empty for 0
    threshold: int
    names: tuple[Name, ...]

    def index(self, name: Name) -> int | None:
        """Which share ``name`` holds, if any."""
        return self.names.index(name) + 1 if name in self.names else None


class Holdings:
    """Answers for one state of the log; the files of successions are fetched and checked once."""

    def __init__(self, state: Queries, fetch: Fetch) -> None:
        """``fetch``: public files."""
        self._state = state
        self._fetch = fetch
        self._lists: dict[int, dict[Digest, int]] = {}
        self._files: dict[Digest, tuple[bytes, ...]] = {}

    def of(self, capsule: Digest, header: Header) -> Holders:
        """The set whose shares open ``capsule`` now."""
        for each in reversed(list(self._state.successions())):
            if self._in_force(each) and self._place(each, capsule) is not None:
                names = tuple(seat.trustee for seat in each.entry.seats)
                leaf = bytes.fromhex(each.leaf)
                return Holders(each.entry.number, leaf, each.entry.threshold, names)
        names = tuple(share.trustee for share in header.shares)
        return Holders(0, b"", header.threshold, names)

    def _in_force(self, succession: Succession) -> bool:
        accepted = {each.trustee for each in self._state.accepted(succession.entry.number)}
        enrolled = [name for name in accepted if self._state.party("trustee", name)]
        return len(enrolled) >= succession.entry.threshold

    def _place(self, succession: Succession, capsule: Digest) -> int | None:
        """Where ``capsule`` stands in the list of ``succession``."""
        number, named = succession.entry.number, succession.entry.capsules
        if number not in self._lists:
            listed = self._fetch(f"list/{named.digest}")
            names = parse_capsule_list(listed, named)
            self._lists[number] = {name: place for place, name in enumerate(names)}
        return self._lists[number].get(capsule)

    def commitment(self, holders: Holders, capsule: Digest, name: Name) -> Digest:
        """What ``name`` committed to as its new share of ``capsule``.

        :class:`IntegrityError` if it took none over, or its file is not the one in the log.
        """
        succession = self._state.succession(holders.succession)
        if succession is None:
            raise InputError(f"the log has no succession {holders.succession}")
        said = [e for e in self._state.accepted(holders.succession) if e.trustee == name]
        place = self._place(succession, capsule)
        if not said or place is None:
            raise IntegrityError(f"{name} took over no share of capsule {capsule[:16]}...")
        found = self._commitments(said[0].file, succession, name)[place]
        if found == bytes(COMMITMENT):
            raise IntegrityError(f"{name} took over no share of capsule {capsule[:16]}...")
        return Digest(found.hex())

    def _commitments(self, file: Digest, succession: Succession, name: Name) -> tuple[bytes, ...]:
        if file not in self._files:
            where, data = f"commitments of {name}", self._fetch(f"commitments/{file}")
            if digest(data) != file:
                raise IntegrityError(f"{where}: not the file that the log names")
            count = succession.entry.capsules.count
            self._files[file] = parse_commitments(data, succession.leaf, name, count, where)
        return self._files[file]
