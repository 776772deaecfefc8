# SPDX-License-Identifier: Apache-2.0
"""The spool: sealed capsules on their way to the vault, each until its receipt is verified.

The order for one clip, with the journal's line after what it states has become true:

1. ``seal``: the capsule is durable at ``spool/<clip>.capsule``; journal: ``sealed``;
2. ``send``: the vault admits it and answers with a receipt, which is verified against the region's
   keys and the log's policy, and kept in ``journal/receipts``; journal: ``admitted``;
3. the capsule is removed.

A capsule that goes unsent (:mod:`incamera.ingest.quota` says which may):

1. a note of what goes and why is durable in ``journal/notes.jsonl``;
2. journal: ``dropped``; from here on it is not made again;
3. the capsule is removed.

Dead after 1 it is still whole, and sent or dropped by the next run; the note stands once for each
capsule. Dead after 2 the next start removes it.

Plaintext exists only below ``spool/work``, redacted, while a clip is cut; every start empties it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Digest
from incamera.ingest.home import Admit, CarHome
from incamera.ingest.journal import ClipId, Journal, Note, Refusal, Step
from incamera.ingest.quota import FINAL, FullError, sampled
from incamera.ingest.terms import Terms
from incamera.ledger.receipt import check_receipt
from incamera.recording.contents import Contents
from incamera.sealing import read_capsule, seal
from incamera.sealing.header import Header

__all__ = ["Spool", "alone"]

_AROUND = 1 << 16
"""Bytes of a capsule around its clip, at most for some dozen trustees."""


@contextlib.contextmanager
def alone(home: CarHome, wait: bool) -> Iterator[None]:
    """One process a car at a time; whoever comes second is told who is at it."""
    folder = durable.folder(home.journal, 0o700)
    holder = folder / "holder"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(durable.lock(folder / "lock", wait=wait))
        except UnavailableError as error:
            if not holder.exists():
                raise
            who = holder.read_bytes()[:80].decode("ascii", "replace")
            raise UnavailableError(f"{error.message} ({who})", hint=error.hint) from error
        durable.write(holder, f"ingest in process {os.getpid()}".encode())
        yield


class Spool:
    """One car's capsules and what is known of them. Hold ``journal/lock`` while one exists."""

    def __init__(self, home: CarHome, journal: Journal, admit: Admit, clock: Clock) -> None:
        self._home, self._journal, self._admit, self._clock = home, journal, admit, clock
        self._work = home.spool / "work"
        durable.folder(home.spool, 0o700)
        self._receipts = durable.folder(home.journal / "receipts")
        self._clear()

    def path(self, clip: ClipId) -> Path:
        """Where the capsule of ``clip`` lies while it waits."""
        return self._home.spool / f"{clip}.capsule"

    def _clear(self) -> None:
        """Remove what a crash left: plaintext, half-written files, capsules nobody noted."""
        self._empty_work()
        noted = {self.path(step.clip) for step in self._journal.in_state("sealed")}
        for path in self._home.spool.iterdir():
            left_over = path.suffix in {".tmp", ".capsule"}
            if left_over and path not in noted:
                durable.remove(path)

    def _empty_work(self) -> None:
        try:
            if self._work.exists():
                shutil.rmtree(self._work)
        except OSError as error:
            raise UnavailableError(f"{self._work}: cannot be emptied: {error.strerror}") from error

    @contextlib.contextmanager
    def work(self, clip: ClipId) -> Iterator[Path]:
        """A folder to cut ``clip`` in, gone afterwards with all that is in it.

        :class:`FullError` where the spool is full, and nothing may go from it.
        """
        self._make_room(1)
        try:
            yield durable.folder(self._work / clip, 0o700)
        finally:
            self._empty_work()

    def waiting(self) -> list[Step]:
        """Clips that are sealed and have no receipt yet."""
        return self._journal.in_state("sealed")

    def seal(self, clip: ClipId, packed: Path, contents: Contents) -> Digest:
        """Seal the packed clip and note it; the capsule's digest."""
        home, terms = self._home, Terms.of(self._home)
        self._make_room(packed.stat().st_size + _AROUND)
        with packed.open("rb") as payload:
            capsule = seal(
                payload,
                self.path(clip),
                facts=terms.facts(contents, self._clock.now()),
                recipients=terms.recipients,
                car=home.key,
            )
        self._journal.note(clip, "sealed", capsule)
        return capsule

    def adopt(self, clip: ClipId, sealed: Path, capsule: Digest) -> None:
        """Take over what a worker sealed into the spool under another name, and note it.

        The order: it is durable as ``sealed``; it gets its name here; journal: ``sealed``. Dead
        before the last, the next start removes it, and it is made again.
        """
        self._make_room(1)
        if read_capsule(sealed).digest != capsule:
            raise IntegrityError(f"{sealed}: is another capsule than its worker says")
        self.path(clip).unlink(missing_ok=True)
        durable.move(sealed, self.path(clip))
        self._journal.note(clip, "sealed", capsule)

    def send(self, step: Step) -> int | None:
        """Have the vault admit a sealed capsule, and let go of it; its size in bytes.

        None: it was admitted once, though the receipt never arrived, and then erased by its owner.

        :class:`UnavailableError`: later. :class:`IntegrityError`: what lies in the spool is not
        what was sealed (it is noted as lost, to be made again), or the receipt proves nothing (the
        capsule is kept). Whatever the vault refuses, it says itself; the capsule is kept.
        """
        path = self.path(step.clip)
        try:
            size = self._checked(path, step.capsule)
        except UnavailableError:
            raise
        except Error:
            self._journal.note(step.clip, "lost", step.capsule)
            durable.remove(path)
            raise
        try:
            receipt = self._admit(path)
        except PolicyError as error:
            code = getattr(error, "code", "")
            if code != "erased":
                told = (code, error.message, error.hint or "", self._clock.now())
                self._journal.refused(Refusal(step.capsule, *told))
                raise
            self._journal.note(step.clip, "erased", step.capsule)
            durable.remove(path)
            return None
        check_receipt(receipt, step.capsule, self._home.region, self._home.log_policy)
        durable.write(self._receipts / f"{step.capsule}.tlog-proof", receipt)
        self._journal.note(step.clip, "admitted", step.capsule)
        durable.remove(path)
        return size

    def _checked(self, path: Path, wanted: Digest) -> int:
        hint = "run ingest on the recording again: the clip is made anew"
        try:
            capsule = read_capsule(path)
            capsule.verify_stored()
        except (InputError, IntegrityError) as error:
            raise IntegrityError(
                f"a capsule is gone from the spool or damaged: {error.message}", hint=hint
            ) from error
        if capsule.digest != wanted:
            raise IntegrityError(f"{path}: is another capsule than the journal says", hint=hint)
        return path.stat().st_size

    # Room

    def used(self) -> int:
        """Bytes of all capsules that wait."""
        return sum(self._size(step) for step in self.waiting())

    def _size(self, step: Step) -> int:
        try:
            return self.path(step.clip).stat().st_size
        except FileNotFoundError:
            return 0  # it is noted as lost when it is to be sent

    def purge(self) -> list[Note]:
        """Let go of what nobody would take or open any more; what went, and why."""
        found = []
        for step in self.waiting():
            if (reason := self._unwanted(step)) is not None:
                found.append(self._drop(step, reason))
        return found

    def _make_room(self, more: int) -> None:
        """:class:`FullError` unless ``more`` bytes fit, with what may go gone."""
        quota = self._home.quota
        if more > quota.limit:
            raise InputError(
                f"{self._home.spool}: a clip of {more} bytes, and only {quota.limit} are allowed",
                hint="give the spool more room: this clip is not kept before that",
            )
        lacks = quota.lacks(self._home.spool, self.used(), more)
        if lacks is None:
            return
        self.purge()
        for only_sampled in (True, False):
            for step in self.waiting():
                lacks = quota.lacks(self._home.spool, self.used(), more)
                if lacks is None:
                    return
                if self._may_go(step, only_sampled):
                    self._drop(step, f"to make room: {lacks}")
        lacks = quota.lacks(self._home.spool, self.used(), more)
        if lacks is not None:
            raise FullError(
                f"{self._home.spool}: the spool is full: {lacks}",
                hint="nothing is lost: have the car send what waits, or give the spool more room",
            )

    def _may_go(self, step: Step, only_sampled: bool) -> bool:
        header = self._header(step)
        if header is None:
            return False
        return sampled(header) if only_sampled else self._home.quota.drop_triggered

    def _unwanted(self, step: Step) -> str | None:
        """Why nobody wants the capsule any more."""
        header, refusal = self._header(step), self._journal.refusals().get(step.capsule)
        if header is None:
            return None
        if header.expires <= self._clock.now():
            return "its time is over: nobody may open it any more"
        if refusal is not None and refusal.code in FINAL:
            return f"the vault refused it for good: {refusal.message}"
        return self._home.quota.unwanted(header)

    def _header(self, step: Step) -> Header | None:
        """Of the capsule; None if it is damaged, which :meth:`send` deals with."""
        try:
            return read_capsule(self.path(step.clip)).header
        except (InputError, IntegrityError):
            return None

    def _drop(self, step: Step, reason: str) -> Note:
        """Let it go unsent, in the order above."""
        header = self._header(step)
        tags = () if header is None else tuple(header.tags)
        facts = (reason, tags, self._size(step), self._clock.now())
        note = Note(step.capsule, step.clip, *facts)
        self._journal.say_dropped(note)
        self._journal.note(step.clip, "dropped", step.capsule)
        durable.remove(self.path(step.clip))
        return note
