# SPDX-License-Identifier: Apache-2.0
"""What a trustee does when time passes: epochs begin before the last one ends, and end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from incamera import durable
from incamera.clock import FixedClock
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Name
from incamera.ledger.codec import decode
from incamera.ledger.entries import DestroyEntry
from incamera.trustee import RefusedError, Trustee
from incamera.trustee.housekeeping import Rhythm, Tended
from world import DAY, EU, World

NOTHING = Tended((), (), (), ())
END = DAY  # of the world's epoch 4, from its start
OVER = END + 30 * DAY + 1  # its retention


def later(world: World, seconds: int) -> None:
    """Let time pass, and have the witnesses say so."""
    world.clock.advance(seconds)
    world.logs.log.refresh()


def restarted(world: World, name: str = "ch", **change: Any) -> Trustee:
    """The trustee as a new process finds its folder."""
    world.trustees[name].close()
    world.trustees[name] = world.trustee(name, **change)
    return world.trustees[name]


def test_the_next_epoch_is_announced_ahead_of_the_end(world: World) -> None:
    """With a day left: it begins when the present one ends, less the overlap; then all is calm."""
    done = world.trustees["ch"].tend()
    assert done.announced == (5,)
    assert done.destroyed == done.logged == ()
    state = world.state()
    old, new = state.epochs("ch")
    assert new.not_before == old.not_after - DAY
    assert new.not_after == old.not_after + 30 * DAY
    size = state.size
    assert world.trustees["ch"].tend() == NOTHING
    assert restarted(world).tend() == NOTHING
    assert world.state().size == size


def test_nothing_is_announced_before_it_is_due(world: World) -> None:
    """A long present epoch is left alone until its end is near."""
    trustee = world.trustees["ch"]
    trustee.tend()  # epoch 5 ends in 31 days
    later(world, 23 * DAY)
    assert trustee.tend() == NOTHING
    later(world, DAY)
    assert trustee.tend().announced == (6,)


def test_a_trustee_that_slept_begins_at_once(world: World) -> None:
    """Half a year away: its keys are destroyed, and cars can seal to it again now."""
    later(world, 180 * DAY)
    done = world.trustees["ch"].tend()
    assert (done.destroyed, done.logged, done.announced) == ((4,), (4,), (5,))
    (present,) = world.state().epochs("ch", at=world.clock.now())
    assert present.epoch == 5


def test_a_rhythm_that_leaves_gaps_is_refused() -> None:
    """An epoch is announced before the last one ends, or cars would stand without a key."""
    with pytest.raises(InputError, match="gaps"):
        Rhythm(length=10 * DAY, overlap=3 * DAY, ahead=2 * DAY)
    assert Rhythm(length=2 * DAY, overlap=0, ahead=DAY).length == 2 * DAY


def test_a_key_is_destroyed_when_witnesses_say_that_retention_ended(world: World) -> None:
    """Its last second still counts; our own clock alone ends nothing; then key and share are gone.

    First the file, then the entry with the digest of the key.
    """
    capsule = world.capsule(expires=world.clock.now() + 400 * DAY)
    leaf, index = world.request([capsule], expires=world.clock.now() + 400 * DAY)
    trustee = world.trustees["ch"]
    world.decide("ch", leaf, index, capsule)
    trustee.tend()
    public = trustee.keys.epoch(4)
    assert public is not None
    later(world, OVER - 1)
    assert trustee.tend().destroyed == ()
    world.clock.advance(1)
    assert trustee.tend().destroyed == ()  # the checkpoint is of a second ago
    world.logs.log.refresh()
    done = trustee.tend()
    assert (done.destroyed, done.logged) == ((4,), (4,))
    gone = world.state().destroyed("ch", 4)
    assert gone is not None
    entry = decode(world.logs.log.entry(gone.index), "entry").entry
    assert isinstance(entry, DestroyEntry)
    assert entry.key == public.key_id
    assert [each.kind for each in world.state().findings()] == []
    with pytest.raises(RefusedError, match="destroyed") as caught:
        world.decide("ch", leaf, index, capsule)
    assert caught.value.code == "epoch-ended"


def test_a_machine_whose_clock_runs_ahead_destroys_nothing(world: World) -> None:
    """A trustee whose own clock is a year ahead finds the log stale, and keeps its keys."""
    trustee = restarted(world, clock=FixedClock(world.clock.now() + 365 * DAY))
    with pytest.raises(IntegrityError, match="stale"):
        trustee.tend()
    assert trustee.keys.epochs() == [4]


def test_witnesses_that_run_ahead_destroy_nothing(world: World) -> None:
    """Witnesses a year ahead of our clock are not believed either: it takes both."""
    trustee = restarted(world, clock=FixedClock(world.clock.now()))
    later(world, 365 * DAY)
    with pytest.raises(IntegrityError, match="future"):
        trustee.tend()
    assert trustee.keys.epochs() == [4]


def test_a_key_that_is_not_announced_yet_is_not_destroyed(world: World) -> None:
    """It is announced instead, however late, and lives its time."""
    trustee, now = world.trustees["ch"], world.clock.now()
    trustee.keys.new_epoch(Name("ch"), EU, 5, now, now + 60 * DAY, now)
    done = trustee.tend()
    assert (done.destroyed, done.announced) == ((), (5,))
    assert trustee.keys.epochs() == [4, 5]


class Dying:
    """Stands in for a call of ``durable`` or of the log that the process does not survive."""

    def __init__(self, inner: Any, *, done: bool) -> None:
        self.inner, self.done = inner, done

    def __call__(self, *args: Any, **more: Any) -> Any:
        """Do it, or not; then die."""
        if self.done:
            self.inner(*args, **more)
        raise UnavailableError("the process died here")


CRASHES = ["shred", "remove", "write", "append"]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", CRASHES)
def test_a_trustee_may_die_between_any_two_steps(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str, done: bool
) -> None:
    """Destroying, saying so, announcing: the next call finishes each, once.

    However it died, the log says of no key twice, and of none that is here, that it is destroyed.
    """
    later(world, OVER)
    if call == "append":
        trustee = restarted(world, append=Dying(world.append_one, done=done))
    else:
        trustee = restarted(world)
        monkeypatch.setattr(durable, call, Dying(getattr(durable, call), done=done))
    with pytest.raises(UnavailableError):
        trustee.tend()
    monkeypatch.undo()
    restarted(world).tend()
    assert world.trustees["ch"].tend() == NOTHING
    state = world.state()
    assert list(state.findings()) == []
    assert state.destroyed("ch", 4) is not None
    assert [each.epoch for each in state.epochs("ch")] == [4, 5]
    assert world.trustees["ch"].keys.epochs() == [5]


def test_a_key_that_a_backup_brings_back_goes_before_anything_else(world: World) -> None:
    """Without the log, too: it is destroyed by what was read before, and never opens."""
    capsule = world.capsule(expires=world.clock.now() + 400 * DAY)
    leaf, index = world.request([capsule], expires=world.clock.now() + 400 * DAY)
    trustee = world.trustees["ch"]
    saved = world.home / "saved"
    shutil.copytree(trustee.home / "epochs", saved)
    later(world, OVER)
    trustee.tend()
    shutil.copytree(saved, trustee.home / "epochs", dirs_exist_ok=True)
    assert 4 in trustee.keys.epochs()
    with pytest.raises(RefusedError) as caught:
        world.decide("ch", leaf, index, capsule)
    assert caught.value.code == "epoch-ended"

    def silent(path: str) -> bytes:
        raise UnavailableError("no answer")

    cut = restarted(world, fetch=silent)
    with pytest.raises(UnavailableError):
        cut.tend()
    assert 4 not in cut.keys.epochs()
    shutil.copytree(saved, trustee.home / "epochs", dirs_exist_ok=True)
    done = restarted(world).tend()
    assert (done.destroyed, done.logged, done.announced) == ((4,), (), ())


@pytest.mark.parametrize("lost", [["own.db"], ["state.db"], ["own.db", "state.db", "epochs"]])
def test_an_old_backup_of_a_home_opens_no_more_than_the_log_allows(
    world: World, lost: list[str]
) -> None:
    """Quotas count what the log says; a leaf keeps its recipient; an ended key stays ended."""
    saved = world.home / "saved"
    restarted(world).close()
    shutil.copytree(world.home / "ch", saved)
    world.trustees["ch"] = world.trustee("ch")
    capsules = [world.capsule(b"%d" % number) for number in range(2)]
    leaf, index = world.request(capsules)
    world.decide("ch", leaf, index, capsules[0])
    world.trustees["ch"].close()
    for name in lost:
        put_back(saved, world.home / "ch", name)
    trustee = world.trustees["ch"] = world.trustee("ch")
    day = world.clock.now() // DAY
    world.clock.advance(1)
    grant = world.decide("ch", leaf, index, capsules[0])
    assert grant.shares
    assert trustee.state.granted_on("ch", "acme", day) == 1 + ("own.db" in lost)
    later(world, OVER)
    trustee.tend()
    for name in lost:
        trustee.close()
        put_back(saved, world.home / "ch", name)
    trustee = world.trustees["ch"] = world.trustee("ch")
    late, at = world.request(capsules)
    with pytest.raises(PolicyError):
        world.decide("ch", late, at, capsules[1])
    trustee.tend()
    assert 4 not in trustee.keys.epochs()


def put_back(saved: Path, home: Path, name: str) -> None:
    """One file or folder of a home as it was saved; side files of a database go."""
    for path in home.glob(f"{name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    source = saved / name
    if source.is_dir():
        shutil.copytree(source, home / name)
    elif source.exists():
        shutil.copy(source, home / name)


def test_a_quota_spent_before_the_backup_is_spent_after_it(tmp_path: Path) -> None:
    """A trustee that forgot what it granted reads it in the log."""
    world = World(tmp_path, quota=1)
    capsules = [world.capsule(b"%d" % number) for number in range(2)]
    leaf, index = world.request(capsules)
    world.decide("ch", leaf, index, capsules[0])
    world.trustees["ch"].close()
    for path in (world.home / "ch").glob("own.db*"):
        path.unlink()
    world.trustees["ch"] = world.trustee("ch")
    with pytest.raises(RefusedError, match="a day") as caught:
        world.decide("ch", leaf, index, capsules[1])
    assert caught.value.code == "quota"


def test_a_trustee_whose_disk_was_lost_says_so_and_begins_anew(world: World) -> None:
    """The key of the present epoch is gone: cars are told the next one, valid from now."""
    trustee = world.trustees["ch"]
    shutil.rmtree(trustee.home / "epochs")
    done = restarted(world).tend()
    assert done.announced == (5,)
    assert done.logged == ()  # it may lie in a safe: only its end is said, not its loss
    assert any("not here" in each for each in done.said)
    assert world.state().epochs("ch", at=world.clock.now())[-1].epoch == 5
    assert restarted(world).tend().announced == ()


def test_a_trustee_that_was_revoked_still_destroys(world: World) -> None:
    """It announces nothing any more, and its keys end all the same."""
    world.revoke("trustee", "ch")
    later(world, OVER)
    done = world.trustees["ch"].tend()
    assert (done.destroyed, done.logged, done.announced) == ((4,), (), ())
    assert any("not enrolled" in each for each in done.said)


def forked(world: World) -> Trustee:
    """Trustee ch, frozen by two roots of one size."""
    trustee = world.trustees["ch"]
    trustee.tend()
    size = world.state().size
    trustee.accuse(world.note(size, b"1" * 32), world.note(size, b"2" * 32))
    assert trustee.frozen
    return trustee


def test_a_frozen_trustee_still_destroys(world: World) -> None:
    """By the time that witnesses show, as long as our own clock agrees; it logs nothing."""
    trustee = forked(world)
    size = world.state().size
    assert trustee.tend().destroyed == ()
    later(world, OVER)
    done = trustee.tend()
    assert (done.destroyed, done.logged, done.announced) == ((4,), (), ())
    assert world.state().size == size
    (world.public / "checkpoint").unlink()
    world.clock.advance(365 * DAY)
    assert trustee.tend().destroyed == ()  # nobody tells the time any more
    assert trustee.keys.epochs() == [5]


def test_a_frozen_trustee_does_not_thaw_in_a_backup(world: World) -> None:
    """The evidence folder is gone with the disk; its own freeze entry stands in the log."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    trustee = forked(world)
    trustee.close()
    shutil.rmtree(trustee.home / "evidence")
    world.trustees["ch"] = world.trustee("ch")
    assert not world.trustees["ch"].frozen
    with pytest.raises(Error) as caught:
        world.decide("ch", leaf, index, capsule)
    assert getattr(caught.value, "code", "") == "frozen"
