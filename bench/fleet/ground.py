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
from engines import BUCKET, Engine
from incamera.errors import UnavailableError
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
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
    limits: str = ""
    """Lines of the vaults' ``[limits]``."""
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
        if self.plan.standby:
            self._again("log-2", "log")
        for number in range(2, self.plan.vaults + 1):
            self._vault(f"vault-{number}")
        if self.plan.faults:
            for name in ("log", "log-2", "witness-1", "witness-2"):
                self._rewire(name)
        for name in self.parties:
            self._settle(name)

    def _rewire(self, name: str) -> None:
        """Whoever asks ``name`` does so by a wire."""
        if name not in self.parties:
            return
        port = urlsplit(self.urls[name]).port
        assert port is not None
        wire = self.all_wires.add(name, port)
        for other, party in self.parties.items():
            if other != name and not other.startswith("trustee"):
                text = party.config.read_text()
                there = f"http://127.0.0.1:{wire.port}"
                party.config.write_text(text.replace(self.urls[name], there))

    def _engine_url(self, name: str) -> str:
        """Of an engine, by its wire where there are wires."""
        engine = self.engines[name]
        if not self.plan.faults:
            return engine.url
        wire = self.wires.get(name) or self.all_wires.add(name, engine.port)
        return engine.url.replace(f":{engine.port}", f":{wire.port}")

    def _settle(self, name: str) -> None:
        """``[database]``, ``[leader]``, ``[queue]``, ``[blobs]`` for what is to run."""
        kind, more = self.parties[name].kind, ""
        if kind == "log" and self.plan.standby:
            more += f'[leader]\ndatabase = "{self._engine_url("postgres")}"\nlease = 2\n'
        if kind == "vault" and self.plan.postgres:
            more += f'[database]\nurl = "{self._engine_url("postgres")}"\n'
        if kind == "vault" and self.plan.s3:
            secret = self.folder / "s3.toml"
            secret.write_text('access_key_id = "fleet"\nsecret_access_key = "fleet"\n')
            secret.chmod(0o600)
            more += f'[blobs]\nurl = "s3://{BUCKET}/fleet"\nendpoint = "{self._engine_url("s3")}"\n'
            more += f'region = "us-east-1"\ncredentials = "{secret}"\n'
        if kind in ("log", "vault") and self.plan.nats:
            more += f'[queue]\nurl = "{self._engine_url("nats")}"\n'
        if kind == "vault" and self.plan.limits:
            more += f"[limits]\n{self.plan.limits}\n"
        config = self.parties[name].config
        text = config.read_text()
        if kind == "vault" and self.plan.standby:
            urls = f'["{self._asked("log")}", "{self._asked("log-2")}"]'
            text = text.replace(f'[log]\nurl = "{self._asked("log")}"', f"[log]\nurl = {urls}")
        config.write_text(f"{text}\n{more}")

    def _asked(self, name: str) -> str:
        """Where others ask it."""
        wire = self.wires.get(name)
        return self.urls[name] if wire is None else f"http://127.0.0.1:{wire.port}"

    def _vault(self, name: str) -> None:
        """Another process of the same vault: same key, a small folder of its own."""
        home = self.folder / name
        home.mkdir()
        (self.home.vault / "blobs").mkdir(exist_ok=True, mode=0o700)
        (home / "blobs").symlink_to(self.home.vault / "blobs")
        self._again(name, "vault", (f'home = "{self.home.vault}"', f'home = "{home}"'))

    def _again(self, name: str, kind: str, change: tuple[str, str] = ("", "")) -> None:
        """One more process with the configuration of party ``kind``, at a port of its own."""
        text, old = self.parties[kind].config.read_text(), self.urls[kind].split("//")[1]
        self.urls[name] = f"http://127.0.0.1:{free_ports(1)[0]}"
        text = text.replace(f'listen = "{old}"\n', "")
        self._party(kind, name, text.replace(*change) if change[0] else text)

    def leader(self) -> str:
        """Which process writes the log now."""
        logs = [name for name, party in self.parties.items() if party.kind == "log"]
        token = Token.load(self.folder / "token")
        for name in logs[:-1]:
            log = LogClient(self.urls[name], token, self.policy, seconds=5.0)
            try:
                log.refresh(older_than=1 << 30)
            except UnavailableError:
                continue
            else:
                return name
            finally:
                log.close()
        return logs[-1]

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
