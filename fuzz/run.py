# SPDX-License-Identifier: Apache-2.0
"""Batches of inputs against a target, within bounds of time and memory.

A batch is made from its number alone, so that a run can be taken up where it was left and spread
over processes. What a parser says of an input steers the next ones: an input that is refused in
a new way, or taken, joins the pool that later inputs of the batch are mutated from.
"""

from __future__ import annotations

import re
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz.mutate import mutate
from fuzz.target import Target
from incamera.errors import Error

__all__ = ["BATCH", "CORPUS", "Bug", "Outcome", "batch", "bounded", "examine", "reduce"]

BATCH = 5_000
"""Inputs in a batch."""

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that once broke a parser: ``<target>-<what>``."""

SECONDS = 1.0
"""CPU time that one input may take; honest ones take microseconds."""

MEGABYTES = 256
"""Memory that a process may take beyond what it begins with."""

_POOL = 400
_QUOTED = re.compile(r"'[^']*'?|\"[^\"]*\"?|(?:unknown|missing) .*|[0-9a-fx]*[0-9][0-9a-f]*")


class TooSlowError(Exception):
    """An input took longer than :data:`SECONDS`."""


@dataclass(frozen=True, slots=True)
class Bug:
    """An input that made something other than our errors, and what."""

    target: str
    data: bytes = field(repr=False)
    what: str


@dataclass
class Outcome:
    """What came of a batch."""

    taken: int = 0
    refused: int = 0
    slowest: float = 0.0  # CPU seconds of one input
    cpu: float = 0.0
    bugs: list[Bug] = field(default_factory=list)
    ways: set[str] = field(default_factory=set)  # in which inputs were refused


def _stop(*_: object) -> None:
    raise TooSlowError(f"took more than {SECONDS} s")


@contextmanager
def bounded(*, memory: bool = True) -> Iterator[None]:
    """In this process: no more than :data:`MEGABYTES` more, and an alarm for each input.

    ``memory``: only for a process whose libraries all bear to be refused some.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + (MEGABYTES << 20)
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    before = signal.signal(signal.SIGVTALRM, _stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def examine(target: Target, data: bytes) -> tuple[str, Bug | None]:
    """How ``target`` answers ``data`` ("" if it takes it), and the bug if that is one."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        target.check(data)
    except Error as error:
        if not error.message or "\n" in error.message[:2000] or len(error.message) > 2000:
            return "message", Bug(target.name, data, f"no clear line: {error.message!r:.200}")
        return f"{type(error).__name__} {_QUOTED.sub('#', error.message)[:80]}", None
    except Exception as error:  # noqa: BLE001 -- whatever comes out is what we look for
        at = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {Path(at.filename).name}:{at.name}: {error}"
        return what[:60], Bug(target.name, data, what[:300])
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return "", None


def batch(target: Target, number: int, count: int = BATCH) -> Outcome:
    """Inputs of batch ``number``, always the same ones; at most one bug of each kind is kept."""
    rng = Random(f"{target.name} {number}")  # noqa: S311 -- to be made again
    seeds, seen, outcome = target.seeds(), {""}, Outcome()
    pool = list(seeds)
    begin = time.process_time()
    for _ in range(count):
        # Half of them start afresh: what is near a valid input is where laws are broken.
        source = seeds if rng.random() < 0.5 else pool
        data = mutate(rng.choice(source), target.shape, pool, rng)
        if target.repair is not None:
            data = target.repair(data, rng)
        started = time.process_time()
        answer, bug = examine(target, data)
        outcome.slowest = max(outcome.slowest, time.process_time() - started)
        outcome.taken += not answer
        outcome.refused += bool(answer) and bug is None
        if bug is not None and answer not in seen:
            outcome.bugs.append(bug)
        fresh = answer not in seen or (not answer and rng.random() < 0.02)
        if fresh and len(pool) < _POOL and len(data) < 1 << 16:
            pool.append(data)
        seen.add(answer)
    outcome.cpu = time.process_time() - begin
    outcome.ways = seen - {""}
    return outcome


def reduce(data: bytes, still: Callable[[bytes], bool], tries: int = 3_000) -> bytes:
    """A shorter input of which ``still`` holds: what can be left out is, within some ``tries``."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data) and tries:
            tries -= 1
            shorter = data[:at] + data[at + size :]
            if still(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def smallest(target: Target, bug: Bug) -> Bug:
    """``bug`` with an input as short as :func:`reduce` can make it."""
    kind = bug.what.split(":")[0]

    def still(data: bytes) -> bool:
        found = examine(target, data)[1]
        return found is not None and found.what.split(":")[0] == kind

    return Bug(bug.target, reduce(bug.data, still), bug.what)


def regressions(name: str) -> Sequence[Path]:
    """The inputs of the corpus for the target ``name``."""
    return sorted(CORPUS.glob(f"{name}--*"))
