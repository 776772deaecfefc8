# SPDX-License-Identifier: Apache-2.0
"""A region to measure in: log, three witnesses (quorum 2), three trustees (threshold 2), a car.

Everything is as in earnest, on disk, but in one process.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

from incamera.clock import SystemClock
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import capsule_list, encode
from incamera.ledger.entries import (
    CapsuleEntry,
    CapsuleList,
    Entry,
    PartyEntry,
    PolicyEntry,
    RegionEntry,
)
from incamera.ledger.policies import default_policy
from incamera.ledger.request import CapsuleEvidence, GrantRequest, build_request
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, seal
from incamera.sealing.seal import Trustee as Sealed
from incamera.tlog import FolderFetch, Log, LogReader, Witness
from incamera.tlog.keys import generate_cosigner, generate_signer
from incamera.tlog.policy import Policy
from incamera.trustee import Keyring, Trustee

NAMES = tuple(Name(each) for each in ("trustee-ch", "trustee-is", "trustee-uy"))
EU, READER, PURPOSE = Region("eu"), Name("acme"), Name("perception")
DAY = 86_400


class Counted:
    """A trustee's way into the log, which keeps apart the CPU seconds that the log takes.

    ``cpu`` in all threads; ``here`` in the caller's own, to be taken from what the caller spent.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.cpu = self.here = 0.0

    def one(self, entry: bytes) -> int:
        """Append one entry."""
        return self.many([entry])

    def many(self, entries: Sequence[bytes]) -> int:
        """Append several as one batch of the log."""
        cpu, here = time.process_time(), time.thread_time()
        index = self._log.append(entries).first_index
        self.cpu += time.process_time() - cpu
        self.here += time.thread_time() - here
        return index


