# SPDX-License-Identifier: Apache-2.0
"""Shares that pass on: any enough of the new set open, and no mixture of old and new does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import InputError
from incamera.sealing import dealing, shares

KEYS = st.binary(min_size=32, max_size=32)
ID, LEAF = bytes(range(32)), bytes(range(32, 64))


@st.composite
def sets(draw: st.DrawFn) -> tuple[int, int]:
    """A threshold and a number of trustees."""
    count = draw(st.integers(2, 6))
    return draw(st.integers(2, count)), count


def pick(data: st.DataObject, count: int, size: int) -> list[int]:
    """``size`` of the numbers 1 to ``count``."""
    return sorted(data.draw(st.permutations(range(1, count + 1)))[:size])


@settings(max_examples=40, deadline=None)
@given(KEYS, sets(), sets(), st.data())
def test_any_enough_of_the_new_set_give_the_same_key(
    key: bytes, old: tuple[int, int], new: tuple[int, int], data: st.DataObject
) -> None:
    """Whoever dealt, and whoever of the new set combines: the key was never together before."""
    (k, n), (threshold, seats) = old, new
    held = shares.split(key, k, n)
    dealt = {i: dealing.deal(held[i - 1], threshold, seats) for i in pick(data, n, k)}
    taken = {
        j: dealing.take_over({i: parts[j - 1] for i, parts in dealt.items()}, k)
        for j in pick(data, seats, threshold)
    }
    assert shares.combine(taken, threshold) == key


@settings(max_examples=30, deadline=None)
@given(KEYS, st.data())
def test_old_and_new_shares_do_not_mix(key: bytes, data: st.DataObject) -> None:
    """One old share and one new one are two points of two lines."""
    held = shares.split(key, 2, 3)
    dealt = {i: dealing.deal(held[i - 1], 2, 3) for i in (1, 2)}
    new = {j: dealing.take_over({i: dealt[i][j - 1] for i in dealt}, 2) for j in (1, 2, 3)}
    old_at, new_at = data.draw(st.permutations([1, 2, 3]))[:2]
    assert shares.combine({old_at: held[old_at - 1], new_at: new[new_at]}, 2) != key


def test_seats_that_combine_other_dealers_do_not_fit_together() -> None:
    """Why the log's order settles whose dealings count."""
    key = bytes(range(32))
    held = shares.split(key, 2, 3)
    dealt = {i: dealing.deal(held[i - 1], 2, 2) for i in (1, 2, 3)}
    one = dealing.take_over({1: dealt[1][0], 2: dealt[2][0]}, 2)
    two = dealing.take_over({1: dealt[1][1], 3: dealt[3][1]}, 2)
    assert shares.combine({1: one, 2: two}, 2) != key


def test_exactly_as_many_dealers_are_combined_as_it_takes() -> None:
    """One too few, one too many: both are refused."""
    parts = {i: bytes(32) for i in (1, 2, 3)}
    for threshold in (2, 4):
        with pytest.raises(InputError, match="exactly"):
            dealing.take_over(parts, threshold)


def test_every_commitment_and_context_is_for_one_place_only() -> None:
    """Another succession, capsule, dealer or seat is another context and another commitment."""
    part = bytes(32)
    places = [(LEAF, ID, 1, 2), (ID, LEAF, 1, 2), (LEAF, ID, 2, 1), (LEAF, ID, 1, 1)]
    infos = {dealing.part_info(*place) for place in places}
    infos |= {dealing.own_info(LEAF, ID, 1), dealing.own_info(LEAF, ID, 2)}
    said = {dealing.part_commitment(*place, part) for place in places}
    said |= {dealing.new_commitment(LEAF, ID, seat, part) for seat in (1, 2)}
    assert (len(infos), len(said)) == (6, 6)
    for bad in [(LEAF[1:], ID, 1, 1), (LEAF, ID, 0, 1), (LEAF, ID, 1, 33)]:
        with pytest.raises(InputError):
            dealing.part_info(*bad)
