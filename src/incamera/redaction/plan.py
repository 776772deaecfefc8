# SPDX-License-Identifier: Apache-2.0
"""What is to be redacted into what: looked at before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from incamera.errors import InputError
from incamera.recording.probe import Probe, inspect
from incamera.redaction.journal import FOLDER
from incamera.redaction.kinds import kind_of

__all__ = ["Job", "Plan", "check_apart", "check_inside", "fault", "plan_file", "plan_folder"]

_CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One file to redact."""

    source: Path
    output: Path
    relative: str  # as the report names it
    probe: Probe | None  # of a video; None: a picture

    @property
    def frames(self) -> int:
        """Frames to do."""
        return 1 if self.probe is None else self.probe.frames


@dataclass(slots=True)
class Plan:
    """Jobs in order of their names, and what is not to be done."""

    jobs: list[Job] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def check_apart(source: Path, dest: Path, report: Path | None) -> None:
    """Refuse to write where is read: :class:`InputError` names the path to change."""
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if not source.is_dir():
        if not source.is_file():
            raise InputError(f"{source}: neither a file nor a folder")
        if report is not None and _same(report, source):
            raise InputError(f"{report}: the report would overwrite the source")
        return
    inner, outer = dest.resolve(), source.resolve()
    if dest.exists() and not dest.is_dir():
        raise InputError(f"{dest}: is a file, but {source} is a folder")
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise InputError(
            f"{dest}: source and destination lie in one another",
            hint="name a folder outside of the source: the originals are never written to",
        )
    if report is not None and outer in report.resolve().parents:
        raise InputError(
            f"{report}: lies in the source folder", hint="put the report somewhere else"
        )


def check_inside(output: Path, dest: Path) -> None:
    """Refuse an output that a symbolic link below ``dest`` would lead elsewhere."""
    if not output.parent.resolve().is_relative_to(dest.resolve()):
        raise InputError(f"{output}: a symbolic link leads out of {dest}")
    if output.is_dir():
        raise InputError(f"{output}: is a folder")


def plan_file(source: Path, dest: Path) -> Plan:
    """One file, into ``dest`` or, if that is a folder, into it under its own name."""
    output = dest / source.name if dest.is_dir() else dest
    if _same(output, source):
        raise InputError(
            f"{output}: source and destination are the same file",
            hint="name another file: the original is never written to",
        )
    job = _job(source, output, source.name)
    if job is None:
        raise InputError(
            f"{source}: neither a picture nor a video",
            hint="JPEG, PNG, WebP, BMP, TIFF, MP4, MOV, MKV, WebM, AVI and MPEG-TS can be redacted",
        )
    return Plan(jobs=[job])


def plan_folder(source: Path, dest: Path) -> Plan:
    """Every file below ``source``, under the same relative name below ``dest``."""
    plan = Plan()
    for path in _files(source, plan):
        relative = path.relative_to(source).as_posix()
        try:
            job = _job(path, dest / relative, relative)
        except InputError as error:
            plan.faults.append(fault(error))
            continue
        if job is None:
            plan.left_out.append(relative)
        else:
            plan.jobs.append(job)
    return plan


def fault(error: InputError) -> str:
    """One sentence for the outcome: what, where, and what to do."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _files(source: Path, plan: Plan) -> Iterator[Path]:
    """Regular files by name; symbolic links, sockets and the like are left out."""

    def unreadable(error: OSError) -> None:
        plan.faults.append(f"{error.filename}: cannot read: {error.strerror}")

    for parent, folders, names in os.walk(source, onerror=unreadable, followlinks=False):
        here = Path(parent)
        linked = [name for name in folders if (here / name).is_symlink()]
        plan.left_out += [(here / name).relative_to(source).as_posix() for name in linked]
        folders[:] = sorted(name for name in folders if name != FOLDER and name not in linked)
        for name in sorted(names):
            path = here / name
            if path.is_symlink() or not path.is_file():
                plan.left_out.append(path.relative_to(source).as_posix())
            else:
                yield path


def _job(source: Path, output: Path, relative: str) -> Job | None:
    kind = kind_of(source)
    if kind == "neither":
        return None
    if kind == "picture":
        return Job(source, output, relative, None)
    probe = inspect(source)
    if output.suffix.lower() != source.suffix.lower():  # clip.avi into clip.mp4 changes containers
        container = _CONTAINERS.get(output.suffix.lower(), probe.container)
        probe = replace(probe, container=container)
    return Job(source, output, relative, probe)


def _same(a: Path, b: Path) -> bool:
    """Whether both names lead to one file, by hard links too."""
    return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))
