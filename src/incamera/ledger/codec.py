# SPDX-License-Identifier: Apache-2.0
"""Entries as bytes: a DSSE envelope around canonical JSON with exactly the keys of its type.

One value, one byte string: whatever would decode to the same entry from other bytes is refused,
since requests and capsules are named by the hash of these bytes.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, get_args

from incamera import ed25519
from incamera.encoding import base64_bytes, base64_text, canonical, exact_keys, parse_canonical
from incamera.errors import InputError
from incamera.ids import Digest, Region, digest, parse_digest, parse_name
from incamera.ledger.entries import (
    ENTRY_CLASSES,
    MAX_INLINE,
    MAX_LISTED,
    MAX_SUCCESSION,
    Address,
    CapsuleList,
    Entry,
    Outcome,
    Role,
    Seat,
)
from incamera.sealing.envelope import MAX_ENVELOPE, Envelope, open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey, parse_opening_public

__all__ = [
    "ENTRY_TYPE",
    "MAX_TIME",
    "Signed",
    "capsule_list",
    "check_entry",
    "decode",
    "encode",
    "entry_payload",
    "parse_capsule_list",
    "parse_country",
    "parse_entry",
    "parse_int",
    "parse_text",
]

ENTRY_TYPE = "application/vnd.incamera.entry+json"
MAX_TIME = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8785 refuses larger ones)."""

_CLASSES = {each.type: each for each in ENTRY_CLASSES}
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_MAX_TEXT = 300
_MAX_SEATS = 32
_MAX_CARS = 16
_MAX_ADDRESSES = 256
_HOST = re.compile(r"(?!.*\.\.)[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?", re.ASCII)
_LINE = 65


@dataclass(frozen=True, slots=True)
class Signed:
    """An entry and the envelope it came in. Call ``envelope.verify(key)`` before believing it."""

    entry: Entry
    envelope: Envelope


def parse_int(value: object, where: str, low: int = 0, high: int = MAX_TIME) -> int:
    """``value`` if it is an integer (no bool, no float) of ``low..high``."""
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{where}: not an integer of {low} to {high}: {value!r:.40}")
    return value


