# SPDX-License-Identifier: Apache-2.0
"""Following a log: read every entry, believe a checkpoint only if the entries give its root.

That is stronger than a consistency proof, which shows hashes: who follows knows that each entry
is readable and has read it, so it knows what is *absent* (an erasure, a revocation) too.
"""

from __future__ import annotations

from pathlib import Path

from incamera.clock import Clock
from incamera.errors import IntegrityError
from incamera.ids import Digest
from incamera.ledger import evidence
from incamera.ledger.state import State
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.reader import LogReader

__all__ = ["Follower"]


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
            witnessed = seen or self.reader.checkpoint()
            checkpoint = witnessed.checkpoint
            self._refuse_fork_and_rollback(witnessed)
            time = max(witnessed.time(self.policy), self.state.time)
            start = self.state.size
            entries = self.reader.entries(start, checkpoint.size, checkpoint.size)
            for index, entry in enumerate(entries, start):
                self.state.apply(index, entry, time)
            if self.state.applied != checkpoint.size:
                raise IntegrityError(f"the log did not give all {checkpoint.size} entries")
            self.state.accept(witnessed.note, checkpoint.root, time)
        return witnessed

    def _refuse_fork_and_rollback(self, witnessed: Witnessed) -> None:
        checkpoint = witnessed.checkpoint
        if self.state.note is None:
            return
        self._same_origin(checkpoint)
        if (known := self.state.checkpoint(checkpoint.size)) and known[0] != checkpoint.root:
            self.freeze(known[1], witnessed.note)
            raise IntegrityError(
                f"the log forked: two roots for size {checkpoint.size}; both notes are kept",
                hint="publish the proof; nothing is opened from this log any more",
            )
        if checkpoint.size < self.state.size:
            raise IntegrityError(
                f"the log went back: {checkpoint.size} entries after {self.state.size}",
                hint="the log was restored from an old copy, or you read a stale one: read another",
            )

    def _same_origin(self, checkpoint: Checkpoint) -> None:
        origin = (self.state.note or b"").split(b"\n", 1)[0].decode("utf-8")
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
