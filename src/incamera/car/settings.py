# SPDX-License-Identifier: Apache-2.0
"""What one car's agent is told, and where it keeps what it knows. Nothing here is live."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from incamera.geofence import GeofencePolicy
from incamera.ids import Digest, Name
from incamera.ingest.seating import Seating

__all__ = ["Budget", "CarSettings", "DriveSource", "Places", "Room"]


@dataclass(frozen=True, slots=True)
class DriveSource:
    """Where the car says whether it drives: a file it writes, or a command; one of them."""

    file: Path | None
    command: tuple[str, ...] = ()
    stale: int = 60
    """Seconds after which a file that did not change says nothing any more; 0: never."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the work may cost the car."""

    nice: int = 10
    share: int = 50
    """Per cent of the time that the worker runs; the rest it is stopped."""
    load: float = 0.0
    """Load average of the machine above which the worker is stopped; 0: none."""
    every: int = 60
    """Seconds between two tries at what did not go."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes on the disk."""

    spool: int = 8 << 30
    """Of all capsules that wait."""
    free: int = 1 << 30
    """That must stay free."""
    drop_triggered: bool = False
    """Whether the oldest triggered clip may go unsent, rather than that ingest waits."""


@dataclass(frozen=True, slots=True)
class Places:
    """What lies in the agent's folder."""

    home: Path

    @property
    def state(self) -> Path:
        """The log as this car read it."""
        return self.home / "state.db"

    @property
    def diary(self) -> Path:
        """What was seen in the recording folder, and what became of it."""
        return self.home / "diary.db"

    @property
    def consents(self) -> Path:
        """Tokens of the owner, one a file."""
        return self.home / "consents"

    @property
    def spool(self) -> Path:
        """Capsules on their way."""
        return self.home / "spool"

    @property
    def journal(self) -> Path:
        """What became of each clip, and the receipts."""
        return self.home / "journal"

    @property
    def campaigns(self) -> Path:
        """Texts of campaigns, by digest, for when the car is offline."""
        return self.home / "campaigns"

    @property
    def stage(self) -> Path:
        """Links to the files that may be looked at, while they are."""
        return self.home / "stage"

    @property
    def switch(self) -> Path:
        """While this file is there, the car is excluded."""
        return self.home / "excluded"

    @property
    def exclusions(self) -> Path:
        """The last list of exclusions that was believed."""
        return self.home / "exclusions.json"

    @property
    def said(self) -> Path:
        """What the last worker did, for ``status``."""
        return self.home / "worker.json"

    @property
    def heard(self) -> Path:
        """What the agent saw last, for ``status``."""
        return self.home / "agent.json"

    @property
    def lock(self) -> Path:
        """One agent a car."""
        return self.home / "agent.lock"


@dataclass(frozen=True, slots=True)
class CarSettings:
    """All of it, but for the parties' addresses, which are the command line's."""

    places: Places
    vehicle: Name
    car: Digest
    """SHA-256 of the car's signing key."""
    owner: Name
    watch: Path
    """The folder that the car records to; it may be missing for a while."""
    drive: DriveSource
    zones: Path | None
    """None says on purpose that there are none."""
    campaign: Digest | None = None
    """None: the newest in the log."""
    quiet: int = 30
    """Seconds for which nothing may change in a drive's files before they are taken."""
    ring: int = 600
    """Seconds that parked footage is kept for without a consent to it."""
    fresh: int = 86_400
    """Seconds by which the log, as read here, may be behind this machine's clock."""
    upload: Literal["always", "resting"] = "always"
    budget: Budget = field(default_factory=Budget)
    room: Room = field(default_factory=Room)
    seating: Seating = field(default_factory=Seating)
    geofence: GeofencePolicy = field(default_factory=GeofencePolicy)
