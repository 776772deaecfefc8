# SPDX-License-Identifier: Apache-2.0
"""Ingest killed at every step it takes on disk, and at the vault: in the end, one capsule a clip.

Each row of the table stops the process at one durable step, before or after it happened. From
then on nothing reaches the disk any more, not even a tidy ending, as when the power fails. Then
ingest runs again, with a vault opened anew.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera import durable
from incamera.errors import Error, UnavailableError
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.entries import CapsuleEntry
from incamera.recording.model import Recording
from ingesting import Car, drive

STEPS = ("append", "write", "remove", "folder", "atomic")


class KilledError(BaseException):
    """The process is gone: no handler for errors may see it."""


class Power:
    """Counts durable steps and fails the one that it is told to, and all after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.kill_at: int | None = None
        self.after = False
        self.dead = False
        for name in STEPS:
            monkeypatch.setattr(durable, name, self._wrapped(name))
        monkeypatch.setattr(shutil, "rmtree", self._guarded(shutil.rmtree))

    def _step(self, act: Callable[[], Any]) -> Any:
        """One durable step: done, or the end of the process."""
        if self.dead:
            raise KilledError
        self.count += 1
        mine = self.count == self.kill_at
        if mine and not self.after:
            self.dead = True
            raise KilledError
        result = act()
        if mine:
            self.dead = True
            raise KilledError
        return result

    def _wrapped(self, name: str) -> Callable[..., Any]:
        """A function of ``durable`` that counts."""
        real = getattr(durable, name)
        if name != "atomic":
            return lambda *given, **more: self._step(lambda: real(*given, **more))

        @contextlib.contextmanager
        def atomic(*given: Any, **more: Any) -> Iterator[Any]:
            self._step(lambda: None)
            with real(*given, **more) as file:
                yield file
                if self.dead:
                    raise KilledError
            self._step(lambda: None)

        return atomic

    def _guarded(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Any function that counts."""
        return lambda *given, **more: self._step(lambda: real(*given, **more))

    def revive(self) -> None:
        """The machine is switched on again."""
        self.kill_at, self.dead = None, False


def logged(car: Car) -> list[str]:
    """The capsules that the log names."""
    reader = car.world.logs.reader()
    size = reader.checkpoint().checkpoint.size
    entries = [decode(data, "entry").entry for data in reader.entries(0, size, size)]
    return [entry.capsule for entry in entries if isinstance(entry, CapsuleEntry)]


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Car:
    """One car, world and vault for all rows of the table."""
    return Car(tmp_path_factory.mktemp("car"))


def reinstalled(car: Car, folder: Path) -> None:
    """The car with an empty spool and journal, as if new; world and vault stay."""
    car.home = replace(car.home, spool=folder / "spool", journal=folder / "journal")


def test_killed_at_any_step_every_clip_is_admitted_once(car: Car, tmp_path: Path) -> None:
    """Killed before or after any durable step, the next run ends with one capsule, none spooled."""
    recording = drive(tmp_path / "films", cameras=("front",), seconds=2, honks=(1,))
    reinstalled(car, tmp_path / "count")
    with pytest.MonkeyPatch.context() as patch:
        power = Power(patch)
        car.ingest(recording)
    assert power.count > 20
    for at in range(1, power.count + 1):
        _killed_at(car, tmp_path / str(at), recording, at, after=at % 4 == 0)


def _killed_at(car: Car, folder: Path, recording: Recording, at: int, *, after: bool) -> None:
    """One row: killed at step ``at``, revived, run again, and looked at."""
    reinstalled(car, folder)
    before = set(logged(car))
    with pytest.MonkeyPatch.context() as patch:
        power = Power(patch)
        power.kill_at, power.after = at, after
        with pytest.raises(KilledError):
            car.ingest(recording)
        power.revive()
        car.vault.close()
        car.vault = car.open_vault()
        summary = car.ingest(recording)
    row = f"step {at}, {'after' if after else 'before'}"
    assert summary.error() is None, row
    assert summary.admitted + summary.already >= 1, row
    (capsule,) = set(logged(car)) - before
    assert car.vault.path(Digest(capsule)).exists(), row
    assert car.spooled() == [], row
    assert car.ingest(recording).already == 1, row


def test_what_a_kill_leaves_in_the_spool_is_removed(car: Car, tmp_path: Path) -> None:
    """Plaintext of a half-cut clip, torn files and capsules nobody noted do not outlive a start."""
    reinstalled(car, tmp_path)
    work = car.home.spool / "work" / "clip"
    work.mkdir(parents=True)
    (work / "front.mp4").write_bytes(b"plain")
    (car.home.spool / ".x.capsule.1234.tmp").write_bytes(b"half")
    (car.home.spool / f"{'0' * 64}.capsule").write_bytes(b"not noted")
    car.ingest()
    assert car.spooled() == []


@contextlib.contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may grow beyond ``limit`` bytes: a disk that is full, as far as one can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failure(car: Car, recording: Recording) -> Error | None:
    """How an ingest ends: by an error, or with one in its summary (it was the vault's disk)."""
    try:
        return car.ingest(recording).error()
    except Error as error:
        return error


@pytest.mark.parametrize("limit", [0, 600, 3000, 12_000, 20_000])
def test_a_full_disk_loses_nothing(car: Car, tmp_path: Path, limit: int) -> None:
    """Wherever the disk fills up: an error that says so, nothing half-written, and a re-run."""
    reinstalled(car, tmp_path / "car")
    before = set(logged(car))
    recording = drive(tmp_path / "films", cameras=("front",), seconds=4, honks=(2,))
    with small_files(limit):
        error = failure(car, recording)
    assert isinstance(error, UnavailableError)
    assert not [name for name in car.spooled() if not name.endswith(".capsule")]
    car.vault.close()
    car.vault = car.open_vault()
    assert car.ingest(recording).error() is None
    assert len(set(logged(car)) - before) == 1
    assert car.spooled() == []


def test_a_disk_that_takes_no_more_is_told_with_a_hint(
    car: Car, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only or full disk ends the run as unavailable, and says what to do."""
    reinstalled(car, tmp_path / "car")
    recording = drive(tmp_path / "films", cameras=("front",), seconds=4, honks=(2,))
    for number in (errno.EROFS, errno.ENOSPC, errno.EACCES):

        def refuse(*_: Any, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(durable.os, "write", refuse)  # type: ignore[attr-defined]
            with pytest.raises(UnavailableError) as caught:
                car.ingest(recording)
        assert caught.value.hint
    assert car.ingest(recording).admitted == 1
