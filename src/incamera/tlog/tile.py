# SPDX-License-Identifier: Apache-2.0
"""Where tiles lie and what is in them (C2SP tlog-tiles, tile height 8). Pure.

Tile ``index`` at ``level`` holds up to 256 hashes; hash i is the root of the 256**level leaves
from (index*256 + i) * 256**level. An entry bundle holds the entries of one level-0 tile, each
with a big-endian u16 length before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from incamera.errors import InputError, IntegrityError
from incamera.tlog.merkle import HASH

__all__ = [
    "ENTRIES",
    "MAX_ENTRY",
    "WIDTH",
    "TileName",
    "decode_bundle",
    "encode_bundle",
    "parse_path",
    "path",
    "split_hashes",
    "width_at",
]

WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""

MAX_ENTRY = 65535
"""Bytes of the longest entry."""

ENTRIES = -1
"""The "level" of entry bundles: they sit below the leaf hashes."""

_PATH = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)
_MAX_PATH = 64
_MAX_INDEX_BITS = 63 - 8  # of a level-0 tile in a tree of fewer than 2**63 entries


@dataclass(frozen=True, slots=True, order=True)
class TileName:
    """One tile or, at level :data:`ENTRIES`, one entry bundle; ``width`` 1 to 256."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's prefix."""
        return path(self.level, self.index, self.width)


def path(level: int, index: int, width: int = WIDTH) -> str:
    """``tile/<level>/<index in threes>[.p/<width>]``; level :data:`ENTRIES` gives the bundle."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    kind = "entries" if level == ENTRIES else str(level)
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{kind}/{'/'.join(reversed(groups))}{partial}"


def parse_path(text: str) -> TileName | None:
    """The tile at ``text``, or None where that is not the one right way to write a tile path."""
    # No tree of fewer than 2**63 entries has a longer path; int() of thousands of digits raises.
    if len(text) > _MAX_PATH or not (match := _PATH.fullmatch(text)):
        return None
    kind, groups, partial = match.groups()
    index = int(groups.replace("x", "").replace("/", ""))
    level = ENTRIES if kind == "entries" else int(kind)
    width = int(partial) if partial else WIDTH
    if width > WIDTH or index >> max(0, _MAX_INDEX_BITS - 8 * max(level, 0)):
        return None
    name = TileName(level, index, width)
    return name if name.path == text else None  # no x000/ in front, no .p/256


def width_at(level: int, index: int, size: int) -> int:
    """How many hashes (or entries) the tile has in a tree of ``size`` entries: 0 to 256."""
    hashes = size >> 8 * max(level, 0)
    return max(0, min(WIDTH, hashes - index * WIDTH))


def split_hashes(data: bytes, width: int, where: str) -> list[bytes]:
    """The ``width`` hashes of a tile."""
    if len(data) != width * HASH:
        raise IntegrityError(f"{where}: {len(data)} bytes where {width} hashes are {width * HASH}")
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Each entry (at most 65535 bytes) behind its length."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise InputError(f"entry of {len(entry)} bytes: a log entry has at most {MAX_ENTRY}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_bundle(data: bytes, where: str) -> list[bytes]:
    """The entries of a bundle, which must end where its last entry ends."""
    entries = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise IntegrityError(f"{where}: the bundle ends in the middle of an entry")
        entries.append(data[at + 2 : end])
        at = end
    return entries
