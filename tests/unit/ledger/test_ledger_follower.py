# SPDX-License-Identifier: Apache-2.0
"""Following a log that is honest, and logs that are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ledger import evidence
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.tlog import FolderFetch, LogReader
from incamera.tlog.merkle import EMPTY, leaf_hash, root
from world import World, fetch_with, quick_folder


@pytest.fixture
def world() -> Iterator[World]:
    """A region of its own for each test."""
    with quick_folder() as folder:
        yield World(folder)


def follower(world: World, state: State | None = None, **change: object) -> Follower:
    """One that reads the world's log from disk; ``fetch`` instead, if given."""
    fetch = change.get("fetch", FolderFetch(world.public))
    reader = LogReader(fetch, world.logs.policy)  # type: ignore[arg-type]
    return Follower(reader, state or State(world.home / "mine.db"), world.clock)


def test_following_reads_every_entry_and_stands_under_the_checkpoint(world: World) -> None:
    """The state has the log's size, root, note and witness time, and goes on from there."""
    mine = follower(world)
    seen = mine.follow()
    assert mine.state.size == seen.checkpoint.size == world.logs.log.size
    assert mine.state.frontier.root() == seen.checkpoint.root
    assert mine.state.note == seen.note
    assert mine.state.time == world.clock.now()
    assert list(mine.state.findings()) == []
    world.clock.advance(50)
    world.append(b"rubbish")
    assert mine.follow().checkpoint.size == mine.state.size
    assert [each.kind for each in mine.state.findings()] == ["bad"]
    assert mine.state.time == world.clock.now()


def test_following_across_full_tiles(world: World) -> None:
    """More than one bundle of 256 entries is read in order, in one or in several steps."""
    mine = follower(world)
    for batch in (200, 100, 1, 300):
        world.append(*(b"entry %d" % i for i in range(batch)))
        mine.follow()
    whole = follower(world, State())
    whole.follow()
    assert whole.state.frontier.root() == mine.state.frontier.root()
    assert root([leaf_hash(each) for each in world.entries()]) == mine.state.frontier.root()
    assert len(list(mine.state.findings())) == 601


def test_witness_time_does_not_go_back(world: World) -> None:
    """An older cosignature of the same tree is fine and moves no time."""
    mine = follower(world)
    old = (world.public / "checkpoint").read_bytes()
    world.clock.advance(100)
    world.logs.log.refresh()
    mine.follow()
    now = mine.state.time
    fetch = fetch_with(FolderFetch(world.public), "checkpoint", lambda: old)
    follower(world, mine.state, fetch=fetch).follow()
    assert mine.state.time == now


def test_a_request_is_dated_by_when_it_was_read(world: World) -> None:
    """Its first witnessed time is that of the first checkpoint this state read it under."""
    mine = follower(world)
    capsule = world.capsule()
    world.clock.advance(10)
    world.request([capsule])
    mine.follow()
    (first,) = mine.state.requests()
    world.clock.advance(1_000)
    late = follower(world, State())
    world.logs.log.refresh()
    late.follow()
    (later,) = late.state.requests()
    assert later.time == first.time + 1_000
    assert later.index == first.index


def test_a_smaller_checkpoint_is_refused(world: World) -> None:
    """The log never goes back for who has read it."""
    mine = follower(world)
    old = (world.public / "checkpoint").read_bytes()
    world.append(b"more")
    mine.follow()
    size = mine.state.size
    fetch = fetch_with(FolderFetch(world.public), "checkpoint", lambda: old)
    with pytest.raises(IntegrityError, match="went back"):
        follower(world, mine.state, fetch=fetch).follow()
    assert mine.state.size == size
    assert not mine.frozen


