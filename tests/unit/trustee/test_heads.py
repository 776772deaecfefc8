# SPDX-License-Identifier: Apache-2.0
"""What witnesses show, past the log: a trustee that has not read as far decides nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Name, digest
from incamera.ledger.evidence import check_fork, parse_evidence
from incamera.sealing.capsule import Capsule
from incamera.tlog import FolderFetch
from incamera.tlog.fetch import Fetch
from incamera.trustee import Trustee
from incamera.trustee.heads import Heads
from world import DAY, World
from world_tlog import ORIGIN

PATH = f"{digest(ORIGIN.encode())}/checkpoint"


def views(world: World, **change: Fetch) -> dict[str, Fetch]:
    """Each witness's monitoring prefix: its state folder is laid out as it is served."""
    found: dict[str, Fetch] = {
        name: FolderFetch(world.logs.home / name) for name in ("w1", "w2", "w3")
    }
    return found | change


def heads(world: World, found: dict[str, Fetch], **more: int) -> Heads:
    """Without patience: nobody publishes while a test waits."""
    return Heads(world.logs.policy, found, world.clock, patience=0, **more)


def reopened(world: World, asked: Heads, fetch: Fetch | None = None) -> Trustee:
    """Trustee ch as a new process."""
    world.trustees["ch"].close()
    world.trustees["ch"] = Trustee(
        home=world.home / "ch",
        name=Name("ch"),
        fetch=fetch or FolderFetch(world.public),
        policy=world.logs.policy,
        clock=world.clock,
        append=world.append_one,
        heads=asked,
    )
    return world.trustees["ch"]


def silent(path: str) -> bytes:
    """A witness that does not answer."""
    raise UnavailableError(f"{path}: no answer")


def request(world: World) -> tuple[bytes, int, Capsule]:
    """A capsule and a request for it."""
    capsule = world.capsule()
    return (*world.request([capsule]), capsule)


def test_a_trustee_that_has_read_what_witnesses_show_decides(world: World) -> None:
    """All is well: the same grant, with or without asking."""
    leaf, index, capsule = request(world)
    reopened(world, heads(world, views(world)))
    assert world.decide("ch", leaf, index, capsule).shares


def test_below_a_quorum_of_witnesses_nothing_is_decided(world: World) -> None:
    """One of three may be silent; with two silent a trustee cannot know, so it waits."""
    leaf, index, capsule = request(world)
    reopened(world, heads(world, views(world, w1=silent)))
    assert world.decide("ch", leaf, index, capsule).shares
    reopened(world, heads(world, views(world, w1=silent, w2=silent)))
    with pytest.raises(UnavailableError, match="1 of 3 witnesses") as caught:
        world.decide("ch", leaf, index, capsule)
    assert "no answer" in caught.value.message


def old_view(world: World) -> Callable[[], Path]:
    """The log as it is now, which somebody may show later."""
    kept = world.home / "old"
    shutil.copytree(world.public, kept)
    return lambda: kept


def test_an_old_view_of_the_log_is_not_enough(world: World) -> None:
    """A restored trustee, shown the log as it was before an erasure, refuses to open.

    The old checkpoint is fresh enough and consistent with what it remembers; only the witnesses
    know of more. With the log as it is, the erasure is read and obeyed.
    """
    leaf, index, capsule = request(world)
    restored = world.home / "restored"
    world.trustees["ch"].close()
    shutil.copytree(world.home / "ch", restored)
    old = old_view(world)()
    world.erase(capsule)
    trustee = reopened(world, heads(world, views(world)), FolderFetch(old))
    asked = world.ask_in(old, "ch", leaf, index, capsule)
    with pytest.raises(UnavailableError, match=r"has seen \d+ entries") as caught:
        trustee.decide(asked)
    assert "audit" in (caught.value.hint or "")
    without = reopened(world, heads(world, views(world)))
    with pytest.raises(Exception, match="erased"):
        without.decide(asked)


def test_without_asking_the_witnesses_the_old_view_would_do(world: World) -> None:
    """What the above is worth: a trustee that asks nobody grants what was erased."""
    leaf, index, capsule = request(world)
    old = old_view(world)()
    world.erase(capsule)
    world.trustees["ch"].close()
    gullible = world.trustee("ch", fetch=FolderFetch(old), append=lambda _entry: 0)
    with pytest.raises(IntegrityError, match="does not show it"):
        # It was ready to: only this log, which takes no entries, is in the way.
        gullible.decide(world.ask_in(old, "ch", leaf, index, capsule))
    gullible.close()


def test_a_tree_that_witnesses_have_together_is_followed_without_the_log(world: World) -> None:
    """A log may keep its newest checkpoint from us; the cosignatures are read from the witnesses.

    Its tiles are the same files, so all is read, and what it kept from us counts.
    """
    leaf, index, capsule = request(world)
    old = (world.public / "checkpoint").read_bytes()
    world.erase(capsule)

    def fetch(path: str) -> bytes:
        return old if path == "checkpoint" else FolderFetch(world.public)(path)

    trustee = reopened(world, heads(world, views(world)), fetch)
    with pytest.raises(IntegrityError, match="went back"):
        trustee.decide(world.ask("ch", leaf, index, capsule))
    assert trustee.state.erased(capsule.digest) is not None


