# SPDX-License-Identifier: Apache-2.0
"""Open what was granted and build a dataset: clips, a signed manifest, a public entry.

The dataset grows in a folder beside its destination, clip by clip, and gets its name last. A run
that was stopped goes on where it was: a clip's folder has its name only when it is complete.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from incamera import durable
from incamera.clock import Clock
from incamera.errors import InputError, PolicyError
from incamera.ids import Digest, Name, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import DatasetEntry
from incamera.ledger.holders import Holdings
from incamera.ledger.manifest import DatasetFile, GrantPlace, Manifest
from incamera.ledger.rows import Requested
from incamera.ledger.state import State
from incamera.recording.clip import unpack
from incamera.release.mcap import export
from incamera.release.shares import Sealed, Usable, gather, usable
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.fetch import Fetch

__all__ = ["Format", "Reader", "Released", "Source", "release"]

Format = Literal["folder", "mcap"]
Progress = Callable[[int, int, str], None]
"""Called with (capsules done, capsules in all, what is being opened)."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who opens: the keys stay with it."""

    name: Name
    signing: SigningKey
    opening: OpeningKey


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reader gets things: its own reading of the log, ciphertext, and a way to the log."""

    state: State
    capsule: Callable[[Digest], AbstractContextManager[Path]]
    submit: Callable[[bytes], int]
    clock: Clock
    fetch: Fetch  # public files; what is fetched is checked


@dataclass(frozen=True, slots=True)
class Released:
    """A finished dataset."""

    folder: Path
    manifest: Digest
    entry: int  # log index of the dataset entry
    capsules: tuple[Digest, ...]
    missing: tuple[str, ...]  # one sentence for each capsule that could not be opened
    faults: tuple[str, ...]  # false shares, by trustee


def release(
    request: Digest,
    answers: Iterable[tuple[Name, bytes]],
    capsules: Iterable[Digest],
    *,
    reader: Reader,
    source: Source,
    dest: Path,
    form: Format = "folder",
    progress: Progress | None = None,
) -> Released:
    """Open ``capsules`` (those the request names) into a dataset at ``dest``, a new folder.

    ``answers``: trustees' grants, each with the trustee's name. A capsule with too few shares is
    left out and named; :class:`PolicyError` if none can be opened. The manifest's digest is in the
    log before ``dest`` has its name.
    """
    requested = source.state.request(request)
    if requested is None or requested.entry.reader != reader.name:
        raise InputError(f"{request}: no request of {reader.name} in the log")
    if dest.exists():
        raise InputError(f"{dest}: exists already", hint="name a folder that does not exist yet")
    durable.folder(dest.parent)
    draft = durable.folder(dest.with_name(f".{dest.name}.{request[:8]}.partial"))
    work = _Work(source, reader, draft, form)
    granted = gather(request, answers, source.state)
    opened, missing, faults = [], [], []
    wanted = sorted(set(capsules))
    for number, capsule in enumerate(wanted):
        if progress:
            progress(number, len(wanted), capsule[:16])
        try:
            faults += work.open(capsule, granted.shares.get(capsule, {}), request)
            opened.append(capsule)
        except PolicyError as error:
            missing.append(f"{capsule[:16]}: {error.message}")
    if not opened:
        shutil.rmtree(draft)
        raise PolicyError(
            f"none of the {len(wanted)} capsules can be opened: {'; '.join(missing[:3])}",
            hint="incamera list --requests shows what each trustee decided",
        )
    manifest = work.manifest(requested, opened, tuple(sorted(granted.places)))
    entry = work.publish(manifest, requested)
    durable.move(draft, dest)
    return Released(dest, digest(manifest), entry, tuple(opened), tuple(missing), tuple(faults))


class _Work:
    """The dataset while it grows."""

    def __init__(self, source: Source, reader: Reader, draft: Path, form: Format) -> None:
        self._source, self._reader, self._draft, self._form = source, reader, draft, form
        self._clips = durable.folder(draft / "clips")
        self._reports: set[Digest] = set()
        self._holdings = Holdings(source.state, source.fetch)

    def open(self, capsule: Digest, sealed: Sealed, request: Digest) -> list[str]:
        if self._source.state.erased(capsule):
            raise PolicyError("erased")
        final = self._clips / capsule[:16]
        with self._source.capsule(capsule) as path:
            header = read_capsule(path).header
            leaf, key = bytes.fromhex(request), self._reader.opening
            found = usable(capsule, header, sealed, key, leaf, self._holdings)
            self._reports.add(header.report)
            if not final.exists():
                self._unpack(path, found, final)
        if self._form == "mcap" and not (mcap := final.with_suffix(".mcap")).exists():
            export(final, mcap)
        return found.faults

    def _unpack(self, path: Path, found: Usable, final: Path) -> None:
        bundle = final.with_suffix(".tar")
        found.open(path, bundle)
        unpack(bundle, final)
        durable.remove(bundle)

    def manifest(
        self, requested: Requested, opened: list[Digest], places: tuple[GrantPlace, ...]
    ) -> bytes:
        path = self._draft / "manifest.json"
        if self._form == "mcap":
            for folder in [each for each in self._clips.iterdir() if each.is_dir()]:
                shutil.rmtree(folder)
        files = [p for p in sorted(self._draft.rglob("*")) if p.is_file() and p != path]
        manifest = Manifest(
            region=requested.entry.region,
            time=self._source.clock.now(),
            reader=self._reader.name,
            request=requested.leaf,
            index=requested.index,
            capsules=tuple(sorted(opened)),
            grants=places,
            files=tuple(sorted(self._file(each) for each in files)),
            reports=tuple(sorted(self._reports)),
        )
        data = manifest.seal(self._reader.signing)
        durable.write(path, data)
        return data

    def _file(self, path: Path) -> DatasetFile:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(self._draft).as_posix()
        return DatasetFile(name, Digest(found), path.stat().st_size)

    def publish(self, manifest: bytes, requested: Requested) -> int:
        entry = DatasetEntry(
            region=requested.entry.region,
            time=self._source.clock.now(),
            reader=self._reader.name,
            request=requested.leaf,
            manifest=digest(manifest),
        )
        return self._source.submit(encode(entry, self._reader.signing))
