# SPDX-License-Identifier: Apache-2.0
"""Trustees join, leave and lose their disks: shares pass on, and what the log says settles how."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Digest
from incamera.sealing import dealing
from passing import Region
from world import DAY, quick_folder


@pytest.fixture
def region() -> Iterator[Region]:
    """Trustees ch, is, uy as sealed to; li and no, who join."""
    with quick_folder() as folder:
        region = Region(folder)
        region.some()
        for name in ("li", "no"):
            region.add_trustee(name)
        yield region


def refused(code: str, act: Any, *args: Any) -> None:
    """``act`` ends with a refusal under this code."""
    with pytest.raises(PolicyError) as caught:
        act(*args)
    assert getattr(caught.value, "code", "") == code


def test_a_new_set_opens_what_was_passed_on(region: Region) -> None:
    """Two old trustees deal, three new ones take over, and any two of them open."""
    capsules = list(region.kept.values())
    number = region.succession("ch", "li", "no")
    assert region.deal(number, "is", "uy") == [2, 2]
    assert region.take(number, "ch", "li", "no") == [2, 2, 2]
    leaf, index = region.request(capsules)
    key = region.data_key(leaf, index, capsules[0])
    for names in (["ch", "li"], ["li", "no"], ["ch", "no"]):
        assert region.opened(leaf, index, number, names, capsules[0]) == key


def test_a_trustee_that_lost_its_disk_comes_back(region: Region) -> None:
    """Its old shares are gone; the others deal, and it holds shares again, under a new home."""
    capsules = list(region.kept.values())
    region.trustees["is"].close()
    shutil.rmtree(region.home / "is" / "epochs")
    (region.home / "is" / "epochs").mkdir()
    region.trustees["is"] = region.trustee("is")
    leaf, index = region.request(capsules)
    refused("epoch-ended", region.decide, "is", leaf, index, capsules[0])
    number = region.succession("ch", "is", "uy")
    region.deal(number, "ch", "uy")
    region.take(number, "ch", "is", "uy")
    key = region.data_key(leaf, index, capsules[0])
    assert region.opened(leaf, index, number, ["is", "uy"], capsules[0]) == key


def test_shares_pass_on_again(region: Region) -> None:
    """From the set of the first succession to that of a second, three of four of which open."""
    capsules = list(region.kept.values())
    first = region.succession("ch", "li", "no")
    region.deal(first, "ch", "uy")
    region.take(first, "ch", "li", "no")
    second = region.succession("is", "li", "uy", "no", source=first, threshold=3)
    assert region.deal(second, "li", "no") == [2, 2]
    region.take(second, "is", "li", "uy", "no")
    with pytest.raises(InputError, match="nothing to pass on"):
        region.deal(second, "uy")  # whose shares were the first set's
    leaf, index = region.request(capsules)
    key = region.data_key(leaf, index, capsules[1])
    assert region.opened(leaf, index, second, ["is", "li", "uy"], capsules[1]) == key


def test_nothing_is_taken_over_before_enough_have_dealt(region: Region) -> None:
    """One dealer is not enough; an old trustee that never dealt changes nothing."""
    number = region.succession("ch", "li")
    with pytest.raises(UnavailableError, match="nobody"):
        region.take(number, "li")
    region.deal(number, "is")
    with pytest.raises(UnavailableError, match="1 of 2"):
        region.take(number, "li")
    region.deal(number, "uy")
    assert region.take(number, "ch", "li") == [2, 2]


def test_dealing_and_taking_over_again_change_nothing(region: Region) -> None:
    """The same polynomials, the same shares, one entry each."""
    number = region.succession("ch", "li")
    region.deal(number, "is", "uy")
    region.take(number, "ch", "li")
    size = region.state().size
    region.deal(number, "is", "uy")
    region.take(number, "ch", "li")
    assert region.state().size == size
    names = [each.trustee for each in region.state().reshared(number)]
    assert names == ["is", "uy"]


def test_a_succession_that_weakens_is_not_dealt_for(region: Region) -> None:
    """What took three may not open with two."""
    number = region.succession("ch", "li", "no", "is", threshold=3)
    region.deal(number, "ch", "uy")
    region.take(number, "ch", "li", "no", "is")
    weaker = region.succession("ch", "li", source=number, threshold=2)
    refused("weaker", region.deal, weaker, "no")


def test_a_succession_lengthens_no_life(region: Region) -> None:
    """New keys that would end later than the old ones are not dealt to."""
    number = region.succession("ch", "li", until=region.limit() + DAY)
    refused("outlives", region.deal, number, "is")


def test_a_succession_must_be_public_first(region: Region) -> None:
    """The notice period holds for it as for a request."""
    with quick_folder() as folder:
        other = Region(folder, notice=3600)
        other.some(1)
        number = other.succession("ch", "uy")
        refused("notice", other.deal, number, "is")
        other.clock.advance(3700)
        other.logs.log.refresh()
        assert other.deal(number, "is") == [1]


def test_what_was_erased_is_not_passed_on(region: Region) -> None:
    """Nor is it opened by whoever took it over before."""
    capsules = list(region.kept.values())
    region.erase(capsules[0])
    number = region.succession("ch", "li")
    assert region.deal(number, "is", "uy") == [1, 1]
    assert region.take(number, "ch", "li") == [1, 1]
    leaf, index = region.request(capsules)
    refused("not-accepted", region.granted, leaf, index, "li", number, capsules[0])
    region.erase(capsules[1])
    refused("erased", region.granted, leaf, index, "li", number, capsules[1])


def test_a_new_share_dies_with_its_key(region: Region) -> None:
    """Retention over, key destroyed: taken-over shares open no more than others."""
    capsules = list(region.kept.values())
    number = region.succession("ch", "li")
    region.deal(number, "is", "uy")
    region.take(number, "ch", "li")
    leaf, index = region.request(capsules)
    seat = region.state().succession(number)
    assert seat is not None
    region.trustees["li"].keys.destroy(seat.entry.seats[1].epoch)
    refused("epoch-ended", region.granted, leaf, index, "li", number, capsules[0])


def test_a_dealer_that_lies_is_named(region: Region) -> None:
    """A dealing that is not the one it logged: the error says whose it is."""
    number = region.succession("ch", "li")
    region.deal(number, "uy")

    def lies(kind: str, path: Path, name: Digest) -> None:
        data = path.read_bytes()
        region.beside(f"{kind}/{name}", data[:-1] + bytes([data[-1] ^ 1]))

    region.trustees["is"].deal(number, region.evidence, lies)
    with pytest.raises(IntegrityError, match="dealing of is"):
        region.take(number, "ch")


def test_a_part_that_was_not_committed_to_is_refused(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dealing is the one it logged, but the parts in it are not those it committed to."""
    number = region.succession("ch", "li")
    region.deal(number, "uy")
    with monkeypatch.context() as patched:
        patched.setattr(dealing, "part_commitment", lambda *_: "ab" * 32)
        region.deal(number, "is")
    with pytest.raises(IntegrityError, match="is dealt another part"):
        region.take(number, "ch")