def test_a_tree_that_one_witness_has_seen_is_waited_for(world: World) -> None:
    """The log died while it gathered cosignatures: nothing is decided until it is back."""
    leaf, index, capsule = request(world)
    for each in world.logs.witnesses[1:]:
        each.down = True
    with pytest.raises(UnavailableError):
        world.erase(capsule)
    reopened(world, heads(world, views(world)))
    with pytest.raises(UnavailableError, match="witness w1 has seen"):
        world.decide("ch", leaf, index, capsule)
    for each in world.logs.witnesses:
        each.down = False
    world.logs.log.refresh()
    with pytest.raises(Exception, match="erased"):
        world.decide("ch", leaf, index, capsule)


def test_the_log_may_publish_while_we_wait(world: World) -> None:
    """A trustee has patience for as long as an append takes."""
    leaf, index, capsule = request(world)
    for each in world.logs.witnesses[1:]:
        each.down = True
    with pytest.raises(UnavailableError):
        world.erase(capsule)
    reads = []

    def fetch(path: str) -> bytes:
        if path == "checkpoint":
            reads.append(path)
            if len(reads) == 3:
                for each in world.logs.witnesses:
                    each.down = False
                world.logs.log.refresh()
        return FolderFetch(world.public)(path)

    asked = Heads(world.logs.policy, views(world), world.clock, patience=5)
    reopened(world, asked, fetch)
    with pytest.raises(Exception, match="erased"):
        world.decide("ch", leaf, index, capsule)
    assert len(reads) >= 3


def test_another_root_of_the_same_size_is_a_fork(world: World) -> None:
    """A witness that shows another tree of our size convicts the log: kept, frozen, told."""
    leaf, index, capsule = request(world)
    size = world.state().size
    lie = world.note(size, b"x" * 32)
    trustee = reopened(world, heads(world, views(world, w3=lambda _: lie)))
    with pytest.raises(IntegrityError, match="forked"):
        world.decide("ch", leaf, index, capsule)
    assert trustee.frozen
    (kept,) = trustee.evidence
    check_fork(*parse_evidence(kept.read_bytes(), "evidence"), world.logs.policy)
    assert [each.trustee for each in world.state().freezes()] == ["ch"]


def test_two_witnesses_that_show_two_trees_are_a_fork(world: World) -> None:
    """Of a size that we have not read ourselves."""
    leaf, index, capsule = request(world)
    size = world.state().size + 7
    one, other = world.note(size, b"x" * 32), world.note(size, b"y" * 32)
    found = views(world, w2=lambda _: one, w3=lambda _: other)
    trustee = reopened(world, heads(world, found))
    with pytest.raises(IntegrityError, match="w2 and w3"):
        world.decide("ch", leaf, index, capsule)
    assert trustee.frozen


def test_a_smaller_tree_that_is_not_a_beginning_of_ours_is_refused(world: World) -> None:
    """A witness that lags shows a tree that ours extends, or nothing is decided."""
    leaf, index, capsule = request(world)
    lagging = (world.logs.home / "w3" / PATH).read_bytes()
    world.capsule(b"another")
    reopened(world, heads(world, views(world, w3=lambda _: lagging)))
    assert world.decide("ch", leaf, index, capsule).shares
    strange = world.note(world.state().size - 3, b"x" * 32)
    leaf, index = world.request([capsule])
    reopened(world, heads(world, views(world, w3=lambda _: strange)))
    with pytest.raises(IntegrityError):
        world.decide("ch", leaf, index, capsule)


@pytest.mark.parametrize("what", ["stale", "future", "unsigned", "another", "rubbish"])
def test_what_a_witness_did_not_just_say_does_not_count(world: World, what: str) -> None:
    """Replayed, foreign or unsigned notes count as no answer: two of three are not a quorum then.

    Else who stands between could hide progress with yesterday's note.
    """
    leaf, index, capsule = request(world)
    size, now = world.state().size, world.clock.now()
    root = world.state().checkpoint(size)
    assert root is not None
    answers = {
        "stale": world.note(size, root[0], time=now - 2 * 3_600),
        "future": world.note(size, root[0], time=now + DAY),
        "unsigned": world.note(size, root[0], cosigners=1),
        "another": world.note(size, root[0], cosigners=0),
        "rubbish": b"\xff\n\nrubbish",
    }
    replay = answers[what]
    reopened(world, heads(world, views(world, w2=lambda _: replay, w3=lambda _: replay)))
    with pytest.raises(UnavailableError, match="does not make the quorum"):
        world.decide("ch", leaf, index, capsule)


def test_witnesses_are_asked_at_the_start_and_then_now_and_then(world: World) -> None:
    """Every thirty seconds at most, and again if it failed."""
    leaf, index, capsule = request(world)
    calls = []

    def counted(path: str) -> bytes:
        calls.append(path)
        return FolderFetch(world.logs.home / "w1")(path)

    reopened(world, heads(world, views(world, w1=counted), every=30))
    for _ in range(3):
        world.decide("ch", leaf, index, capsule)
    assert calls == [PATH]
    world.clock.advance(30)
    world.decide("ch", leaf, index, capsule)
    assert len(calls) == 2
    world.clock.advance(-20)  # a clock that was set back
    world.decide("ch", leaf, index, capsule)
    assert len(calls) == 3


def test_only_witnesses_of_the_policy_can_be_asked(world: World) -> None:
    """A name that the policy has not is a mistake in the configuration."""
    with pytest.raises(InputError, match="w9"):
        heads(world, views(world, w9=silent))


def test_a_tree_that_is_tended_is_held_to_the_witnesses_too(world: World) -> None:
    """Housekeeping announces nothing on an old view."""
    old = old_view(world)()
    request(world)
    trustee = reopened(world, heads(world, views(world)), FolderFetch(old))
    size = world.state().size
    with pytest.raises(UnavailableError):
        trustee.tend()
    assert world.state().size == size
