# SPDX-License-Identifier: Apache-2.0
"""Long streams: whatever fails behind the caller's back, its error arrives and no file does."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.sealing import opening, stream, wrap
from incamera.sealing.capsule import MAGIC, payload_offset, read_capsule
from incamera.sealing.seal import ciphertext_length, seal
from incamera.sealing.stream import Behind, BlockWriter
from sealed import FACTS, Fleet

MIB = 1 << 20


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """One set of keys for all tests."""
    return Fleet()


@pytest.fixture(params=["past the cache", "through the cache"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to the disk, whatever the length."""
    monkeypatch.setattr(stream, "_LARGE", 0 if request.param == "past the cache" else 1 << 60)
    return str(request.param)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow over 6 MiB: to a program, a disk that gets full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * MIB, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("behind")]


def sealing(fleet: Fleet, payload: io.BytesIO, dest: Path) -> None:
    seal(payload, dest, facts=FACTS, recipients=fleet.recipients(), car=fleet.car)


@pytest.mark.parametrize("offset", [0, 1, 4095, 4096, 9001, 5 * MIB + 3])
@pytest.mark.parametrize("length", [0, 1, 4096, 4 * MIB, 17 * MIB + 5])
def test_what_is_written_behind_is_what_was_given(
    tmp_path: Path, way: str, offset: int, length: int
) -> None:
    """At every edge of a block and of a page, past the page cache and through it; hashed too."""
    data, watched = os.urandom(length), hashlib.sha256()
    with (tmp_path / "f").open("w+b") as file:
        file.write(b"x")
        with BlockWriter(file, offset, length, watched.update) as blocks:
            for start in range(0, length, 262_400):
                blocks.write(data[start : start + 262_400])
        file.seek(0)
        file.write(b"head"[:offset])
    assert (tmp_path / "f").read_bytes() == b"head"[:offset] + bytes(max(0, offset - 4)) + data
    assert watched.digest() == hashlib.sha256(data).digest()


def test_a_stream_shorter_than_announced_ends_where_it_ends(tmp_path: Path, way: str) -> None:
    """Room that was claimed and not needed is given back."""
    with (tmp_path / "f").open("w+b") as file, BlockWriter(file, 10, 9 * MIB) as blocks:
        blocks.write(b"short")
    assert (tmp_path / "f").read_bytes() == bytes(10) + b"short"


