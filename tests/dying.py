# SPDX-License-Identifier: Apache-2.0
"""Parties that die by an exception at one of their durable steps, and disks that are put back."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from incamera.ledger.database import Database
from incamera.tlog import cosigners as witnesses_of_log

__all__ = ["COUNTDOWN", "Death", "copy_disk", "counted", "put_back"]


class Death(BaseException):
    """The party dies here; nothing of it that is not on disk survives."""


class Countdown:
    """Each durable step counts; at zero the party dies, before or after the step."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.after = False

    def step(self, act: Callable[[], Any]) -> Any:
        """Do ``act``, or die."""
        if self.left is None:
            return act()
        self.left -= 1
        if self.left >= 0:
            return act()
        self.left = None
        if self.after:
            act()
        raise Death


COUNTDOWN = Countdown()


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Make renames and the statements of SQLite count, and keep all in one thread."""
    replace, run = Path.replace, Database.run

    class Inline:
        """A pool whose threads are this one."""

        def __init__(self, *_: object) -> None:
            """No threads."""

        def submit(self, act: Callable[..., Any], *args: Any) -> Any:
            """At once."""
            done: Future[Any] = Future()
            try:
                done.set_result(act(*args))
            except Exception as error:  # noqa: BLE001 # as a pool does
                done.set_exception(error)
            return done

    def counted_run(self: Database, sql: str, *values: Any) -> int:
        done: int = COUNTDOWN.step(lambda: run(self, sql, *values))
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(Path, "replace", lambda a, b: COUNTDOWN.step(lambda: replace(a, b)))
        patch.setattr(Database, "run", counted_run)
        patch.setattr(witnesses_of_log, "ThreadPoolExecutor", Inline)
        yield


def copy_disk(disk: list[Path], kept: Path) -> Path:
    """A backup of files and folders, some of which may be missing."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for number, path in enumerate(disk):
        if path.is_dir():
            shutil.copytree(path, kept / str(number))
        elif path.exists():
            shutil.copy(path, kept / str(number))
    return kept


def put_back(disk: list[Path], kept: Path) -> None:
    """The disk as it was."""
    for number, path in enumerate(disk):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if (kept / str(number)).is_dir():
            shutil.copytree(kept / str(number), path)
        elif (kept / str(number)).exists():
            shutil.copy(kept / str(number), path)
