# SPDX-License-Identifier: Apache-2.0
"""Capsules into clips: here and in other processes it is the same work with the same errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.apart.clips import small_clip
from incamera.errors import IntegrityError
from incamera.ids import Name
from incamera.ledger.holders import Holders
from incamera.release.opening import Job, opening
from incamera.release.shares import Usable
from incamera.release.source import ahead
from incamera.sealing.capsule import Capsule
from sealed import Fleet
from world import quick_folder

MANY = 60  # more than are opened where they are
NAMES = tuple(Name(each) for each in ("ch", "is", "uy"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, where there is such."""
    with quick_folder() as folder:
        yield folder


def job(fleet: Fleet, capsule: Capsule, folder: Path) -> Job:
    """The capsule with two of its shares."""
    shares = {index: share for index, share in fleet.shares(capsule).items() if index < 3}
    usable = Usable(Holders(0, b"", 2, NAMES), shares, [])
    return Job(capsule.path, usable, folder / capsule.digest[:16], "folder")


def open_all(jobs: list[Job]) -> list[Job]:
    """All that the opener says is done."""
    done: list[Job] = []
    with opening(len(jobs)) as opener:
        for each in jobs:
            done += opener.add(each)
        for some in opener.finish():
            done += some
    return done


@pytest.mark.parametrize("count", [3, MANY])
def test_each_capsule_becomes_a_clip_and_is_told_of(count: int, folder: Path) -> None:
    """Whether they are few or many: every clip is whole, and nothing else is left."""
    fleet, clip = Fleet(), small_clip()
    capsules = [fleet.capsule(folder / f"{n}.capsule", clip) for n in range(count)]
    clips = folder / "clips"
    clips.mkdir()
    done = open_all([job(fleet, each, clips) for each in capsules])
    assert {each.final.name for each in done} == {each.digest[:16] for each in capsules}
    assert {each.name for each in clips.iterdir()} == {each.digest[:16] for each in capsules}
    assert all((each.final / "clip.json").exists() for each in done)


@pytest.mark.parametrize("count", [3, MANY])
def test_one_false_ciphertext_ends_it_with_the_capsules_error(count: int, folder: Path) -> None:
    """The error of another process is raised here, and there is no clip of that capsule."""
    fleet, clip = Fleet(), small_clip()
    capsules = [fleet.capsule(folder / f"{n}.capsule", clip) for n in range(count)]
    data = bytearray(capsules[1].path.read_bytes())
    data[-100] ^= 1
    capsules[1].path.write_bytes(data)
    jobs = [job(fleet, each, folder) for each in capsules]
    with pytest.raises(IntegrityError, match="not the one that was sealed"):
        open_all(jobs)
    assert not (folder / capsules[1].digest[:16]).exists()


def test_what_is_made_ahead_comes_in_order_and_its_error_in_its_place() -> None:
    """The consumer sees what it would see without the thread."""

    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise IntegrityError("third")

    made = ahead(items())
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(IntegrityError, match="third"):
        next(made)
    assert list(ahead(iter(()))) == []
