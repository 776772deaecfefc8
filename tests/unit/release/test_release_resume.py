# SPDX-License-Identifier: Apache-2.0
"""A release that was stopped goes on with what is missing, and builds on what it noted alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bench.apart.clips import small_clip
from incamera.errors import IntegrityError, UnavailableError
from incamera.ids import Digest, Name
from incamera.ledger.state import leaf_digest
from incamera.release import Fetched, Reader, Released, Source, release
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.tlog import FolderFetch
from world import World, quick_folder

Capsules = Callable[[Sequence[Digest]], Iterator[list[Fetched]]]


class Lab:
    """Three capsules that acme was granted."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.capsules = {each.digest: each for each in self._sealed(3)}
        self.leaf, index = self.world.request(list(self.capsules.values()))
        self.answers = [
            (
                Name(name),
                self.world.decide(name, self.leaf, index, *self.capsules.values()).envelope,
            )
            for name in ("ch", "uy")
        ]
        self.asked: list[Digest] = []
        self.let_go: list[Digest] = []
        self.dest = folder / "dataset"

    def _sealed(self, count: int) -> list[Capsule]:
        return [self.world.capsule(small_clip()) for _ in range(count)]

    @property
    def drafts(self) -> list[Path]:
        """Unfinished datasets."""
        return list(self.dest.parent.glob(".dataset.*.partial"))

    def fetched(self, name: Digest) -> Fetched:
        """One capsule, noted as asked for and as let go."""
        self.asked.append(name)
        return Fetched(read_capsule(self.capsules[name].path), lambda: self.let_go.append(name))

    def all(self, wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        """Each by itself."""
        for name in wanted:
            yield [self.fetched(name)]

    def release(self, capsules: Capsules) -> Released:
        """As the verb does it."""
        member, state = self.world.readers["acme"], self.world.state()
        fetch, clock = FolderFetch(self.world.public), self.world.clock
        return release(
            leaf_digest(self.leaf),
            self.answers,
            list(self.capsules),
            reader=Reader(Name("acme"), member.signing, member.opening),
            source=Source(state, capsules, self.world.append_one, clock, fetch),
            dest=self.dest,
        )


@pytest.fixture
def lab() -> Iterator[Lab]:
    """In memory, where there is such."""
    with quick_folder() as folder:
        yield Lab(folder)


def test_a_release_that_was_stopped_asks_only_for_what_is_missing(lab: Lab) -> None:
    """The vault fell silent after one capsule; the second run has the same result as one run."""

    def one_then_silence(wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        yield [lab.fetched(wanted[0])]
        raise UnavailableError("no answer")

    with pytest.raises(UnavailableError):
        lab.release(one_then_silence)
    assert len(lab.drafts) == 1
    assert not lab.dest.exists()
    first, lab.asked = lab.asked, []
    done = lab.release(lab.all)
    assert set(lab.asked) == set(lab.capsules) - set(first)
    assert set(done.capsules) == set(lab.capsules) == set(lab.let_go)
    assert sorted(each.name for each in lab.dest.iterdir()) == ["clips", "manifest.json"]
    assert not lab.drafts


def test_a_clip_that_is_not_noted_as_on_disk_is_made_again(lab: Lab) -> None:
    """What a power cut may have torn has a name, and no line in the journal."""

    def silence(wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        yield [lab.fetched(wanted[0])]
        yield [lab.fetched(wanted[1])]
        raise UnavailableError("no answer")

    with pytest.raises(UnavailableError):
        lab.release(silence)
    (draft,) = lab.drafts
    journal = draft / "opened"
    journal.write_bytes(journal.read_bytes()[:-40])  # the last line is torn
    torn = draft / "clips" / sorted(lab.capsules)[1][:16]
    (torn / "clip.json").write_bytes(b"")
    lab.asked = []
    lab.release(lab.all)
    assert lab.asked == sorted(lab.capsules)[1:]
    assert all((each / "clip.json").stat().st_size for each in (lab.dest / "clips").iterdir())


def test_a_capsule_erased_in_between_is_not_in_the_dataset(lab: Lab) -> None:
    """Although an earlier run had opened it."""

    def one_then_silence(wanted: Sequence[Digest]) -> Iterator[list[Fetched]]:
        yield [lab.fetched(wanted[0])]
        raise UnavailableError("no answer")

    with pytest.raises(UnavailableError):
        lab.release(one_then_silence)
    gone = lab.asked[0]
    lab.world.erase(lab.capsules[gone])
    done = lab.release(lab.all)
    assert gone not in done.capsules
    assert any("erased" in each for each in done.missing)
    assert gone[:16] not in {each.name for each in (lab.dest / "clips").iterdir()}


def test_false_ciphertext_is_let_go_so_that_the_next_run_fetches_it_anew(lab: Lab) -> None:
    """Nothing of it is left, and nothing else was lost."""
    victim = sorted(lab.capsules)[1]
    path = lab.capsules[victim].path
    good = path.read_bytes()
    path.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
    with pytest.raises(IntegrityError, match="not the one that was sealed"):
        lab.release(lab.all)
    assert victim in lab.let_go
    path.write_bytes(good)
    assert set(lab.release(lab.all).capsules) == set(lab.capsules)
