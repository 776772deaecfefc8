# SPDX-License-Identifier: Apache-2.0
"""An owner's consent: which car may keep what it sees, for what, from when until when.

A DSSE envelope around canonical JSON, signed with the owner's signing key
(``docs/formats/consent.md``). The SHA-256 of its bytes is its id: what capsule headers name in
``consent``, and what a withdrawal in the log names. The token itself stays with owner and car.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from incamera.encoding import canonical, exact_keys, hex_bytes, is_version, parse_canonical
from incamera.errors import InputError, PolicyError
from incamera.ids import Digest, Name, Region, digest, parse_digest, parse_name
from incamera.ledger.codec import parse_int
from incamera.ledger.queries import Queries
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey

__all__ = ["CONSENT_TYPE", "Consent", "ConsentError", "Token", "check_consent", "open_consent"]

CONSENT_TYPE = "application/vnd.incamera.consent+json"
_MAX_BYTES = 1 << 14
_MAX_PURPOSES = 64
_KEYS = (
    *("v", "region", "owner", "car", "purposes"),
    *("not_before", "expires", "parked", "nonce"),
)


class ConsentError(PolicyError):
    """The token allows nothing. ``code``: ``early``, ``expired``, ``foreign`` or ``owner``."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        """``code``: for programs; ``message``, ``hint``: for people."""
        super().__init__(message, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the owner allows."""

    region: Region
    owner: Name  # as the log enrols the owner
    car: Digest  # SHA-256 of the car's signing key (32 bytes)
    purposes: tuple[Name, ...]  # sorted, distinct, at least one
    not_before: int  # POSIX seconds
    expires: int  # POSIX seconds; no drive that begins then or later
    parked: bool  # what is recorded while the car is parked, too
    nonce: bytes  # 16: the same consent given twice can be withdrawn once

    def seal(self, key: SigningKey) -> bytes:
        """The token, signed by the owner."""
        _check(self, "consent")
        plain = asdict(self) | {"purposes": list(self.purposes), "nonce": self.nonce.hex()}
        return seal_envelope(canonical({"v": 1, **plain}), CONSENT_TYPE, key)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was handed in: well-formed, its signature not yet checked."""

    consent: Consent
    data: bytes
    where: str

    @property
    def digest(self) -> Digest:
        """Its id, as headers and withdrawals name it."""
        return digest(self.data)

    def verify(self, owner_key: bytes) -> None:
        """:class:`IntegrityError` unless the key of 32 bytes signed it."""
        open_envelope(self.data, self.where, payload_type=CONSENT_TYPE).verify(owner_key)


def open_consent(data: bytes, where: str = "consent") -> Token:
    """Read a token strictly; :class:`InputError` names the field at fault."""
    opened = open_envelope(data, where, payload_type=CONSENT_TYPE, limit=_MAX_BYTES)
    value = exact_keys(parse_canonical(opened.payload, where), _KEYS, where)
    if not is_version(value["v"], 1):
        raise InputError(f"{where}: a consent of a version not known here")
    if type(value["parked"]) is not bool:
        raise InputError(f"{where}: parked is true or false")
    consent = Consent(
        region=Region(parse_name(value["region"], f"{where}: region")),
        owner=parse_name(value["owner"], f"{where}: owner"),
        car=parse_digest(value["car"], f"{where}: car"),
        purposes=_purposes(value["purposes"], f"{where}: purposes"),
        not_before=parse_int(value["not_before"], f"{where}: not_before"),
        expires=parse_int(value["expires"], f"{where}: expires"),
        parked=value["parked"],
        nonce=hex_bytes(value["nonce"], f"{where}: nonce", 16),
    )
    _check(consent, where)
    return Token(consent, data, where)


def check_consent(token: Token, state: Queries, *, owner: Name, car: Digest, now: int) -> None:
    """Raise unless the token allows something for this ``car`` of this ``owner`` at ``now``.

    :class:`ConsentError` says why not; :class:`IntegrityError` if the owner that the log has
    enrolled now did not sign it: so an owner's keys that ended take their consents along. Whether
    it was withdrawn, the caller asks the log.
    """
    consent, where = token.consent, token.where
    if state.region is None or consent.region != state.region.region:
        raise ConsentError("foreign", f"{where}: given for region {consent.region}")
    if consent.car != car:
        raise ConsentError("foreign", f"{where}: given for another car")
    enrolled = state.party("owner", consent.owner)
    if consent.owner != owner or enrolled is None:
        raise ConsentError("owner", f"{where}: not of this car's owner as the log has it now")
    token.verify(enrolled.key)
    if now < consent.not_before:
        raise ConsentError("early", f"{where}: it does not hold yet")
    if now >= consent.expires:
        raise ConsentError("expired", f"{where}: its time is over", hint="give a new consent")


def _purposes(value: object, where: str) -> tuple[Name, ...]:
    if not isinstance(value, list) or len(value) > _MAX_PURPOSES:
        raise InputError(f"{where}: expected a list of 1 to {_MAX_PURPOSES} names")
    return tuple(parse_name(each, where) for each in value)


def _check(consent: Consent, where: str) -> None:
    if not consent.purposes or not _is_sorted(consent.purposes):
        raise InputError(f"{where}: purposes: expected one or more, sorted, none twice")
    if len(consent.nonce) != 16:
        raise InputError(f"{where}: nonce: expected 16 bytes")
    if consent.not_before >= consent.expires:
        raise InputError(f"{where}: it ends before it begins")


def _is_sorted(names: Iterable[str]) -> bool:
    found = list(names)
    return found == sorted(set(found))
