# SPDX-License-Identifier: Apache-2.0
"""Several files made at once: all of them, or none that was not there before; never overwritten."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from incamera import durable
from incamera.errors import IntegrityError, UnavailableError


def files(folder: Path, count: int) -> list[tuple[Path, bytes]]:
    """So many, in folders that do not exist yet."""
    return [(folder / f"{n % 3}" / f"{n}", b"%d" % n) for n in range(count)]


def left(folder: Path) -> list[str]:
    """The names of all files below ``folder``."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_all_are_made_and_the_same_again_is_fine(tmp_path: Path) -> None:
    """Whole, with their bytes; twice; with some of them there already."""
    wanted = files(tmp_path, 20)
    durable.create(wanted[3][0], b"3")
    for _ in range(2):
        durable.create_all(wanted)
        assert all(path.read_bytes() == data for path, data in wanted)
    assert left(tmp_path) == sorted(path.name for path, _ in wanted)
    durable.create_all([])


def test_other_bytes_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    """A file that is there is never replaced."""
    wanted = files(tmp_path, 9)
    durable.create(wanted[8][0], b"other")
    with pytest.raises(IntegrityError, match="must never change"):
        durable.create_all(wanted)
    assert left(tmp_path) == ["8"]


def test_everything_is_synced_before_the_first_name_and_each_folder_after_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of system calls that a power cut must find."""
    happened: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        happened.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def named(path: Path, target: Any) -> Path:
        happened.append("name")
        return replace(path, target)

    for folder in range(3):
        (tmp_path / f"{folder}").mkdir()
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    durable.create_all(files(tmp_path, 7))
    assert happened == ["file"] * 7 + ["name"] * 7 + ["folder"] * 3


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of many cannot be synced: none gets its name, no temporary stays."""
    fsync, count = os.fsync, iter(range(100))

    def full(descriptor: int) -> None:
        if not Path(f"/proc/self/fd/{descriptor}").is_dir() and next(count) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space"):
        durable.create_all(files(tmp_path, 12))
    assert left(tmp_path) == []
