# SPDX-License-Identifier: Apache-2.0
"""A car with its agent in a whole region in a folder: everything is real but the clocks.

``car-7`` of the world records into a folder, as dashcam files with GPX beside them. Its worker
runs within the test instead of in a process of its own.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from incamera.car.agent import Agent
from incamera.car.process import WorkerProcess
from incamera.car.settings import Budget, CarSettings, DriveSource, Places, Room
from incamera.car.status import gather
from incamera.car.work import Done, Worker
from incamera.clock import FixedClock
from incamera.errors import UnavailableError
from incamera.geofence import GeofencePolicy
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.consent import Consent
from incamera.ledger.entries import CampaignEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import key_id
from incamera.tlog import FolderFetch, LogReader
from incamera.tlog.policy import Policy
from incamera.vault import Vault
from incamera.wire import MissingError
from ingesting import BEGIN, LAT, RATE, redactor
from videos import film
from world import DAY, World

CAMPAIGN = b'version = 1\nname = "all"\n[sample]\nevery = 1\nlength = 600\n'


class Ticks:
    """A clock that only counts up, by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


class FolderLink:
    """The region of a world, as a car reaches it; ``online`` is the radio."""

    def __init__(self, world: World, vault: Vault, state: Path) -> None:
        self.world, self.vault = world, vault
        self.policy: Policy = world.logs.policy
        self.state = State(state)
        self.online = True
        #: What the way to the region makes of a path's text.
        self.forged: dict[str, bytes] = {}
        self.sent: list[Digest] = []

    def fetch(self, path: str) -> bytes:
        """Public files, or what somebody on the way makes of them."""
        self._radio()
        if path in self.forged:
            return self.forged[path]
        try:
            return FolderFetch(self.world.public)(path)
        except UnavailableError as error:
            raise MissingError(error.message) from error

    def follow(self) -> int:
        """Read the log on."""
        self._radio()
        self.world.logs.log.refresh(older_than=1)
        reader = LogReader(FolderFetch(self.world.public), self.policy)
        return Follower(reader, self.state, self.world.clock).follow().time(self.policy)

    def admit(self, path: Path) -> bytes:
        """The vault's."""
        self._radio()
        self.sent.append(Digest(path.stem))
        return self.vault.admit(path)

    def _radio(self) -> None:
        if not self.online:
            raise UnavailableError("no network")


class NoProcess(WorkerProcess):
    """The worker runs when the test says so."""

    def __init__(self) -> None:
        super().__init__([], Budget())
        self.asked = 0
        self.ended = 0.0

    def start(self, *, send_only: bool) -> None:
        """Only counted."""
        del send_only
        self.asked += 1

    def ran(self) -> None:
        """The test ran it."""
        self._read = True


