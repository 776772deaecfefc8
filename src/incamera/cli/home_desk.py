# SPDX-License-Identifier: Apache-2.0
"""A desk in a home: every party is in the same folder, and so is every key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from incamera import durable
from incamera.cli.desk import Kept, Keys, Shown
from incamera.cli.home import Home
from incamera.cli.layout import Layout
from incamera.cli.serving import SERVE
from incamera.errors import InputError
from incamera.ids import Digest, Name, digest, parse_name
from incamera.ledger.codec import parse_country
from incamera.ledger.entries import RegionEntry
from incamera.ledger.policies import COUNTRIES
from incamera.ledger.request import GrantRequest
from incamera.ledger.rows import Requested
from incamera.ledger.state import State
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy
from incamera.tlog.proof import Proof
from incamera.trustee import Trustee
from incamera.vault import Row

if TYPE_CHECKING:
    from incamera.release.source import Fetched  # loads what reads recordings

__all__ = ["HomeDesk"]

_FRESH = 600  # seconds; trustees take a checkpoint of at most an hour


class HomeDesk:
    """The readers and the owner of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = home.clock
        self.words = f"--home {home.paths.root}"
        self.workers = 1  # the parties of a home share one log writer in this process
        self._open: dict[Name, Trustee] = {}

    @classmethod
    def at(cls, root: Path) -> Self:
        """The home at ``root``."""
        return cls(Home(root))

    @property
    def log_policy(self) -> Policy:
        """The home's own tlog-policy."""
        return self.home.log_policy

    @property
    def fetch(self) -> Fetch:
        """The public folder."""
        return self.home.fetch

    def state(self) -> State:
        """The log as read now."""
        return self.home.state()

    def region(self) -> RegionEntry:
        """Entry 0 of the log."""
        return self.home.region()

    def trustees(self, named: Sequence[str] = ()) -> list[Name]:
        """As ``home.toml`` has them, and those who joined since: enrolled, with a folder here."""
        known = [Name(each) for each in self.home.settings.trustees]
        joined = (each.name for each in self.state().parties("trustee") if each.name not in known)
        known += [name for name in joined if self.home.paths.trustee(name).exists()]
        for name in named:
            if name not in known:
                raise InputError(f"no trustee {name} in this home", hint="see home.toml")
        return [Name(each) for each in named or known]

    def parties(self) -> dict[Name, str]:
        """From each party's serve.toml: on loopback, unless it was changed there."""
        found = {}
        for path in sorted(self.home.paths.root.rglob(SERVE)):
            listen = tomllib.loads(path.read_text(encoding="utf-8")).get("listen")
            found[Name(path.parent.name)] = f"http://{listen}"
        return found

    def rows(self, *, status: Kept = None, tag: str | None = None) -> list[Row]:
        """The vault's index."""
        return list(self.home.vault.find(status=status, tag=tag))

    def shown(self, capsules: Sequence[Digest]) -> list[Shown]:
        """From the vault's files."""
        found = [read_capsule(self.home.vault.path(each)) for each in capsules]
        return [Shown(each.digest, each.envelope, each.header, each.wrapped) for each in found]

    def place(self, asked: Requested) -> tuple[bytes, Proof]:
        """From the log, cosigned again if its checkpoint is not fresh."""
        self.home.log.refresh(older_than=_FRESH)
        proof = Proof.parse(self.home.log.proof(asked.index), "inclusion proof")
        return self.home.log.entry(asked.index), proof

    def ask(self, trustee: Name, request: GrantRequest) -> bytes:
        """The trustee in its own folder decides."""
        if trustee not in self._open:
            self._open[trustee] = self.home.trustee(trustee)
        return self._open[trustee].decide(request).envelope

    def read_by(self, trustee: Name) -> int:
        """The trustee in its own folder reads on first: here nobody else wakes it."""
        if trustee not in self._open:
            self._open[trustee] = self.home.trustee(trustee)
        found = self._open[trustee]
        found.follower.follow()
        return found.state.size

    def capsules(self, wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        """The vault's own files."""
        from incamera.release.source import Fetched

        for name in wanted:
            yield [Fetched(read_capsule(self.home.vault.path(name)))]

    def submit(self, entry: bytes) -> int:
        """Through the vault."""
        return self.home.vault.submit(entry)

    def publish_list(self, listed: bytes) -> None:
        """Into the public folder."""
        durable.create(self.home.paths.public_text("list", digest(listed)), listed)

    def asker(self, name: str | None, kind: str, country: str | None) -> tuple[Keys, bool]:
        """The reader, enrolled with new keys if this home has none of that name."""
        region = self.home.settings.region
        reader = parse_name(name or f"{kind}-reader", "--reader")
        where = parse_country((country or COUNTRIES.get(region, ("DE",))[0]).upper(), "--country")
        enrolled = self.home.enrol_reader(reader, parse_name(kind, "--kind"), where)
        return self.reader(reader), enrolled

    def sits_here(self, reader: str) -> bool:
        """All readers of a home do."""
        return self.home.paths.reader(reader).exists()

    def reader(self, name: str) -> Keys:
        """From the reader's folder."""
        signing, opening = self.home.reader_keys(name)
        return Keys(Name(name), signing, opening)

    def folder(self, reader: str) -> Path:
        """The reader's folder in the home."""
        return self.home.paths.reader(reader)

    @property
    def home_paths(self) -> Layout | None:
        """Of this home."""
        return self.home.paths

    def owner(self) -> Keys:
        """The one owner of a home."""
        folder = self.home.paths.owner
        signing = SigningKey.load(folder / "signing.key")
        return Keys(Name("owner"), signing, OpeningKey.load(folder / "opening.key"))

    def operator(self) -> SigningKey:
        """The key that enrols."""
        return self.home.operator
