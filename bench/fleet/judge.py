# SPDX-License-Identifier: Apache-2.0
"""What became of every capsule, by the log as anybody reads it, the catalogue, and the blobs.

No answer of the vault is believed here: an acknowledged capsule counts as kept if its digest stands
in the log exactly once, at the place its receipt says, its row is ``kept`` and its bytes are whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.fleet.jobs import Job
from bench.fleet.sender import Outcome, answered_rightly, wrong_receipt
from incamera.ids import Digest
from incamera.ledger.codec import decode
from incamera.ledger.entries import CapsuleEntry, RegionEntry
from incamera.sealing.capsule import LENGTH, MAGIC
from incamera.tlog import FolderFetch, LogReader, Policy, Proof
from serving import Region

__all__ = ["Evidence", "Verdict", "judge", "logged"]


@dataclass
class Verdict:
    """Counts; ``lost`` and ``duplicates`` must be 0, and ``wrong`` empty."""

    sent: int = 0
    admitted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    lost: int = 0
    duplicates: int = 0
    receipts: int = 0  # verified whole
    #: What was not as it must be, in words: the first few.
    wrong: list[str] = field(default_factory=list)
    wrong_count: int = 0

    def blame(self, text: str) -> None:
        """Something is not as it must be."""
        self.wrong_count += 1
        if len(self.wrong) < 20:
            self.wrong.append(text)

    @property
    def holds(self) -> bool:
        """True if nothing was lost, doubled, wrong or left without an answer."""
        return not (self.lost or self.duplicates or self.wrong_count or self.unanswered)

    def figures(self) -> dict[str, Any]:
        """For the report."""
        return {**vars(self), "refused": dict(self.refused)}

    def add(self, other: Verdict) -> None:
        """Of another phase."""
        self.sent += other.sent
        self.admitted += other.admitted
        self.refused += other.refused
        self.unanswered += other.unanswered
        self.lost += other.lost
        self.duplicates += other.duplicates
        self.receipts += other.receipts
        self.wrong = (self.wrong + other.wrong)[:20]
        self.wrong_count += other.wrong_count


@dataclass(frozen=True)
class Evidence:
    """What can be seen when all is over."""

    entry: RegionEntry
    policy: Policy
    #: Where each capsule stands in the log.
    places: Mapping[Digest, list[int]]
    #: The status of each row of the catalogue.
    rows: Mapping[Digest, str]
    blob: Callable[[Digest], bytes | None]
    #: SHA-256 of each body.
    tails: Sequence[str]


def logged(region: Region) -> dict[Digest, list[int]]:
    """Where each capsule stands in the log, every entry read and proven."""
    reader = LogReader(FolderFetch(region.home.public), region.policy)
    size = reader.checkpoint().checkpoint.size
    found: dict[Digest, list[int]] = {}
    for index, data in enumerate(reader.entries(0, size, size)):
        entry = decode(data, f"entry {index}").entry
        if isinstance(entry, CapsuleEntry):
            found.setdefault(entry.capsule, []).append(index)
    return found


def judge(
    seen: Evidence, jobs: Sequence[Job], outcomes: Sequence[Outcome], *, receipts: int = 2_000
) -> Verdict:
    """One phase. Of the receipts so many are verified whole; of the others the place."""
    found = Verdict(sent=len({each.job for each in outcomes}))
    acknowledged: dict[Digest, tuple[Job, int]] = {}
    every = max(1, len(outcomes) // receipts)
    for number, outcome in enumerate(outcomes):
        job = jobs[outcome.job]
        _answer(found, job, outcome)
        if outcome.status != 201:
            continue
        index = Proof.parse(outcome.receipt, "receipt").index
        _, before = acknowledged.setdefault(job.digest, (job, index))
        if before != index:
            found.blame(f"{job.kind}: two receipts for places {before} and {index}")
        if number % every == 0:
            found.receipts += 1
            if said := wrong_receipt(outcome.receipt, job, seen.entry, seen.policy):
                found.blame(f"{job.kind}: receipt: {said}")
    found.admitted = len(acknowledged)
    for name, (job, index) in acknowledged.items():
        if said := _unkept(seen, name, job, index):
            found.lost += 1
            found.blame(f"lost: {name[:16]}: {said}")
    _log(found, seen, jobs, acknowledged)
    return found


def _answer(found: Verdict, job: Job, outcome: Outcome) -> None:
    if not answered_rightly(job, outcome):
        said = f"{outcome.status} {outcome.code} after {outcome.before[:5]}"
        found.blame(f"{job.kind} ({job.road}): {said}")
    if outcome.wrong:
        found.blame(f"{job.kind}: receipt: {outcome.wrong}")
    if outcome.status == 0:
        found.unanswered += 1
    elif outcome.status != 201:
        found.refused[f"{job.kind}: {outcome.status} {outcome.code}".strip()] += 1


def _log(found: Verdict, seen: Evidence, jobs: Iterable[Job], kept: Iterable[Digest]) -> None:
    """Each digest at most once in the log, and none of those that must be refused."""
    good = set(kept) | {job.digest for job in jobs if 201 in job.status}
    for name in {job.digest for job in jobs}:
        places = seen.places.get(name, [])
        found.duplicates += max(0, len(places) - 1)
        if places and name not in good:
            found.blame(f"{name[:16]}: must be refused, and stands in the log")


def _unkept(seen: Evidence, name: Digest, job: Job, index: int) -> str:
    """Why the acknowledged capsule is not kept as it must be; empty if it is."""
    at = seen.places.get(name, [])
    if at[:1] != [index]:
        return f"receipt for {index}, in the log at {at}"
    if seen.rows.get(name) != "kept":
        return f"its row says {seen.rows.get(name)}"
    data = seen.blob(name)
    if data is None:
        return "no blob"
    begin = len(MAGIC) + LENGTH.size
    (length,) = LENGTH.unpack_from(data, len(MAGIC))
    envelope, tail = data[begin : begin + length], data[begin + length :]
    if hashlib.sha256(envelope).hexdigest() != name:
        return "its header is another one"
    if hashlib.sha256(tail).hexdigest() != seen.tails[job.body]:
        return "its body is another one"
    return ""
