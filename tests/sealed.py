# SPDX-License-Identifier: Apache-2.0
"""A car, its owner and three trustees, and capsules sealed by them, for tests."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from incamera.ids import Digest, Name, Region, digest
from incamera.sealing import wrap
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, Trustee, seal

POLICY = digest(b"permit(principal, action, resource);")
FACTS = Facts(
    region=Region("eu"),
    vehicle=Name("car-7"),
    hour="2026-11-21T14",
    duration=30,
    cameras=[Name("front"), Name("back")],
    tags=[Name("hard-brake")],
    consent="consent-1",
    purposes=[Name("perception")],
    policy=POLICY,
    report=digest(b"report"),
    models=[digest(b"model")],
    zones=digest(b"zones"),
    expires=1_800_000_000,
)


@dataclass
class Fleet:
    """Keys of everybody who has to do with a capsule."""

    car: SigningKey = field(default_factory=SigningKey.generate)
    owner: OpeningKey = field(default_factory=OpeningKey.generate)
    trustees: dict[str, OpeningKey] = field(
        default_factory=lambda: {name: OpeningKey.generate() for name in ("ch", "is", "uy")}
    )

    def recipients(self, threshold: int = 2, epoch: int = 4) -> Recipients:
        """The three trustees' keys of ``epoch``, and the owner's."""
        parties = [Trustee(Name(n), epoch, key.public) for n, key in self.trustees.items()]
        return Recipients(parties, threshold, self.owner.public)

    def seal(self, path: Path, payload: bytes = b"a clip", **facts: Any) -> Digest:
        """Seal ``payload`` at ``path``, with some other facts."""
        return seal(
            io.BytesIO(payload),
            path,
            facts=replace(FACTS, **facts),
            recipients=self.recipients(),
            car=self.car,
        )

    def capsule(self, path: Path, payload: bytes = b"a clip", **facts: Any) -> Capsule:
        """Seal, and read back."""
        self.seal(path, payload, **facts)
        return read_capsule(path)

    def shares(self, capsule: Capsule) -> dict[int, bytes]:
        """Every share, as each trustee would unwrap it."""
        header = capsule.header
        return {
            i: wrap.unwrap(
                capsule.wrapped[i - 1], self.trustees[record.trustee], header.share_info(i)
            )
            for i, record in enumerate(header.shares, start=1)
        }