def test_a_disk_that_refuses_the_short_way_is_written_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks at odd places are what the kernel refuses past the cache: nothing is lost."""
    monkeypatch.setattr(stream, "_LARGE", 0)
    monkeypatch.setattr(stream, "_PAGE", 1)
    data = os.urandom(9 * MIB)
    with (tmp_path / "f").open("w+b") as file, BlockWriter(file, 7, len(data)) as blocks:
        for start in range(0, len(data), stream.ROOM):
            blocks.write(data[start : start + stream.ROOM])
    assert (tmp_path / "f").read_bytes() == bytes(7) + data


def test_an_error_of_the_thread_reaches_the_caller(tmp_path: Path) -> None:
    """A file that cannot be written: the writer says so at the latest on leaving."""
    (tmp_path / "f").touch()

    def write() -> None:
        with (tmp_path / "f").open("rb") as file, BlockWriter(file, 0, 40 * MIB) as blocks:
            for _ in range(80):
                blocks.write(bytes(stream.ROOM))

    with pytest.raises(OSError, match="Bad file descriptor"):
        write()
    assert threads() == []


def test_things_are_done_in_order_and_only_so_far_behind() -> None:
    """What bounds the memory: the caller waits when two things are undone."""
    done: list[int] = []

    def slowly(number: int) -> None:
        time.sleep(0.001)
        done.append(number)

    with Behind(2) as behind:
        for number in range(20):
            behind.do(slowly, number)
            assert number - len(done) < 2 + 1
        behind.finish()
        assert done == list(range(20))


def test_a_capsule_is_the_same_whichever_way_it_was_written(
    fleet: Fleet, tmp_path: Path, way: str
) -> None:
    """Magic, length, envelope, wraps, stream: each where the format has it, nothing between."""
    clip = os.urandom(5 * MIB + 77)
    capsule = fleet.capsule(tmp_path / "c.capsule", clip)
    data = (tmp_path / "c.capsule").read_bytes()
    at = payload_offset(len(capsule.envelope), 3)
    length = len(capsule.envelope).to_bytes(4, "big")
    head = b"".join((MAGIC, length, capsule.envelope, *capsule.wrapped, capsule.owner_wrap))
    assert data[:at] == head
    assert len(data) - at == ciphertext_length(len(clip)) == capsule.header.payload.length
    assert digest(data[at:]) == capsule.header.payload.digest
    key = wrap.unwrap(capsule.owner_wrap, fleet.owner, capsule.header.owner_info())
    decryptor = Cobblestone256Decryptor(key, capsule.header.context())
    assert decryptor.update(data[at:]) + decryptor.finalize() == clip
    opening.open_as_owner(tmp_path / "c.capsule", fleet.owner, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == clip


@pytest.mark.usefixtures("small_files")
def test_a_disk_that_gets_full_leaves_no_capsule_and_no_clip(
    fleet: Fleet, tmp_path: Path, way: str
) -> None:
    """Found before the first byte past the cache, and in the writing thread through it."""
    with pytest.raises(UnavailableError, match="cannot write"):
        sealing(fleet, io.BytesIO(bytes(20 * MIB)), tmp_path / "c.capsule")
    assert list(tmp_path.iterdir()) == []
    assert threads() == []
    sealing(fleet, io.BytesIO(bytes(5 * MIB)), tmp_path / "c.capsule")
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, resource.RLIM_INFINITY))
    with pytest.raises(UnavailableError, match="cannot write"):
        opening.open_as_owner(tmp_path / "c.capsule", fleet.owner, tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["c.capsule"]
    assert threads() == []


class Odd(io.BytesIO):
    """A clip of 20 MiB in which something happens at the third piece."""

    pieces = 0

    def read(self, size: int | None = -1) -> bytes:
        """As of a file, twice."""
        self.pieces += 1
        return super().read(size) if self.pieces < 3 else self.happens()

    def happens(self) -> bytes:
        """To be said by each."""
        raise NotImplementedError


class Interrupted(Odd):
    """Somebody presses Ctrl-C."""

    def happens(self) -> bytes:
        """What Python makes of it."""
        raise KeyboardInterrupt("Ctrl-C")


class Unreadable(Odd):
    """The disk it is on fails."""

    def happens(self) -> bytes:
        """What the kernel says."""
        raise OSError(5, "Input/output error")


class Shrunk(Odd):
    """Another process cut it."""

    def happens(self) -> bytes:
        """The end."""
        return b""


class Endless(Odd):
    """Another process keeps writing it."""

    def happens(self) -> bytes:
        """More, but not for ever: a test must end."""
        assert self.pieces < 200
        return bytes(MIB // 4)


@pytest.mark.parametrize(
    ("clip", "error", "said"),
    [
        (Interrupted, KeyboardInterrupt, "Ctrl-C"),
        (Unreadable, UnavailableError, "clip cannot be read: Input/output error"),
        (Shrunk, InputError, "changed"),
        (Endless, InputError, "changed"),
    ],
)
def test_whatever_happens_to_the_clip_leaves_no_capsule(
    fleet: Fleet,
    tmp_path: Path,
    way: str,
    clip: type[Odd],
    error: type[BaseException],
    said: str,
) -> None:
    """Interrupted, unreadable, shorter or longer than it was: one error, no file, no thread."""
    with pytest.raises(error, match=said):
        sealing(fleet, clip(bytes(20 * MIB)), tmp_path / "c.capsule")
    assert list(tmp_path.iterdir()) == []
    assert threads() == []


def test_an_altered_long_capsule_opens_to_nothing(fleet: Fleet, tmp_path: Path, way: str) -> None:
    """A flip in the middle of many pieces, or at the end, is noticed after writing has begun."""
    path = tmp_path / "c.capsule"
    capsule = fleet.capsule(path, bytes(20 * MIB))
    for at in (capsule.payload_offset + 10 * MIB, capsule.size - 1):
        with path.open("r+b") as file:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes((byte ^ 1,)))
        with pytest.raises(IntegrityError):
            capsule.verify_stored()
        with pytest.raises(IntegrityError):
            opening.open_as_owner(path, fleet.owner, tmp_path / "out")
        assert [each.name for each in tmp_path.iterdir()] == ["c.capsule"]
    assert threads() == []


def test_who_stops_reading_a_capsule_stops_its_thread(fleet: Fleet, tmp_path: Path) -> None:
    """A generator that is dropped half way leaves nothing running."""
    chunks = fleet.capsule(tmp_path / "c.capsule", bytes(20 * MIB)).chunks()
    next(chunks)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # is a generator
    assert threads() == []


_PEAK = r"""
import re, sys
from pathlib import Path
from incamera.sealing import opening
from incamera.sealing.capsule import read_capsule
from sealed import FACTS, Fleet
from incamera.sealing.seal import seal
folder, fleet = Path(sys.argv[1]), Fleet()
with (folder / "clip").open("w+b") as file:
    file.truncate(200 << 20)
    seal(file, folder / "c", facts=FACTS, recipients=fleet.recipients(), car=fleet.car)
read_capsule(folder / "c").verify_stored()
opening.open_as_owner(folder / "c", fleet.owner, folder / "out")
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_the_whole_process_stays_under_100_mb(tmp_path: Path) -> None:
    """200 MiB sealed, verified and opened: buffers, threads, interpreter and libraries together."""
    path = os.pathsep.join((str(Path(__file__).parents[2]), *sys.path))
    answer = subprocess.run(
        [sys.executable, "-c", _PEAK, tmp_path],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(answer.stdout) < 100 << 10
    assert (tmp_path / "out").stat().st_size == 200 << 20
    assert read_capsule(tmp_path / "c").header.payload.length == ciphertext_length(200 << 20)
