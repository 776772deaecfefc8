# SPDX-License-Identifier: Apache-2.0
"""A minute of eight cameras, from its files to a verified receipt: `make bench-minute`.

Draws a minute of the sample drive as a TeslaCam event (1280 x 960, 36 frames a second), founds a
region whose parties are processes, and has a car apart ingest the whole minute as one clip and
send it to the vault. Prints each stage's seconds and share; the last line is one JSON object.

Stages are those of the car's one thread, so they add up to its time: `redact` is what it waits for
the two threads that look, and what it draws itself. `upload` ends with the last byte sent,
`receipt` with the vault's answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.apart.region import EU, Parties
from incamera.cli.car_url import car_at
from incamera.cli.url_desk import UrlDesk
from incamera.clock import SystemClock
from incamera.geofence import GeofencePolicy, Zones
from incamera.ids import Name
from incamera.ingest import Plan, Summary, ingest
from incamera.ledger.consent import Consent
from incamera.recording.sample import make_sample
from incamera.sealing.keys import SigningKey, key_id
from incamera.service.clients import VaultClient
from incamera.trigger import Campaign

FIRST = 80.0  # second of the drive: all of what follows has a fix
ALL = Campaign.parse(
    b'version = 1\nname = "minute"\n[hard-brake]\nbefore = 60\nafter = 60\n'
    b"[take-over]\nbefore = 60\nafter = 60\n",
    "minute",
)
STAGES = {
    "read": ("open", "digest", "decode"),
    "select": ("select",),
    "geofence": ("geofence",),
    "redact": ("redact",),
    "encode": ("encode", "pack"),
    "seal": ("seal",),
}


@dataclass
class Road:
    """To the vault: how long bytes took, and how long the receipt."""

    vault: VaultClient
    upload: float = 0.0
    receipt: float = 0.0
    _sent: float = field(default=0.0, repr=False)

    def admit(self, path: Path) -> bytes:
        """Deliver, and look at the time."""
        begun = self._sent = time.perf_counter()
        receipt = self.vault.send(path, None, self._progress)
        self.upload += self._sent - begun
        self.receipt += time.perf_counter() - self._sent
        return receipt

    def _progress(self, done: int, size: int) -> None:
        if done <= size:
            self._sent = time.perf_counter()


def consent(parties: Parties, now: int) -> None:
    """The owner's, for this car, where it looks for it."""
    owner = SigningKey.load(parties.root / "ada" / "signing.key")
    car = SigningKey.load(parties.root / "car" / "signing.key")
    token = Consent(
        region=EU,
        owner=Name("ada"),
        car=key_id(car.public),
        purposes=(Name("driver-assistance"),),
        not_before=now - 3600,
        expires=now + 86_400,
        parked=False,
        nonce=bytes(16),
    )
    (parties.root / "car" / "consent").write_bytes(token.seal(owner))


def measure(source: Path, folder: Path) -> dict[str, Any]:
    """Found, ingest, send; all figures."""
    clock = SystemClock()
    with Parties(folder) as parties:
        parties.start("vault")
        consent(parties, clock.now())
        keys = parties.root / "car"
        desk = UrlDesk.at(parties.url, keys, policy=None, trust_first=False, ca=None)
        car = car_at(keys, desk.state(), Name("ada"), None, clock.now())
        road = Road(VaultClient(parties.url, car.key, clock))
        plan = Plan(Zones.empty(), ALL, GeofencePolicy(ends_m=0.0, ends_s=0.0))
        before, cpu, begun = parties.cpu(), time.process_time(), time.perf_counter()
        summary = ingest(source, car, plan, admit=road.admit, clock=clock)
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
        after = parties.cpu()
    if (error := summary.error()) is not None:
        raise error
    if summary.admitted != 1:
        raise RuntimeError(f"{summary.admitted} capsules instead of one: {summary.dropped_s}")
    servers = {name: after[name] - before[name] for name in before if name != "reader"}
    return {
        "wall_s": round(wall, 2),
        "car_cpu_s": round(cpu, 2),
        "servers_cpu_s": {name: round(value, 2) for name, value in servers.items()},
        "kept_s": round(summary.kept_s, 2),
        "frames": summary.frames,
        "boxes": dict(summary.boxes),
        "bytes": summary.bytes,
        **shares(summary, road),
    }


def shares(summary: Summary, road: Road) -> dict[str, Any]:
    """Seconds and share by stage."""
    stages = {
        name: sum(summary.stages.get(part, 0.0) for part in parts) for name, parts in STAGES.items()
    }
    stages |= {"upload": road.upload, "receipt": road.receipt}
    # What is checked before and after: the capsule in the spool, and the receipt.
    stages["verify"] = summary.stages["admit"] - road.upload - road.receipt
    work = sum(stages.values())
    return {
        "stages_s": {name: round(value, 3) for name, value in stages.items()},
        "stages_share": {name: round(value / work, 4) for name, value in stages.items()},
    }


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the minute; at least 8")
    parser.add_argument("--size", default="1280x960", help="pixels, WIDTHxHEIGHT")
    parser.add_argument("--rate", type=int, default=36, help="frames a second")
    parser.add_argument("--drive", type=Path, help="keep the drawn minute here, or take it")
    options = parser.parse_args()
    width, _, height = options.size.partition("x")
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as name:
        folder = Path(name)
        drive = options.drive or folder / "drive"
        if not (drive / "TeslaCam").exists():
            make_sample(
                drive,
                size=(int(width), int(height)),
                rate=options.rate,
                first=FIRST,
                seconds=options.seconds,
            )
        result = measure(drive / "TeslaCam", folder / "region")
    result |= {
        "bench": "minute",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "size": [int(width), int(height)],
        "rate": options.rate,
        "cameras": 8,
    }
    print(f"{'stage':<12}{'seconds':>10}{'share':>8}")
    for stage, seconds in result["stages_s"].items():
        print(f"{stage:<12}{seconds:>10.2f}{result['stages_share'][stage]:>8.1%}")
    per_frame = 1000 * result["car_cpu_s"] / max(1, result["frames"])
    slower = result["wall_s"] / result["kept_s"]
    print(f"{result['kept_s']:.0f} s of 8 cameras in {result['wall_s']:.0f} s, {slower:.1f} times")
    print(f"as long as they are; {per_frame:.1f} ms of CPU a frame; {result['bytes']} bytes sent")
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
