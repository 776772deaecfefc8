# SPDX-License-Identifier: Apache-2.0
"""Entries as bytes: one form each, and nothing else is one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from incamera.encoding import canonical
from incamera.errors import InputError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import (
    ENTRY_TYPE,
    capsule_list,
    decode,
    encode,
    parse_capsule_list,
)
from incamera.ledger.entries import (
    ENTRY_CLASSES,
    MAX_INLINE,
    AcceptEntry,
    Address,
    AddressesEntry,
    CampaignEntry,
    CapsuleEntry,
    CapsuleList,
    DatasetEntry,
    DemandEntry,
    DestroyEntry,
    Entry,
    EpochEntry,
    ErasureEntry,
    FreezeEntry,
    GrantEntry,
    PartyEntry,
    PolicyEntry,
    RefusalEntry,
    RegionEntry,
    RequestEntry,
    ReshareEntry,
    RevokeEntry,
    Seat,
    SuccessionEntry,
    WithdrawEntry,
    ZonesEntry,
)
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey

KEY = SigningKey.generate()
OTHER = SigningKey.generate()
OPENING = OpeningKey.generate()
SAID: dict[str, Any] = {"region": Region("eu"), "time": 1_800_000_000}
SOME = digest(b"some")
N = Name("ch")
HERE = Address(N, "", "192.0.2.0/28", 443)
THERE = Address(N, "vault.example", "2001:db8::7/128", 443)

EXAMPLES: list[Entry] = [
    RegionEntry(
        **SAID,
        operator_key=KEY.public,
        vault_key=OTHER.public,
        log_policy=SOME,
        threshold=2,
        notice=3600,
        retention=30,
        quota=100,
    ),
    PartyEntry(
        **SAID,
        role="reader",
        name=N,
        kind=N,
        country="CH",
        key=OTHER.public,
        opening=OPENING.public,
    ),
    RevokeEntry(**SAID, role="car", name=N, reason="sold"),
    EpochEntry(**SAID, trustee=N, epoch=4, key=OPENING.public, not_before=1, not_after=2),
    PolicyEntry(**SAID, policy=SOME),
    CampaignEntry(**SAID, campaign=SOME),
    ZonesEntry(**SAID, zones=SOME),
    CapsuleEntry(**SAID, capsule=SOME),
    RequestEntry(
        **SAID,
        reader=N,
        capsules=(SOME,),
        purpose=N,
        policy=SOME,
        expires=9,
        nonce=bytes(16),
        recipient=OPENING.public,
    ),
    GrantEntry(**SAID, trustee=N, request=SOME, capsules=SOME, count=1),
    RefusalEntry(**SAID, trustee=N, request=SOME, code=Name("erased"), reason="it was"),
    ErasureEntry(**SAID, capsules=(SOME,), by="owner", name="ada", reason=""),
    DatasetEntry(**SAID, reader=N, request=SOME, manifest=SOME),
    FreezeEntry(**SAID, trustee=N, evidence=SOME),
    DemandEntry(
        **SAID,
        reference=N,
        authority="Amtsgericht Musterstadt",
        country="DE",
        date="2026-11-02",
        scope=SOME,
        outcome="refused",
    ),
    DestroyEntry(**SAID, trustee=N, epoch=4, key=SOME),
    SuccessionEntry(
        **SAID,
        number=1,
        source=0,
        threshold=2,
        seats=(Seat(N, 4), Seat(Name("is"), 0)),
        capsules=CapsuleList(SOME, 65, 1),
        reason="a disk was lost",
    ),
    ReshareEntry(**SAID, trustee=N, succession=1, dealing=SOME),
    AcceptEntry(**SAID, trustee=N, succession=1, commitments=SOME),
    WithdrawEntry(**SAID, owner=N, consents=(SOME,), cars=(b"one", b"two")),
    AddressesEntry(**SAID, allowed=(HERE, THERE)),
]
REQUEST = next(each for each in EXAMPLES if isinstance(each, RequestEntry))


def payload(entry: Entry, **change: Any) -> dict[str, Any]:
    """The JSON inside ``entry``'s envelope, with some fields changed (None: left out)."""
    value = json.loads(decode(encode(entry, KEY), "x").envelope.payload)
    value |= change
    return {name: each for name, each in value.items() if each is not ...}


def signed(value: Any) -> bytes:
    """``value`` in a well-made envelope."""
    return seal_envelope(canonical(value), ENTRY_TYPE, KEY)


