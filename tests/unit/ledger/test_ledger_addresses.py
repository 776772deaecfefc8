# SPDX-License-Identifier: Apache-2.0
"""The list of addresses as parties find it: in a state, in a folder, and in a log's own files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from incamera.errors import InputError, UnavailableError
from incamera.ids import Name, Region
from incamera.ledger.addresses import FILE, Scan, declared, found_under, places
from incamera.ledger.codec import encode
from incamera.ledger.entries import Address, AddressesEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.tlog import FolderFetch, LogReader
from incamera.wire.egress import Place
from world import World, quick_folder


@pytest.fixture
def world() -> Iterator[World]:
    """A region that declared nothing yet."""
    with quick_folder() as folder:
        yield World(folder)


def list_of(world: World, *networks: str, **change: str) -> AddressesEntry:
    """A list of these networks at port 443."""
    facts = world.facts() | {key: Region(value) for key, value in change.items()}
    allowed = tuple(sorted(Address(Name("vault"), "", each, 443) for each in networks))
    return AddressesEntry(**facts, allowed=allowed)


def networks(found: tuple[Place, ...] | None) -> list[str] | None:
    """What a list names."""
    return None if found is None else [str(each.network) for each in found]


def scan(world: World) -> Scan:
    """As a log's server begins."""
    return Scan(world.public, world.logs.policy, world.home / "memory", world.home)


def test_the_newest_list_of_the_operator_counts_for_state_and_scan_alike(world: World) -> None:
    """Of strangers, of other regions, or said before: no effect, in both ways of reading."""
    reading = scan(world)
    assert reading() is None
    first, second = list_of(world, "192.0.2.1/32"), list_of(world, "192.0.2.2/32", "10.0.0.0/8")
    world.say(first, world.operator)
    assert networks(reading()) == ["192.0.2.1/32"]
    world.say(second, world.operator)
    world.say(first, world.operator)  # the same bytes again take nothing back
    world.say(list_of(world, "203.0.113.0/24"), world.vault)
    world.say(list_of(world, "203.0.113.1/32", region="cn"), world.operator)
    world.append(b'{"payload":"eyJhbGxvd2VkIjpb rubbish')
    state = world.state()
    lists = list(state.addresses())
    assert [each.entry for each in lists] == [first, second]
    assert reading() == places(lists[-1].entry)
    assert scan(world)() == places(lists[-1].entry)  # goes on from what it noted
    assert [each.kind for each in state.findings()] == ["repeat", "bad", "bad", "bad"]


def test_a_scan_looks_at_each_entry_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of millions is not read again when its server starts again."""
    world.say(list_of(world, "192.0.2.1/32"), world.operator)
    scan(world)()
    asked: list[int] = []
    entries = LogReader.entries

    def counted(self: LogReader, start: int, end: int, size: int) -> Iterator[bytes]:
        asked.append(start)
        return entries(self, start, end, size)

    monkeypatch.setattr(LogReader, "entries", counted)
    again = scan(world)
    size = world.state().size
    asked.clear()
    assert networks(again()) == ["192.0.2.1/32"]
    assert networks(again()) == ["192.0.2.1/32"]
    assert asked == []
    world.say(list_of(world, "192.0.2.9/32"), world.operator)
    assert networks(again()) == ["192.0.2.9/32"]
    assert asked == [size]


def test_a_party_keeps_to_the_founding_until_it_has_read_more(world: World, tmp_path: Path) -> None:
    """The folder's file first; from the first list in its own reading of the log on, that."""
    assert declared(tmp_path) is None
    found_under(tmp_path, list_of(world, "192.0.2.1/32"))
    assert networks(declared(tmp_path)) == ["192.0.2.1/32"]
    with_state = State(tmp_path / "state.db")
    reader = LogReader(FolderFetch(world.public), world.logs.policy)
    follower = Follower(reader, with_state, world.clock)
    follower.follow()
    assert networks(declared(tmp_path)) == ["192.0.2.1/32"]
    world.say(list_of(world, "192.0.2.2/32"), world.operator)
    follower.follow()
    assert networks(declared(tmp_path)) == ["192.0.2.2/32"]
    with_state.close()


def test_what_cannot_be_read_is_not_taken_for_no_list(world: World, tmp_path: Path) -> None:
    """A damaged state or file stops the party's connections: it does not free them."""
    world.say(list_of(world, "192.0.2.1/32"), world.operator)
    (tmp_path / "state.db").write_bytes(b"SQLite format 3\x00 but no more")
    with pytest.raises(UnavailableError, match=r"state\.db"):
        declared(tmp_path)
    (tmp_path / "state.db").unlink()
    (tmp_path / FILE).write_bytes(b'{"allowed":[]}')
    with pytest.raises(InputError, match=FILE):
        declared(tmp_path)


def test_a_scan_of_a_log_that_lost_its_checkpoint_keeps_what_it_knows(world: World) -> None:
    """A standby whose folder is being restored opens no doors meanwhile."""
    world.say(list_of(world, "192.0.2.1/32"), world.operator)
    reading = scan(world)
    reading()
    shutil.move(world.public / "checkpoint", world.home / "away")
    assert networks(reading()) == ["192.0.2.1/32"]
    assert networks(scan(world)()) == ["192.0.2.1/32"]


def test_places_are_networks_that_can_be_compared(world: World) -> None:
    """From the text of the entry to what connections are held to."""
    entry = list_of(world, "2001:db8::/64")
    assert places(entry) == (Place("vault", "", ip_network("2001:db8::/64"), 443),)
    assert len(encode(entry, SigningKey.generate())) < 1_000
