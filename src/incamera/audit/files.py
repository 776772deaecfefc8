# SPDX-License-Identifier: Apache-2.0
"""Every file under ``public/`` must be one that the log accounts for."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from incamera.audit.report import Findings
from incamera.errors import UnavailableError
from incamera.ids import Digest, digest
from incamera.tlog import tile
from incamera.tlog.fetch import Fetch, FolderFetch

__all__ = ["LEFT", "Listing", "Named", "check_named", "digest_named", "list_public"]

_NAMED = re.compile(
    r"(policy)/([0-9a-f]{64})\.cedar"
    r"|(campaign)/([0-9a-f]{64})\.toml"
    r"|(zones)/([0-9a-f]{64})\.geojson"
    r"|(list)/([0-9a-f]{64})"
    r"|(dealing)/([0-9a-f]{64})"
    r"|(commitments)/([0-9a-f]{64})",
    re.ASCII,
)
# What durable.atomic leaves behind when it is killed.
LEFT = re.compile(r"\..{1,100}\.[0-9a-f]{8}\.tmp", re.ASCII)
_SUFFIX = {"policy": ".cedar", "campaign": ".toml", "zones": ".geojson"}
_CHUNK = 1 << 20

Named = tuple[str, Digest]
"""A kind of text beside the log, and its digest."""


@dataclass
class Listing:
    """What lies in a public folder."""

    #: (level, index) -> the widths of that tile, or bundle, that are there.
    tiles: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    named: set[Named] = field(default_factory=set)
    count: int = 0

    @property
    def reach(self) -> int:
        """How many entries the bundles that are there would hold."""
        ends = (
            index * tile.WIDTH + max(widths)
            for (level, index), widths in self.tiles.items()
            if level == tile.ENTRIES
        )
        return max(ends, default=0)


def list_public(public: Path, findings: Findings) -> Listing:
    """Walk the folder; a path that nothing accounts for is an error, but for torn writes."""
    listing = Listing()
    for folder, folders, names in os.walk(public):
        for name in sorted((*names, *folders)):
            path = Path(folder, name)
            if path.is_dir() and not path.is_symlink():
                continue
            listing.count += 1
            where = path.relative_to(public).as_posix()
            if LEFT.fullmatch(name) and path.is_file() and not path.is_symlink():
                findings.warning(
                    where,
                    "left by a process that was killed while it wrote; no reader looks at it",
                    "delete it when nothing is running",
                )
            elif path.is_symlink() or not path.is_file() or not _take(where, listing):
                findings.error(
                    where,
                    "this file is no part of a public log, so nobody can check it",
                    "find out who put it there",
                )
    return listing


def _take(where: str, listing: Listing) -> bool:
    if where in ("checkpoint", "tlog-policy"):
        return True
    if name := tile.parse_path(where):
        listing.tiles.setdefault((name.level, name.index), set()).add(name.width)
        return True
    if match := _NAMED.fullmatch(where):
        kind, value = (part for part in match.groups() if part)
        listing.named.add((kind, Digest(value)))
        return True
    return False


def digest_named(where: str) -> Digest | None:
    """The digest in the name of a text beside the log; None if ``where`` is no such name."""
    if (match := _NAMED.fullmatch(where)) is None:
        return None
    return Digest(next(part for part in match.groups()[1::2] if part))


def check_named(
    fetch: Fetch, wanted: set[Named], optional: set[Named], present: set[Named], found: Findings
) -> int:
    """Each text that an entry names is there, and each that is there is what its name says.

    ``optional``: named in the log, but not published for certain. Gives how many were checked.
    """
    for kind, name in sorted(present - wanted - optional):
        # A text is published before the entry that names it, and a crash may lie in between.
        found.warning(
            f"{kind}/{name}{_SUFFIX.get(kind, '')}",
            "no entry of the log names this text, so it is in force for nobody",
            "if it does not get its entry soon, ask the operator what it is for",
        )
    for kind, name in sorted(wanted | present):
        where = f"{kind}/{name}{_SUFFIX.get(kind, '')}"
        try:
            other = _digest(fetch, where)
        except UnavailableError as error:
            found.error(where, "the log names this text, but it is withheld", error.message)
            continue
        if other != name:
            found.error(
                where,
                "the text is not the one that the log names: it was altered",
                "get the original from another copy",
                f"its SHA-256 is {other}",
            )
    return len(wanted)


def _digest(fetch: Fetch, where: str) -> Digest:
    """SHA-256 of a text; of one in a folder, whatever its length, in little memory."""
    if not isinstance(fetch, FolderFetch) or not (path := fetch.folder / where).is_file():
        return digest(fetch(where))
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error
    return Digest(hashed.hexdigest())
