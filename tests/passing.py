# SPDX-License-Identifier: Apache-2.0
"""A region whose trustees pass shares on, for tests: ``world.World`` with a vault's evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import IntegrityError
from incamera.ids import Digest, Name
from incamera.ledger.codec import capsule_list
from incamera.ledger.entries import Seat, SuccessionEntry
from incamera.ledger.grant import Grant
from incamera.ledger.request import CapsuleEvidence, GrantRequest
from incamera.sealing import shares
from incamera.sealing.capsule import Capsule
from incamera.sealing.opening import open_share
from incamera.sealing.wrap import grant_info, unwrap
from world import World


class Region(World):
    """A world whose vault hands out evidence, and whose trustees can pass shares on."""

    kept: dict[Digest, Capsule]

    def evidence(self, capsule: Digest) -> tuple[bytes, Sequence[bytes]]:
        """What the vault shows of a capsule."""
        found = self.kept[capsule]
        return found.envelope, found.wrapped

    def publish(self, kind: str, path: Path, name: Digest) -> None:
        """Put a file beside the log."""
        self.beside(f"{kind}/{name}", path.read_bytes())

    def some(self, count: int = 2) -> list[Capsule]:
        """Capsules in the log, which the vault keeps."""
        found = [self.capsule(bytes([i])) for i in range(count)]
        self.kept = {each.digest: each for each in found}
        return found

    def limit(self) -> int:
        """When the present keys end."""
        key = self.state().epoch("ch", 4)
        assert key is not None
        return key.not_after

    def succession(self, *names: str, **change: Any) -> int:
        """Log a succession to ``names``; its number."""
        number = len(list(self.state().successions())) + 1
        data, listed = capsule_list(self.kept)
        self.beside(f"list/{listed.digest}", data)
        until = change.pop("until", self.limit())
        seats = tuple(Seat(Name(n), self.trustees[n].announce(until)) for n in names)
        facts: dict[str, Any] = {
            "source": 0,
            "threshold": 2,
            "seats": seats,
            "capsules": listed,
            "reason": "",
        }
        entry = SuccessionEntry(**self.facts(), number=number, **facts | change)
        self.say(entry, self.operator)
        return number

    def deal(self, number: int, *names: str) -> list[int]:
        """These deal; how many capsules each."""
        return [self.trustees[n].deal(number, self.evidence, self.publish) for n in names]

    def take(self, number: int, *names: str) -> list[int]:
        """These take over."""
        return [self.trustees[n].take_over(number, self.evidence, self.publish) for n in names]

    def granted(self, leaf: bytes, index: int, name: str, number: int, *which: Capsule) -> Grant:
        """What ``name`` grants of its shares by succession ``number``."""
        seats = self.state().succession(number)
        assert seats is not None
        seat = [each.trustee for each in seats.entry.seats].index(Name(name)) + 1
        shown = tuple(CapsuleEvidence(each.envelope, b"", seat, number) for each in which)
        asked = replace(self.ask("ch", leaf, index), capsules=shown)
        assert GrantRequest.parse(asked.serialise()) == asked
        grant: Grant = self.trustees[name].decide(asked)
        return grant

    def opened(self, leaf: bytes, index: int, number: int, names: list[str], of: Capsule) -> bytes:
        """The data key that the reader gets from ``names``."""
        found = {}
        for name in names:
            grant = self.granted(leaf, index, name, number, of)
            again = Grant.open(
                grant.envelope, self.trustees[name].keys.signing.public, grant.request
            )
            (share,) = again.shares
            assert share.succession == number
            raw, key = bytes.fromhex(grant.request), self.readers["acme"].opening
            info = grant_info(raw, share.capsule_id, share.index, number)
            found[share.index] = unwrap(share.sealed, key, info)
            with pytest.raises(IntegrityError):  # it is no share as the car sealed it
                open_share(share.sealed, key, raw, share.capsule_id, share.index)
        return shares.combine(found, len(names))

    def data_key(self, leaf: bytes, index: int, capsule: Capsule) -> bytes:
        """The data key as the trustees of the first set give it."""
        found: dict[int, bytes] = {}
        for name in ("ch", "uy"):
            found |= self.shares(self.decide(name, leaf, index, capsule), leaf)
        return shares.combine(found, 2)
