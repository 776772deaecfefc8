# SPDX-License-Identifier: Apache-2.0
"""What the log shows after an append is worked out: byte for byte, and never believed for that."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Error, IntegrityError
from incamera.ledger.codec import encode
from incamera.ledger.entries import RevokeEntry
from incamera.tlog import FolderFetch, merkle, tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.log import Appended, Log
from incamera.tlog.tree import TileTree
from incamera.vault import RefusedError, Vault
from incamera.vault.ahead import Ahead
from vaults import erasure, name_of, proven
from world import World, quick_folder
from world_tlog import log_world

MANY = 65_536 + 600


def entry(index: int) -> bytes:
    """The entry at ``index`` of the log that these tests imagine."""
    return b"entry %d" % index


@functools.cache
def hashes(level: int) -> list[bytes]:
    """Of all complete subtrees of 256**level entries, from the definition."""
    if level == 0:
        return [merkle.leaf_hash(entry(index)) for index in range(MANY)]
    below = hashes(level - 1)
    return [merkle.root(below[i : i + 256]) for i in range(0, len(below) - 255, 256)]


def written(level: int, index: int, width: int) -> bytes:
    """A tile or bundle as a log of these entries has it."""
    start = index * 256
    if level == tile.ENTRIES:
        return tile.encode_bundle(entry(start + at) for at in range(width))
    return b"".join(hashes(level)[start : start + width])


def fetch(path: str) -> bytes:
    """Any file of that log, at any size."""
    name = tile.parse_path(path)
    assert name is not None
    return written(name.level, name.index, name.width)


def checkpoint(size: int) -> Checkpoint:
    """Its checkpoint."""
    return Checkpoint("log", size, merkle.subtree(0, size, TileTree(fetch, size).get))


def new_files(start: int, end: int) -> dict[str, bytes]:
    """What the tree of ``end`` has, without what was full in that of ``start``."""
    found = {}
    for level, height in ((tile.ENTRIES, 1), (0, 1), (1, 2), (2, 3)):
        for index in range(start >> 8 * height, (end >> 8 * height) + 1):
            complete = end >> 8 * (height - 1)
            if width := min(256, complete - index * 256):
                found[tile.path(level, index, width)] = written(level, index, width)
    return found


STARTS = st.one_of(
    st.integers(0, 600),
    *(st.integers(edge - 3, edge + 3) for edge in (256, 512, 65_280, 65_536)),
)
BATCHES = st.lists(st.lists(st.integers(1, 70), min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(STARTS, BATCHES)
def test_what_is_worked_out_is_what_the_log_writes(start: int, rounds: list[list[int]]) -> None:
    """Any batches, told in any order, followed one by one or together; no file but the first."""
    ahead, asked = Ahead(), list[str]()

    def first(path: str) -> bytes:
        asked.append(path)
        return fetch(path)

    for number, batches in enumerate(rounds):
        places, end = [], start
        for count in batches:
            places.append((end, count))
            end += count
        for at, count in reversed(places):
            ahead.told([entry(at + each) for each in range(count)], Appended(at, end))
        found = ahead.files(start, checkpoint(end), first)
        assert found == new_files(start, end)
        assert number == 0 or not asked
        asked.clear()
        start = end


def test_a_real_log_writes_the_same(tmp_path: Path) -> None:
    """Each file, over the edge of a tile; the note it answers is the one it publishes."""
    world, ahead, size = log_world(tmp_path), Ahead(), 0
    read = FolderFetch(world.public)
    for count in (3, 253, 5, 300):
        entries = [b"%d of %d" % (each, count) for each in range(count)]
        put = world.log.append(entries)
        assert put.note == read("checkpoint")
        ahead.told(entries, put)
        assert ahead.note(size)[0] == put.note
        end = world.policy.check(put.note).checkpoint
        files = ahead.files(size, end, read)
        assert files == {path: read(path) for path in files}
        assert len(files) >= 2
        size = end.size


def _told(ahead: Ahead, first: int, count: int, *, said: int | None = None, **more: Any) -> None:
    entries = [entry(first + each) for each in range(count)]
    ahead.told(entries, Appended(first if said is None else said, first + count, **more))


def _foreign(ahead: Ahead) -> None:
    _told(ahead, 300, 4)
    _told(ahead, 305, 5)  # 304 is somebody else's


def _not_in_a_row(ahead: Ahead) -> None:
    _told(ahead, 300, 10, indices=(300, 301, 302, 303, 304, 309, 305, 306, 307, 308))


def _elsewhere(ahead: Ahead) -> None:
    _told(ahead, 290, 10, said=300)


def _too_many(ahead: Ahead) -> None:
    _told(ahead, 300, 10)
    for each in range(64):
        _told(ahead, 400 + each, 1)


def _nothing(ahead: Ahead) -> None:
    ahead.told([], Appended(300, 310))
    ahead.told([entry(300)], None)


@pytest.mark.parametrize(
    "tell", [_foreign, _not_in_a_row, _elsewhere, _too_many, _nothing, lambda _: None]
)
def test_what_is_not_known_for_sure_is_not_worked_out(tell: Callable[[Ahead], None]) -> None:
    """And the next tree, of which all is known, is again."""
    ahead = Ahead()
    tell(ahead)
    assert ahead.files(300, checkpoint(310), fetch) == {}
    _told(ahead, 310, 7)
    assert ahead.files(310, checkpoint(317), fetch) == new_files(310, 317)


def test_a_tree_of_another_root_and_files_that_are_gone_give_nothing() -> None:
    """A guess that does not make the root is none; nor is one from damaged or missing tiles."""

    def away(path: str) -> bytes:
        raise IntegrityError(path)

    wrong = replace(checkpoint(310), root=bytes(32))
    for asked, right in ((fetch, wrong), (away, checkpoint(310))):
        ahead = Ahead()
        _told(ahead, 300, 10)
        assert ahead.files(300, right, asked) == {}
    ahead = Ahead()
    _told(ahead, 300, 10)
    flipped = lambda path: fetch(path)[:-1] + bytes([fetch(path)[-1] ^ 1])  # noqa: E731
    damaged = ahead.files(300, checkpoint(310), flipped)
    assert damaged == {}


class Asked:
    """What a vault asks of the log, counted; what the log answers, as a test wants it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.log: Log = world.logs.reopened()
        self.policy = self.log.policy
        self.refresh = self.log.refresh
        self.files: Counter[str] = Counter()
        self.before: Callable[[], object] = lambda: None
        self.answer: Callable[[Appended], Appended] = lambda put: put
        self._fetch = FolderFetch(world.public)

    def append(self, entries: Sequence[bytes]) -> Appended:
        """As the log, after what others write at that moment."""
        self.before()
        return self.answer(self.log.append(entries))

    def fetch(self, path: str) -> bytes:
        """As the log."""
        self.files[path] += 1
        return self._fetch(path)

    def vault(self, recent: float = 0.0) -> Vault:
        """The vault, or another process of it."""
        world = self.world
        return Vault(
            world.home / "vault", world.vault, self, self.fetch, world.clock, recent=recent
        )


