# SPDX-License-Identifier: Apache-2.0
"""Open what was granted and build a dataset: clips, a signed manifest, a public entry.

The dataset grows in a folder beside its destination and gets its name last. A run that was stopped
goes on where it was: ``opened`` in that folder names the clips that are complete and on disk, and
whatever else is there is made again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.errors import InputError, IntegrityError, PolicyError
from incamera.ids import Digest, Name, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import DatasetEntry
from incamera.ledger.holders import Holdings
from incamera.ledger.manifest import DatasetFile, GrantPlace, Manifest
from incamera.ledger.rows import Requested
from incamera.release.opening import Format, Job, Opener, opening
from incamera.release.shares import Sealed, gather, usable
from incamera.release.source import Fetched, Source, ahead
from incamera.sealing.keys import OpeningKey, SigningKey

__all__ = ["Format", "Reader", "Released", "release"]

_JOURNAL = "opened"
_OPENED = re.compile(r"([0-9a-f]{64})=([0-9a-f]{64})", re.ASCII)

Progress = Callable[[int, int, str], None]
"""Called with (capsules done, capsules in all, what is being opened)."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who opens: the keys stay with it."""

    name: Name
    signing: SigningKey
    opening: OpeningKey


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
    draft = durable.folder(dest.with_name(f".{dest.name}.{request[:8]}.{form}.partial"))
    work = _Work(source, reader, draft, form)
    granted = gather(request, answers, source.state)
    wanted = sorted(set(capsules))
    with opening(len(wanted)) as opener:
        work.open(wanted, granted.shares, request, opener, progress)
    opened, missing = work.opened, work.missing
    if not opened:
        shutil.rmtree(draft)
        raise PolicyError(
            f"none of the {len(wanted)} capsules can be opened: {'; '.join(missing[:3])}",
            hint="incamera list --requests shows what each trustee decided",
        )
    manifest = work.manifest(requested, opened, tuple(sorted(granted.places)))
    entry = work.publish(manifest, requested)
    durable.remove(draft / _JOURNAL)
    durable.move(draft, dest)
    faults = tuple(work.faults)
    return Released(dest, digest(manifest), entry, tuple(sorted(opened)), tuple(missing), faults)


class _Work:
    """The dataset while it grows."""

    def __init__(self, source: Source, reader: Reader, draft: Path, form: Format) -> None:
        self._source, self._reader, self._draft, self._form = source, reader, draft, form
        self._clips = durable.folder(draft / "clips")
        self._journal = draft / _JOURNAL  # capsule=report for each clip that is on disk
        self._reports: set[Digest] = set()
        self._holdings = Holdings(source.state, source.fetch)
        self._ours: dict[Path, tuple[Fetched, Digest]] = {}  # being opened, by clip folder
        self.opened: list[Digest] = []
        self.missing: list[str] = []
        self.faults: list[str] = []

    def open(
        self,
        wanted: Sequence[Digest],
        sealed: Mapping[Digest, Sealed],
        request: Digest,
        opener: Opener,
        progress: Progress | None,
    ) -> None:
        """Open all that can be; what cannot is named in ``missing``."""
        there, group = self._resume(wanted), list[Fetched]()
        try:
            for group in ahead(self._source.capsules(there)):
                for fetched in group:
                    job = self._job(fetched, sealed.get(fetched.capsule.digest, {}), request)
                    self._done(opener.add(job) if job else [])
                    if progress:
                        progress(len(self.opened), len(wanted), fetched.capsule.digest[:16])
            for jobs in opener.finish():
                self._done(jobs)
        except IntegrityError:
            # False ciphertext must not be what the next run begins with.
            for fetched in [*group, *(each for each, _ in self._ours.values())]:
                fetched.done()
            raise

    def _resume(self, wanted: Sequence[Digest]) -> list[Digest]:
        """What is still to be opened. Leavings that the journal does not name are removed."""
        before, there = dict(self._journaled()), []
        for name in wanted:
            if self._source.state.erased(name) is not None:
                self.missing.append(f"{name[:16]}: erased")
            elif name in before:
                self.opened.append(name)
                self._reports.add(before[name])
            else:
                there.append(name)
        kept = {name[:16] for name in self.opened}
        for place in self._clips.iterdir():
            if place.name not in kept and place.stem not in kept:
                shutil.rmtree(place) if place.is_dir() else place.unlink()
        return there

    def _journaled(self) -> Iterator[tuple[Digest, Digest]]:
        """Capsules that an earlier run opened, each with its redaction report."""
        text = self._journal.read_text("latin-1") if self._journal.exists() else ""
        for word in text.split():
            if match := _OPENED.fullmatch(word):  # a torn word is none
                yield Digest(match.group(1)), Digest(match.group(2))

    def _job(self, fetched: Fetched, sealed: Sealed, request: Digest) -> Job | None:
        """What is to be opened with which shares; None if there are too few."""
        capsule, leaf = fetched.capsule, bytes.fromhex(request)
        try:
            key = self._reader.opening
            found = usable(capsule.digest, capsule.header, sealed, key, leaf, self._holdings)
        except PolicyError as error:
            self.missing.append(f"{capsule.digest[:16]}: {error.message}")
            fetched.done()
            return None
        self.faults += found.faults
        final = self._clips / capsule.digest[:16]
        self._ours[final] = (fetched, capsule.header.report)
        return Job(capsule.path, found, final, self._form)

    def _done(self, jobs: Sequence[Job]) -> None:
        """They are on disk: noted, so that the next run need not open them, and let go."""
        words = []
        for job in jobs:
            fetched, report = self._ours[job.final]
            words.append(f"{fetched.capsule.digest}={report}")
            self._reports.add(report)
            self.opened.append(fetched.capsule.digest)
        if words:
            durable.append(self._journal, " ".join(words).encode("ascii"))
        for job in jobs:
            self._ours.pop(job.final)[0].done()

    def manifest(
        self, requested: Requested, opened: list[Digest], places: tuple[GrantPlace, ...]
    ) -> bytes:
        path = self._draft / "manifest.json"
        ours = (path, self._journal)
        files = [p for p in sorted(self._draft.rglob("*")) if p.is_file() and p not in ours]
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
