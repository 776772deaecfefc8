# SPDX-License-Identifier: Apache-2.0
"""The header of a capsule: what was sealed, under which rules, to whom. Signed by the car.

It is canonical JSON inside a DSSE envelope. The SHA-256 of the envelope's bytes is *the* capsule
digest: the name by which log, requests, grants and manifests speak of the capsule. The header
in turn holds the digest of everything else in the file, so the name covers every byte.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from incamera import ed25519
from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    hex_bytes,
    parse_canonical,
)
from incamera.errors import InputError
from incamera.ids import Digest, Name, Region, parse_digest, parse_name
from incamera.sealing import wrap
from incamera.sealing.envelope import open_envelope
from incamera.sealing.shares import check_threshold

__all__ = [
    "HEADER_TYPE",
    "Header",
    "OwnerWrap",
    "Payload",
    "ShareWrap",
    "open_header",
    "parse_hour",
]

HEADER_TYPE = "application/vnd.incamera.header+json"
VERSION = 1

_HOUR = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}", re.ASCII)
_CONSENT = re.compile(r"[A-Za-z0-9._:/-]{0,128}", re.ASCII)
_MAX_LENGTH = 2**40
_MAX_TIME = 2**40
_DAY = 86_400
_LONGEST_LIST = 64
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ShareWrap:
    """One share of the data key, as sealed to one trustee's key of one epoch."""

    trustee: Name
    epoch: int
    key: Digest
    """SHA-256 of the trustee's public opening key (1216 bytes)."""
    digest: Digest
    """SHA-256 of the wrapped share (1168 bytes) in the file."""
    commitment: Digest
    """See :func:`incamera.sealing.shares.commitment`."""

    @classmethod
    def parse(cls, value: object, where: str) -> ShareWrap:
        """From the JSON object; :class:`InputError` for anything but exactly these fields."""
        names = ("commitment", "digest", "epoch", "key", "trustee")
        fields = exact_keys(value, names, where)
        return cls(
            parse_name(fields["trustee"], f"{where}: trustee"),
            _int(fields["epoch"], 0, 2**31 - 1, f"{where}: epoch"),
            *(parse_digest(fields[n], f"{where}: {n}") for n in ("key", "digest", "commitment")),
        )


@dataclass(frozen=True, slots=True)
class OwnerWrap:
    """The data key, as sealed to the owner."""

    key: Digest
    """SHA-256 of the owner's public opening key (1216 bytes)."""
    digest: Digest
    """SHA-256 of the wrapped data key (1168 bytes) in the file."""

    @classmethod
    def parse(cls, value: object, where: str) -> OwnerWrap:
        """From the JSON object; :class:`InputError` for anything but exactly these fields."""
        fields = exact_keys(value, ("digest", "key"), where)
        return cls(*(parse_digest(fields[n], f"{where}: {n}") for n in ("key", "digest")))


@dataclass(frozen=True, slots=True)
class Payload:
    """The ciphertext: its SHA-256 and its length in bytes."""

    digest: Digest
    length: int

    @classmethod
    def parse(cls, value: object, where: str) -> Payload:
        """From the JSON object; :class:`InputError` for anything but exactly these fields."""
        fields = exact_keys(value, ("digest", "length"), where)
        length = _int(fields["length"], 1, _MAX_LENGTH, f"{where}: length")
        return cls(parse_digest(fields["digest"], f"{where}: digest"), length)


@dataclass(frozen=True, slots=True)
class Header:
    """What a capsule says of itself. Lists without an order of their own are sorted, no twice."""

    capsule_id: bytes
    """32 random bytes; binds shares and ciphertext together before any digest exists."""
    region: Region
    vehicle: Name
    """A pseudonym that the owner can change; never the VIN."""
    car_key: bytes
    """Ed25519, 32 bytes. Whether that car is enrolled is the log's to say."""
    hour: str
    """UTC hour of the recording, ``2026-11-21T14``: no finer than the purpose needs."""
    duration: int
    """Whole seconds, 1 to 86400."""
    cameras: tuple[Name, ...]
    tags: tuple[Name, ...]
    consent: str
    """The consent's id; empty means there is none, and no vault admits it."""
    purposes: tuple[Name, ...]
    policy: Digest
    """The Cedar policy that rules every read of this capsule, for good."""
    report: Digest
    """The redaction report."""
    models: tuple[Digest, ...]
    zones: Digest
    expires: int
    """POSIX seconds, from when on no trustee opens its share."""
    threshold: int
    shares: tuple[ShareWrap, ...]
    """Share i of 1..n stands at i-1; each trustee once, each key once."""
    owner: OwnerWrap
    payload: Payload

    @classmethod
    def parse(cls, payload: bytes, where: str = "header") -> Header:
        """From canonical JSON, strictly; :class:`InputError` names the field at fault."""
        fields = exact_keys(parse_canonical(payload, where), (*cls.__slots__, "version"), where)
        version = fields.pop("version")
        if isinstance(version, bool) or version != VERSION:  # True == 1 in Python
            raise InputError(
                f"{where}: a format version this program does not know",
                hint="use a newer incamera",
            )
        values = {name: _FIELDS[name](value, f"{where}: {name}") for name, value in fields.items()}
        header = cls(**values)
        _check_recipients(header, where)
        return header

    def to_json(self) -> dict[str, Any]:
        """As a plain dict, the form that is signed and that ``incamera inspect`` prints."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {
            **plain,
            "version": VERSION,
            "capsule_id": self.capsule_id.hex(),
            "car_key": base64_text(self.car_key),
        }

    def serialise(self) -> bytes:
        """Canonical JSON; :meth:`parse` takes it back."""
        return canonical(self.to_json())

    def share_info(self, index: int) -> bytes:
        """The HPKE context of share ``index`` (1..n)."""
        if not 1 <= index <= len(self.shares):
            raise InputError(f"this capsule has {len(self.shares)} shares, there is no {index}")
        share = self.shares[index - 1]
        return wrap.share_info(
            self.capsule_id,
            self.car_key,
            self.policy,
            trustee=share.trustee,
            epoch=share.epoch,
            index=index,
            threshold=self.threshold,
            count=len(self.shares),
        )

    def owner_info(self) -> bytes:
        """The HPKE context of the owner's data key."""
        return wrap.owner_info(self.capsule_id, self.car_key, self.policy)

    def context(self) -> bytes:
        """The Cobblestone context of the ciphertext: label || capsule id || car key || policy."""
        return payload_context(self.capsule_id, self.car_key, self.policy)


