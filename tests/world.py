# SPDX-License-Identifier: Apache-2.0
"""A whole region in a folder, for tests: log, witnesses, trustees, operator, car, owner, readers.

Everything is real (keys, log, sealing); only the clock is held by hand.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     world = World(Path(folder))
...     capsule = world.capsule(b"a clip")
...     leaf, index = world.request([capsule])
...     world.open(leaf, index, capsule)
b'a clip'
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from incamera.clock import FixedClock
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import (
    CapsuleEntry,
    CapsuleList,
    Entry,
    ErasureEntry,
    PartyEntry,
    PolicyEntry,
    RegionEntry,
    RevokeEntry,
)
from incamera.ledger.follower import Follower
from incamera.ledger.grant import Grant
from incamera.ledger.policies import COUNTRIES, default_policy
from incamera.ledger.request import CapsuleEvidence, GrantRequest, build_request
from incamera.ledger.state import State, leaf_digest
from incamera.sealing import opening
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, seal
from incamera.sealing.seal import Trustee as SealTrustee
from incamera.tlog import FolderFetch, Log, LogReader, Witness
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import sign
from incamera.trustee import Trustee
from incamera.trustee.keyring import Keyring
from sealed import FACTS
from world_tlog import ORIGIN, START, LogWorld, log_world

EU = Region("eu")
DAY = 86_400
PURPOSE = Name("perception")


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder in memory where there is one: every step of a world syncs to disk."""
    shared = Path("/dev/shm")
    place = shared if shared.is_dir() and os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="incamera-", dir=place) as folder:
        yield Path(folder)


@dataclass
class Member:
    """A party's two private keys."""

    signing: SigningKey = field(default_factory=SigningKey.generate)
    opening: OpeningKey = field(default_factory=OpeningKey.generate)


@dataclass
class Fork:
    """A second view of the log: its public folder, and who writes it."""

    public: Path
    log: Log


