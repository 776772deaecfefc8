# SPDX-License-Identifier: Apache-2.0
"""k of n shares give the key; a wrong share is named before it can do harm."""

from __future__ import annotations

import itertools

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.sealing.shares import check_share, combine, commitment, split

KEY = bytes(range(32))


def test_every_choice_of_k_shares_gives_the_key() -> None:
    """3 of 5: all ten choices agree."""
    parts = dict(enumerate(split(KEY, 3, 5), start=1))
    for chosen in itertools.combinations(parts, 3):
        assert combine({i: parts[i] for i in chosen}, 3) == KEY


def test_shares_beyond_the_threshold_do_no_harm() -> None:
    """All shares at once give the same key as k of them."""
    parts = dict(enumerate(split(KEY, 2, 4), start=1))
    assert combine(parts, 2) == KEY


def test_fewer_shares_than_the_threshold_give_nothing() -> None:
    """One share of a 2 of 3 is refused, not combined into something."""
    with pytest.raises(InputError, match="needs 2"):
        combine({1: split(KEY, 2, 3)[0]}, 2)


def test_splitting_twice_gives_other_shares() -> None:
    """The polynomials are random: shares of one split do not mix with another's."""
    first, second = split(KEY, 2, 2), split(KEY, 2, 2)
    assert not set(first) & set(second)
    assert combine({1: first[0], 2: second[1]}, 2) != KEY


def test_the_halves_have_polynomials_of_their_own() -> None:
    """A key of two equal halves does not show in its shares."""
    share = split(b"h" * 32, 2, 2)[0]
    assert share[:16] != share[16:]


@pytest.mark.parametrize(("k", "n"), [(0, 0), (1, 1), (1, 3), (3, 2), (2, 33), (-1, 3)])
def test_a_threshold_below_two_or_above_the_count_is_refused(k: int, n: int) -> None:
    """2 <= k <= n <= 32: nobody reads alone."""
    with pytest.raises(InputError):
        split(KEY, k, n)


def test_a_share_is_checked_against_its_commitment() -> None:
    """The right share passes; another one, index or capsule is an IntegrityError with a name."""
    share = split(KEY, 2, 2)[0]
    promised = commitment(b"i" * 32, 1, share)
    check_share(b"i" * 32, 1, share, promised, "ch")
    for capsule_id, index, data in (
        (b"j" * 32, 1, share),
        (b"i" * 32, 2, share),
        (b"i" * 32, 1, bytes(32)),
    ):
        with pytest.raises(IntegrityError, match="from ch"):
            check_share(capsule_id, index, data, promised, "ch")


@pytest.mark.parametrize("shares", [{0: KEY, 1: KEY}, {1: KEY, 33: KEY}, {1: KEY, 2: b"short"}])
def test_shares_that_cannot_be_are_refused(shares: dict[int, bytes]) -> None:
    """Index 0 would be the secret itself; lengths are checked."""
    with pytest.raises(InputError):
        combine(shares, 2)


def test_a_key_of_another_length_is_not_split() -> None:
    """Only data keys of 32 bytes are split."""
    with pytest.raises(InputError):
        split(b"short", 2, 2)
