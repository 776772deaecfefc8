# SPDX-License-Identifier: Apache-2.0
"""Many files in one go: each written, synced, named, in this order, and nothing left open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera import durable
from incamera.errors import Error, IntegrityError, UnavailableError

LONG = 3 << 20


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is synced and named, as it happens: files by their names to be."""
    found: list[tuple[str, str]] = []
    turn, sync, name = threading.Lock(), os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        with turn:
            found.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))

    def replace(self: Path, target: Path) -> Path:
        found.append(("name", f"{self} {target}"))
        return name(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return found


def descriptors() -> int:
    """How many are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def broken(error: Exception, after: int = 0) -> Iterator[bytes]:
    """A source that raises after so many bytes."""
    yield bytes(after)
    raise error


def test_many_are_written_synced_and_named_in_this_order(
    tmp_path: Path, events: list[tuple[str, str]]
) -> None:
    """More than may be open at a time, one of them long; its folder after the last name in it."""
    folders = [tmp_path / each for each in "ab"]
    for each in folders:
        each.mkdir()
    files = {folders[n % 2] / str(n): os.urandom(100) for n in range(150)}
    files[folders[0] / "long"] = os.urandom(LONG)
    before, most = descriptors(), [0]

    def pieces(data: bytes) -> Iterator[bytes]:
        most[0] = max(most[0], descriptors())
        for start in range(0, len(data), 70_000):
            yield data[start : start + 70_000]

    answers = durable.write_all([(path, pieces(data)) for path, data in files.items()], mode=0o600)
    assert answers == [None] * 151
    assert {path: path.read_bytes() for path in files} == files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert descriptors() == before
    assert most[0] <= before + 66
    named = [at.split() for what, at in events if what == "name"]
    assert {target for _, target in named} == {str(path) for path in files}
    for temporary, target in named:
        assert events.index(("sync", temporary)) < events.index(("name", f"{temporary} {target}"))
        folder = str(Path(target).parent)
        last = max(at for at, event in enumerate(events) if event == ("sync", folder))
        assert events.index(("name", f"{temporary} {target}")) < last


def test_those_that_fail_stop_no_other_and_leave_nothing(tmp_path: Path) -> None:
    """At their beginning or in their middle, or without a folder: what was there stays."""
    old = tmp_path / "2"
    old.write_bytes(b"old")
    wrong = IntegrityError("altered")
    files = [(tmp_path / str(number), iter([b"good"])) for number in range(20)]
    files[2] = (old, broken(wrong))
    files[3] = (tmp_path / "3", broken(wrong, LONG))
    files[4] = (tmp_path / "missing" / "4", iter([b"good"]))
    before = descriptors()
    answers: list[Error | None] = durable.write_all(files)
    assert answers[2:4] == [wrong, wrong]
    assert isinstance(answers[4], UnavailableError)
    assert answers[:2] + answers[5:] == [None] * 17
    assert old.read_bytes() == b"old"
    there = {each.name for each in tmp_path.iterdir()}
    assert there == {str(n) for n in range(20)} - {"3", "4"}
    assert descriptors() == before


@pytest.mark.parametrize("after", [0, LONG])
def test_a_fault_of_a_source_is_raised_and_leaves_nothing(tmp_path: Path, after: int) -> None:
    """No name, no half file, no descriptor, whoever else was being written."""
    files = [(tmp_path / str(number), iter([b"good"])) for number in range(20)]
    files[3] = (tmp_path / "3", broken(ValueError("a fault"), after))
    before = descriptors()
    with pytest.raises(ValueError, match="a fault"):
        durable.write_all(files)
    assert not list(tmp_path.iterdir())
    assert descriptors() == before
