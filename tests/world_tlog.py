# SPDX-License-Identifier: Apache-2.0
"""A small world for tests: one log with three witnesses (quorum 2), all in a temporary folder.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     world = log_world(Path(folder))
...     world.log.append([b"one"])
...     world.reader().checkpoint().checkpoint.size
Appended(first_index=0, size=1)
1
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from incamera.clock import FixedClock
from incamera.errors import UnavailableError
from incamera.tlog import FolderFetch, Log, LogReader, Policy, Proof, Signer, Witness, merkle, tile
from incamera.tlog.log import WitnessClient
from incamera.tlog.note import Cosigner

ORIGIN = "log.example/eu"
START = 1_800_000_000


def ed25519_key(name: str) -> Ed25519PrivateKey:
    """A private key that is the same in every run: its seed is the hash of ``name``."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


class SwitchedWitness:
    """A witness that can be switched off, before or after it did what it was asked."""

    def __init__(self, inner: Witness) -> None:
        self.inner = inner
        self.down = False
        self.after: Callable[[], None] | None = None

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """As the witness, unless it is down."""
        if self.down:
            raise UnavailableError("no answer")
        answer = self.inner.add_checkpoint(body)
        if self.after:
            self.after()
        return answer


@dataclass
class LogWorld:
    """A log, its witnesses and their folders; ``home/public`` is what the world sees."""

    home: Path
    clock: FixedClock
    signer: Signer
    cosigners: list[Cosigner]
    witnesses: list[SwitchedWitness]
    policy: Policy
    log: Log

    @property
    def public(self) -> Path:
        """The public folder."""
        return self.home / "public"

    @property
    def state(self) -> Path:
        """The log's own state."""
        return self.home / "state"

    def reader(self) -> LogReader:
        """A fresh outsider."""
        return LogReader(FolderFetch(self.public), self.policy)

    def reopened(self, witnesses: Sequence[WitnessClient] | None = None) -> Log:
        """Another Log object on the same files, as after a restart."""
        clients = self.witnesses if witnesses is None else witnesses
        return Log(self.public, self.state, self.signer, clients, self.policy, self.clock)


def policy_text(signer: Signer, cosigners: Sequence[Cosigner], quorum: int) -> str:
    """A flat policy: ``quorum`` of the cosigners w1, w2, ..."""
    names = [f"w{number}" for number in range(1, len(cosigners) + 1)]
    lines = [f"witness {name} {each.vkey}" for name, each in zip(names, cosigners, strict=True)]
    group = f"group all-witnesses {quorum} {' '.join(names)}"
    return "\n".join([f"log {signer.vkey}", *lines, group, "quorum all-witnesses", ""])


def log_world(
    home: Path,
    *,
    witnesses: int = 3,
    quorum: int = 2,
    clock: FixedClock | None = None,
    region: str = "eu",
) -> LogWorld:
    """The world under ``home``: what is there already, or an empty, witnessed log.

    Keys are the same in every run, and others for each ``region``.
    """
    clock = clock or FixedClock(START)
    origin, seed = (ORIGIN, "") if region == "eu" else (f"log.example/{region}", f"{region} ")
    signer = Signer(origin, ed25519_key(f"{seed}log"))
    cosigners = [
        Cosigner(f"witness.example/{seed.strip()}w{number}", ed25519_key(f"{seed}w{number}"))
        for number in range(1, witnesses + 1)
    ]
    policy = Policy.parse(policy_text(signer, cosigners, quorum))
    logs = {origin: signer.verifier}
    clients = [
        SwitchedWitness(Witness(home / f"w{number}", each, logs, clock))
        for number, each in enumerate(cosigners, 1)
    ]
    make = Log if (home / "state" / "tree").exists() else Log.create
    log = make(home / "public", home / "state", signer, clients, policy, clock)
    return LogWorld(home, clock, signer, cosigners, clients, policy, log)


def check_log(world: LogWorld, expected: Sequence[bytes] | None = None) -> list[bytes]:
    """Read the log as an outsider and check all of it; gives its entries.

    The checkpoint, every entry, the root from the entries, an inclusion proof of each hundredth
    entry, and each tile and bundle file against the entries.
    """
    reader = world.reader()
    witnessed = reader.checkpoint()
    size = witnessed.checkpoint.size
    entries = list(reader.entries(0, size, size))
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    assert merkle.root(hashes) == witnessed.checkpoint.root
    for index in range(0, size, 100):
        proof = Proof.parse(world.log.proof(index))
        assert proof.verify(entries[index], world.policy).checkpoint.size == size
    names = set()
    for path in sorted((world.public / "tile").rglob("*")) if size else []:
        if path.is_dir():
            continue
        name = tile.parse_path(path.relative_to(world.public).as_posix())
        assert name is not None, path
        names.add(name)
        first = name.index * tile.WIDTH
        if name.level == tile.ENTRIES:
            part = entries[first : first + name.width]
            assert tile.encode_bundle(part) == path.read_bytes() or len(part) < name.width, path
        else:
            rows = [hashes]
            for _ in range(name.level):
                below = rows[-1]
                starts = range(0, len(below) - 255, 256)
                rows.append([merkle.root(below[i : i + 256]) for i in starts])
            part = rows[-1][first : first + name.width]
            assert b"".join(part) == path.read_bytes() or len(part) < name.width, path
    for level in (tile.ENTRIES, *range(8)):
        count = size >> 8 * max(level, 0)
        for index in range(-(-count // 256)):
            width = tile.width_at(level, index, size)
            assert tile.TileName(level, index, width) in names, (level, index, width)
    if expected is not None:
        assert entries == list(expected)
    return entries