class World:
    """A region (``eu``): 3 witnesses (quorum 2), trustees ch, is, uy (threshold 2).

    Readers: ``acme`` (company, DE), ``pixel`` (research, US), ``ministry`` (government, DE),
    ``club`` (an unlisted kind, FR). One car ``car-7``, whose owner is ``ada``.
    """

    def __init__(
        self, home: Path, *, notice: int = 0, quota: int = 100, region: str = "eu"
    ) -> None:
        self.home = home
        self.region = Region(region)
        self.clock = FixedClock(START)
        self.logs: LogWorld = log_world(home / "log", clock=self.clock, region=region)
        self.operator, self.vault = SigningKey.generate(), SigningKey.generate()
        self.car, self.owner = SigningKey.generate(), Member()
        self.readers = {name: Member() for name in ("acme", "pixel", "ministry", "club")}
        self.policy_text = default_policy(self.region)
        self.trustees: dict[str, Trustee] = {}
        self._count = 0
        self.append(*self._founding(notice, quota), *self._parties())
        self.policy = self.publish_policy(self.policy_text)
        for name in ("ch", "is", "uy"):
            self.add_trustee(name)

    # The log

    @property
    def public(self) -> Path:
        """What everybody sees: the log, and the files beside it."""
        return self.logs.public

    def append(self, *entries: bytes) -> int:
        """Log ``entries`` as one batch; the index of the first."""
        return self.logs.log.append(entries).first_index

    def append_one(self, entry: bytes) -> int:
        """What trustees are given to append with."""
        return self.append(entry)

    def say(self, entry: Entry, key: SigningKey) -> int:
        """Sign and log one entry; its index."""
        return self.append(encode(entry, key))

    def facts(self) -> dict[str, Any]:
        """The fields that every entry has."""
        return {"region": self.region, "time": self.clock.now()}

    def _founding(self, notice: int, quota: int) -> list[bytes]:
        entry = RegionEntry(
            **self.facts(),
            operator_key=self.operator.public,
            vault_key=self.vault.public,
            log_policy=digest(self.logs.policy.text),
            threshold=2,
            notice=notice,
            retention=30,
            quota=quota,
        )
        return [encode(entry, self.operator)]

    def party(
        self, role: str, name: str, kind: str, country: str, key: bytes, **more: Any
    ) -> bytes:
        """An enrolment, signed."""
        entry = PartyEntry(
            **self.facts(),
            role=role,  # type: ignore[arg-type]
            name=Name(name),
            kind=Name(kind),
            country=country,
            key=key,
            opening=more.get("opening", b""),
        )
        return encode(entry, self.operator)

    def _parties(self) -> list[bytes]:
        home = "DE" if self.region == EU else COUNTRIES[self.region][0]
        kinds = {"acme": ("company", home), "pixel": ("research", "US")}
        kinds |= {"ministry": ("government", "DE"), "club": ("hobby", "FR")}
        parties = [
            self.party("car", "car-7", "private", "DE", self.car.public),
            self.party(
                *("owner", "ada", "private", "DE", self.owner.signing.public),
                opening=self.owner.opening.public,
            ),
        ]
        for name, (kind, country) in kinds.items():
            member = self.readers[name]
            opens = member.opening.public
            parties.append(
                self.party("reader", name, kind, country, member.signing.public, opening=opens)
            )
        return parties

    def add_trustee(self, name: str) -> Trustee:
        """Make a trustee's home, enrol it, announce its epoch 4."""
        keys = Keyring.create(self.home / name)
        party = self.party("trustee", name, "notary", name.upper(), keys.signing.public)
        now = self.clock.now()
        epoch = keys.new_epoch(Name(name), self.region, 4, now - DAY, now + DAY, now)
        self.append(party, epoch)
        self.trustees[name] = self.trustee(name)
        return self.trustees[name]

    def trustee(self, name: str, **change: Any) -> Trustee:
        """A trustee opened on its home, as after a restart; ``change``: fetch, append, clock."""
        return Trustee(
            home=self.home / name,
            name=Name(name),
            fetch=change.get("fetch", FolderFetch(self.public)),
            policy=self.logs.policy,
            clock=change.get("clock", self.clock),
            append=change.get("append", self.append_one),
        )

    def publish_policy(self, text: str, *, logged: bool = True) -> Digest:
        """Put a policy beside the log, and its digest into it."""
        name = digest(text.encode())
        self.beside(f"policy/{name}.cedar", text.encode())
        if logged:
            self.say(PolicyEntry(**self.facts(), policy=name), self.operator)
        return name

    def beside(self, path: str, data: bytes) -> None:
        """Write a public file."""
        place = self.public / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def state(self) -> State:
        """What an outsider makes of the log now."""
        state = State()
        Follower(LogReader(FolderFetch(self.public), self.logs.policy), state, self.clock).follow()
        return state

    def note(self, size: int, root: bytes, *, cosigners: int = 3, time: int | None = None) -> bytes:
        """A checkpoint signed by the log and cosigned, whatever it says.

        Only a dishonest log with dishonest witnesses can make such a one.
        """
        text = Checkpoint(ORIGIN, size, root).text
        at = self.clock.now() if time is None else time
        lines = [each.line(text, at) for each in self.logs.cosigners[:cosigners]]
        return sign(text, [self.logs.signer]) + b"".join(lines)

    def fork(self, entries: Sequence[bytes], folder: str = "fork") -> Fork:
        """Another log under the same keys, cosigned by the same witnesses gone bad."""
        home = self.home / folder
        logs = {ORIGIN: self.logs.signer.verifier}
        witnesses = [
            Witness(home / each.name.replace("/", "-"), each, logs, self.clock)
            for each in self.logs.cosigners
        ]
        keys = (self.logs.signer, witnesses, self.logs.policy, self.clock)
        log = Log.create(home / "public", home / "state", *keys)
        log.append(entries)
        return Fork(home / "public", log)

    def entries(self) -> list[bytes]:
        """All entries of the log."""
        reader = LogReader(FolderFetch(self.public), self.logs.policy)
        size = reader.checkpoint().checkpoint.size
        return list(reader.entries(0, size, size))

    def revoke(self, role: str, name: str) -> int:
        """End an enrolment."""
        entry = RevokeEntry(**self.facts(), role=role, name=Name(name), reason="test")  # type: ignore[arg-type]
        return self.say(entry, self.operator)

    def erase(self, *capsules: Capsule) -> int:
        """The owner erases capsules."""
        names = tuple(sorted(each.digest for each in capsules))
        entry = ErasureEntry(**self.facts(), capsules=names, by="owner", name="ada", reason="mine")
        return self.say(entry, self.owner.signing)

    # Capsules

    def recipients(self) -> Recipients:
        """The trustees' present epoch keys, and the owner's."""
        state = self.state()
        parties = []
        for name in sorted(self.trustees):
            key = state.epochs(name, at=self.clock.now())[-1]
            parties.append(SealTrustee(key.trustee, key.epoch, key.key))
        return Recipients(parties, 2, self.owner.opening.public)

    def seal(
        self, payload: bytes = b"a clip", *, car: SigningKey | None = None, **facts: Any
    ) -> Path:
        """A capsule file, not admitted."""
        self._count += 1
        path = self.home / f"{self._count}.capsule"
        defaults: Facts = replace(
            FACTS, region=self.region, policy=self.policy, expires=START + 20 * DAY
        )
        seal(
            io.BytesIO(payload),
            path,
            facts=replace(defaults, **facts),
            recipients=self.recipients(),
            car=car or self.car,
        )
        return path

    def capsule(self, payload: bytes = b"a clip", **facts: Any) -> Capsule:
        """A capsule in the log."""
        capsule = read_capsule(self.seal(payload, **facts))
        self.say(CapsuleEntry(**self.facts(), capsule=capsule.digest), self.vault)
        return capsule

    # Reading

    def leaf(
        self, capsules: Iterable[Capsule] | CapsuleList, *, reader: str = "acme", **change: Any
    ) -> bytes:
        """A signed request, not logged."""
        member = self.readers[reader]
        named = (
            capsules if isinstance(capsules, CapsuleList) else [each.digest for each in capsules]
        )
        values: dict[str, Any] = {
            "region": self.region,
            "reader": Name(reader),
            "capsules": named,
            "purpose": PURPOSE,
            "policy": self.policy,
            "expires": self.clock.now() + 10 * DAY,
            "recipient": member.opening.public,
            "time": self.clock.now(),
            "key": member.signing,
        }
        return build_request(**(values | change))

    def request(
        self, capsules: Sequence[Capsule] | CapsuleList, **change: Any
    ) -> tuple[bytes, int]:
        """A logged request: its leaf and index."""
        leaf = self.leaf(capsules, **change)
        return leaf, self.append(leaf)

    def ask(self, name: str, leaf: bytes, index: int, *capsules: Capsule) -> GrantRequest:
        """What is shown to trustee ``name``, under the log's present checkpoint."""
        return self.ask_in(self.public, name, leaf, index, *capsules)

    def ask_in(
        self, public: Path, name: str, leaf: bytes, index: int, *capsules: Capsule
    ) -> GrantRequest:
        """The same under another view of the log."""
        reader = LogReader(FolderFetch(public), self.logs.policy)
        seen = reader.checkpoint()
        return GrantRequest(
            leaf=leaf,
            index=index,
            note=seen.note,
            proof=tuple(reader.inclusion(index, seen.checkpoint.size)),
            capsules=tuple(shown(name, each) for each in capsules),
        )

    def decide(self, name: str, leaf: bytes, index: int, *capsules: Capsule) -> Grant:
        """Ask and answer."""
        return self.trustees[name].decide(self.ask(name, leaf, index, *capsules))

    def open(self, leaf: bytes, index: int, capsule: Capsule, *, reader: str = "acme") -> bytes:
        """The whole of reading: two grants, opened by the reader; the clip."""
        found: dict[int, bytes] = {}
        for name in ("ch", "uy"):
            grant = self.decide(name, leaf, index, capsule)
            found |= self.shares(grant, leaf, reader)
        dest = self.home / f"{capsule.digest}.clip"
        opening.open_capsule(capsule.path, found, dest)
        return dest.read_bytes()

    def shares(self, grant: Grant, leaf: bytes, reader: str = "acme") -> dict[int, bytes]:
        """The shares in a grant, as the reader opens them."""
        raw, key = bytes.fromhex(leaf_digest(leaf)), self.readers[reader].opening
        return {
            each.index: opening.open_share(each.sealed, key, raw, each.capsule_id, each.index)
            for each in grant.shares
        }


def shown(name: str, capsule: Capsule) -> CapsuleEvidence:
    """What trustee ``name`` is shown of a capsule."""
    names = [share.trustee for share in capsule.header.shares]
    index = names.index(Name(name)) + 1
    return CapsuleEvidence(capsule.envelope, capsule.wrapped[index - 1], index)


def fetch_with(
    inner: FolderFetch, path: str, answer: Callable[[], bytes]
) -> Callable[[str], bytes]:
    """A fetch that gives ``answer`` for ``path`` (or raises), and is ``inner`` otherwise."""
    return lambda asked: answer() if asked == path else inner(asked)