class AgentCar:
    """The car, its folder, its agent."""

    def __init__(self, folder: Path, **change: Any) -> None:
        self.folder, self.world, self.ticks = folder, World(folder / "world"), Ticks()
        self.clock = FixedClock(self.world.clock.now())  # the car's own
        self.vault = self.open_vault()
        self.campaign = self.publish(CAMPAIGN)
        self.stick = folder / "stick"
        self.stick.mkdir()
        self.says = folder / "drive"
        self.settings = CarSettings(
            places=Places(folder / "car"),
            vehicle=Name("car-7"),
            car=key_id(self.world.car.public),
            owner=Name("ada"),
            watch=self.stick,
            drive=DriveSource(self.says, stale=0),
            zones=None,
            quiet=30,
            room=Room(free=0),
            geofence=GeofencePolicy(ends_m=0.0, ends_s=0.0),
            **change,
        )
        self.settings.places.home.mkdir()
        self.link = FolderLink(self.world, self.vault, self.settings.places.state)
        self.link.follow()
        self.agent = self.start()

    def open_vault(self) -> Vault:
        """The vault, as after a restart."""
        return Vault(
            self.folder / "vault",
            self.world.vault,
            self.world.logs.log,
            FolderFetch(self.world.public),
            self.world.clock,
        )

    def start(self) -> Agent:
        """The agent, as after a restart."""
        self.process = NoProcess()
        self.agent = Agent(self.settings, self.clock, self.process, self.ticks)
        return self.agent

    def publish(self, text: bytes, *, logged: bool = True) -> Digest:
        """A campaign beside the log, and in it."""
        name = digest(text)
        self.world.beside(f"campaign/{name}.toml", text)
        if logged:
            entry = CampaignEntry(**self.world.facts(), campaign=name)
            self.world.say(entry, self.world.operator)
        return name

    def change(self, **change: Any) -> None:
        """Other settings, as after an edit and a restart."""
        self.settings = replace(self.settings, **change)
        self.start()

    def consent(self, name: str = "token", **change: Any) -> Digest:
        """The owner's token, in the car's folder."""
        now = self.clock.now()
        plain: dict[str, Any] = {
            "region": Region("eu"),
            "owner": Name("ada"),
            "car": self.settings.car,
            "purposes": (Name("perception"),),
            "not_before": now - 60,
            "expires": now + DAY,
            "parked": False,
            "nonce": bytes(16),
        }
        key = change.pop("key", self.world.owner.signing)
        data = Consent(**plain | change).seal(key)
        place = self.settings.places.consents / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return digest(data)

    def later(self, seconds: float) -> None:
        """All clocks go on, and the agent looks."""
        self.ticks.seconds += seconds
        self.clock.advance(round(seconds))
        self.world.clock.advance(round(seconds))
        self.agent.look()

    def drives(self, number: int = 1) -> None:
        """The car drives off."""
        self.says.write_text(f"driving {number}\n")
        self.later(1)

    def parks(self, seconds: float = 60) -> None:
        """The car stands, long enough for its files to settle."""
        self.says.write_text("parked\n")
        self.later(1)
        self.later(seconds)

    def records(self, name: str, *, seconds: int = 2, begin: float = BEGIN) -> Path:
        """A dashcam's file and its GPX come into being; the agent looks."""
        path = self.stick / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        film(path, times=range(seconds * RATE), tags={"title": name, "creation_time": iso(begin)})
        path.with_suffix(".gpx").write_text(gpx(seconds, begin))
        stamp = self.clock.now()
        for each in (path, path.with_suffix(".gpx")):
            os.utime(each, (stamp, stamp))
        self.later(1)
        return path

    def a_drive(self, name: str = "a", number: int = 1) -> None:
        """A whole drive with one recording."""
        self.drives(number)
        self.records(name)
        self.parks()

    def work(self, **how: Any) -> Done:
        """A worker's run."""
        worker = Worker(self.settings, self.link, self.world.car, self.clock, redactor())
        done = worker.run(**how)
        self.process.ran()
        return done

    def outcomes(self) -> dict[str, str]:
        """What became of each film."""
        diary = self.agent._diary
        found = {}
        for path in sorted(self.stick.rglob("*.mp4")):
            file = diary.file(path.relative_to(self.stick).as_posix())
            found[path.stem] = "unseen" if file is None else file.outcome or "open"
        return found

    def kept(self) -> list[Digest]:
        """Capsules in the vault."""
        return [row.digest for row in self.vault.find(status="kept")]

    def status(self) -> dict[str, Any]:
        """What there is to say."""
        return gather(self.settings, self.link.policy, self.clock.now())


def iso(moment: float) -> str:
    """As files write it."""
    at = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def gpx(seconds: int, begin: float) -> str:
    """Straight north at 20 m/s, a point each tenth of a second."""
    points = []
    for tenth in range(seconds * 10 + 1):
        latitude, text = 45 + 2 * tenth * LAT, iso(begin + tenth / 10)
        points.append(f'<trkpt lat="{latitude:.7f}" lon="10"><time>{text}</time></trkpt>')
    body = "".join(points)
    return (
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="test">'
        f"<trk><trkseg>{body}</trkseg></trk></gpx>"
    )
