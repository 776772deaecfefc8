# SPDX-License-Identifier: Apache-2.0
"""Laws of the ledger that hold for whatever a log contains."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.encoding import canonical
from incamera.errors import Error, InputError, IntegrityError
from incamera.ids import Name, Region, digest
from incamera.ledger.codec import (
    ENTRY_TYPE,
    capsule_list,
    check_entry,
    decode,
    encode,
    parse_capsule_list,
)
from incamera.ledger.entries import (
    CapsuleEntry,
    ErasureEntry,
    PartyEntry,
    PolicyEntry,
    RegionEntry,
    RequestEntry,
    RevokeEntry,
)
from incamera.ledger.grant import Grant
from incamera.ledger.quick import CapsuleForm, Run
from incamera.ledger.request import GrantRequest
from incamera.ledger.state import State
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.merkle import leaf_hash, node_hash, root

OPERATOR, VAULT = SigningKey.generate(), SigningKey.generate()
KEYS = [SigningKey.generate() for _ in range(3)]
OPENING = OpeningKey.generate()
NAMES = st.sampled_from([Name("ada"), Name("bob")])
DIGESTS = st.sampled_from([digest(b"1"), digest(b"2"), digest(b"3")])
ROLES: Any = st.sampled_from(["reader", "owner", "car", "trustee"])
SAID: dict[str, Any] = {"region": Region("eu"), "time": 1}
FOUNDING = encode(
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
)
SIGNERS = st.sampled_from([OPERATOR, VAULT, *KEYS])
ENTRIES = st.one_of(
    st.builds(
        PartyEntry,
        **{k: st.just(v) for k, v in SAID.items()},
        role=ROLES,
        name=NAMES,
        kind=NAMES,
        country=st.just("DE"),
        key=st.sampled_from([key.public for key in KEYS]),
        opening=st.just(b""),
    ),
    st.builds(
        RevokeEntry,
        **{k: st.just(v) for k, v in SAID.items()},
        role=ROLES,
        name=NAMES,
        reason=st.just(""),
    ),
    st.builds(CapsuleEntry, **{k: st.just(v) for k, v in SAID.items()}, capsule=DIGESTS),
    st.builds(PolicyEntry, **{k: st.just(v) for k, v in SAID.items()}, policy=DIGESTS),
    st.builds(
        ErasureEntry,
        **{k: st.just(v) for k, v in SAID.items()},
        capsules=DIGESTS.map(lambda each: (each,)),
        by=st.sampled_from(["owner", "operator"]),
        name=st.sampled_from(["", "ada", "bob"]),
        reason=st.just(""),
    ),
    st.builds(
        RequestEntry,
        **{k: st.just(v) for k, v in SAID.items()},
        reader=NAMES,
        capsules=DIGESTS.map(lambda each: (each,)),
        purpose=NAMES,
        policy=DIGESTS,
        expires=st.integers(0, 9),
        nonce=st.just(bytes(16)),
        recipient=st.just(OPENING.public),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ENTRIES, SIGNERS) | st.binary(max_size=80), max_size=25))
def test_a_state_takes_any_log_and_keeps_its_laws(said: list[Any]) -> None:
    """Never an error; every entry counted; the root that of RFC 6962; one key, one party."""
    log = [FOUNDING, *(each if isinstance(each, bytes) else encode(*each) for each in said)]
    state = State()
    for index, entry in enumerate(log):
        state.apply(index, entry, 5)
    assert state.size == len(log)
    assert state.frontier.root() == root([leaf_hash(each) for each in log])
    parties = [p for role in ("reader", "owner", "car", "trustee") for p in state.parties(role)]
    assert len({each.key for each in parties}) == len(parties)
    good = set(range(len(log))) - {each.index for each in state.findings()}
    for index in good - {0}:
        entry, signer = said[index - 1]
        if isinstance(entry, (PartyEntry, RevokeEntry, PolicyEntry)):
            assert signer is OPERATOR
        if isinstance(entry, CapsuleEntry):
            assert signer is VAULT
    state.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(ENTRIES, SIGNERS), max_size=15), st.data())
def test_reading_in_steps_is_reading_at_once(said: list[Any], data: st.DataObject) -> None:
    """However a log is cut into transactions, the state is the same."""
    log = [FOUNDING, *(encode(*each) for each in said)]
    once, steps = State(), State()
    with once.transaction():
        for index, entry in enumerate(log):
            once.apply(index, entry, 5)
    index = 0
    while index < len(log):
        until = data.draw(st.integers(index + 1, len(log)))
        with steps.transaction():
            for at in range(index, until):
                steps.apply(at, log[at], 5)
        index = until
    for ask in (State.findings, State.requests, State.capsules, State.erasures):
        assert list(ask(once)) == list(ask(steps))
    for role in ("reader", "owner", "car", "trustee"):
        assert list(once.parties(role)) == list(steps.parties(role))
    assert once.frontier.root() == steps.frontier.root()
    once.close()
    steps.close()


FORM = CapsuleForm(Region("eu"), VAULT.public)
ADMITTED = encode(CapsuleEntry(**SAID, capsule=digest(b"1")), VAULT)


def the_long_way(entry: bytes) -> str | None:
    """The capsule that a state of region ``eu`` would take ``entry`` to admit."""
    try:
        signed = decode(entry, "entry")
        if not isinstance(signed.entry, CapsuleEntry) or signed.entry.region != "eu":
            return None
        signed.envelope.verify(VAULT.public)
    except (InputError, IntegrityError):
        return None
    return signed.entry.capsule


@st.composite
def nearly(draw: st.DrawFn) -> bytes:
    """A capsule entry with a few bytes of envelope or payload changed, signed anew or not."""
    entry = draw(ENTRIES.filter(lambda each: isinstance(each, CapsuleEntry)) | st.just(None))
    payload = bytearray(check_entry(entry) if entry else check_entry(_admits(draw(TIMES))))
    if draw(st.booleans()):
        _alter(draw, payload)
    signer = draw(st.sampled_from([VAULT, VAULT, VAULT, OPERATOR]))
    kind = draw(st.sampled_from([ENTRY_TYPE, ENTRY_TYPE, ENTRY_TYPE, "application/json"]))
    envelope = bytearray(seal_envelope(bytes(payload), kind, signer))
    if draw(st.booleans()):
        _alter(draw, envelope)
    return bytes(envelope)


def _alter(draw: st.DrawFn, data: bytearray) -> None:
    at = draw(st.integers(0, len(data) - 1))
    act = draw(st.sampled_from(["cut", "set", "add", "flip"]))
    if act == "cut":
        del data[at]
    elif act == "add":
        data.insert(at, draw(st.sampled_from(b'0 \n1+e"{}\\=/')))
    elif act == "flip":
        data[at] ^= 1 << draw(st.integers(0, 7))
    else:
        data[at] = draw(st.integers(0, 255))


TIMES = st.integers(0, 2**53 - 1) | st.sampled_from([0, 9, 10, 2**53 - 1])


def _admits(time: int) -> CapsuleEntry:
    return CapsuleEntry(region=Region("eu"), time=time, capsule=digest(b"2"))


@settings(max_examples=600, deadline=None)
@given(nearly())
def test_the_quick_way_says_what_the_long_way_says(entry: bytes) -> None:
    """For any bytes: recognised if and only if the strict parser and the signature agree."""
    quick = FORM.read(entry)
    assert (quick.hex() if quick else None) == the_long_way(entry)


@given(st.integers(0, len(ADMITTED) - 1), st.integers(0, 255))
def test_no_byte_of_a_recognised_entry_can_change(at: int, value: int) -> None:
    """One byte altered anywhere, and it is not recognised, as it is not valid."""
    data = bytearray(ADMITTED)
    data[at] = value
    assert (FORM.read(bytes(data)) is not None) == (bytes(data) == ADMITTED)
    assert (the_long_way(bytes(data)) is not None) == (bytes(data) == ADMITTED)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 700))
def test_rubbish_is_not_recognised(data: bytes, cut: int) -> None:
    """Nor raises anything."""
    assert FORM.read(data) is None
    assert FORM.read(ADMITTED[:cut] + data) is None or ADMITTED[:cut] + data == ADMITTED


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ENTRIES, SIGNERS) | st.binary(max_size=80), max_size=40), st.data())
def test_a_log_taken_in_runs_is_a_log_read_entry_by_entry(
    said: list[Any], data: st.DataObject
) -> None:
    """Bulk and single, in any mixture and any cut: one state, one root, the same findings."""
    log = [FOUNDING, *(each if isinstance(each, bytes) else encode(*each) for each in said)]
    single, bulk = State(), State()
    for index, entry in enumerate(log):
        single.apply(index, entry, 5)
    bulk.apply(0, log[0], 5)
    at = 1
    while at < len(log):
        with bulk.transaction():
            for _ in range(data.draw(st.integers(1, 3))):
                until = min(data.draw(st.integers(at, at + 9)), len(log))
                if data.draw(st.booleans()):
                    bulk.take(_run(bulk, at, log[at:until]), 5)
                else:
                    for index in range(at, until):
                        bulk.apply(index, log[index], 5)
                at = until
    for ask in (State.findings, State.requests, State.capsules, State.erasures):
        assert list(ask(single)) == list(ask(bulk))
    assert bulk.frontier.root() == root([leaf_hash(each) for each in log])
    assert bulk.size == single.size == len(log)
    single.close()
    bulk.close()


def _run(state: State, first: int, entries: list[bytes]) -> Run:
    form = state.form()
    assert form is not None
    read = [(index, entry, form.read(entry)) for index, entry in enumerate(entries, first)]
    hashes, height = [leaf_hash(each) for each in entries], 0
    if first % 2 == 0 and len(entries) % 2 == 0:
        hashes = [node_hash(a, b) for a, b in zip(hashes[::2], hashes[1::2], strict=True)]
        height = 1
    return Run(
        first,
        [(index, name) for index, _, name in read if name is not None],
        [(index, entry) for index, entry, name in read if name is None],
        hashes,
        height,
    )


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_a_signed_anything_is_an_entry_or_an_input_error(value: Any) -> None:
    """Whatever JSON stands in a well-made envelope, decoding raises nothing else."""
    try:
        data = seal_envelope(canonical(value), ENTRY_TYPE, VAULT)
        decode(data, "entry")
    except InputError:
        pass


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["cut", "set", "add"]))
def test_no_two_byte_strings_are_one_entry(place: int, value: int, act: str) -> None:
    """Any change to an entry's bytes is refused or breaks its signature: hashes name one thing."""
    data = bytearray(FOUNDING)
    place %= len(data)
    if act == "cut":
        del data[place]
    elif act == "add":
        data.insert(place, value)
    else:
        data[place] = value
    if bytes(data) == FOUNDING:
        return
    try:
        signed = decode(bytes(data), "entry")
        signed.envelope.verify(OPERATOR.public)
    except (InputError, IntegrityError):
        return
    raise AssertionError("altered bytes verify")


@settings(max_examples=60, deadline=None)
@given(st.sets(st.binary(max_size=4), min_size=1, max_size=40))
def test_a_list_file_names_a_set(items: set[bytes]) -> None:
    """Order and repetition do not matter when it is written, and there are none when read."""
    names = [digest(each) for each in items]
    data, named = capsule_list(names * 2)
    assert parse_capsule_list(data, named) == tuple(sorted(names))
    assert capsule_list(reversed(names)) == (data, named)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda v: repr(v).encode()))
def test_parsers_raise_our_errors_only(data: bytes) -> None:
    """Rubbish for a grant request or a grant gives one of our errors."""
    for parse in (
        GrantRequest.parse,
        lambda d: Grant.open(d, VAULT.public, digest(b"")),
        lambda d: decode(d, "entry"),
    ):
        try:
            parse(data)
        except Error:
            continue
        raise AssertionError("rubbish was parsed")
