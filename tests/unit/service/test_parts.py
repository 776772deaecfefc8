# SPDX-License-Identifier: Apache-2.0
"""Capsules in parts, on disk: what has expired goes, what is whole is admitted, room is bounded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import key_id
from incamera.service.answers import NothingError, TooManyError
from incamera.service.door import CarDoor
from incamera.service.journal import Journal
from incamera.service.parts import Part, Parts
from incamera.service.settings_limits import LimitSettings
from incamera.service.upload import Incoming
from incamera.service.uploads import finish
from incamera.vault import Source
from world import World, quick_folder

KEY = b"k" * 32
DAY = 86_400


@pytest.fixture
def clock(tmp_path: Path) -> FixedClock:
    """At the time that files get here."""
    (tmp_path / "now").touch()
    return FixedClock(int((tmp_path / "now").stat().st_mtime))


@pytest.fixture
def parts(tmp_path: Path, clock: FixedClock) -> Parts:
    """Two uploads a car, of 1000 bytes in all."""
    return Parts(tmp_path / "uploads", LimitSettings(uploads=2, upload_space=1000), clock)


def begin(parts: Parts, number: int = 0, length: int = 10, key: bytes = KEY) -> Part:
    """An upload of its own."""
    return parts.begin(key, digest(b"%d" % number), length)[0]


def test_the_same_capsule_has_the_same_upload_also_after_a_restart(
    parts: Parts, tmp_path: Path, clock: FixedClock
) -> None:
    """By car and digest; another car's is another, and no name can be made from what is known."""
    part, new = parts.begin(KEY, digest(b"x"), 10)
    part.append(b"1234")
    assert new
    again, new = Parts(tmp_path / "uploads", LimitSettings(), clock).begin(KEY, digest(b"x"), 10)
    assert (again, new, again.offset) == (part, False, 4)
    assert parts.begin(b"j" * 32, digest(b"x"), 10)[0].name != part.name
    elsewhere = Parts(tmp_path / "elsewhere", LimitSettings(), clock)
    assert elsewhere.begin(KEY, digest(b"x"), 10)[0].name != part.name
    with pytest.raises(InputError, match="begun with a length of 10"):
        parts.begin(KEY, digest(b"x"), 11)


def test_a_car_and_the_disk_have_so_much_room(parts: Parts) -> None:
    """Two of a car; a thousand bytes of all; what ends makes room again."""
    first, _ = begin(parts, 1, 400), begin(parts, 2, 400)
    with pytest.raises(TooManyError, match="2 uploads"):
        begin(parts, 3, 1)
    with pytest.raises(UnavailableError, match="no room"):
        begin(parts, 3, 400, b"j" * 32)
    parts.end(first)
    begin(parts, 3, 400, b"j" * 32)
    assert parts.announced == 800


@pytest.mark.parametrize("name", ["", "x", "../secret", "0" * 16 + "-" + "0" * 40, "secret"])
def test_a_name_that_is_none_finds_nothing(parts: Parts, name: str) -> None:
    """Nor anything else of the folder."""
    with pytest.raises(NothingError):
        parts.find(name)


def test_what_rests_for_long_is_given_up(parts: Parts, clock: FixedClock) -> None:
    """Seven days after something came last; its folder goes with it, and leftovers do."""
    part, other = begin(parts, 1), begin(parts, 2)
    os.utime(part.told, (clock.now() - 8 * DAY,) * 2)
    part.append(b"1")
    assert parts.find(part.name) == part
    os.utime(part.data, (clock.now() - 7 * DAY - 1,) * 2)
    with pytest.raises(NothingError, match="expired"):
        parts.find(part.name)
    stray = part.folder / "stray.part"
    stray.write_bytes(b"x")
    assert list(parts.sweep()) == []
    assert not part.told.exists()
    assert not part.data.exists()
    assert not stray.exists()
    assert parts.announced == 10
    parts.end(other)
    assert not part.folder.exists()


def test_an_announcement_that_is_damaged_is_not_believed(parts: Parts) -> None:
    """503 for its sender: somebody must look."""
    part = begin(parts)
    part.told.write_bytes(b"{}")
    with pytest.raises(UnavailableError, match="cannot be read"):
        parts.find(part.name)


@pytest.fixture
def world() -> Iterator[World]:
    """For real capsules."""
    with quick_folder() as folder:
        yield World(folder)


Admit = Callable[[Sequence[Source]], Sequence[bytes | Error]]


def incoming(folder: Path, admit: Admit) -> Incoming:
    """Whose batches are admitted by ``admit``."""
    door: CarDoor = None  # type: ignore[assignment]  # nobody comes in by it here
    made = Incoming(folder, door, admit, Journal("test", FixedClock(0)))
    made.waiting.start()
    return made


def test_what_is_whole_is_admitted_by_the_next_round(
    parts: Parts, world: World, tmp_path: Path, clock: FixedClock
) -> None:
    """The process died between the last byte and the log: later it is admitted, or kept for later.

    What is refused for good goes: its sender is told when it asks again.
    """
    capsule = read_capsule(world.seal())
    big = Parts(tmp_path / "uploads", LimitSettings(), clock)
    part, _ = big.begin(world.car.public, capsule.digest, capsule.size)
    assert part.car == key_id(world.car.public)
    part.append(capsule.path.read_bytes())
    part.sync()
    outcomes: list[bytes | Error] = [UnavailableError("the log is away"), b"receipt"]
    asked: list[Path] = []

    def admit(sources: Sequence[Source]) -> list[bytes | Error]:
        asked.extend(each.path for each in sources)
        return [outcomes.pop(0)]

    made = incoming(tmp_path / "incoming", admit)
    finish(big, made)
    assert part.data.exists()
    finish(big, made)
    assert asked == [part.data] * 2
    assert not part.data.exists()
    finish(big, made)  # nothing is left to do
    part, _ = big.begin(world.car.public, capsule.digest, capsule.size)
    part.append(capsule.path.read_bytes())
    outcomes.append(IntegrityError("altered"))
    finish(big, made)
    assert not part.told.exists()
    made.waiting.stop()


def test_only_what_was_announced_is_taken_for_it(
    parts: Parts, world: World, tmp_path: Path, clock: FixedClock
) -> None:
    """Another capsule, another car's, another length; a header that is not whole says nothing."""
    capsule = read_capsule(world.seal())
    data, big = capsule.path.read_bytes(), Parts(tmp_path / "uploads", LimitSettings(), clock)
    rows = [
        (world.car.public, digest(b"another"), capsule.size, "not the capsule"),
        (world.operator.public, capsule.digest, capsule.size, "another car's"),
        (world.car.public, capsule.digest, capsule.size + 1, "bytes, not"),
    ]
    for key, name, length, said in rows:
        part, _ = big.begin(key, name, length)
        part.append(data[:100])
        assert part.header() is None
        part.append(data[100:])
        with pytest.raises(InputError, match=said):
            part.header()
        big.end(part)
