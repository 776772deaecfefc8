# SPDX-License-Identifier: Apache-2.0
"""The quick way of canonical JSON takes and gives exactly what the library's slow way does."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.encoding import canonical, parse_canonical, parse_json
from incamera.errors import InputError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.sampled_from([2**53 - 1, 2**53, -(2**53) + 1, -(2**53), 10**30, -0.0, 1e21, 5e-324])
    | st.floats()
    | st.text()
    | st.text(alphabet='aZ09"\\/\b\f\n\r\t\x00\x1f\x7f <&\u2028é\ue000\U0001f600', max_size=8)
)
KEYS = st.text(alphabet='abB_09"\\\x7f\x1fé\uffff\ue000\U0001f600', max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def slow(value: Any) -> bytes | None:
    """What the library makes of ``value``; None if it refuses."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        return None


def quick(value: Any) -> bytes | None:
    """What we make of it."""
    try:
        return canonical(value)
    except InputError:
        return None


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_a_value_is_written_as_the_library_writes_it(value: Any) -> None:
    """Every byte, and every refusal."""
    assert quick(value) == slow(value)


@pytest.mark.parametrize(
    "value", [{1: "a"}, {None: 1}, {True: 1}, {"a": {2: 3}}, {"a": b"x"}, [{1}]]
)
def test_what_is_not_json_is_refused_or_written_as_the_library_does(value: Any) -> None:
    """Python's encoder would write a number as a key; here the library decides."""
    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, TypeError, AttributeError) as error:
        with pytest.raises((InputError, type(error))):
            canonical(value)
    else:
        assert canonical(value) == expected


def taken(data: bytes) -> bool:
    """True if ``data`` passes as canonical."""
    try:
        parse_canonical(data, "x")
    except InputError:
        return False
    return True


def is_canonical(data: bytes) -> bool:
    """The definition: strict JSON that the library writes back byte for byte."""
    try:
        return slow(parse_json(data, "x")) == data
    except InputError:
        return False


@settings(max_examples=400, deadline=None)
@given(VALUES, st.integers(0, 10**6), st.sampled_from([b"", b" ", b"0", b"-", b"\\u00e9", b"1.0"]))
def test_a_text_is_taken_if_and_only_if_the_library_writes_it_so(
    value: Any, place: int, more: bytes
) -> None:
    """Canonical, loosely written, and with a few bytes put in somewhere."""
    texts = [json.dumps(value).encode(), json.dumps(value, ensure_ascii=False, indent=1).encode()]
    if (exact := slow(value)) is not None:
        texts.append(exact)
        at = place % (len(exact) + 1)
        texts.append(exact[:at] + more + exact[at:])
        texts.append(exact[:at] + exact[at + 1 :])
    for text in texts:
        assert taken(text) == is_canonical(text), text


@pytest.mark.parametrize(
    "data",
    [
        *(b"-0", b"01", b"1.0", b"1e2", b"NaN", b"1\n", b"", b"9007199254740992"),
        *(b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a": 1}', b'"\\/"', b'"\\u0041"'),
        *(b"[" * 100_000, b"1" * 5_000, b"\xef\xbb\xbf1"),
    ],
)
def test_a_text_that_means_the_same_in_other_bytes_is_refused(data: bytes) -> None:
    """By our own error, whichever way found it."""
    with pytest.raises(InputError):
        parse_canonical(data, "x")
