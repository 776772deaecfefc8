# SPDX-License-Identifier: Apache-2.0
"""The log's one writer: batches are shared, answers that were lost are given again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.errors import UnavailableError
from incamera.service.journal import Journal
from incamera.service.sequencer import Sequencer
from incamera.tlog.log import Appended
from world_tlog import START, LogWorld, check_log, log_world


@pytest.fixture
def world(tmp_path: Path) -> LogWorld:
    """An empty log with three witnesses (quorum 2)."""
    return log_world(tmp_path)


def writer(world: LogWorld, refresh: int = 600) -> Sequencer:
    """The writer of a log, not started."""
    return Sequencer(world.log, Journal("log", FixedClock(START)), refresh=refresh)


@pytest.fixture
def sequencer(world: LogWorld) -> Iterator[Sequencer]:
    """A writer at work."""
    made = writer(world)
    made.start()
    yield made
    made.stop()


def done(future: Future[Appended]) -> Appended:
    """Its answer, soon."""
    return future.result(20)


def test_who_waits_together_shares_a_batch(world: LogWorld) -> None:
    """Calls that came before the writer began are one batch; each knows its own place in it."""
    sequencer = writer(world)
    futures = [sequencer.add([b"a%d" % n, b"b%d" % n]) for n in range(20)]
    sequencer.start()
    firsts = [done(each).first_index for each in futures]
    assert firsts == list(range(0, 40, 2))
    assert {done(each).size for each in futures} == {40}
    sequencer.stop()
    known = check_log(world)
    assert [known[at] for at in firsts] == [b"a%d" % n for n in range(20)]


def test_the_same_call_again_has_the_same_answer(world: LogWorld, sequencer: Sequencer) -> None:
    """Whole or in parts, at once or later: what stands in the log already is not taken in."""
    first = done(sequencer.add([b"one", b"two", b"three"]))
    assert done(sequencer.add([b"one", b"two", b"three"])).first_index == first.first_index
    assert done(sequencer.add([b"two"])).first_index == 1
    assert done(sequencer.add([b"two", b"three"])).first_index == 1
    together = [sequencer.add([b"four"]) for _ in range(5)]
    assert {done(each).first_index for each in together} == {3}
    assert done(sequencer.add([b"two", b"one"])).indices == (1, 0)
    check_log(world, [b"one", b"two", b"three", b"four"])


def test_an_entry_stands_once_however_it_is_brought(world: LogWorld, sequencer: Sequencer) -> None:
    """A caller that died asks for what it had begun among other things; or twice in one call."""
    done(sequencer.add([b"one", b"two", b"three"]))
    mixed = done(sequencer.add([b"zero", b"two", b"four", b"zero"]))
    assert (mixed.first_index, mixed.indices, mixed.size) == (3, (3, 1, 4, 3), 5)
    again = writer(world)
    both = [again.add([b"four", b"five"]), again.add([b"five", b"six"])]
    sequencer.stop()
    again.start()
    assert [done(each).first_index for each in both] == [4, 5]
    again.stop()
    check_log(world, [b"one", b"two", b"three", b"zero", b"four", b"five", b"six"])


def test_after_a_restart_nothing_is_forgotten(world: LogWorld) -> None:
    """An answer that was lost as the process died is given by the next one, from the tiles."""
    known = [b"%d" % number for number in range(700)]
    for start, end in ((0, 1), (1, 300), (300, 699), (699, 700)):
        world.log.append(known[start:end])
    sequencer = writer(world)
    sequencer.start()
    assert done(sequencer.add([b"699"])).first_index == 699
    assert done(sequencer.add(known[200:600])).first_index == 200
    assert done(sequencer.add([b"0"])).first_index == 0
    assert done(sequencer.add([b"new"])).first_index == 700
    sequencer.stop()
    check_log(world, [*known, b"new"])


def test_without_a_quorum_all_wait_and_nothing_is_lost(
    world: LogWorld, sequencer: Sequencer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each caller is told; each that asks again finds its entry, once, where it was decided."""
    done(sequencer.add([b"before"]))
    for witness in world.witnesses[:2]:
        witness.down = True
    futures = [sequencer.add([b"%d" % n]) for n in range(3)]
    for each in futures:
        with pytest.raises(UnavailableError, match="quorum"):
            done(each)
    with pytest.raises(UnavailableError):
        done(sequencer.add([b"another"]))
    for witness in world.witnesses:
        witness.down = False
    indices = {done(sequencer.add([b"%d" % n])).first_index for n in range(3)}
    assert indices == {1, 2, 3}
    done(sequencer.add([b"another"]))
    known = check_log(world)
    assert sorted(known) == [b"0", b"1", b"2", b"another", b"before"]
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (
        {"append failed"}
        <= {each["event"] for each in said}
        <= {
            "append failed",
            "refresh failed",
        }
    )


def test_what_was_begun_is_published_when_the_witnesses_come_back(
    world: LogWorld, sequencer: Sequencer
) -> None:
    """Even if nobody asks again."""
    done(sequencer.add([b"before"]))
    for witness in world.witnesses:
        witness.down = True
    with pytest.raises(UnavailableError):
        done(sequencer.add([b"left alone"]))
    for witness in world.witnesses:
        witness.down = False
    until = time.monotonic() + 20
    while world.log.size < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert check_log(world) == [b"before", b"left alone"]


def test_a_quiet_log_is_kept_fresh(world: LogWorld) -> None:
    """Its witness time is renewed once it is older than told, and not before."""
    world.log.append([b"one"])
    sequencer = writer(world, refresh=1)
    sequencer.start()
    time.sleep(1.3)
    world.clock.advance(500)
    until = time.monotonic() + 20
    while world.reader().checkpoint().time(world.policy) == START and time.monotonic() < until:
        time.sleep(0.05)
    assert world.reader().checkpoint().time(world.policy) == START + 500
    sequencer.stop()


def test_a_stopped_writer_takes_nothing(world: LogWorld) -> None:
    """What waits is told to ask again; what comes later, too."""
    sequencer = writer(world)
    sequencer.start()
    sequencer.stop()
    with pytest.raises(UnavailableError, match="stopping"):
        sequencer.add([b"late"])
    assert world.log.size == 0
