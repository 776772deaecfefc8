# SPDX-License-Identifier: Apache-2.0
"""A car apart: seals small clips to what the region's log says, and hands them to its vault.

``python -m bench.apart.clips CAR --url http://... --count 3``, where CAR is a folder made by
``incamera init CAR --as car`` in which the region's tlog-policy is pinned (``--join``).
"""

from __future__ import annotations

import argparse
import datetime
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

from incamera.cli.card import read_card
from incamera.cli.url_desk import UrlDesk
from incamera.clock import SystemClock
from incamera.ids import Digest, Name, digest
from incamera.ingest.home import present_trustees
from incamera.ledger.receipt import check_receipt
from incamera.ledger.state import State
from incamera.recording.clip import pack
from incamera.recording.contents import Contents, Footage, Report
from incamera.recording.model import Event
from incamera.sealing.keys import SigningKey
from incamera.sealing.seal import Facts, Recipients, seal
from incamera.service.clients import VaultClient
from incamera.tlog.policy import Policy

DAY = 86_400
_REPORT = b"{}\n" * 3
_FILM = b"film" * 64  # no decoder ever looks at it


def small_clip() -> bytes:
    """A clip of one camera in a few kilobytes."""
    report = Report(3, len(_REPORT), digest(_REPORT))
    footage = Footage(Name("front"), 64, 48, 30, 0.0, 1.0, len(_FILM), digest(_FILM))
    contents = Contents(
        hour="2026-11-21T14",
        clock="utc",
        duration=1.0,
        tags=(Name("hard-brake"),),
        footage=(footage,),
        report=report,
        events=(Event(0.5, "user_interaction_honk"),),
        telemetry=(),
        fixes=(),
        fill="solid",
        models=(digest(b"m"),),
        zones=digest(b"z"),
        campaign=None,
    )
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / report.file).write_bytes(_REPORT)
        (Path(folder) / footage.file).write_bytes(_FILM)
        pack(Path(folder), contents, out)
    return out.getvalue()


@dataclass(frozen=True)
class Sealer:
    """Everything a car seals with."""

    key: SigningKey
    facts: Facts
    recipients: Recipients
    clip: bytes

    @classmethod
    def of(cls, key: SigningKey, vehicle: Name, state: State, now: int) -> Sealer:
        """By what the log says: its trustees' present keys, its owner, its policy."""
        region, owner = state.region, next(state.parties("owner"))
        assert region is not None
        names = [party.name for party in state.parties("trustee")]
        trustees = present_trustees(state, names, region.threshold, now)
        hour = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H")
        facts = Facts(
            region=region.region,
            vehicle=vehicle,
            hour=hour,
            duration=1,
            cameras=[Name("front")],
            tags=[Name("hard-brake")],
            consent="consent-1",
            purposes=[Name("driver-assistance")],
            policy=state.documents("policy")[-1],
            report=digest(_REPORT),
            models=[digest(b"m")],
            zones=digest(b"z"),
            expires=now + 20 * DAY,
        )
        return cls(key, facts, Recipients(trustees, region.threshold, owner.opening), small_clip())

    def seal(self, dest: Path) -> Digest:
        """One capsule, different from all others."""
        payload = io.BytesIO(self.clip)
        return seal(payload, dest, facts=self.facts, recipients=self.recipients, car=self.key)


def upload(car: Path, url: str, count: int) -> list[Digest]:
    """Seal and hand in ``count`` clips; each receipt is checked."""
    clock, card = SystemClock(), read_card(car)[0]
    desk = UrlDesk.at(url, car, policy=None, trust_first=False, ca=None)
    key = SigningKey.load(car / "signing.key")
    sealer = Sealer.of(key, card.name, desk.state(), clock.now())
    vault = VaultClient(url, key, clock)
    policy = Policy.parse((car / "tlog-policy").read_bytes())
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path = Path(folder) / f"{number}.capsule"
            made.append(sealer.seal(path))
            check_receipt(vault.admit(path), made[-1], desk.region(), policy)
    return made


def main() -> None:
    """Seal, upload, print the digests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("car", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=3)
    options = parser.parse_args()
    for each in upload(options.car, options.url, options.count):
        print(each)


if __name__ == "__main__":
    main()
