# SPDX-License-Identifier: Apache-2.0
"""A small drive, a car in a whole region, and a real vault, for tests of ingest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incamera.errors import InputError
from incamera.geofence import GeofencePolicy, Zones
from incamera.ids import Digest, Name, digest
from incamera.ingest import CarHome, Plan, Summary, ingest_recordings
from incamera.recording.clip import unpack
from incamera.recording.contents import Contents
from incamera.recording.model import Box, Event, Fix, Frame, Recording, Telemetry
from incamera.recording.video import VideoTrack
from incamera.redaction import Redactor
from incamera.sealing.opening import open_as_owner
from incamera.tlog import FolderFetch
from incamera.trigger import Campaign
from incamera.vault import Vault
from videos import film
from world import World
from world_tlog import START

SEER = digest(b"seer")
BEGIN = float(START - 3000)  # of the drive, on the clock
LAT = 1 / 111_132.0  # degrees of latitude a metre
RATE = 25
CAMPAIGN = Campaign.parse(
    b'version = 1\nname = "test"\n[honk]\nbefore = 1\nafter = 1\n', "campaign"
)
GEOFENCE = GeofencePolicy(ends_m=0.0, ends_s=0.0)


@dataclass(frozen=True)
class Seer:
    """A detector that sees one face and one plate in every picture."""

    digest: Digest = SEER

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Two boxes, always the same."""
        return [Box(10, 10, 8, 8, "face", 0.9), Box(30, 20, 12, 6, "plate", 0.8)]


def redactor() -> Redactor:
    """The real redactor with the test's detector."""
    return Redactor([Seer()], threads=1)


def drive(
    folder: Path,
    *,
    seconds: float = 8.0,
    honks: Sequence[float] = (3.0,),
    cameras: Sequence[str] = ("front", "left_repeater"),
    name: str = "drive",
    begin: float = BEGIN,
) -> Recording:
    """Straight north at 20 m/s from 45 N 10 E, filmed by ``cameras``, with honks."""
    folder.mkdir(parents=True, exist_ok=True)
    count = round(seconds * RATE)
    tracks = {}
    for camera in cameras:
        path = folder / f"{name}-{camera}.mp4"
        if not path.exists():
            film(path, times=range(count), tags={"title": f"{name} {camera}"})
        tracks[camera] = VideoTrack.open(path, camera, begin)
    moments = [begin + i / 10 for i in range(round(seconds * 10) + 1)]
    return Recording(
        name,
        dict(tracks),
        fixes=[Fix(t, 45 + 20 * (t - begin) * LAT, 10.0, 0.4, 20.0) for t in moments],
        telemetry=[Telemetry(t, 20.004, 1.26, gear=1, sequence=7) for t in moments],
        events=[Event(begin + each, "user_interaction_honk", "front", 45, 10) for each in honks],
        zoned=True,
        sources=[path for track in tracks.values() for path in track.sources],
    )


class Broken:
    """A track that turns out undecodable at one frame."""

    def __init__(self, inner: Any, bad: float) -> None:
        self.inner, self.bad = inner, bad

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """The frames up to the bad one."""
        for frame in self.inner.frames(start, end):
            if frame.time >= self.bad:
                raise InputError("front: a frame cannot be decoded")
            yield frame


def broken(recording: Recording, at: float) -> Recording:
    """``recording`` whose front camera fails at ``at`` seconds."""
    tracks = {**recording.tracks, "front": Broken(recording.tracks["front"], BEGIN + at)}
    return replace(recording, tracks=tracks)


class Car:
    """``car-7`` of the world, its folders, and the vault it sends to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder / "world")
        recipients = self.world.recipients()
        region = self.world.state().region
        assert region is not None
        self.home = CarHome(
            vehicle=Name("car-7"),
            key=self.world.car,
            owner=recipients.owner_public,
            trustees=tuple(recipients.trustees),
            region=region,
            policy=self.world.policy,
            consent="consent-1",
            purposes=(Name("perception"),),
            log_policy=self.world.logs.policy,
            spool=folder / "car" / "spool",
            journal=folder / "car" / "journal",
        )
        self.vault = self.open_vault()
        self.sent: list[Path] = []

    def open_vault(self) -> Vault:
        """The vault, as after a restart."""
        return Vault(
            self.folder / "vault",
            self.world.vault,
            self.world.logs.log,
            FolderFetch(self.world.public),
            self.world.clock,
        )

    def admit(self, path: Path) -> bytes:
        """The vault's, counted."""
        self.sent.append(path)
        return self.vault.admit(path)

    def ingest(self, *recordings: Recording, zones: Zones | None = None, **more: Any) -> Summary:
        """Ingest with the world's clock and the test's campaign and detector."""
        plan = Plan(zones or Zones.empty(), CAMPAIGN, more.pop("geofence", GEOFENCE))
        options: dict[str, Any] = {
            "admit": self.admit,
            "redactor": redactor(),
            "clock": self.world.clock,
        }
        return ingest_recordings(recordings, more.pop("home", self.home), plan, **options | more)

    def kept(self) -> list[Digest]:
        """Capsules that are in the vault, by hour and digest."""
        return [row.digest for row in self.vault.find(status="kept")]

    def opened(self, capsule: Digest) -> tuple[Contents, Path]:
        """A capsule opened by its owner: the clip's facts, and the folder it was unpacked to."""
        clip = self.folder / f"{capsule}.clip"
        open_as_owner(self.vault.path(capsule), self.world.owner.opening, clip)
        where = self.folder / f"{capsule}.unpacked"
        return unpack(clip, where), where

    def spooled(self) -> list[str]:
        """What lies in the spool."""
        spool = self.home.spool
        return sorted(str(p.relative_to(spool)) for p in spool.rglob("*")) if spool.exists() else []
