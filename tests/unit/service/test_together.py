# SPDX-License-Identifier: Apache-2.0
"""Work that is shared, work that comes again, and how much of it may wait."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from incamera.clock import FixedClock
from incamera.errors import Error, InputError, UnavailableError
from incamera.service.chores import Chores
from incamera.service.guard import Gate, Pool
from incamera.service.journal import Journal
from incamera.service.together import Together

JOURNAL = Journal("test", FixedClock(0))


def test_who_waits_is_served_together() -> None:
    """The first alone; those that came meanwhile as one, no more than may be at a time."""
    served: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    def work(numbers: Sequence[int]) -> list[int | Error]:
        served.append(list(numbers))
        begun.set()
        go.wait(10)
        return [InputError("odd") if number % 2 else number * 10 for number in numbers]

    together = Together(work, JOURNAL, 4)
    together.start()
    futures = [together.ask(0)]
    begun.wait(10)
    futures += [together.ask(number) for number in range(1, 7)]
    go.set()
    assert [each.result(10) for each in futures[::2]] == [0, 20, 40, 60]
    for each in futures[1::2]:
        with pytest.raises(InputError, match="odd"):
            each.result(10)
    assert served == [[0], [1, 2, 3, 4], [5, 6]]
    together.stop()
    with pytest.raises(UnavailableError, match="stopping"):
        together.ask(8)


def test_what_was_asked_is_not_held_once_it_is_answered() -> None:
    """A body whose call failed would stay until the next call, or a look for garbage."""
    question = [b"a body"]

    def work(questions: Sequence[list[bytes]]) -> list[int | Error]:
        raise UnavailableError(f"the disk: {len(questions)}")

    before = sys.getrefcount(question)
    together = Together(work, JOURNAL, 4)
    together.start()
    gc.disable()
    try:
        with pytest.raises(UnavailableError, match="the disk: 1"):
            together.ask(question).result(10)
        for _ in range(1000):
            if sys.getrefcount(question) == before:
                break
            time.sleep(0.001)
        assert sys.getrefcount(question) == before
    finally:
        gc.enable()
        together.stop()


def test_several_batches_are_under_way_at_a_time_and_no_more() -> None:
    """Two that block, each with its own; the third waits; all are finished before a stop is."""
    served: list[list[int]] = []
    begun, go = threading.Semaphore(0), threading.Event()

    def work(numbers: Sequence[int]) -> list[int | Error]:
        served.append(list(numbers))
        begun.release()
        go.wait(10)
        return list(numbers)

    together = Together(work, JOURNAL, 2, threads=2)
    together.start()
    first = []
    for number in (0, 1):
        first.append(together.ask(number))
        assert begun.acquire(timeout=10)
    last = [together.ask(number) for number in (2, 3, 4)]
    assert not begun.acquire(timeout=0.05)
    assert together.queued == 3
    stopping = threading.Thread(target=together.stop)
    stopping.start()
    while (late := _late(together)) is not None:
        last.append(late)
        time.sleep(0.001)
    go.set()
    stopping.join(10)
    assert [each.result(0) for each in first] == [0, 1]
    assert served == [[0], [1]]
    for each in last:
        with pytest.raises(UnavailableError, match="stopping"):
            each.result(0)


def test_a_second_batch_begins_only_with_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside one that is under way; once that has ended, whatever waits is done at once."""
    monkeypatch.setattr("incamera.service.together._PATIENCE", 60.0)
    served: list[list[int]] = []
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def work(numbers: Sequence[int]) -> list[int | Error]:
        served.append(list(numbers))
        begun.release()
        go.acquire(timeout=10)
        return list(numbers)

    together = Together(work, JOURNAL, 4, threads=2, least=3)
    together.start()
    asked = [together.ask(0)]
    assert begun.acquire(timeout=10)
    asked += [together.ask(number) for number in (1, 2)]
    assert not begun.acquire(timeout=0.02)
    asked.append(together.ask(3))
    assert begun.acquire(timeout=10)
    asked += [together.ask(number) for number in (4, 5)]
    assert not begun.acquire(timeout=0.02)
    go.release()
    assert not begun.acquire(timeout=0.02)
    go.release()
    assert begun.acquire(timeout=10)
    go.release()
    assert [each.result(10) for each in asked] == [*range(6)]
    assert served == [[0], [1, 2, 3], [4, 5]]
    together.stop()


