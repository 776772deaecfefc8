# SPDX-License-Identifier: Apache-2.0
"""A desk with the region behind HTTP: own keys, own reading of the log, and trust in nobody.

What lies in the folder, beside ``card.json`` and the keys:

* ``tlog-policy``: whom this desk believes about the log; pinned once, never replaced;
* ``state.db``, ``evidence/``: the log as read so far, and the proof if it ever forked;
* ``requests/``, ``grants/``: what was asked, and what trustees handed out;
* ``capsules/``: ciphertext on its way; removed when it was opened.

The vault says where the log is. It need not be believed: a log counts by its signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import stamina

from incamera import durable
from incamera.cli.card import Card, an, read_card
from incamera.cli.desk import Kept, Keys, Shown
from incamera.cli.join import POLICY
from incamera.cli.layout import Layout
from incamera.cli.pins import pin_at_first
from incamera.clock import Clock, SystemClock
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, Name, digest
from incamera.ledger import addresses
from incamera.ledger.entries import RegionEntry
from incamera.ledger.follower import Follower
from incamera.ledger.request import MAX_BATCH, GrantRequest
from incamera.ledger.rows import Requested
from incamera.ledger.state import State, leaf_digest
from incamera.sealing.capsule import read_capsule
from incamera.sealing.header import open_header
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.service.clients import Pieces, TrusteeClient, VaultClient
from incamera.tlog.policy import Policy
from incamera.tlog.proof import Proof
from incamera.tlog.reader import LogReader
from incamera.tlog.remote import HttpFetch
from incamera.vault import Row

if TYPE_CHECKING:
    from incamera.release.source import Fetched  # loads what reads recordings

__all__ = ["UrlDesk"]


class UrlDesk:
    """One party's folder of keys, and the vault of its region at a URL."""

    def __init__(self, vault: VaultClient, folder: Path, card: Card, *, ca: Path | None) -> None:
        """``folder``: with a pinned ``tlog-policy``."""
        self.clock: Clock = SystemClock()
        self.words = f"--url {vault.url} --keys {folder}"
        self._vault, self._folder, self._card, self._ca = vault, folder, card, ca
        text = (folder / POLICY).read_bytes()
        self._policy = Policy.parse(text, str(folder / POLICY))
        self._trustees: dict[Name, TrusteeClient] = {}

    @classmethod
    def at(
        cls, url: str, folder: Path, *, policy: Path | None, trust_first: bool, ca: Path | None
    ) -> Self:
        """The desk in ``folder``; ``policy`` is pinned if none is yet."""
        card, _ = read_card(folder)
        addresses.hold(folder)
        key = SigningKey.load(folder / "signing.key")
        if key.public != card.key:
            raise IntegrityError(f"{folder}: card.json is not of the key that is here")
        vault = VaultClient(url, key, SystemClock(), ca=ca)
        pin_at_first(folder, vault, policy=policy, trust_first=trust_first, ca=ca)
        return cls(vault, folder, card, ca=ca)

    # The log, as read here

    @cached_property
    def _state(self) -> State:
        return State(self._folder / "state.db")

    @cached_property
    def _told(self) -> tuple[str, dict[Name, str]]:
        """Where the vault says that the log and the trustees are."""
        region = self._vault.region()
        return region.log, dict(region.trustees)

    @property
    def log_policy(self) -> Policy:
        """The tlog-policy that is pinned here."""
        return self._policy

    @cached_property
    def fetch(self) -> HttpFetch:
        """The log's public files, unchecked."""
        return HttpFetch(self._told[0], ca=self._ca)

    @property
    def workers(self) -> int:
        """All trustees at once."""
        return max(1, len(self._told[1]))

    def state(self) -> State:
        """The log up to its present checkpoint: every entry read, the roots compared."""
        Follower(LogReader(self.fetch, self._policy), self._state, self.clock).follow()
        return self._state

    def region(self) -> RegionEntry:
        """Entry 0 of the log."""
        region = self._state.region or self.state().region
        if region is None:
            raise IntegrityError(f"{self.fetch.url}: the log's first entry names no region")
        return region

    def place(self, asked: Requested) -> tuple[bytes, Proof]:
        """The request's entry and its proof under the log's present checkpoint."""
        reader = LogReader(self.fetch, self._policy)
        seen = reader.checkpoint()
        size = seen.checkpoint.size
        hashes = reader.inclusion(asked.index, size)
        leaf = next(reader.entries(asked.index, asked.index + 1, size))
        if leaf_digest(leaf) != asked.leaf:
            raise IntegrityError(f"log entry {asked.index} is not the request it was")
        return leaf, Proof(asked.index, tuple(hashes), seen.note)

    # The vault

    def rows(self, *, status: Kept = None, tag: str | None = None) -> list[Row]:
        """The vault's catalogue; of what is kept, only what the log knows and did not erase."""
        rows = self._vault.rows(tag=tag)
        if status is None:
            return rows
        state = self.state()
        return [
            row
            for row in rows
            if row.status == status
            and state.capsule(row.digest) is not None
            and state.erased(row.digest) is None
        ]

    def shown(self, capsules: Sequence[Digest]) -> list[Shown]:
        """Headers and wrapped shares, each of them the one that the digest names."""
        found = self._vault.evidence(capsules)
        return [_checked(name, each) for name, each in zip(capsules, found, strict=True)]

    def capsules(self, wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        """Small ones come together; of a large one, what an interrupted run left is completed.

        :class:`IntegrityError` for a capsule that is not the one it should be; its file is gone.
        """
        folder = durable.folder(self._folder / "capsules", 0o700)
        for start in range(0, len(wanted), MAX_BATCH):
            batch, large, small = wanted[start : start + MAX_BATCH], [], []
            for name, data in self._vault.bundle(batch):
                if not data or (folder / name).exists():
                    large.append(name)
                    continue
                (folder / name).write_bytes(data)
                small.append(self._fetched(name, folder / name))
            yield small
            for name in large:
                self._complete(name, folder / name)
                yield [self._fetched(name, folder / name)]

    def _complete(self, name: Digest, path: Path) -> None:
        """Ask for the rest of a capsule, again and again while it does not come."""
        if path.exists() and _is_whole(path):
            return
        for attempt in stamina.retry_context(on=UnavailableError, attempts=5, timeout=None):
            with attempt:
                self._vault.download(name, path)

    def _fetched(self, name: Digest, path: Path) -> Fetched:
        """The file at ``path``, if it is capsule ``name``; opening checks its ciphertext."""
        from incamera.release.source import Fetched

        def done() -> None:
            path.unlink(missing_ok=True)

        try:
            capsule = read_capsule(path)
            if capsule.digest != name:
                raise IntegrityError("it is another capsule")
        except (InputError, IntegrityError) as error:
            done()
            raise IntegrityError(
                f"{self._vault.url}: what it sends is not capsule {name[:16]}...: {error.message}",
                hint="the vault's copy is damaged or false: tell its operator, and audit",
            ) from error
        return Fetched(capsule, done)

    def submit(self, entry: bytes) -> int:
        """Through the vault; where, as this desk reads the log itself."""
        self._vault.submit(entry)
        leaf = leaf_digest(entry)
        # A copy of the log may be some seconds behind the log: look again, for half a minute.
        for attempt in stamina.retry_context(on=_BehindError, attempts=20, timeout=30.0):
            with attempt:
                found = self.state().index_of(leaf)
                if found is None:
                    raise _BehindError(
                        f"{self.fetch.url}: the log does not show our entry yet",
                        hint="run the same command again; if it stays so, audit the log",
                    )
        assert found is not None
        return found

    def publish_list(self, listed: bytes) -> None:
        """By way of the vault."""
        self._vault.publish_list(digest(listed), listed)

    # The others

    def parties(self) -> dict[Name, str]:
        """The vault asked, whom it names, and the witnesses of the pinned policy."""
        log, trustees = self._told
        lines = [each.split() for each in self._policy.text.decode("utf-8").splitlines()]
        seats = {Name(w[1]): w[3] for w in lines if w[:1] == ["witness"] and len(w) == 4}
        return {Name("vault"): self._vault.url, Name("log"): log, **trustees, **seats}

    def trustees(self, named: Sequence[str] = ()) -> list[Name]:
        """As the vault lists them, or as ``named`` says; only those that the log has enrolled."""
        enrolled = {party.name for party in self.state().parties("trustee")}
        urls = {name: url for name, url in self._told[1].items() if name in enrolled}
        wanted: list[Name] = []
        for each in named:
            word, _, url = each.partition("=")
            name = Name(word)
            if name not in enrolled or not (url or name in urls):
                known = ", ".join(sorted(enrolled)) or "none"
                raise InputError(f"no trustee {word:.60} in this region", hint=f"it has {known}")
            urls[name] = url or urls[name]
            wanted.append(name)
        self._trustees |= {
            name: TrusteeClient(url, ca=self._ca)
            for name, url in urls.items()
            if name not in self._trustees
        }
        return wanted or list(urls)

    def ask(self, trustee: Name, request: GrantRequest) -> bytes:
        """The trustee at its URL decides."""
        return self._trustees[trustee].decide(request)

    def read_by(self, trustee: Name) -> int:
        """As the trustee at its URL says."""
        return self._trustees[trustee].read()

    # Who sits here

    def _keys(self, role: str) -> Keys:
        if self._card.role != role:
            raise InputError(
                f"{self._folder}: the keys of {self._card.role} {self._card.name}, not of "
                f"{an(role)}",
                hint=f"--keys DIR names the folder that `incamera init DIR --as {role}` made",
            )
        signing = SigningKey.load(self._folder / "signing.key")
        opening = OpeningKey.load(self._folder / "opening.key")
        return Keys(self._card.name, signing, opening)

    def asker(self, name: str | None, kind: str, country: str | None) -> tuple[Keys, bool]:
        """The reader of these keys; what it is stands in its card, and in the log."""
        del kind, country
        return self.reader(name or self._card.name), False

    def sits_here(self, reader: str) -> bool:
        """True for the one reader whose keys these are."""
        return self._card.role == "reader" and self._card.name == reader

    def reader(self, name: str) -> Keys:
        """The keys here, if they are of reader ``name``."""
        keys = self._keys("reader")
        if keys.name != name:
            raise InputError(
                f"{self._folder}: the keys of reader {keys.name}, not of {name}",
                hint="--keys DIR names another reader's folder",
            )
        return keys

    def folder(self, reader: str) -> Path:
        """This folder."""
        del reader
        return self._folder

    @property
    def home_paths(self) -> Layout | None:
        """None: everybody is elsewhere."""
        return None

    def owner(self) -> Keys:
        """The keys here, if they are an owner's."""
        return self._keys("owner")

    def operator(self) -> SigningKey:
        """The key here, if it is the operator's."""
        if self._card.role != "operator":
            raise InputError(
                f"{self._folder}: the keys of {self._card.role} {self._card.name}, and this is "
                "the operator's to do"
            )
        return SigningKey.load(self._folder / "signing.key")


class _BehindError(UnavailableError):
    """What was logged is not in the copy of the log that we read."""


def _checked(name: Digest, found: Pieces) -> Shown:
    """What the vault sent, if it is capsule ``name``'s: all hangs on the digest of the header."""
    where = f"capsule {name[:16]}..."
    if digest(found.envelope) != name:
        raise IntegrityError(f"{where}: the vault sent another header")
    header = open_header(found.envelope, where)
    digests = [share.digest for share in header.shares]
    if [digest(each) for each in found.wrapped] != digests:
        raise IntegrityError(f"{where}: the vault sent other shares than were sealed")
    return Shown(name, found.envelope, header, found.wrapped)


def _is_whole(path: Path) -> bool:
    """True if nothing is missing of what lies at ``path``."""
    try:
        read_capsule(path)
        return True  # noqa: TRY300
    except (InputError, IntegrityError):
        return False
