# SPDX-License-Identifier: Apache-2.0
"""The clip: packed the same way every time, unpacked without trust."""

from __future__ import annotations

import io
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.encoding import canonical, parse_json
from incamera.errors import Error, InputError, IntegrityError
from incamera.ids import Name, digest
from incamera.recording.clip import measure, pack, read_contents, unpack
from incamera.recording.contents import Contents, Footage, Report
from incamera.recording.model import Event, Fix, Telemetry

FILES = {"report.jsonl": b"{}\n" * 3, "back.mp4": b"b" * 512, "front.mp4": b"front" * 301}


def contents() -> Contents:
    """The facts of a small clip."""

    def footage(camera: str) -> Footage:
        data = FILES[f"{camera}.mp4"]
        return Footage(Name(camera), 64, 48, 30, 0.01, 0.977, len(data), digest(data))

    report = FILES["report.jsonl"]
    return Contents(
        hour="2026-11-21T14",
        clock="utc",
        duration=1.0,
        tags=(Name("hard-brake"),),
        footage=(footage("back"), footage("front")),
        report=Report(3, len(report), digest(report)),
        events=(Event(0.5, "user_interaction_honk"),),
        telemetry=(Telemetry(0.1, 13.5, -2.0, brake=True, gear=1, acceleration=(0.1, -4, 9.81)),),
        fixes=(Fix(0.0, 48.137, 11.575, 270.0, None),),
        fill="solid",
        models=(digest(b"m"),),
        zones=digest(b"z"),
        campaign=None,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of that clip."""
    where = tmp_path / "files"
    where.mkdir()
    for name, data in FILES.items():
        (where / name).write_bytes(data)
    return where


@pytest.fixture
def packed(folder: Path) -> bytes:
    """That clip, packed."""
    out = io.BytesIO()
    pack(folder, contents(), out)
    return out.getvalue()


def unpacked(tmp_path: Path, data: bytes) -> Contents:
    """``data`` unpacked below ``tmp_path``."""
    (tmp_path / "clip.tar").write_bytes(data)
    return unpack(tmp_path / "clip.tar", tmp_path / "out")


def test_a_clip_comes_back_as_it_was(tmp_path: Path, packed: bytes) -> None:
    """Unpacking gives the same facts and the same files, and nothing else."""
    assert unpacked(tmp_path, packed) == contents()
    found = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert found == {**FILES, "clip.json": contents().serialise()}
    assert read_contents(io.BytesIO(packed), "clip") == contents()


def test_packing_is_deterministic_and_any_tar_program_reads_it(folder: Path, packed: bytes) -> None:
    """The same clip is the same bytes, a plain ustar archive without owner or time."""
    again = io.BytesIO()
    pack(folder, contents(), again)
    assert again.getvalue() == packed
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == ["clip.json", "report.jsonl", "back.mp4", "front.mp4"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    assert len(packed) % tarfile.RECORDSIZE == 0


def test_a_file_that_is_not_the_described_one_is_not_packed(folder: Path) -> None:
    """Packing checks what it reads against what the clip says."""
    (folder / "back.mp4").write_bytes(b"c" * 512)
    with pytest.raises(InputError, match=r"back\.mp4: is not the file"):
        pack(folder, contents(), io.BytesIO())
    (folder / "back.mp4").unlink()
    with pytest.raises(InputError, match="no such file"):
        pack(folder, contents(), io.BytesIO())


def test_measuring_gives_size_and_digest(folder: Path) -> None:
    """Size and SHA-256 are those of the bytes."""
    assert measure(folder / "back.mp4") == (512, digest(b"b" * 512))


def test_an_existing_folder_is_not_touched(tmp_path: Path, packed: bytes) -> None:
    """A destination that exists is refused and keeps what it has."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(InputError, match="exists already"):
        unpacked(tmp_path, packed)
    assert (tmp_path / "out" / "mine").read_text() == "x"


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A ustar archive of these members, whatever they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def hostile() -> dict[str, bytes]:
    """Archives that look like the clip but for one thing."""
    facts = contents().serialise()
    good = [("clip.json", facts), *FILES.items()]

    def with_first(change: Any) -> bytes:
        members = [(tarfile.TarInfo(name), data) for name, data in good]
        change(members)
        return archive(*members)

    def rename(at: int, name: str) -> Any:
        return lambda members: setattr(members[at][0], "name", name)

    def retype(at: int, kind: bytes, target: str) -> Any:
        def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
            members[at][0].type, members[at][0].linkname = kind, target

        return change

    return {
        "a path upwards": with_first(rename(2, "../back.mp4")),
        "an absolute path": with_first(rename(2, "/tmp/back.mp4")),
        "a folder": with_first(rename(2, "a/back.mp4")),
        "a link": with_first(retype(2, tarfile.SYMTYPE, "/etc/passwd")),
        "a hard link": with_first(retype(2, tarfile.LNKTYPE, "clip.json")),
        "a device": with_first(retype(2, tarfile.CHRTYPE, "")),
        "one member more": with_first(lambda m: m.append((tarfile.TarInfo("x"), b"x"))),
        "one member less": with_first(lambda m: m.pop()),
        "another order": with_first(lambda m: m.reverse()),
        "an owner": with_first(lambda m: setattr(m[1][0], "uid", 7)),
        "a time": with_first(lambda m: setattr(m[1][0], "mtime", 7)),
        "other bytes": with_first(lambda m: m.__setitem__(3, (m[3][0], b"x" * len(m[3][1])))),
        "another size": with_first(lambda m: m.__setitem__(3, (m[3][0], m[3][1] + b"x"))),
        "nothing": b"",
        "zeros": bytes(20480),
    }


@pytest.mark.parametrize("what", hostile())
def test_a_hostile_archive_writes_nothing(tmp_path: Path, what: str) -> None:
    """Paths, links, owners, sizes, order: whatever is not the one form is refused whole."""
    with pytest.raises((InputError, IntegrityError)):
        unpacked(tmp_path, hostile()[what])
    assert [p.name for p in tmp_path.iterdir()] == ["clip.tar"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_no_byte_of_a_clip_can_change(at: int, bit: int) -> None:
    """A bit flipped outside the facts, any cut and anything appended is refused with our error."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in FILES.items():
            (folder / file).write_bytes(content)
        out = io.BytesIO()
        pack(folder, contents(), out)
        data = out.getvalue()
        facts = range(512, 512 + len(contents().serialise()))  # other facts are another clip
        at %= len(data)
        changed = bytearray(data)
        changed[at] ^= 1 << bit
        for each in (bytes(changed) if at not in facts else b"", data[:at], data + b"\0"):
            with pytest.raises((InputError, IntegrityError)):
                unpacked(folder, each)


@pytest.mark.parametrize("key", list(parse_json(contents().serialise(), "clip")))
@pytest.mark.parametrize("value", [None, 7, -1, "x", [], {}, [7], [{}], True, 1e300])
def test_strange_facts_are_refused(key: str, value: object) -> None:
    """A value of another kind in any place of clip.json gives our error, or facts that keep it."""
    changed = canonical({**parse_json(contents().serialise(), "clip"), key: value})
    try:
        found = Contents.parse(changed)
    except Error as error:
        assert isinstance(error, InputError)  # noqa: PT017 - or no error at all
    else:
        assert found.serialise() == changed


numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e12)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(Telemetry, numbers, numbers, numbers, brake=st.booleans()), max_size=5),
    st.lists(
        st.builds(Fix, numbers, st.floats(-90, 90), st.floats(-180, 180), st.none() | numbers),
        max_size=5,
    ),
)
def test_facts_come_back_from_their_own_bytes(telemetry: list[Telemetry], fixes: list[Fix]) -> None:
    """Whatever facts are written, reading them gives the same ones."""
    facts = replace(contents(), telemetry=tuple(telemetry), fixes=tuple(fixes))
    assert Contents.parse(facts.serialise()) == facts
