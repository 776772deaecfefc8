# SPDX-License-Identifier: Apache-2.0
"""What each party is told in its TOML file, strictly: nothing is guessed, nothing is ignored.

Paths are relative to the file they stand in. Each key is explained in
``docs/operating/parties.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from incamera.ids import Name, parse_name
from incamera.service.settings_blobs import BlobSettings
from incamera.service.settings_database import DatabaseSettings
from incamera.service.settings_leader import LeaderSettings
from incamera.service.settings_limits import LimitSettings
from incamera.service.settings_operator import OperatorSettings
from incamera.service.settings_queue import QueueSettings
from incamera.service.settings_residency import Residency
from incamera.service.toml import Table, parse_listen, read_table

__all__ = [
    "Listen",
    "LogSettings",
    "Peer",
    "TrusteeSettings",
    "VaultSettings",
    "WitnessSettings",
    "parse_listen",
]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a party can be reached; with ``certificate`` and ``key`` it speaks TLS itself."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None
    connections: int  # open at a time

    @classmethod
    def take(cls, table: Table) -> Listen:
        """From ``listen``, ``connections`` and ``[tls]``."""
        host, port = parse_listen(table.text("listen"), table.where("listen"))
        connections = table.number("connections", 256, 1, 65_536)
        tls = table.optional_table("tls")
        certificate, key = None, None
        if tls.names():
            certificate, key = tls.file("certificate"), tls.file("key")
            tls.done()
        return cls(host, port, certificate, key, connections)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another party: its URL, and whom to believe for its certificate (None: the system's)."""

    url: str
    ca: Path | None

    @classmethod
    def take(cls, table: Table) -> Peer:
        """From ``url`` and ``ca``; other keys of the table are the caller's."""
        return cls(table.text("url"), table.optional_file("ca"))


@dataclass(frozen=True, slots=True)
class Watched:
    """A log that a witness cosigns for, and where it is served, if that is known."""

    vkey: str
    peer: Peer | None

    @classmethod
    def take(cls, table: Table) -> Watched:
        """From ``vkey`` and, optional, ``url`` and ``ca``."""
        peer = Peer.take(table) if "url" in table.names() else None
        return cls(table.text("vkey"), peer)


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """``incamera serve witness``."""

    listen: Listen
    state: Path  # folder, made if missing
    key: Path  # note key file
    logs: tuple[Watched, ...]

    @property
    def folder(self) -> Path:
        """What one server alone may work in."""
        return self.state

    @classmethod
    def load(cls, file: Path) -> WitnessSettings:
        """Read ``file``; :class:`InputError` names the key that is wrong."""
        table = read_table(file)
        logs = table.tables("log")
        found = cls(
            listen=Listen.take(table),
            state=table.folder("state"),
            key=table.file("key"),
            logs=tuple(Watched.take(each) for each in logs),
        )
        for each in (table, *logs):
            each.done()
        return found


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``incamera serve log``."""

    listen: Listen
    public: Path  # folder
    state: Path  # folder
    key: Path  # note key file
    policy: Path  # tlog-policy
    token: Path  # file: who holds it may append
    refresh: int  # seconds: the oldest the witness time of a quiet log gets
    witnesses: tuple[Peer, ...]
    leader: LeaderSettings | None  # several processes may stand ready over one folder
    queue: QueueSettings | None

    @property
    def folder(self) -> Path:
        """What one server alone may work in: with a leader, a place of this candidate's own."""
        if self.leader is None:
            return self.state
        return self.state / "candidates" / f"{self.listen.host}-{self.listen.port}"

    @classmethod
    def load(cls, file: Path) -> LogSettings:
        """Read ``file``; :class:`InputError` names the key that is wrong."""
        table = read_table(file)
        witnesses = table.tables("witness")
        found = cls(
            listen=Listen.take(table),
            public=table.folder("public"),
            state=table.folder("state"),
            key=table.file("key"),
            policy=table.file("policy"),
            token=table.file("token"),
            refresh=table.number("refresh", 600, 10, 3_000),
            witnesses=tuple(Peer.take(each) for each in witnesses),
            leader=LeaderSettings.take(table),
            queue=QueueSettings.take(table),
        )
        for each in (table, *witnesses):
            each.done()
        return found


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """``incamera serve vault``."""

    listen: Listen
    home: Path  # folder
    key: Path  # signing key file
    policy: Path  # tlog-policy
    largest: int  # bytes of a capsule
    log: Peer
    log_public: str  # the log's URL for readers
    token: Path  # file: the log's
    trustees: Mapping[Name, str]  # URLs for readers
    residency: Residency = field(default_factory=Residency)
    blobs: BlobSettings | None = None  # the folder, if there is none
    limits: LimitSettings = field(default_factory=LimitSettings)
    operator: OperatorSettings = field(default_factory=OperatorSettings)
    uploads: Path | None = None  # folder; vaults on one machine may share it
    logs: tuple[str, ...] = ()  # the URL of each process that may write the log
    queue: QueueSettings | None = None
    database: DatabaseSettings | None = None
    apart: bool = False  # a process of its own admits

    @property
    def folder(self) -> Path:
        """What one server alone may work in."""
        return self.home

    @classmethod
    def load(cls, file: Path) -> VaultSettings:
        """Read ``file``; :class:`InputError` names the key that is wrong."""
        table = read_table(file)
        log, trustees = table.table("log"), table.table("trustees")
        urls = tuple(log.one_or_more("url"))
        peer = Peer(urls[0], log.optional_file("ca"))
        database = DatabaseSettings.take(table)
        names, inside = trustees.names(), table.optional_table("residency")
        found = cls(
            listen=Listen.take(table),
            home=table.folder("home"),
            key=table.file("key"),
            policy=table.file("policy"),
            largest=table.number("largest", 1 << 33, 1, 1 << 50),
            log=peer,
            log_public=log.text("public", peer.url),
            token=log.file("token"),
            trustees={
                parse_name(each, trustees.where(each)): trustees.text(each) for each in names
            },
            residency=Residency.take(inside),
            blobs=BlobSettings.take(table),
            limits=LimitSettings.take(table),
            operator=OperatorSettings.take(table),
            uploads=table.folder("uploads") if "uploads" in table.names() else None,
            logs=urls,
            queue=QueueSettings.take(table),
            database=database,
            apart=table.flag("apart", database is not None),
        )
        for each in (table, log, trustees, inside):
            each.done()
        return found


@dataclass(frozen=True, slots=True)
class TrusteeSettings:
    """``incamera serve trustee``."""

    listen: Listen
    home: Path  # folder with its keys
    name: Name
    policy: Path  # tlog-policy
    every: int  # seconds between two looks at the log
    log: Peer
    vault: Peer
    witnesses: Mapping[str, Peer]  # by name in the policy; asked past the log

    @property
    def folder(self) -> Path:
        """What one server alone may work in."""
        return self.home

    @classmethod
    def load(cls, file: Path) -> TrusteeSettings:
        """Read ``file``; :class:`InputError` names the key that is wrong."""
        table = read_table(file)
        log, vault = table.table("log"), table.table("vault")
        witnesses = table.tables("witness", optional=True)
        found = cls(
            listen=Listen.take(table),
            home=table.folder("home"),
            name=parse_name(table.text("name"), table.where("name")),
            policy=table.file("policy"),
            every=table.number("every", 60, 1, 3_600),
            log=Peer.take(log),
            vault=Peer.take(vault),
            witnesses={each.text("name"): Peer.take(each) for each in witnesses},
        )
        for each in (table, log, vault, *witnesses):
            each.done()
        return found