def test_there_is_an_example_of_every_type() -> None:
    """The tables below leave no type of entry out."""
    assert [type(each) for each in EXAMPLES] == list(ENTRY_CLASSES)


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda e: e.type)
def test_an_entry_comes_back_as_it_went(entry: Entry) -> None:
    """Encoding and decoding give the same entry, its signature and the same bytes."""
    data = encode(entry, KEY)
    back = decode(data, "entry")
    back.envelope.verify(KEY.public)
    assert back.entry == entry
    assert encode(back.entry, KEY) == data


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda e: e.type)
def test_every_field_is_needed_and_no_other_is_known(entry: Entry) -> None:
    """A missing and an unknown field are refused, whatever the type."""
    whole = payload(entry)
    for name in whole:
        with pytest.raises(InputError):
            decode(signed({k: v for k, v in whole.items() if k != name}), "entry")
    with pytest.raises(InputError, match="unknown extra"):
        decode(signed(whole | {"extra": 1}), "entry")


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda e: e.type)
def test_no_field_takes_a_value_of_another_kind(entry: Entry) -> None:
    """None, a bool, a float, an object: each field refuses them all."""
    whole = payload(entry)
    for name in whole:
        odd: list[Any] = [None, True, 1.5, -1, {"a": 1}, [[]], "\n"]
        if name not in ("reason", "authority"):  # which are free text
            odd.append("\uff21\uff22")  # wide letters, as some input methods make them
        for each in odd:
            with pytest.raises(InputError):
                decode(signed(whole | {name: each}), "entry")


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"type": "unknown"},
        {"region": "EU"},
        {"time": 2**53},
        {"capsules": []},
        {"capsules": [SOME, SOME]},
        {"capsules": sorted([SOME, digest(b"a")], reverse=True)},
        {"capsules": {"digest": SOME, "length": 65, "count": 2}},
        {"capsules": {"digest": SOME, "length": 130, "count": 2, "more": 1}},
        {"capsules": {"digest": SOME, "length": 65 * 100_001, "count": 100_001}},
        {"nonce": base64.b64encode(bytes(15)).decode()},
        {"recipient": base64.b64encode(OPENING.public[:-32] + bytes(32)).decode()},
        {"purpose": "Perception"},
    ],
    ids="-".join,
)
def test_a_request_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    """Each bound of a request has a value just outside of it that does not pass."""
    value = payload(REQUEST) | change
    try:
        data = signed(value)
    except InputError:  # 2**53 is not representable at all
        return
    with pytest.raises(InputError):
        decode(data, "entry")


@pytest.mark.parametrize(
    "change",
    [
        {"authority": " "},
        {"country": "Germany"},
        {"date": "2026-02-30"},
        {"date": "20261102"},
        {"outcome": "granted"},
        {"reference": ""},
    ],
    ids=str,
)
def test_a_demand_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    """An office that is not named, a day that never was, an outcome that is none."""
    entry = next(each for each in EXAMPLES if isinstance(each, DemandEntry))
    with pytest.raises(InputError):
        decode(signed(payload(entry) | change), "entry")


@pytest.mark.parametrize(
    "seats",
    [
        [],
        [{"trustee": "ch", "epoch": 1}],
        [{"trustee": "ch", "epoch": 1}, {"trustee": "ch", "epoch": 2}],
        [{"trustee": "ch", "epoch": 1}, {"trustee": "is"}],
        [{"trustee": f"t{i}", "epoch": 1} for i in range(33)],
    ],
    ids=len,
)
def test_seats_out_of_bounds_are_refused(seats: list[dict[str, Any]]) -> None:
    """Two to 32 seats, each with its epoch, nobody on two."""
    entry = next(each for each in EXAMPLES if isinstance(each, SuccessionEntry))
    with pytest.raises(InputError):
        decode(signed(payload(entry, seats=seats)), "entry")


