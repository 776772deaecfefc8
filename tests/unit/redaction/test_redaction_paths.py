# SPDX-License-Identifier: Apache-2.0
"""``redact_path``: files and trees into mirrors that hold redacted pixels and nothing else."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from incamera import durable
from incamera.errors import InputError, UnavailableError
from incamera.redaction import Policy, Redactor, redact_path
from incamera.redaction.journal import FOLDER
from incamera.redaction.report import read_report
from redacting import Broken, Colours, canvas, film, pictures, red_pixels

SECRET = b"48.85837"


def redactor(**more: object) -> Redactor:
    return Redactor([Colours()], **more)  # type: ignore[arg-type]


def photo(path: Path, kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    image = Image.fromarray(canvas(120, 80, patches=[(30, 20, 24, 28)]))
    image.save(path, kind, quality=95, exif=exif.tobytes())
    return path


def clip(path: Path, count: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return film(path, [canvas(patches=[(4 + 3 * i, 20, 16, 20)]) for i in range(count)])


def tesla(root: Path) -> Path:
    """A small TeslaCam folder with everything that must not leave."""
    event = root / "SavedClips" / "2026-03-01_12-00-00"
    clip(event / "2026-03-01_11-59-30-front.mp4")
    clip(event / "2026-03-01_11-59-30-back.mp4", 5)
    photo(event / "thumb.png")
    (event / "event.json").write_bytes(b'{"est_lat": "48.85837", "city": "Paris"}')
    (root / "track.gpx").write_bytes(SECRET)
    return root


def files(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir()}


def times(path: Path) -> list[object]:
    with av.open(str(path)) as container:
        return [
            (picture.pts or 0) * (picture.time_base or 0) for picture in container.decode(video=0)
        ]


def test_a_picture_into_a_file_and_into_a_folder(tmp_path: Path) -> None:
    """DEST is a file, or a folder that exists; the report has one line, frame 0 at 0."""
    source = photo(tmp_path / "in" / "a.jpg")
    report = tmp_path / "logs" / "report.jsonl"
    outcome = redact_path(source, tmp_path / "out" / "b.png", report=report, redactor=redactor())
    assert (outcome.files, outcome.frames, outcome.boxes, outcome.faults) == (1, 1, 1, [])
    result = Image.open(tmp_path / "out" / "b.png")
    assert (result.format, result.size) == ("PNG", (120, 80))
    assert red_pixels(np.asarray(result)) == 0
    (line,) = read_report(report)
    assert (line.source, line.frame, line.time, line.width, line.height) == ("a.jpg", 0, 0, 120, 80)
    redact_path(source, tmp_path / "out", redactor=redactor())
    assert SECRET not in (tmp_path / "out" / "a.jpg").read_bytes()


def test_a_video_keeps_frames_size_and_times_and_nothing_else(tmp_path: Path) -> None:
    """Sound and title are gone, the face too; every frame has its line and its time."""
    source = clip(tmp_path / "a.mp4", 30)
    outcome = redact_path(source, tmp_path / "b.mp4", report=tmp_path / "r", redactor=redactor())
    assert (outcome.files, outcome.frames) == (1, 30)
    assert times(tmp_path / "b.mp4") == times(source)
    seen = pictures(tmp_path / "b.mp4")
    assert {image.shape for image in seen} == {(64, 96, 3)}
    assert max(red_pixels(image) for image in seen) == 0
    assert SECRET in source.read_bytes()
    assert SECRET not in (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    lines = list(read_report(tmp_path / "r"))
    assert [line.frame for line in lines] == list(range(30))
    assert [line.time for line in lines] == [round(i / 25, 6) for i in range(30)]
    assert {line.source for line in lines} == {"a.mp4"}


def test_boxes_cover_exactly_what_was_destroyed(tmp_path: Path) -> None:
    """Inside of the reported box one colour; outside what was there before."""
    source = tmp_path / "a.png"
    image = np.random.default_rng(1).integers(0, 80, (81, 121, 3), np.uint8)
    image[20:48, 30:54] = (255, 0, 0)
    Image.fromarray(image).save(source)
    redact_path(source, tmp_path / "b.png", report=tmp_path / "r", redactor=redactor())
    (line,) = read_report(tmp_path / "r")
    (box,) = line.boxes
    after = np.asarray(Image.open(tmp_path / "b.png"))
    inside = np.zeros((81, 121), bool)
    inside[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = True
    assert (after[inside] == 128).all()
    assert (after[~inside] == image[~inside]).all()


def test_a_tree_is_mirrored_without_what_tells_of_places(tmp_path: Path) -> None:
    """A TeslaCam folder: clips and thumbnail redacted, event.json and GPX left out."""
    source = tesla(tmp_path / "in")
    dest = tmp_path / "out"
    outcome = redact_path(source, dest, report=tmp_path / "r.jsonl", redactor=redactor())
    event = "SavedClips/2026-03-01_12-00-00/"
    assert files(dest) == {
        event + "2026-03-01_11-59-30-front.mp4",
        event + "2026-03-01_11-59-30-back.mp4",
        event + "thumb.png",
    }
    assert (outcome.files, outcome.frames, outcome.faults) == (3, 18, [])
    assert sorted(outcome.left_out) == [event + "event.json", "track.gpx"]
    assert all(SECRET not in (dest / name).read_bytes() for name in files(dest))
    lines = list(read_report(tmp_path / "r.jsonl"))
    assert len(lines) == 18
    assert {line.source for line in lines} == files(dest)
    assert sum(len(line.boxes) for line in lines) == outcome.boxes


def test_one_faulty_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """Empty, cut off, not what its name says: each is named; the good ones are done."""
    source = tmp_path / "in"
    clip(source / "good.mp4")
    photo(source / "good.jpg")
    (source / "empty.mp4").write_bytes(b"")
    whole = clip(tmp_path / "whole.mp4").read_bytes()
    (source / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (source / "cut.jpg").write_bytes(photo(tmp_path / "whole.jpg").read_bytes()[:900])
    (source / "text.png").write_text("hello")
    Image.new("RGB", (9, 9)).save(source / "still.gif")
    outcome = redact_path(source, tmp_path / "out", report=tmp_path / "r", redactor=redactor())
    assert files(tmp_path / "out") == {"good.mp4", "good.jpg"}
    assert outcome.files == 2
    for name in ("empty.mp4", "cut.mp4", "cut.jpg", "text.png", "still.gif"):
        assert sum(name in fault for fault in outcome.faults) == 1, name
    assert {line.source for line in read_report(tmp_path / "r")} == {"good.mp4", "good.jpg"}


def test_a_single_faulty_file_is_an_error(tmp_path: Path) -> None:
    """Nothing could be done, and nothing is left behind."""
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "a.txt").write_text("hello")
    for name in ("a.mp4", "a.txt", "none.mp4"):
        with pytest.raises(InputError):
            redact_path(tmp_path / name, tmp_path / "b.mp4", redactor=redactor())
    assert files(tmp_path) == {"a.mp4", "a.txt"}
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no picture"):
        redact_path(tmp_path / "folder", tmp_path / "out", redactor=redactor())


@pytest.mark.parametrize(
    ("source", "dest", "report"),
    [
        ("in", "in", None),
        ("in", "in/out", None),
        ("in", ".", None),
        ("in", "link", None),
        ("in", "link/out", None),
        ("in", "file.txt", None),
        ("in", "out", "in/report.jsonl"),
        ("in", "out", "out/a.jpg"),
        ("in/a.jpg", "in/a.jpg", None),
        ("in/a.jpg", "in", None),
        ("in/a.jpg", "hard.jpg", None),
        ("in/a.jpg", "link", None),
        ("in/a.jpg", "out.jpg", "in/a.jpg"),
        ("in/a.jpg", "out.jpg", "out.jpg"),
    ],
)
def test_the_source_is_never_written_to(
    tmp_path: Path, source: str, dest: str, report: str | None
) -> None:
    """Destinations in, above or through links into the source are refused before any work."""
    photo(tmp_path / "in" / "a.jpg")
    before = (tmp_path / "in" / "a.jpg").read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "hard.jpg").hardlink_to(tmp_path / "in" / "a.jpg")
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError):
        redact_path(
            tmp_path / source,
            tmp_path / dest,
            report=tmp_path / report if report else None,
            redactor=redactor(),
        )
    assert (tmp_path / "in" / "a.jpg").read_bytes() == before
    assert files(tmp_path / "in") == {"a.jpg"}


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    """Neither out of the source nor, planted in the destination, out of that."""
    source, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    photo(source / "sub" / "a.jpg")
    photo(elsewhere / "private.jpg")
    (source / "file.jpg").symlink_to(elsewhere / "private.jpg")
    (source / "folder").symlink_to(elsewhere)
    outcome = redact_path(source, tmp_path / "out", redactor=redactor())
    assert files(tmp_path / "out") == {"sub/a.jpg"}
    assert sorted(outcome.left_out) == ["file.jpg", "folder"]
    (tmp_path / "out2").mkdir()
    (tmp_path / "out2" / "sub").symlink_to(elsewhere)
    outcome = redact_path(source, tmp_path / "out2", redactor=redactor())
    assert len(outcome.faults) == 1
    assert files(elsewhere) == {"private.jpg"}


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Finished files are kept, the report covers them, and the journal goes at the end."""
    source, dest, report = tmp_path / "in", tmp_path / "out", tmp_path / "r"
    photo(source / "a.jpg")
    clip(source / "b.mp4")
    clip(source / "c.mp4")
    failing = Redactor([Colours()])
    real, calls = failing.redact, 0

    def stop(frames: object, edit: object = None) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise UnavailableError("the power is gone")
        return real(frames)  # type: ignore[arg-type]

    failing.redact = stop  # type: ignore[assignment,method-assign]
    with pytest.raises(UnavailableError, match="power"):
        redact_path(source, dest, report=report, redactor=failing)
    assert not report.exists()
    assert {"a.jpg", "b.mp4"} <= files(dest)
    assert "c.mp4" not in files(dest)
    kept = (dest / "b.mp4").stat().st_mtime_ns
    outcome = redact_path(source, dest, report=report, redactor=redactor())
    assert (outcome.files, outcome.kept, outcome.frames) == (3, 2, 25)
    assert (dest / "b.mp4").stat().st_mtime_ns == kept
    assert files(dest) == {"a.jpg", "b.mp4", "c.mp4"}
    assert {line.source for line in read_report(report)} == {"a.jpg", "b.mp4", "c.mp4"}


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    """After SIGKILL in the middle, the next run leaves outputs only."""
    source, dest = tmp_path / "in", tmp_path / "out"
    photo(source / "a.jpg")
    clip(source / "b.mp4", 40)
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from redacting import Colours
from incamera.redaction import Redactor, redact_path
def kill(done, total, label):
    if done == 15:
        os.kill(os.getpid(), 9)
