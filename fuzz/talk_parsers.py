# SPDX-License-Identifier: Apache-2.0
"""The parsers of what anybody may hand in: proof of a fork, a signed call, a campaign."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from random import Random

from fuzz import world
from fuzz.mutate import mutate
from fuzz.target import Target, law
from fuzz.world import NOW, POLICY, note, signing
from incamera.encoding import base64_bytes, base64_text, canonical, parse_canonical
from incamera.errors import Error
from incamera.ids import Name, Region, digest
from incamera.ledger.consent import Consent, open_consent
from incamera.ledger.evidence import check_evidence
from incamera.ledger.extract import Extract, Proven, Statement, open_statement
from incamera.service.auth import open_call, sign_call
from incamera.service.logclient import parse_appended
from incamera.tlog import merkle
from incamera.trigger.campaign import Campaign

__all__ = ["TARGETS"]

_EMPTY = digest(b"")
_ANSWERS = (
    canonical({"first": 3, "size": 9}),
    canonical({"first": 3, "indices": [3, 1], "note": "a log\n9\n", "size": 9}),
)
_HONEST = [merkle.leaf_hash(b"entry %d" % i) for i in range(9)]
_FORKED = [*_HONEST[:1], merkle.leaf_hash(b"another"), *_HONEST[2:]]
_ROOTS = {size: merkle.root(_HONEST[:size]) for size in range(10)}


def _fork(ours: bytes, theirs: bytes) -> bytes:
    notes = {"ours": base64_text(ours), "theirs": base64_text(theirs)}
    return canonical({"v": 1, "seen": NOW, **notes})


def _split(leaves: list[bytes]) -> bytes:
    """Five honest entries, and seven of ``leaves``: where the first four are others there."""
    hashes = [merkle.root(_HONEST[:4]), _HONEST[4]]
    split = {
        "hashes": [base64_text(each) for each in hashes],
        "at": 0,
        "other": base64_text(merkle.root(leaves[:4])),
        "proof": [base64_text(merkle.root(leaves[4:7]))],
    }
    notes = {
        "ours": base64_text(note(5, _ROOTS[5])),
        "theirs": base64_text(note(7, merkle.root(leaves[:7]))),
    }
    return canonical({"v": 2, "seen": NOW, **notes, "split": split})


@functools.cache
def _evidences() -> Sequence[bytes]:
    """Two forks; and what convicts nobody: two honest sizes, one size twice."""
    one, other = note(5, _ROOTS[5]), note(5, merkle.root(_FORKED[:5]))
    check_evidence(_split(_FORKED), POLICY, "seed")
    return [_fork(one, other), _split(_FORKED), _split(_HONEST), _fork(one, one)]


def _evidence(data: bytes) -> None:
    said = parse_canonical(data, "evidence")
    try:
        small, large = check_evidence(data, POLICY, "evidence")
    except Error:
        if data in _evidences():  # some of which convict nobody
            return
        raise
    law(type(said["v"]) is int, "a version that is no number")
    law(type(said["seen"]) is int, "a time that is no number")
    honest = all(_ROOTS.get(each.size) == each.root for each in (small, large))
    law(not honest, "an honest log was convicted")
    law(small.origin == large.origin and small.size <= large.size, "no pair")


def _refork(data: bytes, rng: Random) -> bytes:
    """Now and then one of the notes signed anew: a log can always convict itself."""
    if rng.random() < 0.5:
        return data
    try:
        value = json.loads(data)
        side = rng.choice(("ours", "theirs"))
        shown = world.resign_note(base64_bytes(value[side], side), rng)
        return canonical({**value, side: base64_text(shown)})
    except (Error, ValueError, TypeError, KeyError, RecursionError):
        return data


def _call(data: bytes) -> None:
    """An ``Authorization`` header for one call, at one time."""
    found = open_call(data.decode("latin-1"), "GET", "/capsules?tag=x", NOW)
    law(found.key == signing("reader").public, "called by somebody else")
    times = range(NOW - 300, NOW + 301)
    envelope = base64_bytes(data.decode("latin-1").partition(" ")[2], "call")
    said = json.loads(base64_bytes(json.loads(envelope)["payload"], "call"))
    law(said["time"] in times, "a stale call")
    again = sign_call(signing("reader"), "GET", "/capsules?tag=x", b"", said["time"])
    law(type(said["v"]) is int, "a version that is no number")
    law(said["body"] != _EMPTY or again.encode() == data, "another call")


def _calls() -> Sequence[bytes]:
    return [
        sign_call(signing("reader"), "GET", "/capsules?tag=x", body, NOW + late).encode()
        for body, late in ((b"", 0), (b"body", 300), (b"", -300))
    ]


def _recall(data: bytes, rng: Random) -> bytes:
    """The envelope in the header, mutated as JSON half of the time, signed anew."""
    scheme, _, text = data.partition(b" ")
    try:
        envelope = base64_bytes(text.decode("latin-1"), "call")
    except Error:
        return data
    if rng.random() < 0.7:
        envelope = mutate(envelope, "json", [envelope], rng)
    return scheme + b" " + base64_text(world.resign("reader", envelope)).encode()


_CAMPAIGN = b"""version = 1
name = "winter"
[hard-brake]
deceleration = 5.5
hold = 0.2
[honk]
before = 10
[sample]
every = 1000
length = 10.0
key = "a"
"""


def _campaign(data: bytes) -> None:
    found = Campaign.parse(data)
    law(bool(found.rules), "a campaign without a rule")
    for rule in found.rules.values():
        law(0 <= rule.before <= 120 and 0 <= rule.after <= 120, "out of bounds")


@functools.cache
def _consents() -> Sequence[bytes]:
    consent = Consent(
        region=Region("eu"),
        owner=Name("ada"),
        car=digest(b"car"),
        purposes=(Name("driver-assistance"), Name("maps")),
        not_before=NOW,
        expires=NOW + 86_400,
        parked=False,
        nonce=world.secret("nonce", 16),
    )
    return [consent.seal(signing("owner"))]


def _consent(data: bytes) -> None:
    token = open_consent(data)
    token.verify(signing("owner").public)
    law(token.consent.seal(signing("owner")) == data, "another token")


def _appended(data: bytes) -> None:
    found = parse_appended(data, 2, "log")
    law(not found.indices or found.indices[0] == found.first_index, "two places for one entry")


_STATEMENT = Statement(Region("eu"), Name("car-7"), Name("ada"), 3, 9, _ROOTS[9], (3, 5, 8))


def _statement(data: bytes) -> None:
    said, envelope = open_statement(data, "extract")
    envelope.verify(signing("vault").public)
    law(said.seal(signing("vault")) == data, "another statement")
    law(all(said.since <= each < said.size for each in said.indices), "out of bounds")


@functools.cache
def _extracts() -> Sequence[bytes]:
    shown = tuple(Proven(b"entry %d" % at, _HONEST[:at]) for at in _STATEMENT.indices)
    whole = Extract(note(9, _ROOTS[9]), _STATEMENT.seal(signing("vault")), shown, (_ROOTS[1],))
    return [whole.format(), Extract(b"a note\n", b"a statement", ()).format()]


def _extract(data: bytes) -> None:
    found = Extract.parse(data, "extract")
    law(Extract.parse(found.format(), "again") == found, "another extract")


TARGETS = (
    Target("evidence", "json", _evidences, _evidence, _refork),
    Target("call", "lines", _calls, _call, _recall),
    Target("campaign", "lines", lambda: [_CAMPAIGN], _campaign),
    Target("consent", "json", _consents, _consent, lambda data, _: world.resign("owner", data)),
    Target(
        *("statement", "json", lambda: [_STATEMENT.seal(signing("vault"))], _statement),
        lambda data, _: world.resign("vault", data),
    ),
    Target("extract", "json", _extracts, _extract),
    Target("appended", "json", lambda: [*_ANSWERS], _appended),
)
