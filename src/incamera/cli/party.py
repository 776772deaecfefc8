# SPDX-License-Identifier: Apache-2.0
"""``incamera init DIR --as ROLE``: one party makes its own keys, on its own machine.

Private keys stay in DIR (0600); ``card.json`` is what travels. Asked again, it takes the keys that
are there and writes the card anew: so a change of address costs no key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.cli.card import Card, CardRole, an
from incamera.clock import Clock
from incamera.errors import InputError
from incamera.ids import Name, Region
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.keys import (
    generate_cosigner,
    generate_signer,
    load_cosigner,
    load_signer,
    save,
)
from incamera.tlog.note import Cosigner, Signer
from incamera.trustee import Keyring

__all__ = ["PartyPlan", "make_party", "party_key"]

DAY = 86_400
EPOCH_DAYS = 30

NOTE_KEY = "note.key"
SIGNING_KEY = "signing.key"
OPENING_KEY = "opening.key"


@dataclass(frozen=True, slots=True)
class PartyPlan:
    """What one party says of itself."""

    role: CardRole
    name: Name
    kind: Name
    country: str
    url: str
    region: Region | None  # a trustee's

    def check(self) -> None:
        """Refuse in words what the card would be refused for later."""
        if self.role in ("log", "witness", "vault", "trustee") and not self.url:
            raise InputError(
                f"a {self.role} is served: say where", hint="--listen 127.0.0.1:7001, or --url URL"
            )
        if self.role in ("trustee", "reader", "owner", "car") and not self.country:
            raise InputError(f"{an(self.role)} sits somewhere: say where", hint="--country DE")
        if self.role == "trustee" and self.region is None:
            raise InputError("a trustee's first key is for one region", hint="--region eu")


def make_party(folder: Path, plan: PartyPlan, clock: Clock) -> Card:
    """Keys (made if missing) and ``card.json`` in ``folder``; the card."""
    plan.check()
    durable.folder(folder, 0o700)
    key, vkey = _signing(folder, plan)
    opening, entry = b"", b""
    if plan.role in ("log", "vault", "reader", "owner"):
        opening = _opening(folder / OPENING_KEY).public
    if plan.role == "trustee":
        assert plan.region is not None
        now = clock.now()
        # A day of slack: a recording may be of yesterday by the car's own clock.
        times = (now - DAY, now + EPOCH_DAYS * DAY, now)
        entry = Keyring(folder).new_epoch(plan.name, plan.region, 1, *times)
    card = Card(
        role=plan.role,
        name=plan.name,
        kind=plan.kind,
        country=plan.country,
        key=key.public,
        opening=opening,
        vkey=vkey,
        url=plan.url,
        entry=entry,
        time=clock.now(),
    )
    path = card.save(folder, key)
    return Card.open(path.read_bytes(), str(path))


def party_key(folder: Path, role: CardRole) -> SigningKey:
    """The key that signs for the party in ``folder``."""
    if role == "log":
        return SigningKey(load_signer(folder / NOTE_KEY).seed)
    if role == "witness":
        return SigningKey(load_cosigner(folder / NOTE_KEY).seed)
    return SigningKey.load(folder / SIGNING_KEY)


def _signing(folder: Path, plan: PartyPlan) -> tuple[SigningKey, str]:
    if plan.role in ("log", "witness"):
        name = plan.url.split("://", 1)[1].rstrip("/")  # a log is named by its URL
        return _note(folder / NOTE_KEY, plan.role == "log", name)
    path = folder / SIGNING_KEY
    if not path.exists():
        if plan.role == "trustee":
            Keyring.create(folder)
        else:
            SigningKey.generate().save(path)
    return SigningKey.load(path), ""


def _note(path: Path, is_log: bool, name: str) -> tuple[SigningKey, str]:
    if not path.exists():
        save(path, generate_signer(name) if is_log else generate_cosigner(name))
    key: Signer | Cosigner = load_signer(path) if is_log else load_cosigner(path)
    if is_log and key.name != name:
        raise InputError(
            f"{path}: this log is named {key.name}, and its name cannot change to {name}",
            hint="a log that moves keeps its name: give --url as it was",
        )
    return SigningKey(key.seed), key.vkey


def _opening(path: Path) -> OpeningKey:
    if not path.exists():
        OpeningKey.generate().save(path)
    return OpeningKey.load(path)