def test_two_roots_for_one_size_freeze_for_good(world: World) -> None:
    """Both notes are kept beside the state; nothing is followed any more, by anyone there."""
    mine = follower(world)
    seen = mine.follow()
    other = world.note(seen.checkpoint.size, b"r" * 32)
    fetch = fetch_with(FolderFetch(world.public), "checkpoint", lambda: other)
    with pytest.raises(IntegrityError, match="forked"):
        follower(world, mine.state, fetch=fetch).follow()
    assert mine.frozen
    (kept,) = evidence.found(world.home / "evidence")
    ours, theirs = evidence.parse_evidence(kept.read_bytes(), "kept")
    assert {ours, theirs} == {seen.note, other}
    evidence.check_fork(ours, theirs, world.logs.policy)
    with pytest.raises(IntegrityError, match="forked"):
        mine.follow()
    assert mine.freeze(theirs, ours) == mine.freeze(ours, theirs)
    assert len(evidence.found(world.home / "evidence")) == 1


def test_a_second_root_for_an_older_size_convicts_as_well(world: World) -> None:
    """Every size stood under is remembered with its note."""
    mine = follower(world)
    size = mine.follow().checkpoint.size
    world.append(b"more")
    mine.follow()
    witnessed = world.logs.policy.check(world.note(size, b"r" * 32))
    with pytest.raises(IntegrityError, match="forked"):
        mine.reconcile(witnessed)
    assert mine.frozen


def test_a_state_in_memory_freezes_without_a_folder(world: World) -> None:
    """An auditor without files stops as well, for as long as it runs."""
    mine = follower(world, State())
    seen = mine.follow()
    with pytest.raises(IntegrityError, match="forked"):
        mine.follow(world.logs.policy.check(world.note(seen.checkpoint.size, b"r" * 32)))
    assert mine.frozen
    with pytest.raises(IntegrityError):
        mine.follow()


def test_a_note_that_the_entries_contradict_is_kept_as_a_suspect(world: World) -> None:
    """Alone it freezes nobody; with the log's own note of that size it convicts."""
    mine = follower(world)
    size = mine.follow().checkpoint.size
    suspect = world.note(size + 1, b"r" * 32)
    world.append(b"more")
    with pytest.raises(IntegrityError):
        mine.follow(world.logs.policy.check(suspect))
    assert not mine.frozen
    assert mine.state.size == size
    with pytest.raises(IntegrityError, match="forked"):
        mine.follow()
    (kept,) = evidence.found(world.home / "evidence")
    assert suspect in evidence.parse_evidence(kept.read_bytes(), "kept")


def test_another_logs_checkpoint_is_refused(world: World) -> None:
    """A policy may name two logs; a state follows one."""
    from incamera.tlog import Policy, Signer
    from incamera.tlog.checkpoint import Checkpoint
    from incamera.tlog.note import sign
    from world_tlog import ed25519_key

    other = Signer("log.example/other", ed25519_key("other"))
    both = Policy.parse(f"log {other.vkey}\n".encode() + world.logs.policy.text)
    text = Checkpoint(other.name, 0, EMPTY).text
    now = world.clock.now()
    note = sign(text, [other]) + b"".join(w.line(text, now) for w in world.logs.cosigners)
    state = State()
    follower(world, state).follow()
    reader = LogReader(lambda _path: note, both)
    with pytest.raises(IntegrityError, match="not of 'log"):
        Follower(reader, state, world.clock).follow()


def test_withheld_entries_leave_the_state_as_it_was(world: World) -> None:
    """A missing bundle is an UnavailableError, and nothing is half-read."""
    mine = follower(world)
    mine.follow()
    size = mine.state.size
    world.append(b"more")

    def missing() -> bytes:
        raise UnavailableError("missing")

    inner = FolderFetch(world.public)
    path = f"tile/entries/000.p/{size + 1}"
    with pytest.raises(UnavailableError):
        follower(world, mine.state, fetch=fetch_with(inner, path, missing)).follow()
    assert mine.state.size == size
    mine.follow()
    assert mine.state.size == size + 1


def test_evidence_is_read_strictly(world: World) -> None:
    """What is no pair of notes is an InputError; a pair that proves nothing an IntegrityError."""
    for data in (b"", b"{}", b'{"v":1}', b"[" * 9999, b"\xff", bytes(1 << 23)):
        with pytest.raises(InputError):
            evidence.parse_evidence(data, "evidence")
    one, two = world.note(1, bytes(32)), world.note(2, bytes(32))
    for other in (one, two, b"x", b""):
        with pytest.raises(IntegrityError):
            evidence.check_fork(one, other, world.logs.policy)
