# SPDX-License-Identifier: Apache-2.0
"""What became of each clip: an append-only file that a crash at any point leaves usable.

A clip is named by what it was cut from (the digest of the recording's files, and the span), so
the same recording a second time finds its clips done. One JSON line a step; a step counts once
its line is on disk, and a half-written line counts as never written:

=============  =======================================================  ========================
line           written when                                             after a crash right here
=============  =======================================================  ========================
(none)         the clip is being cut, or sealed but not yet noted       what lies in the spool
                                                                        without a line is removed
                                                                        and made again
``sealed``     the capsule is durable in the spool                      it is sent (again)
``admitted``   its receipt was verified and is durable                  the capsule is removed
``erased``     the vault says that its owner erased it                  the capsule is removed
``lost``       the capsule is gone from the spool or damaged there      the clip is made again
``dropped``    a note says that it goes unsent, and why                 the capsule is removed
=============  =======================================================  ========================

So a clip has at most one capsule the vault ever saw: only a noted capsule is sent, sending is
idempotent, and another is made only where the noted one is gone. A dropped clip is not made again.

Beside it lie ``notes.jsonl``, what went unsent and why, and ``refusals.jsonl``, what the vault
refused: for people to read, each line whole or not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from incamera import durable
from incamera.encoding import (
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, digest, parse_digest

__all__ = ["ClipId", "Journal", "Note", "Refusal", "Step", "clip_id"]

ClipId = Digest
State = Literal["sealed", "admitted", "erased", "lost", "dropped"]
_KEYS = ("v", "clip", "state", "capsule")


def clip_id(recording: Digest, start: float, end: float) -> ClipId:
    """The name of the clip of seconds ``start`` to ``end`` (its own clock) of a recording."""
    return digest(canonical({"recording": recording, "start": start, "end": end}))


@dataclass(frozen=True, slots=True)
class Step:
    """The last thing that is known of a clip."""

    clip: ClipId
    state: State
    capsule: Digest


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the vault said of a capsule that it does not take."""

    capsule: Digest
    code: str  # empty where it gave none
    message: str
    hint: str
    time: int  # POSIX seconds


@dataclass(frozen=True, slots=True)
class Note:
    """A capsule that went unsent."""

    capsule: Digest
    clip: ClipId
    reason: str
    tags: tuple[str, ...]
    bytes: int
    time: int  # POSIX seconds


class Journal:
    """The file ``journal.jsonl`` in a folder. One process at a time: hold the lock meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there; :class:`UnavailableError` if that is not possible."""
        self._path = durable.folder(folder) / "journal.jsonl"
        # Last step by clip: always what a new Journal would read from the file.
        self._steps: dict[ClipId, Step] = {}
        for line, where in _lines(self._path):
            step = _parse(line, where)
            if step is not None:
                self._steps[step.clip] = step
        self._refusals = self._path.with_name("refusals.jsonl")
        self._notes = self._path.with_name("notes.jsonl")

    def of(self, clip: ClipId) -> Step | None:
        """The last step of ``clip``; None if it was never sealed."""
        return self._steps.get(clip)

    def in_state(self, state: State) -> list[Step]:
        """Clips whose last step this is, in the order they first came."""
        return [step for step in self._steps.values() if step.state == state]

    def note(self, clip: ClipId, state: State, capsule: Digest) -> None:
        """Write a step down; when this returns it is on disk."""
        step = Step(clip, state, capsule)
        durable.append(self._path, canonical({"v": 1, **asdict(step)}))
        self._steps[clip] = step

    def refused(self, refusal: Refusal) -> None:
        """Keep what the vault said; the last word on a capsule counts."""
        if self.refusals().get(refusal.capsule) != refusal:
            durable.append(self._refusals, canonical({"v": 1, **asdict(refusal)}))

    def refusals(self) -> dict[Digest, Refusal]:
        """What was refused and waits all the same, by capsule."""
        waiting = {step.capsule for step in self.in_state("sealed")}
        found = {}
        for line, where in _lines(self._refusals):
            if (value := _said(line, Refusal, where)) is not None:
                found[value["capsule"]] = Refusal(**value)
        return {name: each for name, each in found.items() if name in waiting}

    def say_dropped(self, note: Note) -> None:
        """Keep, before it happens, that a capsule goes unsent."""
        durable.append(self._notes, canonical({"v": 1, **asdict(note)}))

    def dropped(self) -> list[Note]:
        """What went unsent, oldest first; each capsule once."""
        found = {}
        for line, where in _lines(self._notes):
            if (value := _said(line, Note, where)) is not None:
                found[value["capsule"]] = Note(**value | {"tags": tuple(value["tags"])})
        return list(found.values())


def _lines(path: Path) -> Iterator[tuple[bytes, str]]:
    """Each line of a file that may be missing, and how messages call it."""
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error
    return ((line, f"{path}, line {number}") for number, line in enumerate(lines, start=1))


def _said(line: bytes, kind: type[Refusal | Note], where: str) -> dict[str, Any] | None:
    """The fields of a line; None for a torn one."""
    if not line.endswith(b"}"):
        return None
    names = [each.name for each in fields(kind)]
    value = exact_keys(parse_canonical(line, where), ("v", *names), where)
    return {name: value[name] for name in names}


def _parse(line: bytes, where: str) -> Step | None:
    """A step; None for a torn line, which was never acknowledged (see ``durable.append``)."""
    if not line.endswith(b"}"):
        return None
    value = exact_keys(parse_canonical(line, where), _KEYS, where)
    state = value["state"]
    if not is_version(value["v"], 1) or state not in get_args(State):
        raise InputError(
            f"{where}: written by another version of incamera", hint="use the newer one"
        )
    clip = parse_digest(value["clip"], where)
    return Step(clip, state, parse_digest(value["capsule"], where))
