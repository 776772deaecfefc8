# SPDX-License-Identifier: Apache-2.0
"""Selling a car: its key dead, the consents withdrawn, in one public entry that the owner signs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera.cli.desk import Desk
from incamera.encoding import parse_json
from incamera.errors import InputError
from incamera.ids import Digest, Name
from incamera.ledger.codec import encode
from incamera.ledger.consent import open_consent
from incamera.ledger.entries import MAX_INLINE, WithdrawEntry
from incamera.ledger.request import MAX_BATCH
from incamera.ledger.rights import consent_digest, retire
from incamera.sealing.keys import SigningKey, key_id
from incamera.vault import Row

__all__ = ["Sale", "car_key", "consent_of", "given_to", "plan_sale", "withdraw"]


@dataclass(frozen=True, slots=True)
class Sale:
    """What is to end."""

    consents: tuple[Digest, ...]
    cars: tuple[SigningKey, ...]  # whose key is here, enrolled still
    #: Digests of keys that signed what is kept, stand in the log, and are not here.
    elsewhere: tuple[Digest, ...]


def car_key(folder: Path) -> SigningKey:
    """The signing key in a car's folder."""
    path = folder / "signing.key"
    if not path.exists():
        raise InputError(
            f"{folder}: no signing.key of a car here", hint="--car DIR names its folder"
        )
    return SigningKey.load(path)


def given_to(folder: Path) -> list[Path]:
    """The consents that lie in a car's folder, as ``incamera car`` reads them."""
    return sorted(path for path in (folder / "consents").glob("*") if path.is_file())


def consent_of(path: Path, owner: Name) -> Digest | None:
    """How a withdrawal names the consent in a file: a token, or what an older car had.

    None for a token that another owner gave: the one who buys the car, say.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        token = open_consent(data, str(path))
    except InputError:
        value = parse_json(data, str(path))
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            return consent_digest(value["id"])
        raise
    return token.digest if token.consent.owner == owner else None


def plan_sale(
    desk: Desk,
    rows: Sequence[Row],
    *,
    vehicle: str | None,
    consents: Iterable[Digest],
    cars: Sequence[SigningKey],
) -> Sale:
    """What ends when the owner sells: what is named, and what the own capsules name.

    ``vehicle``: only capsules of it; their headers are checked, the catalogue is not believed.
    """
    state = desk.state()
    named, signers = set(consents), dict[Digest, bytes]()
    wanted = [r.digest for r in rows if r.status == "kept" and vehicle in (None, r.vehicle)]
    for start in range(0, len(wanted), MAX_BATCH):
        for shown in desk.shown(wanted[start : start + MAX_BATCH]):
            named.add(consent_digest(shown.header.consent))
            signers[key_id(shown.header.car_key)] = shown.header.car_key
    here = {each.key_id: each for each in cars}
    missing = tuple(
        name for name, key in sorted(signers.items()) if name not in here and state.holder(key)
    )
    standing = tuple(each for each in here.values() if state.holder(each.public) is not None)
    done = {each.digest for each in state.withdrawals() if each.owner == desk.owner().name}
    return Sale(tuple(sorted(named - done)), standing, missing)


def withdraw(desk: Desk, sale: Sale) -> list[int]:
    """Log the withdrawals; their indices. Empty if nothing is left to say."""
    region, owner = desk.region().region, desk.owner()
    retired = tuple(sorted(retire(each, region, owner.name) for each in sale.cars))
    parts = [sale.consents[i : i + MAX_INLINE] for i in range(0, len(sale.consents), MAX_INLINE)]
    entries = []
    for number, consents in enumerate(parts or [()] * bool(retired)):
        entry = WithdrawEntry(
            region=region,
            time=desk.clock.now(),
            owner=Name(owner.name),
            consents=consents,
            cars=retired if number == 0 else (),
        )
        entries.append(desk.submit(encode(entry, owner.signing)))
    return entries
