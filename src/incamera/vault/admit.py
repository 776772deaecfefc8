# SPDX-License-Identifier: Apache-2.0
"""Taking capsules in, many at once: what is judged, made durable, logged and answered together.

======================================  =========================================================
a batch, crash after                    what is there, and what happens next
======================================  =========================================================
1. the rules held                       nothing
2. rows in ``begun`` hold the entries   no blob, or some: admitting again finds the row, and the
                                        entry in it is the one that stands; ``sweep`` removes both
3. the blobs are durable                the same
4. the entries are in the log           whichever vault reads on makes the rows ``kept``
5. the rows are ``kept``                admitting again answers with the receipt
======================================  =========================================================

Who has begun a capsule holds it (``Index.begin``) until its entry is in the log; another vault
that is handed the same capsule waits, looks at the log, and appends only what is not there: so
there is one entry. An erasure can come between any two steps. Whoever reads it in the log destroys
the blob; whoever put a blob reads the log afterwards, and destroys it too if it was erased.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from incamera.clock import Clock
from incamera.errors import Error, UnavailableError, without_frames
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.header import Header
from incamera.sealing.keys import SigningKey
from incamera.vault import admission
from incamera.vault.account import Account
from incamera.vault.blobs import Blobs
from incamera.vault.exclusion import Exclusions
from incamera.vault.index import Begun, Facts, Index
from incamera.vault.reading import Reading, receipts
from incamera.vault.refusal import RefusedError

__all__ = ["Admitting", "Source"]

_THREADS = 4
_MOST_OWNERS = 1 << 16

Answers = dict[Digest, bytes | Error]
Capsules = Mapping[Digest, Capsule]


@dataclass(frozen=True, slots=True)
class Source:
    """A capsule that wants in."""

    path: Path
    """Where it lies, or what messages call it."""
    data: bytes | None = None
    """All of it, where it is held in memory."""
    header: Header | None = None
    """As the caller has read it from ``data``, its signature checked."""


@dataclass
class Admitting:
    """The vault's way in. For any number of threads."""

    key: SigningKey
    excluded: Path
    append: Callable[[Sequence[bytes]], object]
    refresh: Callable[[], object]
    clock: Clock
    reading: Reading
    account: Account
    index: Index
    blobs: Blobs
    #: Guards ``reading`` and ``account``. Taken after what ``index`` holds, never before.
    turn: threading.Lock
    #: Seconds that the last look at the log may be old when it is asked who may deliver.
    recent: float = 0.0

    def __post_init__(self) -> None:
        self._readers = ThreadPoolExecutor(_THREADS, "admit")
        #: Opening key -> owner: an owner's key is that owner's for good.
        self._owners: dict[Digest, str] = {}

    def close(self) -> None:
        """Let go of the threads."""
        self._readers.shutdown()

    def admit_all(self, sources: Sequence[Source]) -> list[bytes | Error]:
        """As :meth:`incamera.vault.Vault.admit_all`."""
        read = self._read_all(sources)
        capsules = {each.digest: each for each in read if isinstance(each, Capsule)}
        answers: Answers = {}
        known = self._take_in(capsules, answers)
        for name in known:
            try:
                self._mend(capsules[name])
            except Error as error:
                answers[name] = error
        self._answer([name for name in capsules if name not in answers], answers)
        found = [answers[e.digest] if isinstance(e, Capsule) else e for e in read]
        return [without_frames(e) if isinstance(e, Error) else e for e in found]

    def _read_all(self, sources: Sequence[Source]) -> list[Capsule | Error]:
        if all(each.data is not None for each in sources):
            return [*map(_read, sources)]
        # A task a thread, not one a capsule: that would cost half as much as the reading.
        turns = range(min(_THREADS, len(sources)))
        shares = self._readers.map(lambda first: [*map(_read, sources[first::_THREADS])], turns)
        read: list[Capsule | Error] = [*sources]  # type: ignore[list-item]  # each is replaced
        for first, share in enumerate(shares):
            read[first::_THREADS] = share
        return read

    # New ones

    def _take_in(self, capsules: Capsules, answers: Answers) -> list[Digest]:
        """Log those that are new and keep to the rules; which are in the log already."""
        now = self.clock.now()
        with self.turn:
            self.account.catch_up(recent=self.recent)
            fresh, known = self._judge(capsules, now, answers)
            region = admission.region_of(self.reading.state).region
        if not fresh:
            return known
        begun = []
        for name, owner in fresh.items():
            capsule = capsules[name]
            facts = Facts.of(name, capsule.header, capsule.size, owner)
            entry = encode(CapsuleEntry(region=region, time=now, capsule=name), self.key)
            begun.append(Begun(facts, entry))
        met = []
        with self.index.begin(begun, now) as standings:
            ours = dict[Digest, bytes]()
            for each, standing in zip(begun, standings, strict=True):
                name = each.facts.name
                if standing.what == "fresh" and each.entry is not None:
                    ours[name] = each.entry
                elif standing.what == "met":
                    met.append(name)
                elif standing.what == "there":
                    known.append(name)
                else:
                    answers[name] = admission.duplicate(standing.twin)
            self._log(ours, capsules, answers)
        if met:
            try:
                self._go_on(met, capsules, answers)
            except Error as error:  # these wait; the others need not
                answers.update((name, error) for name in met if name not in answers)
        return known

    def _judge(
        self, capsules: Capsules, now: int, answers: Answers
    ) -> tuple[dict[Digest, str | None], list[Digest]]:
        """Those that may come in, with their owners, and those that did."""
        state, exclusions = self.reading.state, Exclusions.load(self.excluded)
        owners = self._owners_of(each.header.owner.key for each in capsules.values())
        fresh, known = dict[Digest, str | None](), list[Digest]()
        for name, capsule in capsules.items():
            header = capsule.header
            if state.capsule(name) is not None and state.erased(name) is None:
                known.append(name)
                continue
            owner = owners.get(header.owner.key)
            try:
                admission.check(admission.Case(name, header, state, exclusions, owner, now))
                fresh[name] = owner
            except Error as error:
                answers[name] = error
        return fresh, known

    def _owners_of(self, keys: Iterable[Digest]) -> Mapping[Digest, str]:
        if len(self._owners) > _MOST_OWNERS:
            self._owners = {}
        unknown = {key for key in keys if key not in self._owners}
        if unknown:
            self._owners.update(self.index.owners_of(unknown))
        return self._owners

    def _log(self, entries: Mapping[Digest, bytes], capsules: Capsules, answers: Answers) -> None:
        """Blobs, then the log; what was begun is held meanwhile."""
        stored = self._store(entries, capsules, answers)
        if not stored:
            return
        try:
            self.index.held()
            new = [entries[name] for name in stored]
            self.reading.ahead.told(new, self.append(new))
        except Error as error:
            answers.update(dict.fromkeys(stored, error))

    def _store(self, names: Iterable[Digest], capsules: Capsules, answers: Answers) -> list[Digest]:
        """Make blobs durable, each copied from what was checked; which of them are.

        A copy fails if the ciphertext's digest is not the header's: so no other bytes can slip in.
        """
        names = list(names)
        errors = self.blobs.put_all([(name, capsules[name].pieces()) for name in names])
        bad = {name: e for name, e in zip(names, errors, strict=True) if e is not None}
        answers.update(bad)
        if bad:
            self.index.give_up(bad)
        return [name for name in names if name not in bad]

    def _go_on(self, names: Sequence[Digest], capsules: Capsules, answers: Answers) -> None:
        """What another has begun: wait for it, and log what it left unfinished."""
        with self.index.resume(names) as left:
            if not left:
                return
            self.refresh()  # what the log was handed before, it shows now
            with self.turn:
                self.reading.follow()
                state = self.reading.state
                missing = {n: e for n, e in left.items() if e and state.capsule(n) is None}
            self._log(missing, capsules, answers)

    # Those that are in the log already

    def _mend(self, capsule: Capsule) -> None:
        """On its receipt the car deletes its copy: what is damaged here is mended first."""
        name = capsule.digest
        status = self.index.statuses([name]).get(name)
        sound = self.account.sound(name)
        if (status == "kept" and sound) or status == "erased":
            return
        facts = Facts.of(name, capsule.header, capsule.size, None)
        # A row in ``begun`` says that here is a blob to look after, should this be cut short.
        with self.index.begin([Begun(facts, None)], self.clock.now()):
            if not sound:
                self.blobs.put(name, capsule.pieces())
        with self.turn:
            self.account.catch_up()
            with self.index.accounting() as book:
                self.account.settle(book, name)
        self.index.give_up([name])

    # Answers

    def _answer(self, names: Sequence[Digest], answers: Answers) -> None:
        """Receipts for what the log shows and the tables call ``kept``, under one checkpoint."""
        if not names:
            return
        proven: dict[Digest, tuple[int, bytes]] = {}
        with self.turn:
            try:
                kept = self._kept(names, told=True)
                if any(self._unseen(name, kept) for name in names):
                    kept = self._kept(names, told=False)
                for name in names:
                    found = self._standing(name, name in kept)
                    if isinstance(found, int):
                        proven[name] = (found, self.reading.entry(found))
                    else:
                        answers[name] = found
                fetch, witnessed = self.reading.present()
            except Error as error:
                answers.update(dict.fromkeys(names, error))
                return
        try:
            answers.update(zip(proven, receipts(fetch, witnessed, [*proven.values()]), strict=True))
        except Error as error:
            answers.update(dict.fromkeys(proven, error))

    def _kept(self, names: Sequence[Digest], *, told: bool) -> set[Digest]:
        """Which of them the tables call ``kept``; ``told``: as :meth:`Reading.follow` has it."""
        kept = self.account.catch_up(told=told)
        if unsure := [name for name in names if name not in kept]:
            said = self.index.statuses(unsure)
            kept |= {name for name in unsure if said.get(name) == "kept"}
        return kept

    def _unseen(self, name: Digest, kept: set[Digest]) -> bool:
        """Not there, as far as we read: another process may have read on, of an erasure say."""
        there = self.reading.state.capsule(name)
        return name not in kept or there is None or there.index >= self.reading.size

    def _standing(self, name: Digest, kept: bool) -> int | Error:
        """Its place in the log, or why there is no receipt."""
        state = self.reading.state
        admitted = state.capsule(name)
        if state.erased(name) is not None:
            # Our blob may have come after it was destroyed.
            self.blobs.remove(name)
            self.index.give_up([name])
            return RefusedError("erased", f"capsule {name[:16]}... was erased")
        if admitted is None:
            return UnavailableError(
                f"capsule {name[:16]}... is stored, but the log does not show it yet",
                hint="admit it again",
            )
        if not kept:
            return UnavailableError(
                f"capsule {name[:16]}... is in the log, but not stored here", hint="admit it again"
            )
        return admitted.index


def _read(source: Source) -> Capsule | Error:
    """Header, signature and shares checked; the ciphertext is as it is copied."""
    try:
        return read_capsule(source.path, source.data, source.header)
    except Error as error:
        return error
