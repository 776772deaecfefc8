# SPDX-License-Identifier: Apache-2.0
"""Laws of what owners take back, whatever a log contains and whoever signs it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import InputError, IntegrityError
from incamera.ids import Name, Region, digest
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import ErasureEntry, PartyEntry, RegionEntry, WithdrawEntry
from incamera.ledger.rights import consent_digest, open_retirement, retire
from incamera.ledger.state import State
from incamera.sealing.keys import OpeningKey, SigningKey

EU = Region("eu")
SAID: dict[str, Any] = {"region": EU, "time": 1}
OPERATOR, VAULT = SigningKey.generate(), SigningKey.generate()
OWNERS = {name: (SigningKey.generate(), OpeningKey.generate()) for name in ("ada", "eve")}
CARS = [SigningKey.generate() for _ in range(2)]
CONSENTS = [digest(bytes([n])) for n in range(3)]
RETIREMENTS = [retire(car, EU, Name(name)) for car in CARS for name in OWNERS]


def party(role: Any, name: str, key: SigningKey, opening: bytes = b"") -> bytes:
    """An enrolment."""
    said: dict[str, Any] = {"role": role, "name": Name(name), "kind": Name("private")}
    entry = PartyEntry(**SAID, **said, country="DE", key=key.public, opening=opening)
    return encode(entry, OPERATOR)


FOUNDED = [
    encode(
        RegionEntry(
            **SAID,
            operator_key=OPERATOR.public,
            vault_key=VAULT.public,
            log_policy=digest(b""),
            threshold=2,
            notice=0,
            retention=1,
            quota=1,
        ),
        OPERATOR,
    ),
    *(party("owner", name, keys[0], keys[1].public) for name, keys in OWNERS.items()),
    *(party("car", f"car-{n}", car) for n, car in enumerate(CARS)),
]
SIGNERS = st.sampled_from([OPERATOR, VAULT, *(keys[0] for keys in OWNERS.values()), *CARS])
CHOSEN = st.sets(st.sampled_from(CONSENTS)).map(lambda each: tuple(sorted(each)))
RETIRED = st.sets(st.sampled_from(RETIREMENTS)).map(lambda each: tuple(sorted(each)))
FIXED = {name: st.just(value) for name, value in SAID.items()}
WITHDRAWALS = st.builds(
    WithdrawEntry,
    **FIXED,
    owner=st.sampled_from([Name(each) for each in OWNERS]),
    consents=CHOSEN,
    cars=RETIRED,
)
ERASURES = st.builds(
    ErasureEntry,
    **FIXED,
    capsules=st.sampled_from(CONSENTS).map(lambda each: (each,)),
    by=st.sampled_from(["owner", "operator", "vault"]),
    name=st.sampled_from(["", "ada", "eve"]),
    reason=st.just(""),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WITHDRAWALS | ERASURES, SIGNERS), max_size=12))
def test_nobody_ends_what_is_anothers(said: list[Any]) -> None:
    """What ended was ended by whom it belongs to: a consent by its owner, a car with its word."""
    state = State()
    for index, entry in enumerate([*FOUNDED, *(encode(*each) for each in said)]):
        state.apply(index, entry, 5)
    void = {each.index for each in state.findings() if each.kind == "bad"}
    stood = [each for at, each in enumerate(said, len(FOUNDED)) if at not in void]
    ended: dict[str, set[str]] = {name: set() for name in OWNERS}
    dead = set[bytes]()
    for entry, signer in stood:
        if isinstance(entry, WithdrawEntry):
            assert signer is OWNERS[entry.owner][0]
            ended[entry.owner] |= set(entry.consents)
            for data in entry.cars:
                word = open_retirement(data, "it")
                assert word.owner == entry.owner
                dead.add(word.key)
        else:
            keys = {"operator": OPERATOR, "vault": VAULT}
            assert signer is (keys.get(entry.by) or OWNERS[entry.name][0])
    for name, (_, opening) in OWNERS.items():
        for consent in CONSENTS:
            gone = state.withdrawn(consent, opening.key_id) is not None
            assert gone == (consent in ended[name])
    for car in CARS:
        assert (state.holder(car.public) is None) == (car.public in dead)
    state.close()


@settings(max_examples=60, deadline=None)
@given(WITHDRAWALS)
def test_a_withdrawal_is_one_byte_string(entry: WithdrawEntry) -> None:
    """It comes back as it went, and its lists have one order."""
    key = OWNERS["ada"][0]
    data = encode(entry, key)
    assert decode(data, "it").entry == entry
    assert encode(entry, key) == data


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80))
def test_every_consent_has_one_digest(text: str) -> None:
    """A digest is its own; two texts that are none have two."""
    try:
        found = consent_digest(text)
    except UnicodeEncodeError:  # no header can hold it
        return
    assert consent_digest(found) == found
    assert found == text or found == digest(text.encode())


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(1, 255))
def test_no_byte_of_a_retirement_can_change(rubbish: bytes, at: int, flip: int) -> None:
    """Rubbish and altered words end nothing."""
    data = bytearray(RETIREMENTS[0])
    data[at % len(data)] ^= flip
    for each in (rubbish, bytes(data)):
        try:
            open_retirement(each, "it")
        except (InputError, IntegrityError):
            continue
        raise AssertionError("a word that was not given")
