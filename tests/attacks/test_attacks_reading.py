# SPDX-License-Identifier: Apache-2.0
"""Reading, finding and looking beside: attacks on output files with what the product has at hand.

``python -m bench.attacks`` has the larger ones: more engines, face models, galleries, averages.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from incamera.errors import InputError
from incamera.ids import Digest, digest
from incamera.recording.model import Box
from incamera.redaction import Redactor, redact_path
from incamera.redaction.centerface import CenterFace
from incamera.redaction.fill import FillKind
from incamera.redaction.heatmap import HeatmapDetector
from incamera.redaction.report import Line, read_report
from redacting import film, pictures
from videos import clip

SIZE = (640, 360)
TEXTS = ("DC67VMP", "AN50DKY", "NC68UYZ", "JD92HLS", "XW46ZCU", "GA34BZX")
HEIGHTS = (20, 24, 28, 32, 36, 40)
SECRET = b"48.85837 N 2.29448 E"


class Told:
    """Knows where the plates are."""

    digest: Digest = digest(b"told")

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """The plates of :func:`street`."""
        assert image.shape[1] == SIZE[0]
        return [Box(x, y, w, h, "plate", 0.9) for x, y, w, h in places()]


def places() -> list[tuple[int, int, int, int]]:
    """Where each plate lies: x, y, w, h."""
    return [
        (30 + 320 * (i % 2), 40 + 110 * (i // 2), int(4.3 * height), height)
        for i, height in enumerate(HEIGHTS)
    ]


def street() -> NDArray[np.uint8]:
    """Six plates on six cars."""
    image = np.full((SIZE[1], SIZE[0], 3), (120, 125, 130), np.uint8)
    for (x, y, w, h), text in zip(places(), TEXTS, strict=True):
        cv2.rectangle(image, (x - 24, y - 40), (x + w + 24, y + h + 24), (70, 40, 45), -1)
        plate = Image.new("RGB", (430, 100), (238, 238, 232))
        draw = ImageDraw.Draw(plate)
        draw.rectangle((0, 0, 429, 99), outline=(30, 30, 30), width=4)
        for i, character in enumerate(text):
            at = (42 + 58 * i, 50)
            draw.text(at, character, (15, 15, 20), ImageFont.load_default(78), "mm", stroke_width=1)
        image[y : y + h, x : x + w] = cv2.resize(
            np.asarray(plate), (w, h), interpolation=cv2.INTER_AREA
        )
    return image


def characters_read(image: NDArray[np.uint8], folder: Path) -> float:
    """The share of all characters that Tesseract gets right, in place, at six times the size."""
    right = 0
    for (x, y, w, h), text in zip(places(), TEXTS, strict=True):
        part = cv2.resize(image[y : y + h, x : x + w], None, fx=6, fy=6)
        low, high = np.percentile(part, (2, 98))
        part = np.clip((part - low) * (255 / max(high - low, 1.0)), 0, 255).astype(np.uint8)
        Image.fromarray(part).save(folder / "line.png")
        command = ["tesseract", str(folder / "line.png"), "stdout", "--psm", "7"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said = "".join(c for c in done.stdout if c.isalnum())
        right += sum(a == b for a, b in zip(said, text, strict=False))
    return right / sum(map(len, TEXTS))


@pytest.mark.parametrize("kind", ["solid", "mosaic"])
def test_tesseract_reads_plates_before_and_not_after(tmp_path: Path, kind: FillKind) -> None:
    """Most characters of the film as it was; of what was written, on average of all frames, none.

    Of 42 characters one is right by chance if some letter is guessed for each: 1 in 36.
    """
    if shutil.which("tesseract") is None:
        pytest.skip("needs the command tesseract: apt-get install tesseract-ocr")
    source = film(tmp_path / "a.mp4", [street()] * 8)
    assert characters_read(pictures(source)[4], tmp_path) > 0.6
    redact_path(source, tmp_path / "b.mp4", redactor=Redactor([Told()], fill=kind))
    mean = np.mean(pictures(tmp_path / "b.mp4"), axis=0)
    assert characters_read(mean, tmp_path) <= 0.08


def found_again(finder: CenterFace | HeatmapDetector, video: Path, lines: list[Line]) -> list[Box]:
    """What ``finder`` finds in ``video`` with its middle in what the report says was destroyed."""
    return [
        seen
        for image, line in zip(pictures(video), lines, strict=True)
        for seen in finder.detect(image)
        if any(
            box.x < seen.x + seen.w / 2 < box.x + box.w
            and box.y < seen.y + seen.h / 2 < box.y + box.h
            for box in line.boxes
        )
    ]


def test_the_plate_detector_is_sure_of_no_plate_where_one_was_destroyed(tmp_path: Path) -> None:
    """What is sure of five of six plates or more is sure of none in their place afterwards.

    A solid fill only: a mosaic of a plate still looks like a plate far away, and is found as one.
    That tells where it was, as the report does, and nothing of what it said.
    """
    finder = HeatmapDetector(kinds=["plate"], least=0.4)
    source = film(tmp_path / "a.mp4", [street()] * 3)
    report = tmp_path / "r.jsonl"
    redact_path(source, tmp_path / "b.mp4", report=report, redactor=Redactor([Told()]))
    lines = list(read_report(report))
    assert len(found_again(finder, source, lines)) >= 15
    assert found_again(finder, tmp_path / "b.mp4", lines) == []


@pytest.mark.data
@pytest.mark.parametrize(("kind", "least"), [("solid", 0.2), ("mosaic", 0.4)])
def test_the_face_detector_finds_no_face_where_one_was_destroyed(
    tmp_path: Path, kind: FillKind, least: float
) -> None:
    """A real face, found in every frame before and in none after.

    Under a solid fill not at the threshold of the product; a mosaic is taken for a face with
    little conviction (score 0.2), and never with what would make the product sure.
    """
    images = pictures(clip("egoblur-person.mp4"))[:180:30]
    source = film(tmp_path / "a.mp4", [np.ascontiguousarray(image[::2, ::2]) for image in images])
    finder, report = CenterFace(least=least), tmp_path / "r.jsonl"
    usual = Redactor([CenterFace()], fill=kind)
    redact_path(source, tmp_path / "b.mp4", report=report, redactor=usual)
    lines = list(read_report(report))
    assert len(found_again(finder, source, lines)) >= len(images)
    assert found_again(finder, tmp_path / "b.mp4", lines) == []


def thumbnailed(path: Path, image: NDArray[np.uint8]) -> bytes:
    """A JPEG with a small copy of itself in its EXIF, and another behind its end. The copy."""
    Image.fromarray(image[::4, ::4]).save(path, "JPEG")
    small = path.read_bytes()
    Image.fromarray(image).save(path, "JPEG")
    # One empty directory, then a second with offset and length of a JPEG: TIFF 6.0, EXIF 2.3.
    first = struct.pack("<2sHIHI", b"II", 42, 8, 0, 14)
    second = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, 44, 0x202, 4, 1, len(small), 0)
    exif = b"Exif\0\0" + first + second + small
    head = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    whole = path.read_bytes()
    path.write_bytes(whole[:2] + head + whole[2:] + small + SECRET)
    return small


def test_no_thumbnail_of_the_original_survives_in_a_picture(tmp_path: Path) -> None:
    """EXIF keeps a small copy of the picture; phones append films. One picture comes out."""
    small = thumbnailed(tmp_path / "a.jpg", street())
    assert small in (tmp_path / "a.jpg").read_bytes()
    redact_path(tmp_path / "a.jpg", tmp_path / "b.jpg", redactor=Redactor([Anywhere()]))
    written = (tmp_path / "b.jpg").read_bytes()
    assert written.count(b"\xff\xd8\xff") == 1
    assert written.endswith(b"\xff\xd9")
    assert small[-200:] not in written
    assert b"Exif" not in written
    assert SECRET not in written


class Anywhere:
    """Finds nothing."""

    digest: Digest = digest(b"nothing")

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """Nothing."""
        del image
        return []


def accompanied(path: Path, *, cover: bool) -> Path:
    """A film of six frames, and beside it Motion JPEG that shows the same: a cover, or a film."""
    with av.open(str(path), "w") as container:
        main = container.add_stream("libx264", rate=25)
        other = container.add_stream("mjpeg", rate=25)
        for stream, layout in ((main, "yuv420p"), (other, "yuvj420p")):
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = *SIZE, layout
        if cover:
            other.disposition = Disposition.attached_pic
        for index in range(6):
            for stream in (main,) if cover and index else (main, other):
                picture = av.VideoFrame.from_ndarray(street(), format="rgb24")
                picture.pts = index
                container.mux(stream.encode(picture))
        container.mux(main.encode(None))
        container.mux(other.encode(None))
    assert b"\xff\xd8\xff" in path.read_bytes()
    return path


def test_no_cover_picture_survives_beside_a_film(tmp_path: Path) -> None:
    """A film's cover shows the plates too: what is written holds one film and no JPEG."""
    source = accompanied(tmp_path / "a.mp4", cover=True)
    redact_path(source, tmp_path / "b.mp4", redactor=Redactor([Told()]))
    assert b"\xff\xd8\xff" not in (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_second_film_in_one_file_is_refused(tmp_path: Path, name: str) -> None:
    """Which of two would be looked at? Neither is written."""
    source = accompanied(tmp_path / name, cover=False)
    with pytest.raises(InputError, match="2 videos"):
        redact_path(source, tmp_path / f"out-{name}", redactor=Redactor([Told()]))
    assert not (tmp_path / f"out-{name}").exists()
