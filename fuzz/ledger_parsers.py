# SPDX-License-Identifier: Apache-2.0
"""The parsers of what parties say to each other: entries, requests, grants, receipts, evidence."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from fuzz import world
from fuzz.sealing_parsers import file_of, folder, headers
from fuzz.target import Target, law
from fuzz.world import NOW, POLICY, hash_of, note, opening, secret, signing
from incamera.errors import Error
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import (
    capsule_list,
    check_entry,
    decode,
    encode,
    parse_capsule_list,
)
from incamera.ledger.dealing import open_paper, write_paper
from incamera.ledger.entries import (
    ENTRY_CLASSES,
    Address,
    CapsuleEntry,
    CapsuleList,
    Entry,
    RegionEntry,
    RequestEntry,
    Seat,
)
from incamera.ledger.grant import Grant, SealedShare
from incamera.ledger.manifest import DatasetFile, GrantPlace, Manifest, open_manifest
from incamera.ledger.quick import CapsuleForm
from incamera.ledger.receipt import check_receipt, make_receipt
from incamera.ledger.request import CapsuleEvidence, GrantRequest
from incamera.ledger.rights import open_retirement, retire
from incamera.sealing.wrap import WRAPPED_BYTES
from incamera.tlog import merkle
from incamera.tlog.proof import Proof
from incamera.vault.exclusion import Exclusions

__all__ = ["TARGETS"]

_REGION = Region("eu")
_CAPSULES = sorted(hash_of(f"capsule {i}") for i in range(4))
_LIST, _NAMED = capsule_list(_CAPSULES)
_LEAF = digest(b"leaf")
_WRAPPED = secret("wrapped", WRAPPED_BYTES)
_ALLOWED = (
    Address(Name("log"), "log.example.org", "192.0.2.1/32", 443),
    Address(Name("vault"), "", "2001:db8::/64", 8102),
)
_RETIRED = retire(signing("car"), _REGION, Name("ada"))

_FIELDS: Mapping[str, Sequence[Any]] = {
    "region": ["eu"],
    "role": ["trustee", "reader", "car"],
    "by": ["operator", "vault"],
    "outcome": ["pending", "refused"],
    "country": ["CH", "UY"],
    "date": ["2026-11-22"],
    "operator_key": [signing("operator").public],
    "vault_key": [signing("vault").public],
    "opening": [b"", opening("ch").public],
    "recipient": [opening("reader").public],
    "nonce": [secret("nonce", 16)],
    "seats": [(Seat(Name("ch"), 0), Seat(Name("is"), 3))],
    "threshold": [2],
    "source": [0],
    **dict.fromkeys(("time", "expires", "not_before", "not_after"), (NOW,)),
    **dict.fromkeys(("notice", "retention", "quota", "epoch", "count", "number"), (1,)),
    **dict.fromkeys(("reason", "authority"), ("as asked for",)),
}
"""An example or two of each field of an entry, by name; of other names, by type."""


def _examples(cls: type[Entry], name: str, kind: str) -> Sequence[Any]:
    special: Mapping[tuple[str, str], Sequence[Any]] = {
        ("request", "capsules"): [tuple(_CAPSULES), _NAMED],
        ("erasure", "capsules"): [tuple(_CAPSULES)],
        ("succession", "capsules"): [_NAMED],
        ("party", "key"): [signing("ch").public],
        ("epoch", "key"): [opening("ch").public],
        ("reshare", "succession"): [1],
        ("accept", "succession"): [1],
        ("erasure", "name"): [""],
        ("withdraw", "consents"): [tuple(_CAPSULES)],
        ("withdraw", "cars"): [(_RETIRED,)],
        ("addresses", "allowed"): [_ALLOWED],
    }
    if (found := special.get((cls.type, name))) is not None:
        return found
    by_kind: Mapping[str, Sequence[Any]] = {"Digest": [_CAPSULES[0]], "Name": ["some-name"]}
    return _FIELDS.get(name) or by_kind[kind]


def entries() -> Sequence[bytes]:
    """Each type of entry, signed; some in two forms."""
    found = []
    for cls in ENTRY_CLASSES:
        choices = [_examples(cls, each.name, str(each.type)) for each in fields(cls)]
        for values in itertools.zip_longest(*choices):
            firsts = [c[0] if v is None else v for v, c in zip(values, choices, strict=True)]
            said = dict(zip([each.name for each in fields(cls)], firsts, strict=True))
            found.append(encode(cls(**said), signing("vault")))
    return found


_FORM = CapsuleForm(_REGION, signing("vault").public)


def _entry(data: bytes) -> None:
    quick = _FORM.read(data)
    try:
        signed = decode(data, "entry")
    except Error:
        law(quick is None, "recognised at a glance and malformed")
        raise
    law(check_entry(signed.entry) == signed.envelope.payload, "another entry")
    for each in fields(signed.entry):
        value = getattr(signed.entry, each.name)
        law(not isinstance(value, bool), "a number that is none")
        listed = isinstance(value, tuple) and each.name == "capsules"
        law(not listed or list(value) == sorted(set(value)), "a list in disorder")
    try:
        signed.envelope.verify(signing("vault").public)
    except Error:
        law(quick is None, "recognised at a glance under a signature that does not hold")
        return
    law(encode(signed.entry, signing("vault")) == data, "another envelope")
    entry = signed.entry
    admitted = isinstance(entry, CapsuleEntry) and entry.region == _REGION
    law(quick is None or (admitted and quick.hex() == getattr(entry, "capsule", "")), "not that")


def _retirement(data: bytes) -> None:
    found = open_retirement(data, "retirement")
    law(found.key == signing("car").public, "the word of another key")
    law(retire(signing("car"), found.region, found.owner) == data, "another retirement")


def _request_leaf() -> bytes:
    entry = RequestEntry(
        region=_REGION,
        time=NOW,
        reader=Name("acme"),
        capsules=tuple(_CAPSULES),
        purpose=Name("perception"),
        policy=hash_of("policy"),
        expires=NOW + 1000,
        nonce=secret("nonce", 16),
        recipient=opening("reader").public,
    )
    return encode(entry, signing("reader"))


def _grant_requests() -> Sequence[bytes]:
    shown = note(2, secret("root"))
    evidence = [CapsuleEvidence(each, _WRAPPED, 1) for each in headers()]
    passed = CapsuleEvidence(headers()[0], b"", 2, 7)
    leaf = _request_leaf()
    return [
        GrantRequest(leaf, 1, shown, (secret("a"), secret("b")), tuple(evidence)).serialise(),
        GrantRequest(leaf, 0, shown, (), (passed,)).serialise(),
    ]


def _grant_request(data: bytes) -> None:
    found = GrantRequest.parse(data)
    law(found.serialise() == data, "another request")


def _share(index: int, succession: int = 0) -> SealedShare:
    return SealedShare(_CAPSULES[index], secret(f"id {index}"), index + 1, _WRAPPED, succession)


def _grants() -> Sequence[bytes]:
    shares = (_share(0), _share(1), _share(2, succession=3))
    key = signing("ch")
    return [
        Grant.make(_LEAF, Name("ch"), shares, (7, 9), key).envelope,
        Grant.make(_LEAF, Name("ch"), (), (), key).envelope,
    ]


def _grant(data: bytes) -> None:
    found = Grant.open(data, signing("ch").public, _LEAF)
    anew = Grant.make(found.request, found.trustee, found.shares, found.entries, signing("ch"))
    law(anew.envelope == data, "another grant")


def _manifests() -> Sequence[bytes]:
    manifest = Manifest(
        region=_REGION,
        time=NOW,
        reader=Name("acme"),
        request=_LEAF,
        index=3,
        capsules=tuple(_CAPSULES),
        grants=(GrantPlace(Name("ch"), 5), GrantPlace(Name("is"), 4)),
        files=(DatasetFile("a/b.mp4", hash_of("b"), 10), DatasetFile("c", hash_of("c"), 0)),
        reports=(hash_of("report"),),
    )
    return [manifest.seal(signing("reader"))]


def _manifest(data: bytes) -> None:
    found = open_manifest(data, signing("reader").public)
    law(found.seal(signing("reader")) == data, "another manifest")
    for each in found.files:
        law(
            folder().joinpath(each.path).resolve().is_relative_to(folder()), "a path that leads out"
        )


def _list(data: bytes) -> None:
    """Named as a request would name it, so that the lines themselves are judged."""
    count = data.count(b"\n")
    found = parse_capsule_list(data, CapsuleList(digest(data), len(data), count))
    law("".join(f"{each}\n" for each in found).encode() == data, "another list")
    law(not found or capsule_list(found)[0] == data, "not the list of these capsules")


_FOUNDING = RegionEntry(
    region=_REGION,
    time=NOW,
    operator_key=signing("operator").public,
    vault_key=signing("vault").public,
    log_policy=digest(POLICY.text),
    threshold=2,
    notice=0,
    retention=30,
    quota=100,
)
_ADMITTED = CapsuleEntry(region=_REGION, time=NOW, capsule=_CAPSULES[0])


def _receipts() -> Sequence[bytes]:
    entry = encode(_ADMITTED, signing("vault"))
    before = merkle.leaf_hash(b"before")
    root = merkle.node_hash(before, merkle.leaf_hash(entry))
    return [make_receipt(Proof(1, (before,), note(2, root)).format(), entry)]


def _receipt(data: bytes) -> None:
    found = check_receipt(data, _CAPSULES[0], _FOUNDING, POLICY)
    proof = Proof.parse(data)
    law(found.time == NOW and found.index == proof.index == 1, "proves something else")
    law(
        make_receipt(Proof(1, proof.hashes, proof.note).format(), proof.extra or b"") == data,
        "not it",
    )


def _papers() -> Sequence[bytes]:
    path, found = folder() / "paper", []
    part, mark = secret("part", 1200), secret("mark", 32)
    for kind, seats, rows in (
        ("dealing", 2, [[part, part], [None, None]]),
        ("commitments", 1, [[mark], [None], [mark]]),
    ):
        write_paper(path, kind, _LEAF, Name("ch"), seats, rows, len(rows))  # type: ignore[arg-type]
        found.append(path.read_bytes())
    path.unlink()
    return found


def _paper(data: bytes) -> None:
    path = file_of(data)
    found = open_paper(path, Digest(digest(data)), "paper")
    if found.capsules * found.seats > 1000:
        return
    rows = [
        [found.record(row, seat) for seat in range(1, found.seats + 1)]
        for row in range(found.capsules)
    ]
    copy = folder() / "copy"
    head = (found.kind, found.succession, found.trustee, found.seats)
    write_paper(copy, *head, rows, found.capsules)
    law(copy.read_bytes() == data, "another file")


def _exclusions(data: bytes) -> None:
    found = Exclusions.load(file_of(data))
    law(all(kind and value for kind, value in found.pairs), "an empty pair")


def _excluded() -> Sequence[bytes]:
    return [f"# gone\nvehicle car-7\nconsent c-1 # why\nzones {_LEAF}\n".encode()]


def _signed_by(*names: str) -> Any:
    return lambda data, rng: world.resign(rng.choice(names), data)


TARGETS = (
    Target("entry", "json", entries, _entry, _signed_by("vault", "vault", "operator")),
    Target("retirement", "json", lambda: [_RETIRED], _retirement, _signed_by("car")),
    Target("grant-request", "json", _grant_requests, _grant_request),
    Target("grant", "json", _grants, _grant, _signed_by("ch")),
    Target("manifest", "json", _manifests, _manifest, _signed_by("reader")),
    Target("capsule-list", "lines", lambda: [_LIST, _LIST[:65]], _list),
    Target("receipt", "lines", _receipts, _receipt, world.resign_behind),
    Target("paper", "bytes", _papers, _paper),
    Target("exclusions", "lines", _excluded, _exclusions),
)
