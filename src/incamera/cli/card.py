# SPDX-License-Identifier: Apache-2.0
"""A party's card: all that others need to know of it, public, signed by its own key.

The signature proves that who hands the card in holds the key: nobody can enrol another's key as
his own. A card is a DSSE envelope; its payload is canonical JSON with exactly the fields of
:class:`Card`, keys in base64. Log and witness sign with the key of their signed notes: a DSSE
message can never be read as a checkpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from incamera import durable
from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Name, parse_name
from incamera.ledger.codec import parse_country, parse_int
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey, parse_opening_public
from incamera.tlog.note import COSIGNATURE, ED25519, Verifier

__all__ = ["CARD", "SERVED", "Card", "CardRole", "an", "read_card"]

CARD = "card.json"
CARD_TYPE = "application/vnd.incamera.card+json"

CardRole = Literal["witness", "log", "vault", "trustee", "reader", "owner", "car", "operator"]

_URL = re.compile(r"https?://[!-~]{1,200}", re.ASCII)
_OPENS = ("log", "vault", "reader", "owner")
_SEATED = ("trustee", "reader", "owner", "car")
SERVED = ("witness", "log", "vault", "trustee")
"""Roles that run a server."""


def an(role: str) -> str:
    """``an owner``, ``a car``: for messages."""
    return f"{'an' if role[:1] in 'aeiou' else 'a'} {role}"


@dataclass(frozen=True, slots=True)
class Card:
    """One party. What does not belong to its role is empty."""

    role: CardRole
    name: Name
    kind: Name  # of readers company, research ...; else what the role is
    country: str  # ISO 3166-1 alpha-2, or empty
    key: bytes  # 32, Ed25519: the one that signed the card
    opening: bytes  # 1216, HPKE: of readers and owners, and for the token that opens the log
    vkey: str  # of logs and witnesses, as a tlog-policy names them
    url: str  # where it is served
    entry: bytes  # a trustee's: the log entry that announces its first epoch, signed
    time: int  # POSIX seconds, claimed

    def seal(self, key: SigningKey) -> bytes:
        """The card's file, signed."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {
            name: base64_text(value) if isinstance(value, bytes) else value
            for name, value in values.items()
        }
        return seal_envelope(canonical({"v": 1, **plain}), CARD_TYPE, key)

    def save(self, folder: Path, key: SigningKey) -> Path:
        """Write ``card.json``; a card made before is replaced."""
        durable.write(folder / CARD, self.seal(key))
        return folder / CARD

    @classmethod
    def open(cls, data: bytes, where: str) -> Card:
        """The card in ``data``, with its signature checked and every field in bounds."""
        envelope = open_envelope(data, where, payload_type=CARD_TYPE)
        names = [each.name for each in fields(cls)]
        value = exact_keys(parse_canonical(envelope.payload, where), ("v", *names), where)
        if not is_version(value["v"], 1) or value["role"] not in get_args(CardRole):
            raise InputError(f"{where}: a card of a version or role not known here")
        card = cls(
            role=value["role"],
            name=parse_name(value["name"], f"{where}: name"),
            kind=parse_name(value["kind"], f"{where}: kind"),
            country=value["country"] and parse_country(value["country"], f"{where}: country"),
            key=base64_bytes(value["key"], f"{where}: key", 32),
            opening=base64_bytes(value["opening"], f"{where}: opening"),
            vkey=_vkey(value["vkey"], f"{where}: vkey"),
            url=_url(value["url"], f"{where}: url"),
            entry=base64_bytes(value["entry"], f"{where}: entry"),
            time=parse_int(value["time"], f"{where}: time"),
        )
        card._check(where)
        envelope.verify(card.key)
        return card

    def _check(self, where: str) -> None:
        """Each role says what it must, and no more."""
        noted, opens = self.role in ("log", "witness"), self.role in _OPENS
        if bool(self.vkey) != noted or bool(self.opening) != opens:
            raise InputError(f"{where}: {an(self.role)} has other kinds of keys")
        if bool(self.entry) != (self.role == "trustee"):
            raise InputError(f"{where}: only a trustee announces an epoch")
        if not self.country and self.role in _SEATED:
            raise InputError(f"{where}: {an(self.role)} says its country")
        if not self.url if self.role in SERVED else self.url:
            raise InputError(
                f"{where}: {an(self.role)} has {'a' if self.role in SERVED else 'no'} URL"
            )
        if noted:
            self._check_vkey(where)
        if self.opening:
            parse_opening_public(self.opening, f"{where}: opening")

    def _check_vkey(self, where: str) -> None:
        verifier = Verifier.parse(self.vkey)
        if verifier.kind != (ED25519 if self.role == "log" else COSIGNATURE):
            raise InputError(f"{where}: this vkey is not of {an(self.role)}'s kind")
        if verifier.public != self.key:
            raise IntegrityError(f"{where}: the vkey is not the key that signed the card")


def _url(value: object, where: str) -> str:
    if not isinstance(value, str) or (value and not _URL.fullmatch(value)):
        raise InputError(f"{where}: not a URL: {value!r:.80}", hint="for example https://host:8443")
    return value


def _vkey(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise InputError(f"{where}: not a vkey: {value!r:.80}")
    return value


def read_card(path: Path) -> tuple[Card, bytes]:
    """The card at ``path`` (a folder's: its ``card.json``), checked; and its bytes."""
    path = path / CARD if path.is_dir() else path
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such card", hint="incamera init DIR --as ROLE --name NAME makes one"
        ) from error
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error
    return Card.open(data, str(path)), data
