# SPDX-License-Identifier: Apache-2.0
"""The store of capsule files: whole or not there, one or many at a time, read by ranges."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera import durable
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, digest
from incamera.vault.blobs import FileBlobs


def batch(count: int, size: int = 3000) -> list[tuple[Digest, list[bytes]]]:
    """So many blobs of two pieces each."""
    data = [os.urandom(size) for _ in range(count)]
    return [(digest(each), [each[:1000], each[1000:]]) for each in data]


def altered() -> Iterator[bytes]:
    """A source that turns out to be wrong after its first piece."""
    yield b"half"
    raise IntegrityError("altered")


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty store of files."""
    return FileBlobs(tmp_path / "blobs")


def test_many_blobs_are_kept_and_read_whole_or_by_ranges(blobs: FileBlobs) -> None:
    """All of a batch, with their sizes; ranges as slices; the file while it is asked for."""
    items = batch(40)
    assert blobs.put_all(items) == [None] * 40
    assert set(blobs.names()) == {name for name, _ in items}
    for name, pieces in items:
        data = b"".join(pieces)
        assert (blobs.has(name), blobs.size(name)) == (True, len(data))
        assert b"".join(blobs.pieces(name)) == data
        assert b"".join(blobs.pieces(name, 999, 1002)) == data[999:1002]
        assert b"".join(blobs.pieces(name, 2990, 9000)) == data[2990:9000]
        assert b"".join(blobs.pieces(name, 9000)) == b""
        with blobs.local(name) as path:
            assert path.read_bytes() == data


def test_what_is_not_there_is_said_before_the_first_byte(blobs: FileBlobs) -> None:
    """An unknown name is wrong input, in every way to read it."""
    unknown = digest(b"unknown")
    for ask in (blobs.size, blobs.pieces, lambda name: blobs.local(name).__enter__()):
        with pytest.raises(InputError, match="no capsule"):
            ask(unknown)
    assert not blobs.has(unknown)
    assert blobs.put_all([]) == []


def test_a_batch_keeps_what_it_can_and_says_why_not_the_rest(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    """A source that fails costs its own blob, the old bytes stay; the others are kept."""
    items = batch(5)
    blobs.put(items[2][0], [b"as it was"])
    told = blobs.put_all([*items[:2], (items[2][0], altered()), *items[3:]])
    assert [type(each) for each in told] == [type(None)] * 2 + [IntegrityError] + [type(None)] * 2
    assert b"".join(blobs.pieces(items[2][0])) == b"as it was"
    assert len(list(blobs.names())) == 5
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_a_killed_writer_left_is_removed_a_day_later(blobs: FileBlobs, tmp_path: Path) -> None:
    """By any of those who share the store, at any time: what is written to now stays."""
    (name, pieces), now = batch(1)[0], 1_800_000_000
    folder, part = tmp_path / "blobs" / name[:2], int(name[:2], 16)

    def slow() -> Iterator[bytes]:
        yield pieces[0]
        (fresh,) = set(folder.glob(".*.tmp")) - {dead}
        os.utime(fresh, (now - 86_399,) * 2)
        assert blobs.tidy_old(now - 86_400, part) == 1
        yield pieces[1]

    durable.folder(folder)
    dead = folder / f".{name}.0011aabb.tmp"
    dead.write_bytes(b"half")
    os.utime(dead, (now - 86_401,) * 2)
    assert blobs.tidy_old(now - 86_400, (part + 1) % 256) == 0
    blobs.put(name, slow())
    os.utime(folder / name, (1, 1))
    assert [each.name for each in folder.iterdir()] == [name]
    assert blobs.tidy_old(now - 86_400, part) == 0
    assert b"".join(blobs.pieces(name)) == b"".join(pieces)


def test_a_writer_that_was_given_up_for_dead_acknowledges_nothing(blobs: FileBlobs) -> None:
    """A clock that jumps a day ahead costs an answer, and no capsule."""
    (name, pieces), now = batch(1)[0], 1 << 34

    def taken() -> Iterator[bytes]:
        yield pieces[0]
        assert blobs.tidy_old(now, int(name[:2], 16)) == 1
        yield pieces[1]

    with pytest.raises(UnavailableError):
        blobs.put(name, taken())
    (error,) = blobs.put_all([(name, taken())])
    assert isinstance(error, UnavailableError)
    assert not blobs.has(name)


def test_a_disk_that_fills_up_fails_those_that_do_not_fit(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half file gets a name; the room is given back."""
    items, count, fsync = batch(12), iter(range(10**6)), os.fsync
    blobs.put_all(items[:0])
    for name, _ in items:
        durable.folder(tmp_path / "blobs" / name[:2])

    def full(descriptor: int) -> None:
        if not Path(f"/proc/self/fd/{descriptor}").is_dir() and next(count) >= 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    told = blobs.put_all(items)
    failed = {name for (name, _), error in zip(items, told, strict=True) if error is not None}
    assert len(failed) == 4
    assert all(isinstance(each, UnavailableError) for each in told if each is not None)
    assert set(blobs.names()) == {name for name, _ in items} - failed
    assert not list(tmp_path.rglob("*.tmp"))


def test_every_byte_is_synced_before_any_name_and_every_folder_after(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of system calls that a power cut must find."""
    happened: list[str] = []
    fsync, replace = os.fsync, Path.replace
    items = batch(9)
    for name, _ in items:
        durable.folder(tmp_path / "blobs" / name[:2])

    def synced(descriptor: int) -> None:
        happened.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def named(path: Path, target: Path) -> Path:
        happened.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    assert blobs.put_all(items) == [None] * 9
    folders = len({name[:2] for name, _ in items})
    assert happened == ["file"] * 9 + ["name"] * 9 + ["folder"] * folders


def test_a_folder_that_cannot_be_synced_fails_what_lies_in_it(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether the name would outlive a power cut: so nobody may acknowledge it."""
    items, fsync = batch(6), os.fsync
    assert blobs.put_all(items) == [None] * 6
    broken = items[0][0][:2]

    def fails(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        if place.name == broken and place.is_dir():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fails)
    told = blobs.put_all(items)
    for (name, _), error in zip(items, told, strict=True):
        assert isinstance(error, UnavailableError) == (name[:2] == broken)
