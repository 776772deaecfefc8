# SPDX-License-Identifier: Apache-2.0
"""A reader opens what was passed on, with the shares of one set, each of them checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from incamera.errors import IntegrityError, PolicyError
from incamera.ids import Name
from incamera.ledger.grant import Grant
from incamera.ledger.holders import Holdings
from incamera.release.shares import Usable, gather, usable
from incamera.sealing import dealing
from incamera.sealing.capsule import Capsule
from incamera.sealing.wrap import wrap
from incamera.tlog import FolderFetch
from passing import Region
from world import quick_folder


@pytest.fixture
def region() -> Iterator[Region]:
    """ch, is, uy hold the shares; li and no have joined."""
    with quick_folder() as folder:
        region = Region(folder)
        region.some()
        for name in ("li", "no"):
            region.add_trustee(name)
        yield region


def first(region: Region) -> Capsule:
    """One of its capsules."""
    return next(iter(region.kept.values()))


def use(region: Region, capsule: Capsule, grants: list[Grant]) -> Usable:
    """What a reader makes of some grants."""
    state = region.state()
    granted = gather(grants[0].request, [(each.trustee, each.envelope) for each in grants], state)
    holdings = Holdings(state, FolderFetch(region.public))
    key, leaf = region.readers["acme"].opening, bytes.fromhex(granted.request)
    sealed = granted.shares[capsule.digest]
    return usable(capsule.digest, capsule.header, sealed, key, leaf, holdings)


def passed_on(region: Region, *names: str) -> int:
    """A succession to ``names``, dealt for by is and uy, and taken over by all."""
    number = region.succession(*names)
    region.deal(number, "is", "uy")
    region.take(number, *names)
    return number


def test_the_clip_opens_with_shares_that_were_passed_on(region: Region) -> None:
    """From grants of the new set to the very bytes that were sealed."""
    number, capsule = passed_on(region, "ch", "li", "no"), first(region)
    leaf, index = region.request([capsule])
    grants = [region.granted(leaf, index, name, number, capsule) for name in ("li", "no")]
    found = use(region, capsule, grants)
    assert found.holders.names == ("ch", "li", "no")
    dest = region.home / "clip"
    found.open(capsule.path, dest)
    assert dest.read_bytes() == bytes([0])


def test_shares_of_two_sets_are_never_mixed(region: Region) -> None:
    """One share by the succession and one as sealed are one share, not two."""
    number, capsule = passed_on(region, "ch", "li", "no"), first(region)
    leaf, index = region.request([capsule])
    new = region.granted(leaf, index, "li", number, capsule)
    old = region.decide("uy", leaf, index, capsule)
    with pytest.raises(PolicyError, match="1 of 2"):
        use(region, capsule, [new, old])


def test_a_succession_is_in_force_when_enough_have_accepted(region: Region) -> None:
    """Until then the shares that cars sealed are the ones to ask for."""
    number, capsule = region.succession("ch", "li", "no"), first(region)
    region.deal(number, "is", "uy")

    def holding() -> int:
        found = Holdings(region.state(), FolderFetch(region.public))
        return found.of(capsule.digest, capsule.header).succession

    assert holding() == 0
    region.take(number, "ch")
    assert holding() == 0
    region.take(number, "li")
    assert holding() == number
    region.revoke("trustee", "li")
    assert holding() == 0


def test_a_false_new_share_is_named_and_left_out(region: Region) -> None:
    """A trustee hands out another share than it committed to: its name stands in the fault."""
    number, capsule = passed_on(region, "ch", "li", "no"), first(region)
    leaf, index = region.request([capsule])
    good = [region.granted(leaf, index, name, number, capsule) for name in ("ch", "no")]
    kept = region.trustees["li"]._desk.held  # what a lying trustee would put there
    share = kept.get(capsule.digest, number)
    assert share is not None
    seat, key = share.seat, region.trustees["li"].keys.epoch(share.epoch)
    assert key is not None
    lie = bytes(32)
    place = (bytes.fromhex(share.leaf), share.capsule_id, seat)
    false = replace(
        share,
        wrapped=wrap(lie, key.public, dealing.own_info(*place)),
        commitment=dealing.new_commitment(*place, lie),
    )
    kept._database.run("DELETE FROM shares")
    kept.keep([false])
    bad = region.granted(leaf, index, "li", number, capsule)
    found = use(region, capsule, [*good, bad])
    assert sorted(found.shares) == [1, 3]
    assert found.faults[0].startswith("li: ")
    with pytest.raises(IntegrityError, match="1 good shares of 2"):
        use(region, capsule, [good[0], bad])


def test_commitments_that_were_altered_are_refused(region: Region) -> None:
    """The file that the log names, or none."""
    number, capsule = passed_on(region, "ch", "li"), first(region)
    (li,) = [each for each in region.state().accepted(number) if each.trustee == "li"]
    holdings = Holdings(region.state(), FolderFetch(region.public))
    holders = holdings.of(capsule.digest, capsule.header)
    assert holdings.commitment(holders, capsule.digest, Name("li"))
    path = region.public / "commitments" / li.file
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="not the file"):
        Holdings(region.state(), FolderFetch(region.public)).commitment(
            holders, capsule.digest, Name("li")
        )
