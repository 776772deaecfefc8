# SPDX-License-Identifier: Apache-2.0
"""A region as the fleet's load wants it: more vaults, engines, wires that can be cut, bad disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.fleet.capsules import PAYLOAD
from bench.fleet.disks import Disk, Slowness
from bench.fleet.wires import Wire, Wires
from engines import Engine
from serving import Region, free_ports

__all__ = ["Ground", "Plan"]


@dataclass(frozen=True)
class Plan:
    """What is to run."""

    cars: int = 2_000
    owners: int = 50
    vaults: int = 1
    postgres: bool = False
    nats: bool = False
    s3: bool = False
    standby: bool = False
    """A second log over the same folder."""
    bodies: int = 32
    size: int = PAYLOAD
    trustees: bool = False
    """Run the trustees, too: they follow the log."""
    faults: bool = False
    """With wires, slow disks, and, in a mount namespace of our own, full ones."""


class Ground(Region):
    """Configured by a plan."""

    def __init__(self, folder: Path, plan: Plan, engines: Mapping[str, Engine]) -> None:
        self.plan, self.engines = plan, dict(engines)
        self.all_wires = Wires()
        self.wires: dict[str, Wire] = self.all_wires.by_name
        self.disks: dict[str, Disk] = {}
        self.slowness: Slowness | None = None
        super().__init__(folder)

    def _configure(self) -> None:
        super()._configure()
        if self.plan.faults:
            for name in ("log", "witness-1", "witness-2"):
                self._rewire(name)
        self._engines()
        for number in range(2, self.plan.vaults + 1):
            self._vault(f"vault-{number}")
        if self.plan.standby:
            self._standby("log-2")

    def _rewire(self, name: str) -> None:
        """Whoever asks ``name`` does so by a wire."""
        port = urlsplit(self.urls[name]).port
        assert port is not None
        wire = self.all_wires.add(name, port)
        for other, party in self.parties.items():
            if other != name and not other.startswith("trustee"):
                text = party.config.read_text()
                party.config.write_text(
                    text.replace(self.urls[name], f"http://127.0.0.1:{wire.port}")
                )

    def _engine_url(self, name: str) -> str:
        """Of an engine, by its wire where there are wires."""
        engine = self.engines[name]
        if not self.plan.faults:
            return engine.url
        wire = self.wires.get(name) or self.all_wires.add(name, engine.port)
        return engine.url.replace(f":{engine.port}", f":{wire.port}")

    def _engines(self) -> None:
        """``[database]``, ``[leader]``, ``[queue]``, ``[blobs]`` for what is to run."""

    def _add(self, name: str, text: str) -> None:
        config = self.parties[name].config
        config.write_text(f"{config.read_text()}\n{text}")

    def _vault(self, name: str) -> None:
        """Another process of the same vault: same key, a small folder of its own."""
        first, home = self.parties["vault"], self.folder / name
        home.mkdir()
        (self.home.vault / "blobs").mkdir(exist_ok=True, mode=0o700)
        (home / "blobs").symlink_to(self.home.vault / "blobs")
        self._again(name, "vault", first.config.read_text(), f'home = "{self.home.vault}"', home)

    def _standby(self, name: str) -> None:
        """Another process of the same log, over the same folder."""
        self._again(name, "log", self.parties["log"].config.read_text(), "", None)

    def _again(self, name: str, kind: str, text: str, was: str, home: Path | None) -> None:
        port = free_ports(1)[0]
        old = self.urls[kind].split("//")[1]
        self.urls[name] = f"http://127.0.0.1:{port}"
        text = text.replace(f'listen = "{old}"\n', "")
        if home is not None:
            text = text.replace(was, f'home = "{home}"')
        self._party(kind, name, text)

    def bad_disks(self, *, full: bool) -> None:
        """Before anything is started: slow disks, and, in a namespace of our own, full ones."""
        slowness = Slowness(self.folder)
        self.folder.chmod(0o755)  # PostgreSQL runs as another user
        self.slowness = slowness if slowness.possible else None
        if full:
            (self.home.vault / "blobs").mkdir(exist_ok=True, mode=0o700)
            self.disks["blobs"] = Disk(self.home.vault / "blobs")
            self.disks["log"] = Disk(self.home.log)

    def stop(self) -> None:
        """All of it."""
        super().stop()
        for disk in self.disks.values():
            disk.close()
        if self.slowness is not None:
            self.slowness.close()
        self.all_wires.close()
