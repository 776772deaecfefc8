# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos are told by their bytes; names decide where bytes say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from incamera.errors import InputError
from incamera.redaction.kinds import kind_of
from redacting import canvas, film


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_pictures_are_known_by_content(tmp_path: Path, kind: str) -> None:
    """Whatever they are called."""
    path = tmp_path / "event.json"
    Image.fromarray(canvas()).save(path, kind)
    assert kind_of(path) == "picture"


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".ts"])
def test_videos_are_known_by_content(tmp_path: Path, suffix: str) -> None:
    """Whatever they are called."""
    path = film(tmp_path / f"a{suffix}", [canvas()] * 12)
    assert kind_of(path.rename(tmp_path / "notes.txt")) == "video"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("event.json", b'{"est_lat": 1}', "neither"),
        ("track.gpx", b"<gpx/>", "neither"),
        ("clip.srt", b"1\n00:00", "neither"),
        ("empty.mp4", b"", "video"),
        ("EMPTY.MP4", b"", "video"),
        ("locked.mp4", b"\0" * 40, "video"),
        ("empty.jpg", b"", "picture"),
        ("photo.heic", b"\0\0\0\x18ftypheic", "picture"),
        ("unnamed", b"\0\0\0\x18ftypisom", "video"),
        ("empty", b"", "neither"),
        ("._front.mp4", b"\0\5\x16\7\0\2\0\0Mac OS X", "neither"),
    ],
)
def test_names_and_bytes(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    """A broken video is a broken video, not something to leave out in silence."""
    (tmp_path / name).write_bytes(data)
    assert kind_of(tmp_path / name) == kind


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A folder, or nothing at all."""
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError):
            kind_of(path)