source, dest = Path({str(source)!r}), Path({str(dest)!r})
redact_path(source, dest, redactor=Redactor([Colours()]), progress=kill)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert any(name.endswith(".tmp") for name in files(dest))
    outcome = redact_path(source, dest, redactor=redactor())
    assert (outcome.files, outcome.kept) == (2, 1)
    assert files(dest) == {"a.jpg", "b.mp4"}


@pytest.mark.parametrize("change", ["source", "output", "settings", "journal"])
def test_a_stale_output_is_not_taken_for_done(tmp_path: Path, change: str) -> None:
    """Another source, an altered output, other settings, a torn journal: made again."""
    source, dest = tmp_path / "in", tmp_path / "out"
    photo(source / "a.jpg")
    photo(source / "b.jpg")

    def once(detectors: list[object], policy: Policy | None = None) -> object:
        return redact_path(
            source,
            dest,
            redactor=Redactor(detectors, policy=policy, threads=1),  # type: ignore[arg-type]
        )

    class Half(Colours):
        def __init__(self) -> None:
            super().__init__()
            self.looks = 0

        def detect(self, image: object) -> list[object]:  # type: ignore[override]
            self.looks += 1
            if self.looks > 1:
                raise RuntimeError("power")
            return super().detect(image)  # type: ignore[arg-type,return-value]

    with pytest.raises(UnavailableError):
        once([Half()])
    assert (dest / "a.jpg").exists()
    policy = None
    if change == "source":
        Image.fromarray(canvas(50, 50)).save(source / "a.jpg")
    elif change == "output":
        (dest / "a.jpg").write_bytes(photo(tmp_path / "raw.jpg").read_bytes())
    elif change == "settings":
        policy = Policy(margin=2.0)
    else:
        for path in (dest / FOLDER).glob("*.json"):
            path.write_bytes(path.read_bytes()[:-5])
    outcome = once([Colours()], policy)
    assert outcome.kept == 0  # type: ignore[attr-defined]
    assert red_pixels(np.asarray(Image.open(dest / "a.jpg"))) == 0


