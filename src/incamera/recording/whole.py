# SPDX-License-Identifier: Apache-2.0
"""Is a video file all there? Told by the sizes that its own container declares, without decoding.

Demuxers are forgiving: a Matroska file that lost its last third reads as a shorter film without
a word. A camera whose power was cut leaves such files, so the outer sizes are checked first.

==========  ====================================================================
MP4, MOV    every top-level box ends inside the file (ISO 14496-12, 4.2)
Matroska    the Segment ends inside the file, where its size is known (RFC 9559)
AVI         every RIFF chunk ends inside the file
MPEG-TS     a whole number of packets of 188 or 192 bytes (ISO 13818-1)
==========  ====================================================================
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

from incamera.errors import InputError

__all__ = ["check_whole", "is_encrypted", "is_webm", "no_video"]

_CUT_HINT = "the camera was cut off while writing: leave the file out, or repair a copy of it first"
_ENCRYPTED_HINT = (
    "switch Controls > Safety > Encrypt Dashcam Recordings off in the car; "
    "clips that are encrypted already open only in Tesla's own app"
)
_VIN = re.compile(rb"(?<![A-Z0-9])[A-HJ-NPR-Z0-9]{17}(?![A-Z0-9])")
_BLOCK = 0x1000


def is_encrypted(head: bytes) -> bool:
    """Whether ``head`` (the first 8 KiB) looks like a clip encrypted by Tesla's firmware 2026.20.

    The layout is not published, so this only chooses the words of a refusal: 0x1000 at 0x14, and
    in the block at 0x1000 an uncompressed EC point (0x04 and 64 bytes) or a VIN in clear.
    """
    if len(head) < _BLOCK + 65 or head[4:8] == b"ftyp":
        return False
    word, block = head[0x14:0x18], head[_BLOCK:]
    offsets = {int.from_bytes(word, "big"), int.from_bytes(word, "little")}
    offsets.add(int.from_bytes(head[0x14:0x1C], "big"))
    return _BLOCK in offsets and (0x04 in block[:-64] or _VIN.search(block) is not None)


def is_webm(head: bytes) -> bool:
    """Whether a Matroska file calls itself WebM, which allows VP8, VP9 and AV1 only."""
    return head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head[:64]


def no_video(path: Path, head: bytes) -> InputError:
    """The refusal for a file that cannot be opened as video, as exactly as its head allows."""
    if is_encrypted(head):
        return InputError(f"{path}: an encrypted Tesla clip", hint=_ENCRYPTED_HINT)
    if head[4:8] == b"ftyp":
        return InputError(f"{path}: cut off: it has no index of its frames", hint=_CUT_HINT)
    return InputError(f"{path}: not a video that can be read")


def check_whole(path: Path) -> bytes:
    """The first 8 KiB of ``path``; :class:`InputError` if it is empty, missing or cut off."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(2 * _BLOCK)
            if not head:
                raise InputError(f"{path}: the file is empty", hint=_CUT_HINT)
            if not is_encrypted(head) and not _is_whole(file, head, size):
                raise InputError(f"{path}: cut off: shorter than it says", hint=_CUT_HINT)
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    return head


def _is_whole(file: BinaryIO, head: bytes, size: int) -> bool:
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return _boxes_end(file, size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _segment_ends(head, size)
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return _riffs_end(file, size)
    for length, sync in ((188, 0), (192, 4)):
        starts = range(sync, min(len(head), 20 * length), length)
        if size >= 2 * length and all(head[at] == 0x47 for at in starts):
            return size % length == 0
    return True


def _boxes_end(file: BinaryIO, size: int) -> bool:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 0:  # to the end of the file
            return True
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or not header[4:8].isascii():  # zeros or rubbish after the last box
            return at > 0
        at += length
    return at <= size


def _segment_ends(head: bytes, size: int) -> bool:
    at, length = _ebml_size(head, 4)
    if length is None or head[at + length : at + length + 4] != b"\x18\x53\x80\x67":
        return True  # void or CRC elements between: nothing to say about it
    at, length = _ebml_size(head, at + length + 4)
    return length is None or at + length <= size


def _ebml_size(data: bytes, at: int) -> tuple[int, int | None]:
    """Where the element's content starts, and its length (None: unknown, as in live streams)."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << (7 * width)) - 1)
    return at + width, None if value == (1 << (7 * width)) - 1 or not first else value


def _riffs_end(file: BinaryIO, size: int) -> bool:
    at = 0
    while at + 8 <= size:
        file.seek(at, os.SEEK_SET)
        header = file.read(8)
        if header[:4] != b"RIFF":
            return True
        at += 8 + int.from_bytes(header[4:], "little")
        at += at & 1
    return at <= size + 1
