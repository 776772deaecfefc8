# SPDX-License-Identifier: Apache-2.0
"""Following a log: read every entry, believe a checkpoint only if the entries give its root.

That is stronger than a consistency proof, which shows hashes: who follows knows that each entry
is readable and has read it, so it knows what is *absent* (an erasure, a revocation) too.
"""

from __future__ import annotations

from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import IntegrityError
from incamera.ids import Digest
from incamera.ledger import evidence
from incamera.ledger.state import State
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.reader import LogReader

__all__ = ["Follower"]

_SUSPECT = ".suspect.note"


class Follower:
    """Keeps a state in step with a log, and stops for good when the log forks."""

    def __init__(
        self, reader: LogReader, state: State, clock: Clock, *, folder: Path | None = None
    ) -> None:
        """``folder``: where evidence is kept; by default ``evidence`` beside the state's file."""
        self.reader = reader
        self.state = state
        self._clock = clock
        self.folder = folder or (state.path.parent / "evidence" if state.path else None)
        self._forked = False  # for a state in memory, which has no folder

    @property
    def policy(self) -> Policy:
        """Whom this follower believes."""
        return self.reader.policy

    @property
    def frozen(self) -> bool:
        """True once proof of a fork is kept. Nothing but removing it by hand ends that."""
        return self._forked or bool(self.folder and evidence.found(self.folder))

    def present(self) -> Witnessed:
        """The log's present checkpoint, with its quorum, not yet compared with what we read."""
        # Not reader.checkpoint(): of two roots it would raise before both notes are kept.
        return self.policy.check(self.reader.fetch("checkpoint"))

    def follow(self, seen: Witnessed | None = None) -> Witnessed:
        """Read up to the log's present checkpoint (or ``seen``, checked elsewhere) and stand there.

        :class:`IntegrityError` for a checkpoint without its quorum, one smaller than our last, a
        second root for our size (kept as evidence; frozen from then on), and entries that do not
        give the root. :class:`UnavailableError` for entries that are withheld. In each case the
        state stays as it was.
        """
        if self.frozen:
            raise IntegrityError(
                f"this log forked; the proof is kept in {self.folder}",
                hint="publish the proof; nothing is opened from this log any more",
            )
        # One transaction around the fetch as well: a second process cannot move the state on in
        # between and make an honest checkpoint look like a rollback.
        with self.state.transaction():
            witnessed = seen or self.present()
            self._refuse_fork(witnessed)
            self._refuse_rollback(witnessed.checkpoint)
            try:
                self._read(witnessed)
            except IntegrityError:
                self._suspect(witnessed)
                raise
        return witnessed

    def reconcile(self, witnessed: Witnessed) -> None:
        """Make sure that a checkpoint from elsewhere (already checked) shows the log we follow.

        A larger one is followed; a smaller one must be consistent with ours. Errors as in
        :meth:`follow`.
        """
        checkpoint = witnessed.checkpoint
        if checkpoint.size >= self.state.size or self.frozen:
            self.follow(witnessed)
            return
        self._refuse_fork(witnessed)
        ours = self.policy.check(self.state.note or b"", "our own checkpoint").checkpoint
        reader = LogReader(self.reader.fetch, self.policy)
        reader.trust(ours)
        proof = reader.consistency(checkpoint.size, ours.size)
        merkle.verify_consistency(checkpoint.size, ours.size, checkpoint.root, ours.root, proof)

    def _read(self, witnessed: Witnessed) -> None:
        checkpoint = witnessed.checkpoint
        # A reader of its own: a root that turns out wrong must not be remembered as trusted.
        reader = LogReader(self.reader.fetch, self.policy)
        reader.trust(checkpoint)
        time = max(witnessed.time(self.policy), self.state.time)
        start = self.state.size
        entries = reader.entries(start, checkpoint.size, checkpoint.size)
        for index, entry in enumerate(entries, start):
            self.state.apply(index, entry, time)
        if self.state.applied != checkpoint.size:
            raise IntegrityError(f"the log did not give all {checkpoint.size} entries")
        self.state.accept(witnessed.note, checkpoint.root, time)

    def _refuse_fork(self, witnessed: Witnessed) -> None:
        """Compare with the notes of that size that we stood under, or could not."""
        checkpoint = witnessed.checkpoint
        self._same_origin(checkpoint)
        known = self.state.checkpoint(checkpoint.size)
        for note in (known[1] if known else None, self._suspected(checkpoint.size)):
            if note is None or note.startswith(checkpoint.text):
                continue
            self.freeze(note, witnessed.note)
            raise IntegrityError(
                f"the log forked: two roots for size {checkpoint.size}; both notes are kept",
                hint="publish the proof; nothing is opened from this log any more",
            )

    def _suspect(self, witnessed: Witnessed) -> None:
        """Keep a cosigned note that the entries we can read contradict.

        Alone it proves nothing (the copy we read may be the bad one), but it convicts the log as
        soon as another root for that size turns up. It bears the quorum's signatures, so it is
        not for everybody to fill the disk with.
        """
        if self.folder is not None and self._suspected(witnessed.checkpoint.size) is None:
            durable.folder(self.folder)
            path = self.folder / f"{witnessed.checkpoint.size}{_SUSPECT}"
            durable.write(path, witnessed.note)

    def _suspected(self, size: int) -> bytes | None:
        path = self.folder / f"{size}{_SUSPECT}" if self.folder else None
        return path.read_bytes() if path and path.exists() else None

    def _refuse_rollback(self, checkpoint: Checkpoint) -> None:
        if checkpoint.size < self.state.size:
            raise IntegrityError(
                f"the log went back: {checkpoint.size} entries after {self.state.size}",
                hint="the log was restored from an old copy, or you read a stale one: read another",
            )

    def _same_origin(self, checkpoint: Checkpoint) -> None:
        if self.state.note is None:
            return
        origin = self.state.note.split(b"\n", 1)[0].decode("utf-8")
        if checkpoint.origin != origin:
            raise IntegrityError(
                f"a checkpoint of {checkpoint.origin!r:.80}, not of {origin!r:.80}"
            )

    def freeze(self, ours: bytes, theirs: bytes) -> Digest | None:
        """Keep two contradicting notes and stop for good; the evidence's digest, if on disk.

        :class:`IntegrityError` if they prove nothing.
        """
        evidence.check_fork(ours, theirs, self.policy)
        self._forked = True
        if self.folder is None:
            return None
        return evidence.keep(self.folder, ours, theirs, self._clock.now())

    def convict(self, data: bytes) -> Digest | None:
        """Keep somebody's evidence file, of any kind, and stop for good; its digest, if on disk.

        :class:`InputError` if it is malformed, :class:`IntegrityError` if it proves nothing.
        """
        evidence.check_evidence(data, self.policy, "evidence")
        self._forked = True
        return None if self.folder is None else evidence.keep_file(self.folder, data)
