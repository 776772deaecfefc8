# SPDX-License-Identifier: Apache-2.0
"""What is kept of the owner who sits here, drive by drive, and who asked to read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from incamera.cli import terminal
from incamera.cli.desk import Desk
from incamera.cli.pick import capsules_of, pick_capsules
from incamera.errors import Error, InputError
from incamera.ids import Digest
from incamera.ledger.rows import Requested
from incamera.ledger.state import State
from incamera.vault import Row

__all__ = ["Drive", "Read", "drives", "ended", "owned", "pick_owned", "reads_of"]


@dataclass(frozen=True, slots=True)
class Read:
    """One request in the log that names capsules of this owner, and what came of it."""

    asked: Requested
    kind: str  # of the reader, as enrolled when it asked
    country: str
    capsules: tuple[Digest, ...]  # this owner's alone
    granted: tuple[tuple[str, int], ...]  # trustee and log index
    refused: tuple[tuple[str, str, int], ...]  # trustee, code and log index
    datasets: tuple[int, ...]  # log indices

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        entry = self.asked.entry
        return {
            "request": self.asked.leaf,
            "index": self.asked.index,
            "reader": entry.reader,
            "kind": self.kind,
            "country": self.country,
            "purpose": entry.purpose,
            "time": entry.time,
            "capsules": list(self.capsules),
            "granted": [{"trustee": name, "index": at} for name, at in self.granted],
            "refused": [
                {"trustee": name, "code": code, "index": at} for name, code, at in self.refused
            ],
            "datasets": list(self.datasets),
        }

    @property
    def told(self) -> str:
        """``lab (research, DE) for perception, 2 clips: granted by 3``, and where."""
        entry = self.asked.entry
        said = f"granted by {len(self.granted)}" if self.granted else "not granted"
        if self.refused:
            said += f", refused by {len(self.refused)}"
        return (
            f"{entry.reader} ({self.kind}, {self.country}) for {entry.purpose}, "
            f"{len(self.capsules)} clips: {said}; log entry {self.asked.index}"
        )


@dataclass(slots=True)
class Drive:
    """An hour of one vehicle: what is kept of it."""

    vehicle: str
    hour: str
    rows: list[Row] = field(default_factory=list)

    @property
    def seconds(self) -> int:
        """Of all clips."""
        return sum(row.duration for row in self.rows)

    def named(self, what: str) -> list[str]:
        """All cameras, tags or purposes of its clips, sorted."""
        return sorted({name for row in self.rows for name in getattr(row, what)})

    def to_json(self, reads: Iterable[Read]) -> dict[str, Any]:
        """As plain values, with the ``reads`` that name a clip of it."""
        mine = {row.digest for row in self.rows}
        return {
            "vehicle": self.vehicle,
            "hour": self.hour,
            "seconds": self.seconds,
            "bytes": sum(row.bytes for row in self.rows),
            **{what: self.named(what) for what in ("cameras", "tags", "purposes")},
            "expires": max(row.expires for row in self.rows),
            "capsules": [
                {"capsule": row.digest, "index": row.index, "status": row.status}
                for row in self.rows
            ],
            "reads": [each.asked.leaf for each in reads if mine & set(each.capsules)],
        }


def owned(desk: Desk) -> list[Row]:
    """Rows of what is kept, or lost, of the owner who sits here. The vault's word."""
    name = desk.owner().name
    return [row for row in desk.rows() if row.owner == name and row.status in ("kept", "lost")]


def ended(desk: Desk) -> list[Digest]:
    """What the owner who sits here has erased, by the log, in the order of digests."""
    name = desk.owner().name
    return [
        each.capsule for each in desk.state().erasures() if (each.by, each.name) == ("owner", name)
    ]


def drives(rows: Iterable[Row]) -> list[Drive]:
    """Rows by hour and vehicle."""
    found: dict[tuple[str, str], Drive] = {}
    for row in rows:
        drive = found.setdefault((row.hour, row.vehicle), Drive(row.vehicle, row.hour))
        drive.rows.append(row)
    return [found[key] for key in sorted(found)]


def pick_owned(
    desk: Desk,
    words: Sequence[str],
    noted: Sequence[Digest] = (),
    *,
    vehicle: str | None,
    since: str | None,
    until: str | None,
    everything: bool,
) -> list[Digest]:
    """The capsules that a person means to end: digests, hours of a vehicle, or all.

    Of those that the log says he ended, digests and all name some too, and of a vehicle and hours
    those that were ``noted``: an erasure that was interrupted is said once, and certified when it
    is asked for again.
    :class:`InputError` if that is nothing, or said in two ways.
    """
    ranged = any(each is not None for each in (vehicle, since, until))
    if sum((bool(words), ranged, everything)) != 1:
        raise InputError(
            "say what: capsules, or --vehicle, --since and --until, or --all",
            hint=f"incamera owner list {desk.words} shows what there is",
        )
    rows = [
        row
        for row in owned(desk)
        if (vehicle is None or row.vehicle == vehicle)
        and (since is None or row.hour >= since)
        and (until is None or row.hour <= until)
    ]
    before = ended(desk) if words or everything else list(noted)
    again = [word for word in words if word in before] if words else before
    rest = [word for word in words if word not in again]
    if again and not rest and (words or not rows):
        return [Digest(each) for each in again]
    return sorted({*again, *(row.digest for row in pick_capsules(desk, rest, rows))})


def reads_of(desk: Desk, capsules: Iterable[Digest]) -> list[Read]:
    """The requests that name any of ``capsules``, in log order, as this desk read the log."""
    wanted, state = frozenset(capsules), desk.state()
    answers = _answers(state)
    found = []
    for asked in state.requests():
        try:
            named = tuple(each for each in capsules_of(desk, asked.entry) if each in wanted)
        except Error as error:
            who = f"log entry {asked.index}: {asked.entry.reader} asks for capsules"
            terminal.note(f"{who}, and which cannot be read: {error.message}")
            continue
        if named:
            found.append(_read(state, asked, named, answers))
    return found


@dataclass(slots=True)
class _Answers:
    """Grants, refusals and datasets by request."""

    granted: dict[Digest, list[tuple[str, int]]]
    refused: dict[Digest, list[tuple[str, str, int]]]
    datasets: dict[Digest, list[int]]


def _answers(state: State) -> _Answers:
    found = _Answers(defaultdict(list), defaultdict(list), defaultdict(list))
    for grant in state.grants():
        found.granted[grant.request].append((grant.trustee, grant.index))
    for refusal in state.refusals():
        found.refused[refusal.request].append((refusal.trustee, refusal.code, refusal.index))
    for dataset in state.datasets():
        found.datasets[dataset.request].append(dataset.index)
    return found


def _read(state: State, asked: Requested, named: tuple[Digest, ...], answers: _Answers) -> Read:
    reader = state.party_at("reader", asked.entry.reader, asked.index)
    return Read(
        asked,
        kind=reader.kind if reader else "",
        country=reader.country if reader else "",
        capsules=named,
        granted=tuple(answers.granted[asked.leaf]),
        refused=tuple(answers.refused[asked.leaf]),
        datasets=tuple(answers.datasets[asked.leaf]),
    )