def test_nobody_waits_for_long_beside_a_slow_batch() -> None:
    """A tenth of a second, and the few that wait are a batch after all."""
    go, slow = threading.Event(), threading.Event()

    def work(numbers: Sequence[int]) -> list[int | Error]:
        if 0 in numbers:
            slow.set()
            go.wait(10)
        return list(numbers)

    together = Together(work, JOURNAL, 4, threads=2, least=3)
    together.start()
    first = together.ask(0)
    assert slow.wait(10)
    began = time.monotonic()
    assert together.ask(1).result(5) == 1
    assert time.monotonic() - began >= 0.09
    assert not first.done()
    go.set()
    assert first.result(10) == 0
    together.stop()


def test_coroutines_are_answered_too() -> None:
    """Each with its own answer or error; one that went away holds up nobody."""

    def work(numbers: Sequence[int]) -> list[int | Error]:
        return [InputError("odd") if number % 2 else number * 10 for number in numbers]

    async def several() -> list[object]:
        tasks = [asyncio.create_task(together.answer(number)) for number in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        together.start()
        return await asyncio.gather(*tasks, return_exceptions=True)

    together = Together(work, JOURNAL, 4)
    found = asyncio.run(several())
    assert [str(each) for each in found] == ["0", "odd", "", "odd", "40"]
    together.stop()


def test_a_loop_that_is_closed_keeps_nobody_from_an_answer() -> None:
    """Who waited there is gone; who waits elsewhere is answered."""
    begun, go = threading.Event(), threading.Event()

    def work(numbers: Sequence[int]) -> list[int | Error]:
        begun.set()
        go.wait(10)
        return list(numbers)

    async def hasty() -> None:
        task = asyncio.create_task(together.answer(1))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()

    together = Together(work, JOURNAL, 4)
    together.start()
    asyncio.run(hasty())
    go.set()
    assert together.ask(2).result(10) == 2
    together.stop()


def _late(together: Together[int, int]) -> Future[int] | None:
    try:
        return together.ask(5)
    except UnavailableError:
        return None


def test_a_fault_is_noted_and_everybody_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    """What the work raises is the answer of all; the next ones are served as ever."""
    raised = iter((ValueError("a secret"), UnavailableError("the disk")))

    def work(numbers: Sequence[int]) -> list[int | Error]:
        error = next(raised, None)
        if error is not None:
            raise error
        return list(numbers)

    together = Together(work, JOURNAL, 4)
    together.start()
    for said in ("fault", "disk"):
        with pytest.raises(UnavailableError, match=said):
            together.ask(1).result(10)
    cancelled = together.ask(2)
    cancelled.cancel()
    assert together.ask(3).result(10) == 3
    together.stop()
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["error"] == "ValueError"
    assert "secret" not in line


def test_a_chore_that_fails_is_done_again(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are done all the same, and what failed is one line."""
    done, enough = list[str](), threading.Event()

    def broken() -> None:
        done.append("broken")
        raise UnavailableError("not now")

    def good() -> None:
        done.append("good")
        if len(done) >= 4:
            enough.set()

    chores = Chores(JOURNAL, 0.01, broken, good)
    chores.start()
    assert enough.wait(10)
    chores.stop()
    assert done[:4] == ["broken", "good"] * 2
    first = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (first["chore"], first["said"]) == ("broken", "not now")


def test_a_full_gate_sends_away() -> None:
    """And lets in again once somebody left, however they left."""
    gate = Gate(2)
    with gate.passed(), gate.passed(), pytest.raises(UnavailableError), gate.passed():
        pass
    with pytest.raises(KeyError), gate.passed():
        raise KeyError
    with gate.passed(), gate.passed():
        pass


def test_a_pool_takes_so_much_and_no_more() -> None:
    """One works, one waits, the third is told to come back; all threads are bounded."""
    go = threading.Event()

    async def three() -> list[object]:
        pool = Pool(threads=1, waiting=1)
        tasks = [asyncio.create_task(pool.run(go.wait, 10)) for _ in range(3)]
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(three())
    assert found[:2] == [True, True]
    assert isinstance(found[2], UnavailableError)