@pytest.mark.parametrize(
    "change",
    [
        {"consents": [SOME, SOME]},
        {"consents": ["consent-7"]},
        {"cars": ["dHdv", "b25l"]},
        {"cars": [base64.b64encode(bytes([n])).decode() for n in range(17)]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_withdrawal_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    """Digests and retirements sorted, none twice, at most 16 cars."""
    entry = next(each for each in EXAMPLES if isinstance(each, WithdrawEntry))
    with pytest.raises(InputError):
        decode(signed(payload(entry) | change), "entry")


@pytest.mark.parametrize(
    "change",
    [
        {"allowed": []},
        {"allowed": [("vault", "", "192.0.2.7/32", 443)] * 2},
        {"allowed": [("vault", "", "192.0.2.8/32", 443), ("vault", "", "192.0.2.7/32", 443)]},
        {"allowed": [("vault", "", "192.0.2.7/24", 443)]},
        {"allowed": [("vault", "", "192.0.2.7", 443)]},
        {"allowed": [("vault", "", "2001:DB8::/64", 443)]},
        {"allowed": [("vault", "", "192.0.2.7/32", 0)]},
        {"allowed": [("vault", "Vault.example", "192.0.2.7/32", 443)]},
        {"allowed": [("vault", "a..b", "192.0.2.7/32", 443)]},
        {"allowed": [("The Vault", "", "192.0.2.7/32", 443)]},
        {"allowed": [("vault", "", f"10.0.{n}.0/24", 443) for n in range(257)]},
    ],
    ids=str,
)
def test_a_list_of_addresses_out_of_bounds_is_refused(
    change: dict[str, list[tuple[object, ...]]],
) -> None:
    """1 to 256, sorted, none twice; networks in one spelling; hosts in lower case."""
    entry = next(each for each in EXAMPLES if isinstance(each, AddressesEntry))
    names = ("party", "host", "network", "port")
    said = [dict(zip(names, each, strict=True)) for each in change["allowed"]]
    with pytest.raises(InputError):
        decode(signed(payload(entry, allowed=said)), "entry")


def test_a_small_order_key_is_enrolled_nowhere() -> None:
    """A key under which anybody can forge is refused when the entry is read."""
    entry = next(each for each in EXAMPLES if isinstance(each, PartyEntry))
    weak = base64.b64encode(bytes(32)).decode()
    with pytest.raises(InputError, match="small-order"):
        decode(signed(payload(entry, key=weak)), "entry")


def test_what_could_not_be_read_is_not_written() -> None:
    """Encoding checks an entry as strictly as decoding does."""
    with pytest.raises(InputError, match="sorted and distinct"):
        encode(replace(REQUEST, capsules=(SOME, SOME)), KEY)
    many = tuple(sorted(digest(bytes([a, b])) for a in range(3) for b in range(200)))
    with pytest.raises(InputError, match="1 to 512"):
        encode(replace(REQUEST, capsules=many), KEY)


def test_the_largest_inline_request_fits_a_log_entry() -> None:
    """512 capsules with the longest names stay below 65,535 bytes."""
    many = tuple(sorted(digest(bytes([a, b])) for a in range(2) for b in range(256)))
    assert len(many) == MAX_INLINE
    largest = replace(REQUEST, capsules=many, reader=Name("r" * 48), purpose=Name("p" * 48))
    assert len(encode(largest, KEY)) < 65_535


def test_only_the_canonical_bytes_of_an_entry_are_an_entry() -> None:
    """Spaces, another key order, a second signature: other bytes, so no entry."""
    data = encode(REQUEST, KEY)
    for other in (data + b"\n", b" " + data, data.replace(b'","', b'", "', 1), data + data):
        with pytest.raises(InputError):
            decode(other, "entry")
    spaced = json.dumps(payload(REQUEST)).encode()
    with pytest.raises(InputError, match="canonical"):
        decode(seal_envelope(spaced, ENTRY_TYPE, KEY), "entry")
    with pytest.raises(InputError, match=ENTRY_TYPE.split("/")[0]):
        decode(seal_envelope(canonical(payload(REQUEST)), "application/json", KEY), "entry")


def test_a_list_file_is_exactly_what_the_request_names() -> None:
    """A list comes back sorted; a changed, longer or unsorted one is refused."""
    names = [digest(bytes([i])) for i in range(40)]
    data, named = capsule_list(names)
    assert parse_capsule_list(data, named) == tuple(sorted(names))
    with pytest.raises(InputError, match="not the file"):
        parse_capsule_list(data[:-65], named)
    for odd in (
        "".join(f"{each}\n" for each in sorted(names, reverse=True)).encode(),
        data.replace(b"\n", b"\r", 1),
        data.replace(data[:65], data[65:130], 1),
        data[:-1] + b"x",
    ):
        lied = CapsuleList(digest(odd), len(odd), len(odd) // 65)
        with pytest.raises(InputError):
            parse_capsule_list(odd, lied)
    with pytest.raises(InputError, match="1 to"):
        capsule_list([])
    with pytest.raises(InputError):
        capsule_list([Digest("x")])