class BenchRegion:
    """One region below ``home``."""

    def __init__(self, home: Path, *, quota: int = 10**6) -> None:
        self.home, self.clock = home, SystemClock()
        self.operator, self.vault, self.car = (SigningKey.generate() for _ in range(3))
        self.signing, self.opening = SigningKey.generate(), OpeningKey.generate()
        self.log = self._make_log()
        self.text = default_policy(EU)
        self.policy = digest(self.text.encode())
        self._beside(f"policy/{self.policy}.cedar", self.text.encode())
        self.log.append(self._founding(quota))
        self.recipients, self.trustees, self.ways = self._trustees()
        self._sealed = 0

    @property
    def public(self) -> Path:
        """What everybody sees."""
        return self.home / "public"

    def _make_log(self) -> Log:
        signer = generate_signer("bench.invalid/eu")
        cosigners = [generate_cosigner(f"bench.invalid/w{i}") for i in (1, 2, 3)]
        lines = [f"log {signer.vkey}", *(f"witness w{i} {c.vkey}" for i, c in enumerate(cosigners))]
        lines += ["group ws 2 w0 w1 w2", "quorum ws", ""]
        self.log_policy = Policy.parse("\n".join(lines))
        witnesses = [
            Witness(self.home / f"w{i}", c, {signer.name: signer.verifier}, self.clock)
            for i, c in enumerate(cosigners)
        ]
        keys = (signer, witnesses, self.log_policy, self.clock)
        return Log.create(self.public, self.home / "log", *keys)

    def _beside(self, path: str, data: bytes) -> None:
        place = self.public / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def _founding(self, quota: int) -> list[bytes]:
        now = self.clock.now()
        region = RegionEntry(
            region=EU,
            time=now,
            operator_key=self.operator.public,
            vault_key=self.vault.public,
            log_policy=digest(self.log_policy.text),
            threshold=2,
            notice=0,
            retention=30,
            quota=quota,
        )
        policy = PolicyEntry(region=EU, time=now, policy=self.policy)
        entries: list[Entry] = [region, policy]
        parties = [self._party("car", "car-7", "private", self.car)]
        parties.append(self._party("reader", READER, "company", self.signing, self.opening.public))
        return [encode(each, self.operator) for each in (*entries, *parties)]

    def _party(
        self, role: str, name: str, kind: str, key: SigningKey, opening: bytes = b""
    ) -> PartyEntry:
        return PartyEntry(
            region=EU,
            time=self.clock.now(),
            role=role,  # type: ignore[arg-type]
            name=Name(name),
            kind=Name(kind),
            country="DE",
            key=key.public,
            opening=opening,
        )

    def _trustees(self) -> tuple[Recipients, dict[Name, Trustee], dict[Name, Counted]]:
        sealed, trustees, ways = [], {}, {}
        now = self.clock.now()
        for name in NAMES:
            keys = Keyring.create(self.home / name)
            party = encode(self._party("trustee", name, "notary", keys.signing), self.operator)
            epoch = keys.new_epoch(name, EU, 1, now - DAY, now + 30 * DAY, now)
            self.log.append([party, epoch])
            key = keys.epoch(1)
            assert key is not None
            sealed.append(Sealed(name, 1, key.public))
            ways[name] = Counted(self.log)
            trustees[name] = Trustee(
                self.home / name,
                name,
                FolderFetch(self.public),
                self.log_policy,
                self.clock,
                ways[name].one,
                append_many=ways[name].many,
            )
        return Recipients(sealed, 2, OpeningKey.generate().public), trustees, ways

    def capsules(self, count: int, payload: bytes) -> list[Capsule]:
        """Sealed by the car, admitted by the vault."""
        now, made = self.clock.now(), []
        facts = Facts(
            region=EU,
            vehicle=Name("car-7"),
            hour="2026-11-21T14",
            duration=30,
            cameras=[Name("front"), Name("back"), Name("left-repeater"), Name("right-repeater")],
            tags=[Name("hard-brake")],
            consent="consent-1",
            purposes=[PURPOSE],
            policy=self.policy,
            report=digest(b"report"),
            models=[digest(b"model")],
            zones=digest(b"zones"),
            expires=now + 30 * DAY,
        )
        for _ in range(count):
            self._sealed += 1
            path = self.home / "capsules" / f"{self._sealed}.capsule"
            path.parent.mkdir(exist_ok=True)
            seal(io.BytesIO(payload), path, facts=facts, recipients=self.recipients, car=self.car)
            made.append(read_capsule(path))
        entries = [
            encode(CapsuleEntry(region=EU, time=now, capsule=each.digest), self.vault)
            for each in made
        ]
        self.log.append(entries)
        return made

    def leaf(self, capsules: Sequence[Digest] | CapsuleList) -> bytes:
        """A request for ``capsules``, signed by the reader, not logged."""
        return build_request(
            region=EU,
            reader=READER,
            capsules=capsules,
            purpose=PURPOSE,
            policy=self.policy,
            expires=self.clock.now() + DAY,
            recipient=self.opening.public,
            time=self.clock.now(),
            key=self.signing,
        )

    def listed(self, capsules: Sequence[Capsule]) -> CapsuleList:
        """A list file beside the log."""
        data, named = capsule_list([each.digest for each in capsules])
        self._beside(f"list/{named.digest}", data)
        return named

    def asking(
        self, name: Name, leaves: Sequence[tuple[bytes, int, Sequence[Capsule]]]
    ) -> list[bytes]:
        """What is sent to trustee ``name`` for each (leaf, index, capsules)."""
        reader = LogReader(FolderFetch(self.public), self.log_policy)
        seen = reader.checkpoint()
        number, size = NAMES.index(name), seen.checkpoint.size
        asked = []
        for leaf, index, capsules in leaves:
            proof = tuple(reader.inclusion(index, size))
            shown = tuple(
                CapsuleEvidence(each.envelope, each.wrapped[number], number + 1)
                for each in capsules
            )
            asked.append(GrantRequest(leaf, index, seen.note, proof, shown).serialise())
        return asked
