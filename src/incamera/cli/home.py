# SPDX-License-Identifier: Apache-2.0
"""The parties of a home, opened: the one place that puts them together."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import click

from incamera import durable
from incamera.cli.layout import Layout, Settings
from incamera.clock import Clock, SystemClock
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, digest, parse_name
from incamera.ledger.codec import encode
from incamera.ledger.entries import Entry, PartyEntry, RegionEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.fetch import FolderFetch
from incamera.tlog.keys import load_cosigner, load_signer
from incamera.tlog.log import Log
from incamera.tlog.policy import Policy
from incamera.tlog.reader import LogReader
from incamera.tlog.witness import Witness
from incamera.trustee import Trustee
from incamera.trustee.heads import Heads
from incamera.vault import Vault

__all__ = ["Home", "home_option"]

home_option = click.option(
    "--home",
    "root",
    required=True,
    envvar="INCAMERA_HOME",
    type=click.Path(path_type=Path),
    help="A home made by `incamera init` (or set INCAMERA_HOME).",
)


class Home:
    """One region in one folder. Parties are opened when they are first asked for."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.paths = Layout(root)
        self.settings = Settings.load(self.paths.settings)
        self.clock = clock or SystemClock()
        self.fetch = FolderFetch(self.paths.public)

    @cached_property
    def log_policy(self) -> Policy:
        """Whom this home believes about its log."""
        return Policy.parse(self.fetch("tlog-policy"), str(self.paths.log_policy))

    @cached_property
    def log(self) -> Log:
        """The log's writer, with its witnesses."""
        signer = load_signer(self.paths.log / "note.key")
        shown = self.paths.public / "checkpoint"
        published = shown.read_bytes() if shown.exists() else b""
        _refuse_engines(self.paths.log / "serve.toml", "leader")
        witnesses = []
        for number in range(1, self.settings.witnesses + 1):
            folder = self.paths.witness(number)
            cosigner, known = load_cosigner(folder / "note.key"), {signer.name: signer.verifier}
            witnesses.append(Witness(folder / "state", cosigner, known, self.clock))
            witnesses[-1].recall(published)  # its folder may have come back from a backup
        paths = self.paths
        return Log(paths.public, paths.log, signer, witnesses, self.log_policy, self.clock)

    @cached_property
    def vault(self) -> Vault:
        """The keeper of ciphertext, and the way into the log."""
        _refuse_engines(self.paths.vault / "serve.toml", "database", "blobs", "queue")
        key = SigningKey.load(self.paths.vault / "signing.key")
        return Vault(self.paths.vault, key, self.log, self.fetch, self.clock)

    def trustee(self, name: Name) -> Trustee:
        """One trustee, with its own folder and its own reading of the log and its witnesses."""
        policy, submit = self.log_policy, self.vault.submit
        views = {
            f"witness-{number}": FolderFetch(self.paths.witness(number) / "state")
            for number in range(1, self.settings.witnesses + 1)
        }
        heads = Heads(policy, views, self.clock)
        folder = self.paths.trustee(name)
        return Trustee(folder, name, self.fetch, policy, self.clock, submit, heads=heads)

    @cached_property
    def operator(self) -> SigningKey:
        """The key that enrols."""
        return SigningKey.load(self.paths.operator)

    @cached_property
    def _state(self) -> State:
        return State()

    def state(self) -> State:
        """This command's own reading of the log, up to its present checkpoint."""
        Follower(LogReader(self.fetch, self.log_policy), self._state, self.clock).follow()
        return self._state

    def region(self) -> RegionEntry:
        """Entry 0 of the log."""
        found = self.state().region
        if found is None:
            raise IntegrityError(f"{self.paths.public}: the log's first entry names no region")
        return found

    def say(self, entry: Entry, key: SigningKey | None = None) -> int:
        """Log ``entry``, signed by ``key`` (the operator's by default); its index."""
        return self.vault.submit(encode(entry, key or self.operator))

    def publish(self, folder: str, text: bytes, suffix: str) -> Digest:
        """Put a text beside the log under its digest, for all to read."""
        name = digest(text)
        durable.create(self.paths.public_text(folder, f"{name}{suffix}"), text)
        return name

    # Readers

    def reader_keys(self, name: str) -> tuple[SigningKey, OpeningKey]:
        """A reader's keys; :class:`InputError` if this home has no such reader."""
        folder = self.paths.reader(name)
        if not folder.exists():
            known = (
                sorted(p.name for p in folder.parent.glob("*")) if folder.parent.exists() else []
            )
            raise InputError(
                f"no reader {name} in this home",
                hint=f"readers here: {', '.join(known) or 'none'}; `incamera request` enrols one",
            )
        return SigningKey.load(folder / "signing.key"), OpeningKey.load(folder / "opening.key")

    def enrol_reader(self, name: str, kind: str, country: str) -> bool:
        """Make keys for a reader and enrol it, unless it is; True if it was enrolled now.

        :class:`InputError` if it is enrolled as something else: an enrolment is not changed in
        passing.
        """
        party = self.state().party("reader", parse_name(name, "--reader"))
        folder = self.paths.reader(name)
        if party is not None:
            if (party.kind, party.country) != (kind, country):
                raise InputError(
                    f"reader {name} is enrolled as {party.kind} in {party.country}",
                    hint="name another reader, or leave --kind and --country out",
                )
            return False
        keys = []
        for path, made in (("signing.key", SigningKey), ("opening.key", OpeningKey)):
            durable.folder(folder, 0o700)
            if not (folder / path).exists():
                made.generate().save(folder / path)
            keys.append(made.load(folder / path).public)
        entry = PartyEntry(
            region=self.settings.region,
            time=self.clock.now(),
            role="reader",
            name=Name(name),
            kind=parse_name(kind, "--kind"),
            country=country,
            key=keys[0],
            opening=keys[1],
        )
        self.say(entry)
        return True


def _refuse_engines(config: Path, *engines: str) -> None:
    """A home's verbs know the built-in engines: past others they would call capsules lost."""
    from incamera.service.toml import read_table

    told = read_table(config).names() if config.is_file() else []
    for engine in engines:
        if engine in told:
            raise InputError(
                f"{config}: [{engine}] says that this party works with more than this home",
                hint="serve it, and use --url instead of --home",
            )