def test_outputs_that_exist_are_replaced_as_a_whole(tmp_path: Path) -> None:
    """A second run gives the same files, byte for byte."""
    source, dest = tesla(tmp_path / "in"), tmp_path / "out"
    redact_path(source, dest, redactor=redactor())
    first = {name: (dest / name).read_bytes() for name in files(dest)}
    outcome = redact_path(source, dest, redactor=redactor())
    assert outcome.kept == 0
    assert {name: (dest / name).read_bytes() for name in files(dest)} == first


def test_a_failing_detector_leaves_nothing_half_done(tmp_path: Path) -> None:
    """The clip fails, its output never appears."""
    source = clip(tmp_path / "a.mp4", 30)
    with pytest.raises(UnavailableError):
        redact_path(source, tmp_path / "b.mp4", redactor=Redactor([Broken(5)]))
    assert files(tmp_path) == {"a.mp4"}


def test_a_full_disk_stops_the_run_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No space: exit 6, what was finished stays, nothing half-written does."""
    source = tmp_path / "in"
    photo(source / "a.jpg")
    clip(source / "b.mp4")
    real = durable.os.fsync  # type: ignore[attr-defined]
    fails = False

    def fsync(descriptor: int) -> None:
        if fails:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(durable.os, "fsync", fsync)  # type: ignore[attr-defined]
    done: list[str] = []

    def progress(done_frames: int, total_frames: int, label: str) -> None:
        nonlocal fails
        assert done_frames <= total_frames == 13
        done.append(label)
        fails = label == "b.mp4"

    with pytest.raises(UnavailableError, match="No space"):
        redact_path(source, tmp_path / "out", redactor=redactor(), progress=progress)
    assert {name for name in files(tmp_path / "out") if not name.startswith(FOLDER)} == {"a.jpg"}
    assert done[0] == "a.jpg"


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    """Frames done never pass the total, and reach it, faults included."""
    source = tesla(tmp_path / "in")
    photo(source / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0rubbish")
    steps: list[tuple[int, int]] = []
    redact_path(
        source,
        tmp_path / "out",
        redactor=redactor(),
        progress=lambda done, total, _: steps.append((done, total)),
    )
    assert {total for _, total in steps} == {19}
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == 19


def test_an_unreadable_folder_is_a_fault(tmp_path: Path) -> None:
    """What cannot be looked at is named."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    photo(tmp_path / "in" / "a.jpg")
    photo(tmp_path / "in" / "locked" / "b.jpg").parent.chmod(0)
    outcome = redact_path(tmp_path / "in", tmp_path / "out", redactor=redactor())
    assert len(outcome.faults) == 1


def test_the_container_follows_the_name_of_a_single_destination(tmp_path: Path) -> None:
    """clip.mkv into clip.mp4 is an MP4."""
    source = clip(tmp_path / "a.mkv")
    redact_path(source, tmp_path / "b.mp4", redactor=redactor())
    assert (tmp_path / "b.mp4").read_bytes()[4:8] == b"ftyp"
    assert times(tmp_path / "b.mp4") == times(source)


def test_the_fill_may_be_a_mosaic(tmp_path: Path) -> None:
    """The other fill, through the whole way."""
    source = clip(tmp_path / "a.mp4")
    outcome = redact_path(source, tmp_path / "b.mp4", redactor=redactor(fill="mosaic"))
    assert outcome.boxes >= 12


def test_outcome_is_plain_data(tmp_path: Path) -> None:
    """The command line prints it as JSON."""
    outcome = redact_path(photo(tmp_path / "a.jpg"), tmp_path / "b.jpg", redactor=redactor())
    assert set(dataclasses.asdict(outcome)) == {
        "files", "frames", "boxes", "kept", "left_out", "faults",
    }  # fmt: skip
