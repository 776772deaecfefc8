# SPDX-License-Identifier: Apache-2.0
"""Wrapped secrets open for one key in one context, and nowhere else."""

from __future__ import annotations

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.ids import Name, digest
from incamera.sealing import wrap
from incamera.sealing.keys import OpeningKey

KEY = OpeningKey.generate()
ID, CAR, POLICY, SECRET = b"i" * 32, b"c" * 32, digest(b"policy"), b"s" * 32


def info(**other: object) -> bytes:
    """The context of one share, with some facts changed."""
    facts = {"trustee": Name("ch"), "epoch": 4, "index": 1, "threshold": 2, "count": 3, **other}
    base = {"capsule_id": ID, "car_key": CAR, "policy": POLICY}
    base.update({k: facts.pop(k) for k in list(facts) if k in base})  # type: ignore[misc]
    return wrap.share_info(**base, **facts)  # type: ignore[arg-type]


def test_a_wrapped_secret_opens_in_its_context() -> None:
    """Wrap and unwrap with the same context give the secret; the length is always 1168."""
    sealed = wrap.wrap(SECRET, KEY.public, info())
    assert len(sealed) == wrap.WRAPPED_BYTES == 1168
    assert wrap.unwrap(sealed, KEY, info()) == SECRET


@pytest.mark.parametrize(
    "other",
    [
        {"capsule_id": b"j" * 32},
        {"car_key": b"d" * 32},
        {"policy": digest(b"laxer policy")},
        {"trustee": Name("is")},
        {"epoch": 5},
        {"index": 2},
        {"threshold": 3},
        {"count": 4},
    ],
    ids=lambda other: next(iter(other)),
)
def test_every_fact_of_the_context_is_bound(other: dict[str, object]) -> None:
    """A share of capsule A under B, another policy, index, epoch or threshold does not open."""
    sealed = wrap.wrap(SECRET, KEY.public, info())
    with pytest.raises(IntegrityError):
        wrap.unwrap(sealed, KEY, info(**other))


def test_the_recipient_is_bound() -> None:
    """Somebody else's key does not open it."""
    sealed = wrap.wrap(SECRET, KEY.public, info())
    with pytest.raises(IntegrityError):
        wrap.unwrap(sealed, OpeningKey.generate(), info())


def test_a_secret_for_one_use_does_not_open_in_another() -> None:
    """Share, owner and grant contexts differ by label, whatever else they hold."""
    leaf = b"l" * 32
    contexts = [info(), wrap.owner_info(ID, CAR, POLICY), wrap.grant_info(leaf, ID, 1)]
    for context in contexts:
        sealed = wrap.wrap(SECRET, KEY.public, context)
        for other in contexts:
            if other != context:
                with pytest.raises(IntegrityError):
                    wrap.unwrap(sealed, KEY, other)


def test_a_grant_is_bound_to_request_capsule_and_index() -> None:
    """Each of the three changes the context; wrong lengths are refused."""
    leaf = b"l" * 32
    made = {
        wrap.grant_info(leaf, ID, 1),
        wrap.grant_info(b"m" * 32, ID, 1),
        wrap.grant_info(leaf, b"j" * 32, 1),
        wrap.grant_info(leaf, ID, 2),
    }
    assert len(made) == 4
    for bad in ((b"l", ID, 1), (leaf, b"", 1), (leaf, ID, 0), (leaf, ID, 256)):
        with pytest.raises(InputError):
            wrap.grant_info(*bad)


def test_wrapping_twice_never_gives_the_same_bytes() -> None:
    """Each wrap has an ephemeral key of its own."""
    assert wrap.wrap(SECRET, KEY.public, b"") != wrap.wrap(SECRET, KEY.public, b"")


@pytest.mark.parametrize("position", [0, 1087, 1088, 1119, 1120, 1151, 1152, 1167])
def test_a_flipped_byte_in_any_part_does_not_open(position: int) -> None:
    """ML-KEM ciphertext, X25519 key, AEAD text and tag are all authenticated."""
    sealed = bytearray(wrap.wrap(SECRET, KEY.public, b"here"))
    sealed[position] ^= 1
    with pytest.raises(IntegrityError):
        wrap.unwrap(bytes(sealed), KEY, b"here")


def test_a_zero_ephemeral_point_does_not_open() -> None:
    """A small-order ephemeral key is our error, not the library's."""
    sealed = wrap.wrap(SECRET, KEY.public, b"here")
    with pytest.raises(IntegrityError):
        wrap.unwrap(sealed[:1088] + bytes(32) + sealed[1120:], KEY, b"here")


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_only_secrets_of_32_bytes_are_wrapped(length: int) -> None:
    """Another length means that something else went wrong before."""
    with pytest.raises(InputError):
        wrap.wrap(bytes(length), KEY.public, b"")


@pytest.mark.parametrize("length", [0, 1167, 1169])
def test_a_wrapped_secret_of_another_length_does_not_open(length: int) -> None:
    """The length is checked before the library sees it."""
    with pytest.raises(IntegrityError):
        wrap.unwrap(bytes(length), KEY, b"")
