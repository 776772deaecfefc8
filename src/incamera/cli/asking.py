# SPDX-License-Identifier: Apache-2.0
"""Showing a request to trustees: in batches, to all at once, and never twice for one capsule.

What a trustee hands out is checked and on disk before the next batch is asked for, so a run that
was stopped, or that one trustee did not answer, goes on with what is still missing. What is kept
was checked when it came and is checked again by whoever opens it: nothing rests on the folder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from incamera import durable
from incamera.cli.desk import Desk, Shown
from incamera.cli.pick import capsules_of
from incamera.errors import Error, InputError, IntegrityError, PolicyError
from incamera.ids import Digest, Name, digest
from incamera.ledger.grant import Grant
from incamera.ledger.holders import Holders, Holdings
from incamera.ledger.request import MAX_BATCH, CapsuleEvidence, GrantRequest
from incamera.ledger.rows import Requested
from incamera.tlog.proof import Proof

__all__ = ["Answer", "decide", "kept_grants"]

_TOGETHER = 8
"""Batches a trustee is shown at a time, over HTTP."""

Progress = Callable[[float, float | None, str | None], None]


@dataclass(slots=True)
class Answer:
    """What one trustee said to one request."""

    request: Digest
    trustee: Name
    granted: int  # capsules, with those of earlier runs
    error: Error | None = None
    #: Capsules to ask for in this run.
    missing: frozenset[Digest] = field(default=frozenset(), repr=False)

    @property
    def code(self) -> str:
        """Why not, in a word: the trustee's own code, or the family of the error."""
        assert self.error is not None
        return getattr(self.error, "code", "") or self.error.kind

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        plain: dict[str, object] = {
            "request": self.request,
            "trustee": self.trustee,
            "granted": self.granted,
        }
        if self.error is not None:
            plain["refused"] = {"code": self.code, "reason": self.error.message}
        return plain


def kept_grants(folder: Path) -> list[tuple[Name, bytes]]:
    """The grants in a folder, each with the trustee it came from; not checked."""
    return [
        (Name(path.stem.rpartition("-")[0]), path.read_bytes())
        for path in sorted(folder.glob("*.json"))
    ]


def decide(
    desk: Desk, asked: Requested, trustees: Sequence[Name], progress: Progress | None = None
) -> list[Answer]:
    """Show ``asked`` with its proofs to each trustee; what it hands out goes to the reader."""
    round_ = _Round(desk, asked, progress)
    if not round_.wanted:
        raise PolicyError(f"request {asked.leaf[:12]}: every capsule it names was erased")
    round_.answers = [round_.begin(name) for name in trustees]
    round_.run()
    return round_.answers


class _Round:
    """One request, put to some trustees."""

    def __init__(self, desk: Desk, asked: Requested, progress: Progress | None) -> None:
        self._desk, self._asked, self._progress = desk, asked, progress
        self._folder = durable.folder(
            desk.folder(asked.entry.reader) / "grants" / asked.leaf, 0o700
        )
        state = desk.state()
        named = capsules_of(desk, asked.entry)
        self.wanted = [each for each in named if state.erased(each) is None]
        self._keys = {party.name: party.key for party in state.parties("trustee")}
        self._kept = kept_grants(self._folder)
        self._turn = threading.Lock()
        self._holdings = Holdings(state, desk.fetch)
        self.answers: list[Answer] = []

    def begin(self, name: Name) -> Answer:
        """Where an earlier run left off with this trustee."""
        if name not in self._keys:
            raise InputError(f"no trustee {name} is enrolled in the log")
        kept: set[Digest] = set()
        for trustee, data in self._kept:
            if trustee == name:
                kept |= {share.capsule for share in self._checked(name, data).shares}
        missing = frozenset(each for each in self.wanted if each not in kept)
        return Answer(self._asked.leaf, name, len(self.wanted) - len(missing), missing=missing)

    def run(self) -> None:
        """Round by round, to each trustee that is still missing some of it.

        A trustee decides what waits together with one look at the log, and one entry in it.
        """
        workers = self._desk.workers
        together = 1 if workers == 1 else _TOGETHER
        with ThreadPoolExecutor(workers * together, "trustee") as pool:
            for round_ in self._rounds(together):
                self._told()
                place = self._desk.place(self._asked)
                calls = [
                    pool.submit(self._ask, answer, place, shown)
                    for shown in round_
                    for answer in self.answers
                    if answer.error is None
                ]
                for call in calls:
                    call.result()
        self._told()

    def _rounds(self, together: int) -> Iterator[list[list[Shown]]]:
        """What to show, the next round being fetched while one is decided on."""
        wanted = {each for answer in self.answers for each in answer.missing}
        names = [each for each in self.wanted if each in wanted]
        batches = [names[i : i + MAX_BATCH] for i in range(0, len(names), MAX_BATCH)]
        rounds = [batches[i : i + together] for i in range(0, len(batches), together)]

        def fetch(round_: list[list[Digest]]) -> list[list[Shown]]:
            return [self._desk.shown(each) for each in round_]

        with ThreadPoolExecutor(1, "evidence") as pool:
            calls = (pool.submit(fetch, each) for each in rounds)
            ready = next(calls, None)
            while ready is not None and any(each.error is None for each in self.answers):
                shown, ready = ready.result(), next(calls, None)
                yield shown

    def _ask(self, answer: Answer, place: tuple[bytes, Proof], shown: Sequence[Shown]) -> None:
        batch = [each for each in shown if self._holds(answer, each)]
        if not batch or answer.error is not None:
            return
        try:
            evidence = tuple(self._evidence(answer.trustee, each) for each in batch)
            leaf, proof = place
            asked = GrantRequest(leaf, proof.index, proof.note, tuple(proof.hashes), evidence)
            data = self._desk.ask(answer.trustee, asked)
            grant = self._checked(answer.trustee, data)
            if {each.capsule for each in grant.shares} != {each.digest for each in batch}:
                raise IntegrityError(f"{answer.trustee}: granted other capsules than it was asked")
        except Error as error:
            answer.error = error
            return
        durable.write(self._folder / f"{answer.trustee}-{digest(data)[:16]}.json", data, mode=0o600)
        with self._turn:
            answer.granted += len(batch)

    def _holds(self, answer: Answer, shown: Shown) -> bool:
        """Whether to ask for it: missing, and a share that this trustee has now."""
        return shown.digest in answer.missing and answer.trustee in self._holders(shown).names

    def _holders(self, shown: Shown) -> Holders:
        with self._turn:  # one connection to the state, and several threads that ask
            return self._holdings.of(shown.digest, shown.header)

    def _evidence(self, name: Name, shown: Shown) -> CapsuleEvidence:
        """Of a capsule the header and this trustee's share: the car's, or one passed on to it."""
        holders = self._holders(shown)
        index = holders.index(name)
        assert index is not None
        wrapped = b"" if holders.succession else shown.wrapped[index - 1]
        return CapsuleEvidence(shown.envelope, wrapped, index, holders.succession)

    def _checked(self, name: Name, data: bytes) -> Grant:
        """A grant by this trustee for this request."""
        grant = Grant.open(data, self._keys[name], self._asked.leaf, f"grant of {name}")
        if grant.trustee != name:
            raise IntegrityError(f"grant of {name}: speaks for {grant.trustee}")
        return grant

    def _told(self) -> None:
        if self._progress:
            done = sum(each.granted for each in self.answers)
            self._progress(done, len(self.wanted) * len(self.answers), None)
