# SPDX-License-Identifier: Apache-2.0
"""What goes with a dataset: the log entries that allowed it, and every file in it by digest.

Reader-signed. With the log at hand, anyone can check that a dataset was asked for and granted
in public, and that nothing was added to it since.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from incamera.encoding import (
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError
from incamera.ids import Digest, Name, Region, parse_digest, parse_name
from incamera.ledger.codec import parse_int
from incamera.ledger.entries import MAX_LISTED
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.keys import SigningKey

__all__ = ["MANIFEST_TYPE", "DatasetFile", "GrantPlace", "Manifest", "open_manifest"]

MANIFEST_TYPE = "application/vnd.incamera.manifest+json"
_MAX_BYTES = 1 << 26
_KEYS = ("v", "region", "time", "reader", "request", "index", "capsules", "grants", "files")


@dataclass(frozen=True, slots=True, order=True)
class GrantPlace:
    """Where in the log a trustee's grant stands."""

    trustee: Name
    index: int


@dataclass(frozen=True, slots=True, order=True)
class DatasetFile:
    """One file of the dataset; ``path`` is relative, with ``/``."""

    path: str
    digest: Digest
    length: int  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """A dataset and where in the log it was allowed. Each list is sorted and distinct."""

    region: Region
    time: int  # POSIX seconds, the reader's clock
    reader: Name
    request: Digest  # leaf hash
    index: int  # of the request in the log
    capsules: tuple[Digest, ...]
    grants: tuple[GrantPlace, ...]
    files: tuple[DatasetFile, ...]
    reports: tuple[Digest, ...]  # redaction reports, from the capsules' headers

    def seal(self, key: SigningKey) -> bytes:
        """The manifest signed with the reader's ``key``; its digest goes into a dataset entry."""
        payload = canonical(
            {
                "v": 1,
                "region": self.region,
                "time": self.time,
                "reader": self.reader,
                "request": self.request,
                "index": self.index,
                "capsules": list(self.capsules),
                "grants": [{"trustee": each.trustee, "index": each.index} for each in self.grants],
                "files": [
                    {"path": each.path, "digest": each.digest, "length": each.length}
                    for each in self.files
                ],
                "reports": list(self.reports),
            }
        )
        _parse(payload, "manifest")
        return seal_envelope(payload, MANIFEST_TYPE, key)


def open_manifest(data: bytes, public: bytes, where: str = "manifest") -> Manifest:
    """The manifest in ``data``, signed by the reader's key ``public`` (32 bytes).

    :class:`InputError` if malformed, :class:`IntegrityError` if the signature does not hold.
    """
    envelope = open_envelope(data, where, payload_type=MANIFEST_TYPE, limit=_MAX_BYTES)
    envelope.verify(public)
    return _parse(envelope.payload, where)


def _parse(payload: bytes, where: str) -> Manifest:
    value = exact_keys(parse_canonical(payload, where), (*_KEYS, "reports"), where)
    if not is_version(value["v"], 1):
        raise InputError(f"{where}: a manifest version not known here")
    manifest = Manifest(
        region=Region(parse_name(value["region"], f"{where}: region")),
        time=parse_int(value["time"], f"{where}: time"),
        reader=parse_name(value["reader"], f"{where}: reader"),
        request=parse_digest(value["request"], f"{where}: request"),
        index=parse_int(value["index"], f"{where}: index"),
        capsules=tuple(
            parse_digest(x, f"{where}: capsules") for x in _list(value, "capsules", where)
        ),
        grants=tuple(_grant(x, f"{where}: grants") for x in _list(value, "grants", where)),
        files=tuple(_file(x, f"{where}: files") for x in _list(value, "files", where)),
        reports=tuple(parse_digest(x, f"{where}: reports") for x in _list(value, "reports", where)),
    )
    for name in ("capsules", "grants", "files", "reports"):
        items: tuple[Any, ...] = getattr(manifest, name)
        if list(items) != sorted(set(items)):
            raise InputError(f"{where}: {name} must be sorted and distinct")
    return manifest


def _list(value: dict[str, Any], name: str, where: str) -> list[object]:
    found = value[name]
    if not isinstance(found, list) or len(found) > 10 * MAX_LISTED:
        raise InputError(f"{where}: {name} is not a list, or too long a one")
    return found


def _grant(value: object, where: str) -> GrantPlace:
    found = exact_keys(value, ("trustee", "index"), where)
    return GrantPlace(parse_name(found["trustee"], where), parse_int(found["index"], where))


def _file(value: object, where: str) -> DatasetFile:
    found = exact_keys(value, ("path", "digest", "length"), where)
    path = found["path"]
    # A manifest is read by scripts that open the paths in it: none may lead out of the dataset.
    if not isinstance(path, str) or not path.isprintable() or not 1 <= len(path) <= 1024:
        raise InputError(f"{where}: not a path: {path!r:.80}")
    if "\\" in path or path != str(PurePosixPath(path)) or path.startswith(("/", "..")):
        raise InputError(f"{where}: not a plain relative path: {path!r:.80}")
    if ".." in PurePosixPath(path).parts or path == ".":
        raise InputError(f"{where}: a path that leads out of the dataset: {path!r:.80}")
    return DatasetFile(
        path, parse_digest(found["digest"], where), parse_int(found["length"], where)
    )
