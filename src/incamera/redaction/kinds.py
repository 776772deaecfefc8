# SPDX-License-Identifier: Apache-2.0
"""Is a file a picture, a video, or neither? By its first bytes, else by its name.

The name decides only where the bytes say nothing: an empty or encrypted ``front.mp4`` must show
up as a faulty video, not vanish among the files that were left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from incamera.errors import InputError
from incamera.redaction.pictures import EXTENSIONS

__all__ = ["Kind", "kind_of"]

Kind = Literal["picture", "video", "neither"]

# Pictures that cannot be redacted yet are pictures all the same: a fault, not left out.
_PICTURE_NAMES = {*EXTENSIONS, ".gif", ".apng", ".heic", ".heif", ".avif", ".jxl", ".dng"}
_VIDEO_NAMES = {
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg",
    ".3gp", ".flv", ".wmv", ".h264", ".264", ".hevc", ".h265", ".265", ".mjpeg",
}  # fmt: skip
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif", b"avis", b"crx ")

_PATTERNS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (rb"\xff\xd8\xff", "picture"),
    (rb"\x89PNG\r\n\x1a\n", "picture"),
    (rb"RIFF....WEBP", "picture"),
    (rb"GIF8[79]a", "picture"),
    (rb"BM.{4}\0\0\0\0", "picture"),
    (rb"II[*+]\0|MM\0[*+]", "picture"),
    (rb"....ftyp(?:%s)" % b"|".join(_STILL_BRANDS), "picture"),
    (rb"....(?:ftyp|moov|mdat|moof|wide)", "video"),
    (rb"\x1a\x45\xdf\xa3", "video"),
    (rb"RIFF....AVI ", "video"),
    (rb"FLV\x01", "video"),
    (rb"\0\0\x01\xba", "video"),
    (rb"\x47.{187}\x47.{187}\x47", "video"),
    (rb".{4}\x47.{191}\x47", "video"),
)
_HEADS = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _PATTERNS)


def kind_of(path: Path) -> Kind:
    """What ``path`` (a regular file) is; :class:`InputError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    if head[:4] == b"\0\5\x16\7":
        return "neither"  # AppleDouble: what macOS leaves as ._front.mp4 on USB sticks
    for pattern, kind in _HEADS:
        if pattern.match(head):
            return kind
    extension = path.suffix.lower()
    if extension in _PICTURE_NAMES:
        return "picture"
    return "video" if extension in _VIDEO_NAMES else "neither"