def parse_text(value: object, where: str) -> str:
    """``value`` if it is one line of at most 300 printable characters."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise InputError(f"{where}: not one line of at most {_MAX_TEXT} printable characters")
    return value


def parse_country(value: object, where: str) -> str:
    """``value`` if it has the form of an ISO 3166-1 alpha-2 code."""
    if not isinstance(value, str) or not _COUNTRY.fullmatch(value):
        raise InputError(f"{where}: not a country code of two capital letters: {value!r:.40}")
    return value


def _date(value: object, where: str) -> str:
    """``value`` if it is a day that exists, as ``YYYY-MM-DD``."""
    try:
        if isinstance(value, str) and datetime.date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise InputError(f"{where}: not a day, YYYY-MM-DD: {value!r:.40}")


def _said(value: object, where: str) -> str:
    """A text that says something."""
    if not (found := parse_text(value, where)).strip():
        raise InputError(f"{where}: empty")
    return found


def _seats(value: object, where: str) -> tuple[Seat, ...]:
    if not isinstance(value, list) or not 2 <= len(value) <= _MAX_SEATS:
        raise InputError(f"{where}: expected a list of 2 to {_MAX_SEATS} seats")
    seats = []
    for each in value:
        found = exact_keys(each, ("trustee", "epoch"), where)
        epoch = parse_int(found["epoch"], f"{where}: epoch", 0, MAX_SUCCESSION)
        seats.append(Seat(parse_name(found["trustee"], f"{where}: trustee"), epoch))
    if len({seat.trustee for seat in seats}) != len(seats):
        raise InputError(f"{where}: a trustee has two seats")
    return tuple(seats)


def _sorted_digests(value: object, where: str, least: int = 1) -> tuple[Digest, ...]:
    if not isinstance(value, list) or not least <= len(value) <= MAX_INLINE:
        raise InputError(f"{where}: expected a list of {least} to {MAX_INLINE} digests")
    found = tuple(parse_digest(each, where) for each in value)
    if any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError(f"{where}: digests must be sorted and distinct")
    return found


def _retirements(value: object, where: str) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > _MAX_CARS:
        raise InputError(f"{where}: expected a list of at most {_MAX_CARS} retirements")
    found = tuple(base64_bytes(each, where) for each in value)
    if any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError(f"{where}: retirements must be sorted and distinct")
    return found


def _addresses(value: object, where: str) -> tuple[Address, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_ADDRESSES:
        raise InputError(f"{where}: expected a list of 1 to {_MAX_ADDRESSES} addresses")
    found = tuple(_address(each, where) for each in value)
    if any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError(f"{where}: addresses must be sorted and distinct")
    return found


def _address(value: object, where: str) -> Address:
    said = exact_keys(value, ("party", "host", "network", "port"), where)
    party, host, network = said["party"], said["host"], said["network"]
    if not isinstance(host, str) or (host and not _HOST.fullmatch(host)):
        raise InputError(f"{where}: not a host's name in lower case: {host!r:.80}")
    try:
        if not isinstance(network, str) or str(ipaddress.ip_network(network)) != network:
            raise ValueError(network)
    except ValueError as error:
        raise InputError(f"{where}: not a network such as 192.0.2.7/32: {network!r:.80}") from error
    port = parse_int(said["port"], f"{where}: port", 1, 65_535)
    return Address(parse_name(party, f"{where}: party"), host, network, port)


def _requested(value: object, where: str) -> tuple[Digest, ...] | CapsuleList:
    if not isinstance(value, dict):
        return _sorted_digests(value, where)
    return _listed(value, where)


def _listed(value: object, where: str) -> CapsuleList:
    found = exact_keys(value, ("digest", "length", "count"), where)
    count = parse_int(found["count"], f"{where}: count", 1, MAX_LISTED)
    length = parse_int(found["length"], f"{where}: length", _LINE * count, _LINE * count)
    return CapsuleList(parse_digest(found["digest"], f"{where}: digest"), length, count)


def _signing_key(value: object, where: str) -> bytes:
    raw = base64_bytes(value, where, 32)
    ed25519.load_public(raw, where)
    return raw


def _opening_key(value: object, where: str) -> bytes:
    raw = base64_bytes(value, where)
    parse_opening_public(raw, where)
    return raw


def _one_of(*allowed: str) -> Callable[[object, str], str]:
    def parse(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InputError(f"{where}: expected one of {', '.join(allowed)}, found {value!r:.40}")
        return value

    return parse


def _within(low: int, high: int) -> Callable[[object, str], int]:
    return lambda value, where: parse_int(value, where, low, high)


_ANY: dict[str, Callable[[object, str], Any]] = {
    "region": lambda value, where: Region(parse_name(value, where)),
    "time": parse_int,
    "reason": parse_text,
    "by": _one_of("owner", "operator", "vault"),
    "role": _one_of(*get_args(Role)),
    "country": parse_country,
    "operator_key": _signing_key,
    "vault_key": _signing_key,
    "threshold": _within(2, 32),
    "notice": _within(0, 366 * 86_400),
    "retention": _within(1, 36_600),
    "quota": _within(1, MAX_TIME),
    "epoch": _within(0, MAX_SUCCESSION),
    "reference": parse_name,
    "authority": _said,
    "date": _date,
    "outcome": _one_of(*get_args(Outcome)),
    "number": _within(1, MAX_SUCCESSION),
    "succession": _within(1, MAX_SUCCESSION),
    "source": _within(0, MAX_SUCCESSION),
    "seats": _seats,
    "consents": functools.partial(_sorted_digests, least=0),
    "cars": _retirements,
    "allowed": _addresses,
    "count": _within(1, MAX_LISTED),
    "nonce": lambda value, where: base64_bytes(value, where, 16),
    "recipient": _opening_key,
    **dict.fromkeys(("not_before", "not_after", "expires"), parse_int),
    **dict.fromkeys(("name", "kind", "owner", "trustee", "reader", "purpose", "code"), parse_name),
    **dict.fromkeys(
        ("log_policy", "policy", "campaign", "zones", "capsule", "request", "manifest", "evidence"),
        parse_digest,
    ),
    **dict.fromkeys(
        ("scope", "dealing", "commitments"),
        parse_digest,
    ),
}
"""How a field is read, by its name, whatever the type of the entry ..."""

_BY_TYPE: dict[tuple[str, str], Callable[[object, str], Any]] = {
    ("party", "key"): _signing_key,
    ("party", "opening"): lambda value, where: b"" if value == "" else _opening_key(value, where),
    ("epoch", "key"): _opening_key,
    ("request", "capsules"): _requested,
    ("grant", "capsules"): parse_digest,
    ("destroy", "key"): parse_digest,
    ("succession", "capsules"): _listed,
    ("erasure", "capsules"): _sorted_digests,
    ("erasure", "name"): lambda value, where: "" if value == "" else parse_name(value, where),
}
"""... but for these."""


_NAMES = {cls.type: tuple(each.name for each in fields(cls)) for cls in ENTRY_CLASSES}
_READERS = {
    kind: {name: _BY_TYPE.get((kind, name)) or _ANY[name] for name in names}
    for kind, names in _NAMES.items()
}


def _plain(value: object) -> object:
    """A field as JSON has it."""
    if isinstance(value, bytes):
        return base64_text(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Seat):
        return {"trustee": value.trustee, "epoch": value.epoch}
    if isinstance(value, Address):
        return {name: getattr(value, name) for name in ("party", "host", "network", "port")}
    if isinstance(value, CapsuleList):
        return {"digest": value.digest, "length": value.length, "count": value.count}
    return value


def entry_payload(entry: Entry) -> bytes:
    """The canonical payload of an entry whose fields were checked, as by :func:`parse_entry`."""
    said = {name: _plain(getattr(entry, name)) for name in _NAMES[entry.type]}
    return canonical({"v": 1, "type": entry.type, **said})


def parse_entry(payload: bytes, where: str) -> Entry:
    """The entry in a canonical payload (without its envelope), strictly."""
    try:
        return _entry(payload)
    except InputError:
        return _parse(payload, where)  # once more, for a message that names the place


@functools.lru_cache(maxsize=512)
def _entry(payload: bytes) -> Entry:
    """Remembered: a request is read in the log, shown to a trustee, and named by its answers."""
    return _parse(payload, "entry")


def _parse(payload: bytes, where: str) -> Entry:
    value = parse_canonical(payload, where)
    kind = value.get("type") if isinstance(value, dict) else None
    cls = _CLASSES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise InputError(f"{where}: not an entry type known here: {kind!r:.40}")
    value = exact_keys(value, ("v", "type", *_NAMES[cls.type]), where)
    if value["v"] != 1 or type(value["v"]) is not int:
        raise InputError(f"{where}: entry version {value['v']!r:.20} is not known here, only 1")
    read = {
        name: reader(value[name], f"{where}: {name}") for name, reader in _READERS[cls.type].items()
    }
    return cls(**read)


def check_entry(entry: Entry) -> bytes:
    """The canonical payload of ``entry``; :class:`InputError` if a field is out of bounds."""
    payload = entry_payload(entry)
    parse_entry(payload, f"{entry.type} entry")
    return payload


def encode(entry: Entry, key: SigningKey) -> bytes:
    """``entry`` signed by ``key``: the exact bytes of a log leaf, at most 65,535."""
    data = seal_envelope(check_entry(entry), ENTRY_TYPE, key)
    if len(data) > MAX_ENVELOPE:
        raise InputError(
            f"{entry.type} entry: {len(data)} bytes, a log entry may have {MAX_ENVELOPE}"
        )
    return data


def decode(data: bytes, where: str) -> Signed:
    """The entry in ``data``, strictly; the signature is not checked yet.

    :class:`InputError` names ``where`` (``log entry 17``) and what is wrong.
    """
    envelope = open_envelope(data, where, payload_type=ENTRY_TYPE)
    return Signed(parse_entry(envelope.payload, where), envelope)


def capsule_list(capsules: Iterable[Digest]) -> tuple[bytes, CapsuleList]:
    """A list file (each digest and a newline, sorted, distinct) and how a request names it."""
    wanted = sorted(set(capsules))
    if not 1 <= len(wanted) <= MAX_LISTED:
        raise InputError(f"a list names 1 to {MAX_LISTED} capsules, not {len(wanted)}")
    data = "".join(f"{parse_digest(each, 'capsule list')}\n" for each in wanted).encode("ascii")
    return data, CapsuleList(digest(data), len(data), len(wanted))


def parse_capsule_list(data: bytes, named: CapsuleList) -> tuple[Digest, ...]:
    """The capsules in the list file ``data``, which must be exactly the one ``named``."""
    where = f"list/{named.digest}"
    if len(data) != named.length or digest(data) != named.digest:
        raise InputError(f"{where}: not the file that the request names")
    lines = data.decode("latin-1").split("\n")
    found = tuple(parse_digest(each, where) for each in lines[:-1])
    if lines[-1] or len(found) != named.count:
        raise InputError(f"{where}: expected {named.count} lines")
    if any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError(f"{where}: digests must be sorted and distinct")
    return found