@pytest.fixture
def asked() -> Iterator[Asked]:
    """A region of its own."""
    with quick_folder() as folder:
        yield Asked(World(folder))


def take(asked: Asked, vault: Vault, count: int = 2) -> list[int]:
    """A round of admissions, all well; where they stand."""
    paths = [asked.world.seal() for _ in range(count)]
    answers = vault.admit_all(paths)
    return [proven(asked.world, *each) for each in zip(answers, paths, strict=True)]


@pytest.mark.parametrize(("recent", "wanted"), [(0.0, {"checkpoint": 1}), (60.0, {})])
def test_an_ordinary_round_fetches_this_much_of_the_log(
    asked: Asked, recent: float, wanted: dict[str, int]
) -> None:
    """Its checkpoint, once, to see who may deliver; nothing if that was asked a moment ago."""
    vault = asked.vault(recent)
    take(asked, vault)
    for _ in range(3):
        asked.files.clear()
        take(asked, vault, 3)
        assert asked.files == wanted


def _fork(world: World, size: int) -> bytes:
    return world.note(size, bytes(32))


NOTES: dict[str, Callable[[World, Appended], Appended]] = {
    "none": lambda _, put: replace(put, note=b""),
    "rubbish": lambda _, put: replace(put, note=b"a note\n"),
    "no quorum": lambda w, put: replace(put, note=w.note(put.size, bytes(32), cosigners=1)),
    "of a tree that is not there": lambda w, put: replace(put, note=_fork(w, put.size + 600)),
    "of the beginning": lambda w, put: replace(put, note=OLD[w.home]),
    "said to be of a larger tree": lambda _, put: replace(put, size=1 << 62),
    "the beginning, said to be larger": lambda w, put: replace(put, size=1 << 62, note=OLD[w.home]),
    "said to stand elsewhere": lambda _, put: replace(put, first_index=put.first_index + 1),
    "said to stand before zero": lambda _, put: replace(put, first_index=-5),
}
OLD: dict[Path, bytes] = {}


@pytest.mark.parametrize("name", NOTES)
def test_an_answer_that_does_not_hold_costs_a_look_and_nobody_a_receipt(
    asked: Asked, name: str
) -> None:
    """Whatever the log says to us alone: what it shows to all decides, now and afterwards."""
    world, vault = asked.world, asked.vault(60.0)
    OLD[world.home] = FolderFetch(world.public)("checkpoint")
    take(asked, vault)
    asked.answer = lambda put: NOTES[name](world, put)
    for _ in range(2):
        take(asked, vault)
    asked.answer = lambda put: put
    take(asked, vault)
    asked.files.clear()
    take(asked, vault)
    assert not asked.files


