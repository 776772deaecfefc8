# SPDX-License-Identifier: Apache-2.0
"""All that is kept of an owner, opened with the owner's own key, in open formats.

What comes to lie in the folder::

    manifest.json          what is here, file by file, and what could not be had
    index.html             the same to look at; fetches nothing from anywhere
    tlog-policy            whom the proofs are to be checked by
    clips/<capsule>/       videos (MP4), clip.json, report.jsonl, tracks, clip.mcap
                           header.json: the capsule's header as the car signed it
                           files.json: digests of these, written last before it has its name
    proofs/<index>.tlog-proof   log entries: each capsule, each request for it and each answer

A clip appears whole or not at all, so a run that was stopped goes on where it was, and a later
run adds what is new. No trustee is asked for anything.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incamera import durable
from incamera.cli.desk import Desk
from incamera.cli.own.kept import Read, owned, reads_of
from incamera.cli.own.page import page
from incamera.cli.own.proofs import Prover
from incamera.encoding import parse_json
from incamera.errors import Error, InputError, IntegrityError, PolicyError
from incamera.ids import Digest
from incamera.recording.clip import measure, unpack
from incamera.release.mcap import export as export_mcap
from incamera.sealing.capsule import Capsule
from incamera.sealing.envelope import open_envelope
from incamera.sealing.header import HEADER_TYPE
from incamera.sealing.opening import open_as_owner
from incamera.vault import Row

if TYPE_CHECKING:
    from incamera.release.source import Fetched

__all__ = ["Exported", "export"]

_GROUP = 32
_MARK = "manifest.json"
_KIND = "incamera-owner-export"


@dataclass(slots=True)
class Exported:
    """What one run brought."""

    folder: Path
    clips: int = 0
    opened: int = 0  # of them, by this run
    reads: int = 0
    damaged: list[dict[str, str]] = field(default_factory=list)


def export(desk: Desk, folder: Path, progress: Callable[[float, float], object]) -> Exported:
    """Export into ``folder``, which is new or was made by an earlier export of the same owner.

    A capsule that is damaged, lost or not to be opened is named in the manifest and in the
    result; the others are exported. :class:`UnavailableError` if the vault, the log or the disk
    cannot be reached: run it again.
    """
    _begin(desk, folder)
    rows, done = owned(desk), Exported(folder)
    for row in rows:
        if row.status == "lost":
            done.damaged.append(_damage(row.digest, "the vault does not have it any more"))
    kept = [row for row in rows if row.status == "kept"]
    missing = [row.digest for row in kept if not _clip(folder, row.digest).exists()]
    for count, name, what in _open_all(desk, folder, missing):
        progress(count, len(missing))
        if isinstance(what, Error):
            done.damaged.append(_damage(name, what.message))
        else:
            done.opened += 1
    here = [row for row in kept if _clip(folder, row.digest).exists()]
    reads = reads_of(desk, [row.digest for row in rows])
    done.clips, done.reads = len(here), len(reads)
    _describe(desk, folder, here, reads, done)
    return done


def _damage(name: Digest, why: str) -> dict[str, str]:
    return {"capsule": name, "why": why}


def _clip(folder: Path, name: Digest) -> Path:
    return folder / "clips" / name


def _begin(desk: Desk, folder: Path) -> None:
    """The folder, marked as an export before anything lies in it."""
    owner = desk.owner().name
    if folder.exists() and any(folder.iterdir()):
        mark = folder / _MARK
        said = parse_json(mark.read_bytes(), str(mark)) if mark.exists() else None
        if not isinstance(said, dict) or (said.get("kind"), said.get("owner")) != (_KIND, owner):
            raise InputError(
                f"{folder}: exists, and is no export of {owner}'s", hint="name a new folder"
            )
        return
    durable.folder(folder, 0o700)
    _write(folder / _MARK, {"v": 1, "kind": _KIND, "owner": owner, "complete": False})


def _write(path: Path, value: object) -> None:
    durable.write(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), mode=0o600)


# Clips


def _open_all(
    desk: Desk, folder: Path, wanted: Sequence[Digest]
) -> Iterator[tuple[int, Digest, Error | None]]:
    """Each capsule, how many were tried by then, and its own error if it could not be opened."""
    durable.folder(folder / "clips", 0o700)
    count = 0
    for start in range(0, len(wanted), _GROUP):
        for name, found in _fetch(desk, wanted[start : start + _GROUP]):
            count += 1
            yield count, name, found if isinstance(found, Error) else _open(desk, folder, found)


def _fetch(desk: Desk, group: Sequence[Digest]) -> Iterator[tuple[Digest, Fetched | Error]]:
    """Some at a time; where one is bad, those not had yet one by one, so that it costs no other."""
    left = list(group)
    try:
        for some in desk.capsules(group):
            for fetched in some:
                left.remove(fetched.capsule.digest)
                yield fetched.capsule.digest, fetched
    except (InputError, IntegrityError, PolicyError) as error:
        if len(group) == 1:
            yield group[0], error
            return
        for name in left:
            yield from _fetch(desk, [name])


def _open(desk: Desk, folder: Path, fetched: Fetched) -> Error | None:
    capsule = fetched.capsule
    final = _clip(folder, capsule.digest)
    draft = final.with_name(f".{capsule.digest}")
    bundle = final.with_name(f".{capsule.digest}.tar")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        open_as_owner(capsule.path, desk.owner().opening, bundle)
        contents = unpack(bundle, draft)
        durable.remove(bundle)
    except (InputError, IntegrityError) as error:
        bundle.unlink(missing_ok=True)
        return error
    finally:
        fetched.done()
    from incamera.cli.own.tracks import write_tracks

    write_tracks(contents, draft)
    _finish(capsule, draft, _mcap(draft))
    durable.move(draft, final)
    return None


def _mcap(draft: Path) -> list[str]:
    """``clip.mcap``, or why there is none: not every video can be put into one as it is."""
    try:
        export_mcap(draft, draft / "clip.mcap")
    except InputError as error:
        (draft / "clip.mcap").unlink(missing_ok=True)
        return [f"clip.mcap: {error.message}"]
    return []


def _finish(capsule: Capsule, draft: Path, left_out: list[str]) -> None:
    """The header as it was signed, and what lies here now."""
    durable.write(draft / "header.json", capsule.envelope)
    files = []
    for path in sorted(draft.iterdir()):
        size, name = measure(path)
        files.append({"path": path.name, "digest": name, "length": size})
    _write(draft / "files.json", {"files": files, "left_out": left_out})


# The manifest


def _describe(
    desk: Desk, folder: Path, rows: Sequence[Row], reads: Sequence[Read], done: Exported
) -> None:
    """Proofs, then the page, then the manifest: where it says complete, all of it is there."""
    durable.write(folder / "tlog-policy", desk.log_policy.text)
    prover, state = Prover(desk), desk.state()
    before = parse_json((folder / _MARK).read_bytes(), str(folder / _MARK))
    capsules = _gone(before, "capsules", "capsule", {row.digest for row in rows})
    capsules = [each | {"kept": False} for each in capsules]
    for row in rows:
        admitted = state.capsule(row.digest)
        index = None if admitted is None else admitted.index
        where = _clip(folder, row.digest)
        envelope = open_envelope(
            (where / "header.json").read_bytes(), str(where), payload_type=HEADER_TYPE
        )
        files = parse_json((where / "files.json").read_bytes(), str(where / "files.json"))
        capsules.append(
            {
                "capsule": row.digest,
                "kept": True,
                "index": index,
                "proof": None if index is None else _proof(prover, folder, index),
                "header": parse_json(envelope.payload, str(where)),
                "folder": f"clips/{row.digest}",
                **files,
                "reads": [each.asked.leaf for each in reads if row.digest in each.capsules],
            }
        )
    told = _gone(before, "reads", "request", {each.asked.leaf for each in reads})
    told += [_told(prover, folder, each) for each in reads]
    witnessed = prover.witnessed
    document = {
        "v": 1,
        "kind": _KIND,
        "complete": True,
        "owner": desk.owner().name,
        "region": desk.region().region,
        "made": desk.clock.now(),
        "log": {"origin": witnessed.checkpoint.origin, "size": witnessed.checkpoint.size},
        "capsules": capsules,
        "reads": told,
        "damaged": done.damaged,
    }
    durable.write(folder / "index.html", page(document).encode(), mode=0o600)
    _write(folder / _MARK, document)


def _gone(before: Any, what: str, name: str, now: set[Digest]) -> list[dict[str, Any]]:
    """What an earlier export described and the vault has no more: this copy is the owner's."""
    return [each for each in before.get(what, ()) if each[name] not in now]


def _told(prover: Prover, folder: Path, read: Read) -> dict[str, Any]:
    places = [read.asked.index, *(at for _, at in read.granted)]
    places += [*(at for _, _, at in read.refused), *read.datasets]
    return {**read.to_json(), "proofs": [_proof(prover, folder, at) for at in sorted(places)]}


def _proof(prover: Prover, folder: Path, index: int) -> str:
    name = f"proofs/{index}.tlog-proof"
    place = folder / name
    if not place.exists():
        durable.folder(place.parent, 0o700)
        durable.write(place, prover.proof(index))
    return name
