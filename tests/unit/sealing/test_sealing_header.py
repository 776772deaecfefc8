# SPDX-License-Identifier: Apache-2.0
"""Headers are parsed strictly: each fact in one form, nothing missing, nothing more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from incamera.encoding import canonical
from incamera.errors import InputError, IntegrityError
from incamera.ids import digest
from incamera.sealing.capsule import Capsule
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.header import HEADER_TYPE, Header, open_header
from sealed import Fleet


@pytest.fixture(scope="module")
def capsule(tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """One for all tests."""
    return Fleet().capsule(tmp_path_factory.mktemp("header") / "c.capsule")


def test_a_header_reads_back_as_itself(capsule: Capsule) -> None:
    """Serialise and parse are inverse, and to_json is plain data."""
    header = capsule.header
    assert Header.parse(header.serialise()) == header
    assert json.loads(json.dumps(header.to_json())) == header.to_json()
    assert header.to_json()["cameras"] == ["back", "front"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("version", "1"),
        ("capsule_id", "AB" * 32),
        ("capsule_id", "ab" * 31),
        ("region", "EU"),
        ("region", ""),
        ("vehicle", "VIN 5YJ3E1EA7KF000000"),
        ("car_key", "AAAA"),
        ("car_key", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("hour", "2026-11-21T14:03"),
        ("hour", "2026-13-21T14"),
        ("hour", "2026-11-21T24"),
        ("hour", "\uff12026-11-21T14"),
        ("duration", 0),
        ("duration", 86_401),
        ("duration", 1.5),
        ("duration", True),
        ("cameras", []),
        ("cameras", ["front", "back"]),
        ("cameras", ["back", "back"]),
        ("cameras", "front"),
        ("cameras", [1]),
        ("tags", ["a"] * 65),
        ("consent", "c" * 129),
        ("consent", "c 1"),
        ("consent", None),
        ("purposes", ["Sell"]),
        ("policy", "00"),
        ("models", ["b" * 64, "a" * 64]),
        ("zones", ""),
        ("expires", -1),
        ("expires", 2**52),
        ("threshold", 1),
        ("threshold", 4),
        ("shares", []),
        ("shares", [{"trustee": "ch"}] * 3),
        ("owner", {}),
        ("owner", {"key": "", "digest": ""}),
        ("payload", {"digest": digest(b""), "length": 0}),
        ("payload", {"digest": digest(b""), "length": 2**50}),
        ("payload", {"digest": digest(b""), "length": 9, "name": "x"}),
        ("extra", 1),
    ],
)
def test_a_header_with_a_bad_fact_is_refused(capsule: Capsule, field: str, value: Any) -> None:
    """The error is an InputError that names the place."""
    changed = {**capsule.header.to_json(), field: value}
    with pytest.raises(InputError, match="here"):
        Header.parse(canonical(changed), "here")


@pytest.mark.parametrize("field", sorted(Header.__slots__))
def test_a_header_without_a_fact_is_refused(capsule: Capsule, field: str) -> None:
    """No field has a default."""
    left = {k: v for k, v in capsule.header.to_json().items() if k != field}
    with pytest.raises(InputError, match=f"missing {field}"):
        Header.parse(canonical(left))


@pytest.mark.parametrize("field", ["trustee", "key"])
def test_one_trustee_or_key_cannot_stand_for_two(capsule: Capsule, field: str) -> None:
    """One party under two names, or one name twice, would be two of the k."""
    changed = capsule.header.to_json()
    changed["shares"][1][field] = changed["shares"][0][field]
    with pytest.raises(InputError, match="twice"):
        Header.parse(canonical(changed))


def test_the_owner_cannot_be_a_trustee(capsule: Capsule) -> None:
    """An owner's key among the trustees' keys is refused."""
    changed = capsule.header.to_json()
    changed["owner"]["key"] = changed["shares"][2]["key"]
    with pytest.raises(InputError, match="owner"):
        Header.parse(canonical(changed))


def test_a_header_in_another_json_form_is_refused(capsule: Capsule) -> None:
    """Same facts with spaces: not canonical, refused."""
    with pytest.raises(InputError, match="canonical"):
        Header.parse(json.dumps(capsule.header.to_json()).encode())


def test_a_header_signed_by_a_car_other_than_the_one_it_names_is_refused(
    capsule: Capsule, tmp_path: Path
) -> None:
    """The envelope's signer and the header's car key must be one."""
    forged = seal_envelope(capsule.header.serialise(), HEADER_TYPE, Fleet().car)
    with pytest.raises(IntegrityError, match="another key"):
        open_header(forged, "here")


def test_an_envelope_of_another_type_is_no_header(capsule: Capsule) -> None:
    """A car's signature over something else cannot become a header."""
    fleet = Fleet()
    other = seal_envelope(capsule.header.serialise(), "application/json", fleet.car)
    with pytest.raises(InputError, match="expected"):
        open_header(other, "here")
    assert open_envelope(capsule.envelope, "here").payload_type == HEADER_TYPE


def test_there_is_no_share_zero(capsule: Capsule) -> None:
    """Shares are counted from 1 to n."""
    for index in (0, 4, -1):
        with pytest.raises(InputError, match="3 shares"):
            capsule.header.share_info(index)