def open_header(envelope: bytes, where: str) -> Header:
    """The header in an envelope, checked to be signed by the car key that it names.

    :class:`InputError` if malformed, :class:`IntegrityError` if the signature does not hold.
    Whether that car is enrolled, the caller asks the ledger.
    """
    opened = open_envelope(envelope, where, payload_type=HEADER_TYPE)
    try:
        header = _parsed(opened.payload)
    except InputError:
        header = Header.parse(opened.payload, where)  # once more, for a message that says where
    opened.verify(header.car_key)
    return header


@functools.lru_cache(maxsize=512)
def _parsed(payload: bytes) -> Header:
    """Remembered: a vault looks at a header when it comes, and when the capsule is whole."""
    return Header.parse(payload)


def payload_context(capsule_id: bytes, car_key: bytes, policy: Digest) -> bytes:
    """Label || capsule id (32 bytes) || car key (32) || policy digest (32)."""
    return b"incamera payload 1\0" + capsule_id + car_key + bytes.fromhex(policy)


def _check_recipients(header: Header, where: str) -> None:
    check_threshold(header.threshold, len(header.shares), where)
    keys = [share.key for share in header.shares]
    # One key under two names would make one party into two of the k.
    if len({share.trustee for share in header.shares}) != len(keys) or len(set(keys)) != len(keys):
        raise InputError(f"{where}: a trustee or its key stands twice among the shares")
    if header.owner.key in keys:
        raise InputError(f"{where}: the owner's key is a trustee's too")


def _int(value: object, low: int, high: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{where}: expected a whole number of {low} to {high}")
    return value


def _whole(low: int, high: int) -> Callable[[object, str], int]:
    return lambda value, where: _int(value, low, high, where)


def _text(pattern: re.Pattern[str]) -> Callable[[object, str], str]:
    def parse(value: object, where: str) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InputError(f"{where}: not in the expected form: {value!r:.80}")
        return value

    return parse


def parse_hour(value: object, where: str) -> str:
    """``value`` if it is an hour such as ``2026-11-21T14``, else :class:`InputError`."""
    text = value if isinstance(value, str) and _HOUR.fullmatch(value) else ""
    try:
        datetime.datetime(int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:]))
    except ValueError as error:
        raise InputError(f"{where}: no hour such as 2026-11-21T14: {value!r:.40}") from error
    return text


def _car_key(value: object, where: str) -> bytes:
    raw = base64_bytes(value, where, 32)
    ed25519.load_public(raw, where)
    return raw


def _list(value: object, where: str, item: Callable[[object, str], _T]) -> tuple[_T, ...]:
    if not isinstance(value, list) or len(value) > _LONGEST_LIST:
        raise InputError(f"{where}: expected a list of at most {_LONGEST_LIST}")
    return tuple(item(entry, f"{where}[{i}]") for i, entry in enumerate(value))


def _sorted(item: Callable[[object, str], str], least: int = 0) -> Callable[[object, str], object]:
    def parse(value: object, where: str) -> object:
        entries = _list(value, where, item)
        if len(entries) < least or list(entries) != sorted(set(entries)):
            raise InputError(f"{where}: expected {least} or more, sorted, none twice")
        return entries

    return parse


_FIELDS: dict[str, Callable[[Any, str], Any]] = {
    "capsule_id": lambda value, where: hex_bytes(value, where, 32),
    "region": parse_name,
    "vehicle": parse_name,
    "car_key": _car_key,
    "hour": parse_hour,
    "duration": _whole(1, _DAY),
    "cameras": _sorted(parse_name, least=1),
    "tags": _sorted(parse_name),
    "consent": _text(_CONSENT),
    "purposes": _sorted(parse_name),
    "policy": parse_digest,
    "report": parse_digest,
    "models": _sorted(parse_digest),
    "zones": parse_digest,
    "expires": _whole(0, _MAX_TIME),
    "threshold": _whole(0, 255),
    "shares": lambda value, where: _list(value, where, ShareWrap.parse),
    "owner": OwnerWrap.parse,
    "payload": Payload.parse,
}
