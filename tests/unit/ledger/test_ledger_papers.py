# SPDX-License-Identifier: Apache-2.0
"""The documents that travel: receipts, manifests, grant requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from incamera.encoding import canonical, parse_canonical
from incamera.errors import InputError, IntegrityError
from incamera.ids import Name, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry, RegionEntry
from incamera.ledger.manifest import (
    MANIFEST_TYPE,
    DatasetFile,
    GrantPlace,
    Manifest,
    open_manifest,
)
from incamera.ledger.receipt import check_receipt, make_receipt
from incamera.ledger.request import GrantRequest
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey
from world import EU, World, quick_folder, shown

KEY = SigningKey.generate()
MANIFEST = Manifest(
    region=EU,
    time=1_800_000_000,
    reader=Name("acme"),
    request=digest(b"request"),
    index=17,
    capsules=tuple(sorted((digest(b"one"), digest(b"two")))),
    grants=(GrantPlace(Name("ch"), 18), GrantPlace(Name("uy"), 19)),
    files=(DatasetFile("a/front.mp4", digest(b"a"), 1), DatasetFile("b.json", digest(b"b"), 2)),
    reports=(digest(b"report"),),
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One region for all of these: they only add to it."""
    with quick_folder() as folder:
        yield World(folder)


def region(world: World) -> RegionEntry:
    """Entry 0."""
    entry = world.state().region
    assert entry is not None
    return entry


# Receipts


def test_a_receipt_proves_that_the_capsule_is_in_the_witnessed_log(world: World) -> None:
    """Entry, proof and cosignatures in one file, checked offline."""
    name = digest(b"a capsule")
    entry = encode(CapsuleEntry(**world.facts(), capsule=name), world.vault)
    index = world.append(entry)
    data = make_receipt(world.logs.log.proof(index), entry)
    receipt = check_receipt(data, name, region(world), world.logs.policy)
    assert (receipt.index, receipt.time, receipt.capsule) == (index, world.clock.now(), name)
    with pytest.raises(IntegrityError, match="not this one"):
        check_receipt(data, digest(b"other"), region(world), world.logs.policy)


def test_a_receipt_for_anything_else_is_none(world: World) -> None:
    """An unlogged entry, another signer, another type, another region: the car keeps its copy."""
    name = digest(b"another capsule")
    facts = world.facts()
    entry = encode(CapsuleEntry(**facts, capsule=name), world.vault)
    index = world.append(entry)
    proof = world.logs.log.proof(index)
    good = make_receipt(proof, entry)
    policy, place = world.logs.policy, region(world)
    unlogged = encode(CapsuleEntry(**facts | {"time": 1}, capsule=name), world.vault)
    with pytest.raises(IntegrityError, match="signed root"):
        check_receipt(make_receipt(proof, unlogged), name, place, policy)
    by_car = encode(CapsuleEntry(**facts, capsule=name), world.car)
    with pytest.raises(IntegrityError, match="another key"):
        check_receipt(make_receipt(proof, by_car), name, place, policy)
    foreign = replace(place, region="cn")  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match="of this region"):
        check_receipt(good, name, foreign, policy)
    with pytest.raises(InputError, match="missing"):
        check_receipt(proof, name, place, policy)
    lone = good[: good.rfind("— ".encode())]
    lone = lone[: lone.rfind("— ".encode())]
    with pytest.raises(IntegrityError, match="quorum"):
        check_receipt(lone, name, place, policy)
    for place_ in range(0, len(good), 53):
        changed = bytearray(good)
        changed[place_] ^= 2
        try:
            check_receipt(bytes(changed), name, place, policy)
        except (InputError, IntegrityError):
            continue
        assert good.find("— ".encode()) < place_  # in a cosignature that is not needed
    with pytest.raises(InputError):
        check_receipt(bytes(1 << 19), name, place, policy)


# Manifests


def test_a_manifest_comes_back_as_it_was_signed() -> None:
    """Sealing and opening give the same manifest."""
    data = MANIFEST.seal(KEY)
    assert open_manifest(data, KEY.public) == MANIFEST
    with pytest.raises(IntegrityError):
        open_manifest(data, SigningKey.generate().public)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", ".", "a\\b", "a\nb", "x" * 1025],
)
def test_a_manifest_names_no_file_outside_its_dataset(path: str) -> None:
    """Paths are plain, relative and in one form only."""
    odd = replace(MANIFEST, files=(DatasetFile(path, digest(b""), 0),))
    with pytest.raises(InputError, match="path"):
        odd.seal(KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v | {"v": 2},
        lambda v: v | {"more": 1},
        lambda v: v | {"capsules": v["capsules"][::-1]},
        lambda v: v | {"capsules": v["capsules"] + v["capsules"][-1:]},
        lambda v: v | {"files": v["files"][::-1]},
        lambda v: v | {"grants": [{"trustee": "ch"}]},
        lambda v: v | {"reports": "x"},
        lambda v: v | {"index": -1},
        lambda v: {k: x for k, x in v.items() if k != "files"},
        lambda _v: [],
    ],
)
def test_a_manifest_out_of_form_is_refused(change: Callable[[object], object]) -> None:
    """Unknown, missing, unsorted, repeated, mistyped: none of it is read."""
    payload = open_envelope(MANIFEST.seal(KEY), "m").payload
    data = seal_envelope(canonical(change(parse_canonical(payload, "m"))), MANIFEST_TYPE, KEY)
    with pytest.raises(InputError):
        open_manifest(data, KEY.public)


# Grant requests


def test_a_grant_request_travels_as_json(world: World) -> None:
    """What is parsed is what was serialised."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    request = world.ask("ch", leaf, index, capsule)
    assert GrantRequest.parse(request.serialise()) == request
    assert request.capsules[0] == shown("ch", capsule)
    assert request.capsules[0].capsule == capsule.digest


def test_a_grant_request_out_of_bounds_is_refused(world: World) -> None:
    """Too long, too many, or not in form: an InputError, before anything is looked at."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    data = world.ask("ch", leaf, index, capsule).serialise()
    value = parse_canonical(data, "x")
    shares = value["capsules"]
    changes: list[dict[str, object]] = [
        {"v": 2},
        {"proof": ["AA=="]},
        {"proof": value["proof"][:1] * 64},
        {"proof": None},
        {"capsules": []},
        {"capsules": shares * 2},
        {"capsules": [shares[0] | {"index": 0}]},
        {"capsules": [shares[0] | {"wrapped": "AA=="}]},
        {"index": "1"},
        {"leaf": "A"},
        {"note": "A" * (1 << 18)},
        {"extra": 1},
    ]
    for change in changes:
        with pytest.raises(InputError):
            GrantRequest.parse(canonical(value | change))
    with pytest.raises(InputError):
        GrantRequest.parse(bytes((1 << 24) + 1))
