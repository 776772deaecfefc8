# SPDX-License-Identifier: Apache-2.0
"""A delivered dataset against the log: named there, asked for, granted, and unchanged since."""

from __future__ import annotations

import hashlib
from pathlib import Path

from incamera.audit.memory import Memory
from incamera.audit.reads import ReadCheck
from incamera.audit.report import Findings
from incamera.errors import Error
from incamera.ids import digest
from incamera.ledger.codec import capsule_list
from incamera.ledger.manifest import Manifest, open_manifest

__all__ = ["check_dataset"]

_CHUNK = 1 << 20
_LONGEST = 1 << 26


def check_dataset(path: Path, memory: Memory, reads: ReadCheck, findings: Findings) -> None:
    """Check the manifest at ``path``, and the files beside it that it names."""
    where = str(path)
    try:
        if path.stat().st_size > _LONGEST:
            findings.error(where, "is too long for a manifest", "hand in the manifest file")
            return
        data = path.read_bytes()
    except OSError as error:
        findings.error(where, f"cannot be read: {error.strerror}", "hand in the manifest file")
        return
    known = memory.dataset(digest(data))
    if known is None:
        findings.error(
            where,
            "no entry of this log names this manifest",
            "it was altered, or the dataset was never declared: ask the reader for its log entry",
        )
        return
    index, reader = known
    try:
        manifest = open_manifest(data, reader.key, where)
    except Error as error:
        findings.error(where, f"does not hold: {error.message}", "ask the reader for the original")
        return
    _check_log(where, index, manifest, memory, reads, findings)
    _check_files(path, manifest, findings)


def _check_log(
    where: str, index: int, manifest: Manifest, state: Memory, reads: ReadCheck, found: Findings
) -> None:
    request = state.request(manifest.request)
    entry = next((each for each in state.datasets(manifest.request) if each.index == index), None)
    if request is None or entry is None or request.index != manifest.index:
        found.error(where, "names another request than its log entry does", "ask the reader")
        return
    asked = set(reads.capsules(request, quiet=True))
    if extra := sorted(set(manifest.capsules) - asked):
        found.error(
            where,
            f"holds {len(extra)} capsules that were not asked for",
            "ask the reader",
            extra[0],
        )
    _check_grants(where, manifest, state, found)


def _check_grants(where: str, manifest: Manifest, state: Memory, found: Findings) -> None:
    grants = {(each.trustee, each.index): each for each in state.grants(manifest.request)}
    named = [grants.get((each.trustee, each.index)) for each in manifest.grants]
    if None in named:
        found.error(where, "names a grant that is not in the log", "ask the reader")
    trustees = {each.trustee for each in named if each is not None}
    region = state.region
    if region is not None and len(trustees) < region.threshold:
        found.error(
            where,
            f"names grants of {len(trustees)} trustees, {region.threshold} are needed",
            "it was opened by another way than this log: ask the reader how",
        )
    if not manifest.capsules:
        return
    exact = capsule_list(manifest.capsules)[1].digest
    short = [each for each in named if each and each.count < len(manifest.capsules)]
    for each in short:
        if each.capsules != exact:
            found.error(
                where,
                f"holds more capsules than {each.trustee} granted in log entry {each.index}",
                "some were opened by another way than this log: ask the reader how",
            )


def _check_files(path: Path, manifest: Manifest, found: Findings) -> None:
    """Each file is there with its digest, and no file is there that the manifest does not name."""
    root = path.parent
    named = {each.path: each for each in manifest.files}
    for name, each in named.items():
        place = root / name
        if place.is_symlink() or not place.is_file():
            found.error(str(place), "is named in the manifest but missing", "get it again")
        elif (place.stat().st_size, _digest(place)) != (each.length, each.digest):
            found.error(str(place), "is not the file that was delivered", "get it again")
    for place in sorted(root.rglob("*")):
        inside = place.relative_to(root).as_posix()
        if not place.is_dir() and place != path and inside not in named:
            found.error(str(place), "was added to the dataset afterwards", "remove it")


def _digest(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()
