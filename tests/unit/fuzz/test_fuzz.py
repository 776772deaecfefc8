# SPDX-License-Identifier: Apache-2.0
"""A quick run of every fuzz target, the inputs that once broke a parser, and the fuzzer itself."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from fuzz import session
from fuzz.ledger_parsers import entries
from fuzz.run import CORPUS, Bug, batch, bounded, examine, reduce, smallest
from fuzz.target import Target, law
from fuzz.targets import TARGETS
from incamera.errors import InputError
from incamera.ledger.codec import decode
from incamera.ledger.entries import ENTRY_CLASSES

ROOT = Path(__file__).parents[3]

#: Found, told to those who keep the parser, not mended yet: target ("": any), what came out.


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_taken(name: str) -> None:
    """The valid inputs are valid, or nothing behind the first check would be reached."""
    for data in TARGETS[name].seeds():
        assert examine(TARGETS[name], data) == ("", None)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_our_errors_comes_out(name: str) -> None:
    """Fifteen hundred inputs a target here; `make fuzz` tries a million."""
    with bounded(memory=False):
        outcome = batch(TARGETS[name], 0, 1_500)
    assert list(outcome.bugs) == []
    assert outcome.refused > 500


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*--*")), ids=lambda p: p.name)
def test_what_once_broke_a_parser_does_not_again(path: Path) -> None:
    """Every input in the corpus: taken or refused, by a parser that is still fuzzed."""
    bug = examine(TARGETS[path.name.partition("--")[0]], path.read_bytes())[1]
    assert bug is None


def test_every_type_of_entry_is_among_the_seeds() -> None:
    """A new type needs an example of its fields in fuzz/ledger_parsers.py."""
    shown = {type(decode(each, "seed").entry) for each in entries()}
    assert shown == set(ENTRY_CLASSES)


def _careless(data: bytes) -> None:
    """A parser as one should not be."""
    lines = data.split(b"\n")
    if lines[0] != b"magic":
        raise InputError("not magic")
    law(int(lines[1]) < 100, "too large a number was taken")


def _hanging(data: bytes) -> None:
    while data:
        pass


def _greedy(data: bytes) -> None:
    bytearray(len(data) << 28)


CARELESS = Target("careless", "lines", lambda: [b"magic\n7\nrest"], _careless)


def test_a_careless_parser_is_caught_in_each_way() -> None:
    """IndexError, ValueError, a broken law: each kind once, made small, and the same every time."""
    bugs = batch(CARELESS, 3).bugs
    kinds = {each.what.partition(" ")[0] for each in bugs}
    assert kinds == {"IndexError", "ValueError", "BrokenLawError"}
    assert [each.data for each in batch(CARELESS, 3).bugs] == [each.data for each in bugs]
    index = next(each for each in bugs if each.what.startswith("IndexError"))
    assert smallest(CARELESS, index).data == b"magic"


def caught() -> list[str]:
    """What examining finds of a parser that hangs, one that eats memory, and the latter unbound."""
    with bounded():
        slow = examine(replace(CARELESS, check=_hanging), b"x")[1]
        greedy = examine(replace(CARELESS, check=_greedy), b"xx")[1]
    free = examine(replace(CARELESS, check=_greedy), b"x")[1]
    return [each.what if each else "" for each in (slow, greedy, free)]


def test_a_parser_that_hangs_or_eats_memory_is_caught() -> None:
    """Bounds of time and memory hold for each input, and are gone afterwards.

    In a process of its own: not every library that others loaded here bears to be refused memory.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        slow, greedy, free = pool.submit(caught).result(120)
    assert slow.startswith("TooSlowError")
    assert greedy.startswith("MemoryError")
    assert free == ""


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    """Line breaks, bells and thousands of letters of a stranger's do not reach the terminal."""
    assert InputError("x\ny\x07z", hint="a\tb").message == "x?y?z"
    assert InputError("x", hint="a\tb").hint == "a?b"
    long = InputError("x" * 3000).message
    assert len(long) == 1000
    assert long.endswith("...")


def test_an_input_is_reduced_to_what_matters() -> None:
    """Everything goes that can go, within a number of tries."""
    assert reduce(b"a" * 500 + b"BUG" + b"b" * 500, lambda data: b"BUG" in data) == b"BUG"
    assert len(reduce(bytes(500), lambda data: len(data) > 3, tries=5)) > 4


def test_a_run_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    """The second run only does what the first did not; the last line is JSON; bugs are files."""
    call = [sys.executable, "-m", "fuzz", "--target", "checkpoint", "--target", "capsule-list"]
    call += ["--state", str(tmp_path), "--jobs", "2", "--inputs"]
    first = subprocess.run([*call, "5000"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(first.stdout.splitlines()[-1])["inputs"] == 10_000
    kept = json.loads((tmp_path / "done.json").read_text())
    assert kept["checkpoint"]["done"] == [0]
    again = subprocess.run([*call, "6000"], cwd=ROOT, capture_output=True, text=True, check=True)
    said = json.loads(again.stdout.splitlines()[-1])
    assert (said["inputs"], said["bugs"]) == (20_000, 0)
    assert session.taken_up(tmp_path)["checkpoint"].done == [0, 1]
    name = session.report(Bug("checkpoint", b"\n", "what"), tmp_path)
    assert (tmp_path / "found" / name.partition(":")[0]).read_bytes() == b"\n"
