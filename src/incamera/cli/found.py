# SPDX-License-Identifier: Apache-2.0
"""Founding a home: keys for every party, the empty log, and the entries that come first.

All of it is made in a folder beside the one that was asked for, which gets its name only when it
is complete: a crash leaves no half a home behind.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from incamera import durable
from incamera.cli.layout import Layout, Settings
from incamera.cli.serving import serve_home
from incamera.clock import Clock
from incamera.encoding import canonical
from incamera.errors import InputError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.addresses import found_under
from incamera.ledger.codec import encode
from incamera.ledger.entries import (
    Address,
    AddressesEntry,
    CampaignEntry,
    Entry,
    PartyEntry,
    PolicyEntry,
    RegionEntry,
)
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.keys import generate_cosigner, generate_signer, save
from incamera.tlog.log import Log
from incamera.tlog.policy import Policy
from incamera.tlog.witness import Witness
from incamera.trustee import Keyring

__all__ = ["Plan", "found"]

EPOCH_DAYS = 30
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Plan:
    """What `incamera init` was asked for."""

    region: Region
    jurisdictions: Sequence[str]  # ISO 3166-1 alpha-2, one a trustee, all different
    threshold: int  # of the trustees
    quorum: int  # of the witnesses, 2 * quorum - 1 in number
    notice: int  # seconds a request stands in public before a trustee grants it
    retention: int  # days
    quota: int  # capsules a reader and day
    policy: str  # Cedar
    purposes: Sequence[str]
    addresses: Sequence[Address] = field(default=())  # none: nothing is declared

    def check(self) -> None:
        """Refuse what would break a promise, in words."""
        count = len(self.jurisdictions)
        if not 2 <= self.threshold <= count <= 32:
            raise InputError(
                f"{self.threshold} of {count} trustees: the threshold must be 2 to the number of "
                "trustees, and there may be 32",
                hint="for example --trustees 3 --threshold 2",
            )
        if len(set(self.jurisdictions)) != count:
            raise InputError(
                "two trustees sit in one jurisdiction",
                hint="name one jurisdiction a trustee, all different: --jurisdiction DE ...",
            )
        if not 1 <= self.quorum <= 8:
            raise InputError(f"--witnesses {self.quorum}: 1 to 8 cosignatures may be needed")


def found(root: Path, plan: Plan, clock: Clock) -> Layout:
    """Make the home at ``root``, which must not exist or be empty; its layout."""
    plan.check()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(
            f"{root}: exists already and is not an empty folder",
            hint="name a new folder; a home that exists is never overwritten",
        )
    durable.folder(root.parent)
    draft = root.with_name(f".{root.name}.init")
    shutil.rmtree(draft, ignore_errors=True)  # left by an init that crashed: never complete
    _fill(Layout(durable.folder(draft)), plan, clock)
    if root.exists():
        root.rmdir()
    durable.move(draft, root)
    return Layout(root)


def _fill(home: Layout, plan: Plan, clock: Clock) -> None:
    names = tuple(Name(f"trustee-{each.lower()}") for each in plan.jurisdictions)
    durable.folder(home.public)
    log, policy = _make_log(home, plan, clock)
    first = _Entries(home, plan, clock)
    entries = [first.region(policy), *first.parties(names), *first.documents()]
    log.append(entries + first.addresses())
    consent = {"v": 1, "id": f"consent-{secrets.token_hex(8)}", "purposes": list(plan.purposes)}
    durable.write(home.consent, canonical({**consent, "since": clock.now()}), mode=0o600)
    serve_home(home, policy, names)
    Settings(
        region=plan.region,
        witnesses=2 * plan.quorum - 1,
        trustees=names,
        threshold=plan.threshold,
        retention=plan.retention,
        purposes=tuple(plan.purposes),
    ).save(home.settings)


def _make_log(home: Layout, plan: Plan, clock: Clock) -> tuple[Log, Policy]:
    # A name nobody else's log has; a log that is served takes its host's name instead.
    signer = generate_signer(f"incamera.invalid/{plan.region}/{secrets.token_hex(4)}")
    save(durable.folder(home.log, 0o700) / "note.key", signer)
    names = [f"witness-{number}" for number in range(1, 2 * plan.quorum)]
    cosigners = [generate_cosigner(f"{signer.name}/{name}") for name in names]
    lines = [f"log {signer.vkey}"]
    lines += [f"witness {n} {c.vkey}" for n, c in zip(names, cosigners, strict=True)]
    lines += [f"group witnesses {plan.quorum} {' '.join(names)}", "quorum witnesses", ""]
    policy = Policy.parse("\n".join(lines))
    witnesses = []
    for number, cosigner in enumerate(cosigners, start=1):
        folder = durable.folder(home.witness(number), 0o700)
        save(folder / "note.key", cosigner)
        state = durable.folder(folder / "state")
        witnesses.append(Witness(state, cosigner, {signer.name: signer.verifier}, clock))
    log = Log.create(home.public, home.log, signer, witnesses, policy, clock)
    return log, policy


class _Entries:
    """The entries of a founding, each signed by who may say it; keys are made on the way."""

    def __init__(self, home: Layout, plan: Plan, clock: Clock) -> None:
        self._home, self._plan = home, plan
        self._now = clock.now()
        self._operator = _signing(home.operator)

    def _sign(self, entry: Entry, key: SigningKey | None = None) -> bytes:
        return encode(entry, key or self._operator)

    def region(self, policy: Policy) -> bytes:
        plan = self._plan
        entry = RegionEntry(
            region=plan.region,
            time=self._now,
            operator_key=self._operator.public,
            vault_key=_signing(self._home.vault / "signing.key").public,
            log_policy=digest(policy.text),
            threshold=plan.threshold,
            notice=plan.notice,
            retention=plan.retention,
            quota=plan.quota,
        )
        return self._sign(entry)

    def _party(self, role: str, name: str, country: str, key: bytes, opening: bytes) -> bytes:
        kind = {"car": "car", "owner": "person", "trustee": "trustee"}[role]
        entry = PartyEntry(
            region=self._plan.region,
            time=self._now,
            role=role,  # type: ignore[arg-type]  # one of the three above
            name=Name(name),
            kind=Name(kind),
            country=country,
            key=key,
            opening=opening,
        )
        return self._sign(entry)

    def parties(self, trustees: Sequence[Name]) -> list[bytes]:
        home, country = self._home, self._plan.jurisdictions[0]
        car, owner = _signing(home.car / "signing.key"), _signing(home.owner / "signing.key")
        opening = _opening(home.owner / "opening.key")
        made = [
            self._party("owner", "owner", country, owner.public, opening.public),
            self._party("car", "car", country, car.public, b""),
        ]
        for name, jurisdiction in zip(trustees, self._plan.jurisdictions, strict=True):
            keys = Keyring.create(home.trustee(name))
            made.append(self._party("trustee", name, jurisdiction, keys.signing.public, b""))
            # A day of slack: a recording may be of yesterday by the car's own clock.
            begin, end = self._now - DAY, self._now + EPOCH_DAYS * DAY
            made.append(keys.new_epoch(name, self._plan.region, 1, begin, end, self._now))
        return made

    def documents(self) -> list[bytes]:
        cedar = self._plan.policy.encode()
        campaign = resources.files("incamera.trigger").joinpath("default.toml").read_bytes()
        policy = PolicyEntry(
            region=self._plan.region, time=self._now, policy=self._publish("policy", cedar, "cedar")
        )
        asked = CampaignEntry(
            region=self._plan.region,
            time=self._now,
            campaign=self._publish("campaign", campaign, "toml"),
        )
        return [self._sign(policy), self._sign(asked)]

    def addresses(self) -> list[bytes]:
        """What the parties keep to from the first; left with each, until it has read the log."""
        if not self._plan.addresses:
            return []
        allowed = tuple(sorted(set(self._plan.addresses)))
        entry = AddressesEntry(region=self._plan.region, time=self._now, allowed=allowed)
        home, count = self._home, 2 * self._plan.quorum - 1
        trustees = (home.trustee(f"trustee-{each.lower()}") for each in self._plan.jurisdictions)
        witnesses = (home.witness(number + 1) for number in range(count))
        for folder in (home.log, home.vault, *witnesses, *trustees):
            found_under(durable.folder(folder, 0o700), entry)
        return [self._sign(entry)]

    def _publish(self, folder: str, text: bytes, suffix: str) -> Digest:
        name = digest(text)
        durable.create(self._home.public_text(folder, f"{name}.{suffix}"), text)
        return name


def _signing(path: Path) -> SigningKey:
    durable.folder(path.parent, 0o700)
    key = SigningKey.generate()
    key.save(path)
    return key


def _opening(path: Path) -> OpeningKey:
    durable.folder(path.parent, 0o700)
    key = OpeningKey.generate()
    key.save(path)
    return key
