# SPDX-License-Identifier: Apache-2.0
"""A log's public folder, served: as any static web server may serve it (C2SP tlog-tiles)."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from incamera import durable
from incamera.errors import InputError, UnavailableError
from incamera.ids import digest
from incamera.ledger.codec import parse_capsule_list
from incamera.ledger.entries import CapsuleList
from incamera.tlog import tile

__all__ = ["KINDS", "check_text", "publish", "read_public"]

KINDS = {
    "policy": (".cedar", 1 << 20),
    "campaign": (".toml", 1 << 20),
    "list": ("", 65 * 100_000),
    "dealing": ("", 1 << 23),
    "commitments": ("", 1 << 22),
}
"""Texts beside the log: folder -> ending of ``<digest><ending>``, bytes of the longest."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_DEEPEST = 16  # names in a path; the tile of the largest tree has 10
_TEXT = "text/plain; charset=utf-8"
_FOR_EVER = "public, max-age=31536000, immutable"


def read_public(folder: Path, path: str) -> Response:
    """The file at ``path`` below ``folder``, or 404. Blocks.

    A path is of plain names: no name begins with a dot, so neither ``..`` nor a file that is
    still being written can be named.
    """
    place, parts = folder, path.split("/")
    if len(parts) > _DEEPEST:  # or the system finds the path too long to look at
        raise HTTPException(404)
    for part in parts:
        if not _PART.fullmatch(part):
            raise HTTPException(404)
        place = place / part
        if place.is_symlink():  # what is public lies in this folder and nowhere else
            raise HTTPException(404)
    try:
        # Read whole, then answered: a checkpoint replaced in between would not fit its length.
        data = place.read_bytes() if place.is_file() else None
    except FileNotFoundError:  # a partial tile that was collected just now
        data = None
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if data is None:
        raise HTTPException(404)
    kind, cache = _kind(path)
    return Response(data, media_type=kind, headers={"Cache-Control": cache})


def _kind(path: str) -> tuple[str, str]:
    """Content type and how long it may be cached."""
    if tile.parse_path(path) is not None:
        return "application/octet-stream", _FOR_EVER
    if path.partition("/")[0] in KINDS:
        return _TEXT, _FOR_EVER
    return _TEXT, "no-cache"


def check_text(kind: str, name: str, data: bytes) -> None:
    """:class:`InputError` unless ``name`` is what ``data`` must be called, and a list is one."""
    if name != f"{digest(data)}{KINDS[kind][0]}":
        raise InputError(f"{kind}/{name:.80}: this is not its digest")
    if kind == "list":
        parse_capsule_list(data, CapsuleList(digest(data), len(data), len(data) // 65))


def publish(folder: Path, kind: str, name: str, data: bytes) -> bool:
    """Put a text beside the log under its digest, durably; False if it was there. Blocks."""
    check_text(kind, name, data)
    place = folder / kind / name
    there = place.exists()
    durable.create(place, data)
    return not there
