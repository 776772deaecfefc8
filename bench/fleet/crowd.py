# SPDX-License-Identifier: Apache-2.0
"""Cars and their owners, with real keys, enrolled in the log in bulk."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from incamera.clock import SystemClock
from incamera.ids import Digest, Name, Region
from incamera.ledger.codec import encode
from incamera.ledger.entries import PartyEntry, RevokeEntry
from incamera.sealing.keys import OpeningKey, SigningKey

EU = Region("eu")
AT_ONCE = 4_000
"""Enrolments in one batch of the log."""


@dataclass(frozen=True)
class Car:
    """One car: its key, its pseudonym, and the digest of its owner's opening key."""

    name: Name
    seed: bytes
    key: SigningKey
    owner: Digest


@dataclass(frozen=True)
class Crowd:
    """The fleet, and some who are no part of it."""

    cars: list[Car]
    #: Their enrolment was ended.
    revoked: list[Car]
    #: Nobody ever enrolled them.
    strangers: list[Car]
    #: One of the enrolled, that sends more than it may.
    greedy: Car
    owners: list[OpeningKey]


def gather(cars: int, owners: int) -> Crowd:
    """New keys for so many; the revoked and the strangers come on top."""
    held = [OpeningKey.generate() for _ in range(owners)]

    def some(prefix: str, count: int) -> list[Car]:
        seeds = [secrets.token_bytes(32) for _ in range(count)]
        return [
            Car(Name(f"{prefix}-{n}"), seed, SigningKey(seed), held[n % owners].key_id)
            for n, seed in enumerate(seeds)
        ]

    return Crowd(
        some("fleet", cars), some("gone", 4), some("stranger", 4), some("greedy", 1)[0], held
    )


def enrolments(crowd: Crowd, operator: SigningKey) -> Iterator[list[bytes]]:
    """The entries that enrol all of them, in batches; the last ends some enrolments again."""
    facts: dict[str, Any] = {"region": EU, "time": SystemClock().now()}

    def party(role: str, name: str, key: bytes, opening: bytes = b"") -> bytes:
        kind = Name({"car": "car", "owner": "person"}[role])
        more: dict[str, Any] = {"role": role, "name": Name(name), "kind": kind, "country": "DE"}
        return encode(PartyEntry(**facts, **more, key=key, opening=opening), operator)

    batch = [
        party("owner", f"owner-{n}", SigningKey.generate().public, each.public)
        for n, each in enumerate(crowd.owners)
    ]
    for car in (*crowd.revoked, crowd.greedy, *crowd.cars):
        batch.append(party("car", car.name, car.key.public))
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    for car in crowd.revoked:
        entry = RevokeEntry(**facts, role="car", name=car.name, reason="sold")
        batch.append(encode(entry, operator))
    yield batch
