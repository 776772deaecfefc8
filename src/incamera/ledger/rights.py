# SPDX-License-Identifier: Apache-2.0
"""What an owner takes back: consents, and the key of a car that is sold.

A consent is withdrawn by its digest, which stands in the headers of what was sealed under it. It
acts on what is sealed to the same owner alone, so nobody withdraws another's consent, whatever
digest is named. A car's key ends by its own word, a *retirement*: whoever holds the key can end
it, and nobody else but the operator. A retirement names the owner who may use it, and can be made
long before the car is sold, or stolen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from incamera.encoding import base64_bytes, base64_text, canonical, exact_keys, parse_canonical
from incamera.errors import InputError
from incamera.ids import Digest, Name, Region, digest, parse_name
from incamera.ledger.database import Database
from incamera.ledger.entries import WithdrawEntry
from incamera.ledger.queries import Queries
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey

__all__ = [
    "RETIREMENT_TYPE",
    "Retirement",
    "consent_digest",
    "open_retirement",
    "retire",
    "withdraw_sense",
    "write_withdraw",
]

RETIREMENT_TYPE = "application/vnd.incamera.retirement+json"

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_RETIREMENT = 2_048
_KEYS = ("v", "region", "owner", "key")


@dataclass(frozen=True, slots=True)
class Retirement:
    """A car's word that its key ends when ``owner`` says so. The signature was checked."""

    region: Region
    owner: Name
    key: bytes  # 32, Ed25519: the car's


def consent_digest(consent: str) -> Digest:
    """How a withdrawal names the consent in a capsule's header.

    The digest of a consent token as it is; of another text, as older capsules have it, the
    SHA-256.
    """
    if _DIGEST.fullmatch(consent):
        return Digest(consent)
    return digest(consent.encode("utf-8"))


def retire(car: SigningKey, region: Region, owner: Name) -> bytes:
    """The retirement of ``car``, for ``owner`` to withdraw it with."""
    said = {"v": 1, "region": region, "owner": owner, "key": base64_text(car.public)}
    return seal_envelope(canonical(said), RETIREMENT_TYPE, car)


def open_retirement(data: bytes, where: str) -> Retirement:
    """The retirement in ``data``, signed by the key it is about.

    :class:`InputError` if malformed, :class:`IntegrityError` if the signature does not hold.
    """
    envelope = open_envelope(data, where, payload_type=RETIREMENT_TYPE, limit=_MAX_RETIREMENT)
    said = exact_keys(parse_canonical(envelope.payload, where), _KEYS, where)
    if said["v"] != 1 or type(said["v"]) is not int:
        raise InputError(f"{where}: version {said['v']!r:.20} is not known here, only 1")
    region = Region(parse_name(said["region"], f"{where}: region"))
    owner = parse_name(said["owner"], f"{where}: owner")
    found = Retirement(region, owner, base64_bytes(said["key"], f"{where}: key", 32))
    envelope.verify(found.key)
    return found


def withdraw_sense(state: Queries, entry: WithdrawEntry, where: str) -> None:
    """Something is withdrawn, and each car that ends is enrolled and says so itself."""
    if not entry.consents and not entry.cars:
        raise InputError(f"{where}: withdraws nothing")
    for data in entry.cars:
        found = open_retirement(data, f"{where}: retirement")
        if (found.region, found.owner) != (entry.region, entry.owner):
            raise InputError(f"{where}: the retirement is for {found.owner} in {found.region}")
        party = state.holder(found.key)
        if party is None and not state.whole:
            continue  # another car of the owner: its enrolment was none of this reader's concern
        if party is None or party.role != "car":
            raise InputError(f"{where}: no car is enrolled with the key that retires")


def write_withdraw(db: Database, e: WithdrawEntry, _leaf: str, index: int, _time: int) -> bool:
    """Note the consents, each once; end the enrolments of the cars."""
    sql = "INSERT OR IGNORE INTO withdrawals VALUES (?, ?, ?, ?)"
    changed = 0
    for consent in e.consents:
        changed += db.run(sql, "consent", bytes.fromhex(consent), e.owner, index)
    for data in e.cars:
        key = open_retirement(data, "retirement").key
        changed += db.run(sql, "car", bytes.fromhex(digest(key)), e.owner, index)
        ended = "UPDATE parties SET until = ? WHERE role = 'car' AND key = ? AND until IS NULL"
        db.run(ended, index, key)
    return changed > 0