def test_evidence_of_another_capsule_is_refused(region: Region) -> None:
    """The vault cannot have a trustee deal for a capsule that is not listed."""
    one, two = list(region.kept.values())
    number = region.succession("ch", "li")
    region.kept = {one.digest: two, two.digest: one}
    with pytest.raises(IntegrityError, match="another capsule"):
        region.deal(number, "is")


def test_who_has_no_seat_takes_nothing(region: Region) -> None:
    """And nobody deals for a succession that is not in the log."""
    number = region.succession("ch", "li")
    region.deal(number, "is", "uy")
    with pytest.raises(InputError, match="no seat"):
        region.take(number, "no")
    with pytest.raises(InputError, match="no succession"):
        region.deal(number + 1, "is")


def test_a_share_that_was_not_accepted_in_public_is_not_granted(region: Region) -> None:
    """Who took over but could not say so in the log hands out nothing."""
    capsules = list(region.kept.values())
    number = region.succession("ch", "li")
    region.deal(number, "is", "uy")

    def deaf(_: bytes) -> int:
        raise UnavailableError("the log is away")

    region.trustees["li"].close()
    region.trustees["li"] = region.trustee("li", append=deaf)
    with pytest.raises(UnavailableError):
        region.take(number, "li")
    leaf, index = region.request(capsules)
    with pytest.raises(Error) as caught:
        region.granted(leaf, index, "li", number, capsules[0])
    assert getattr(caught.value, "code", "") == "not-accepted"