@pytest.mark.parametrize("further", [0, 2])
def test_two_roots_that_a_quorum_signed_end_it_though_one_was_told_to_us_alone(
    asked: Asked, further: int
) -> None:
    """Of the size we stand at, or the one to come: both notes are kept, nothing goes on."""
    world, vault = asked.world, asked.vault(60.0)
    take(asked, vault)
    size = world.logs.policy.check(FolderFetch(world.public)("checkpoint")).checkpoint.size
    asked.answer = lambda put: replace(put, note=_fork(world, size + further))
    for answer in vault.admit_all([world.seal(), world.seal()]):
        assert isinstance(answer, IntegrityError)
        assert "forked" in answer.message
    with pytest.raises(IntegrityError, match="forked"):
        vault.follow()


def test_what_others_write_in_between_is_read_and_obeyed(asked: Asked) -> None:
    """An erasure before our entries: its blob is gone with our answer; later rounds as ever."""
    world, vault = asked.world, asked.vault(60.0)
    path = world.seal()
    vault.admit(path)
    name = name_of(path)
    asked.before = lambda: world.append(erasure(world, name))
    take(asked, vault)
    row = vault.row(name)
    assert row is not None
    assert row.status == "erased"
    assert not any(file.is_file() for file in world.home.glob(f"vault/blobs/**/{name}*"))
    asked.before = lambda: None
    take(asked, vault)
    asked.files.clear()
    take(asked, vault)
    assert not asked.files


def test_an_erasure_behind_our_entry_is_obeyed_with_the_next_look(asked: Asked) -> None:
    """The receipt is of the tree before; nothing of the capsule stays."""
    world, vault = asked.world, asked.vault(60.0)
    path = world.seal()

    def erased(put: Appended) -> Appended:
        world.append(erasure(world, name_of(path)))
        return put

    asked.answer = erased
    assert proven(world, vault.admit(path), path)
    vault.follow()
    with pytest.raises(RefusedError, match="erased"):
        vault.admit(path)


def _revocation(world: World) -> bytes:
    entry = RevokeEntry(**world.facts(), role="car", name="car-7", reason="")  # type: ignore[arg-type]
    return encode(entry, world.operator)


def test_a_revocation_by_another_vault_holds_with_the_next_look(asked: Asked) -> None:
    """At once for who looks each time; for the others, once their last look is old enough."""
    world, at_once, later = asked.world, asked.vault(), asked.vault(60.0)
    take(asked, later)
    world.append(_revocation(world))
    take(asked, later)  # whose append tells of it
    for vault in (at_once, later):
        with pytest.raises(RefusedError, match="revoked"):
            vault.admit(world.seal())


def test_what_another_process_of_this_home_has_read_holds_at_once(asked: Asked) -> None:
    """One listens and takes entries in, the other admits: a revocation is not forgotten between."""
    world, listens, admits = asked.world, asked.vault(60.0), asked.vault(60.0)
    take(asked, admits)
    listens.submit(_revocation(world))
    with pytest.raises(RefusedError, match="revoked"):
        admits.admit(world.seal())


def test_a_note_that_another_process_of_this_home_has_overtaken_is_no_rollback(
    asked: Asked,
) -> None:
    """It was honest, and is old: every capsule has its receipt."""
    world, listens, admits = asked.world, asked.vault(), asked.vault(60.0)
    take(asked, admits)

    def overtaken(put: Appended) -> Appended:
        world.publish_policy("permit (principal, action, resource);")
        listens.follow()
        return put

    asked.answer = overtaken
    take(asked, admits)
    asked.answer = lambda put: put
    take(asked, admits)


def test_one_that_starts_again_reads_what_it_needs(asked: Asked) -> None:
    """Nothing worked out outlives it, and nothing has to."""
    first = take(asked, asked.vault(60.0))
    second = take(asked, asked.vault(60.0))
    assert second == [each + 2 for each in first]


def test_a_log_that_goes_away_after_the_append_keeps_no_receipt_back(asked: Asked) -> None:
    """What was worked out, under the note that came with the answer, is enough for them."""
    vault = asked.vault(60.0)
    take(asked, vault)
    read = asked._fetch

    def away(path: str) -> bytes:
        raise Error(f"asked for {path}")

    asked._fetch = away  # type: ignore[assignment]
    answers = vault.admit_all([path := asked.world.seal()])
    asked._fetch = read
    assert proven(asked.world, answers[0], path)
