# SPDX-License-Identifier: Apache-2.0
"""Laws of sealing: round trips, quorums, and our error or a value for any bytes at all."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.encoding import canonical
from incamera.errors import InputError, IntegrityError
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.header import Header, open_header
from incamera.sealing.keys import SigningKey
from incamera.sealing.shares import combine, split
from sealed import Fleet

KEY = SigningKey(bytes(range(32)))


@functools.cache
def capsule() -> Capsule:
    """Three stream chunks, sealed once."""
    path = Path(tempfile.mkdtemp()) / "c.capsule"
    return Fleet().capsule(path, b"clip" * 9000)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.data())
def test_any_k_of_n_shares_give_the_key_and_k_less_one_do_not(
    key: bytes, data: st.DataObject
) -> None:
    """For every 2 <= k <= n <= 8 and every choice."""
    count = data.draw(st.integers(2, 8))
    threshold = data.draw(st.integers(2, count))
    parts = dict(enumerate(split(key, threshold, count), start=1))
    order = data.draw(st.permutations(sorted(parts)))
    assert combine({i: parts[i] for i in order[:threshold]}, threshold) == key
    if threshold > 2:
        assert combine({i: parts[i] for i in order[: threshold - 1]}, threshold - 1) != key


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_any_payload_survives_its_envelope(payload: bytes) -> None:
    """Seal, parse, verify: the same bytes, and the same envelope every time (Ed25519)."""
    sealed = seal_envelope(payload, "application/octet-stream", KEY)
    opened = open_envelope(sealed, "here")
    opened.verify(KEY.public)
    assert opened.payload == payload
    assert seal_envelope(payload, "application/octet-stream", KEY) == sealed


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: t.encode("utf-8")))
def test_arbitrary_bytes_are_refused_with_our_error(data: bytes) -> None:
    """No library error leaks out of the parsers."""
    for parse in (open_envelope, Header.parse, open_header):
        try:
            parse(data, "here")
        except (InputError, IntegrityError):
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_header_with_any_value_in_any_place_is_our_error_or_a_header(data: st.DataObject) -> None:
    """Whatever stands in a field, parse gives a header that reads back, or an InputError."""
    fields = capsule().header.to_json()
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
    try:
        raw = canonical(fields)
        header = Header.parse(raw)
    except InputError:
        return
    assert header.serialise() == raw


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_capsule_with_any_stretch_altered_is_noticed(data: st.DataObject) -> None:
    """Overwrite, insert or cut at any place: refused, unless nothing changed."""
    good = capsule().path.read_bytes()
    start = data.draw(st.integers(0, len(good) - 1))
    removed = data.draw(st.integers(0, 40))
    inserted = data.draw(st.binary(max_size=40))
    bad = good[:start] + inserted + good[start + removed :]
    path = capsule().path.with_name("bad.capsule")
    path.write_bytes(bad)
    try:
        read_capsule(path).verify_stored()
    except (InputError, IntegrityError):
        return
    assert bad == good
