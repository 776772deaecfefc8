# SPDX-License-Identifier: Apache-2.0
"""A witness (C2SP tlog-witness): cosigns a log's checkpoint only if it extends the last one.

State is one folder per log, named by the SHA-256 of its origin::

    checkpoint      the last cosigned checkpoint with our cosignature, as monitors may fetch it
    lock            held from reading that file until it is replaced
    conflict/       signed checkpoints of one size with different roots: proof of equivocation
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.encoding import base64_bytes, decimal
from incamera.errors import InputError, IntegrityError
from incamera.ids import digest
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Cosigner, Note, Verifier, open_note, split_note

__all__ = ["AddCheckpoint", "Witness"]

_MAX_BODY = 1 << 20
_MAX_CONFLICTS = 16  # enough to convict; a bad log shall not fill the disk
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of an ``add-checkpoint`` request."""

    old: int
    proof: Sequence[bytes]
    note: bytes

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Strict: one ``old`` line, at most 63 hashes, a blank line, the note."""
        head, gap, note = body.partition(b"\n\n")
        if len(body) > _MAX_BODY or not gap:
            raise InputError("add-checkpoint: too long, or no blank line before the checkpoint")
        try:
            first, *hashes = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise InputError("add-checkpoint: not ASCII before the checkpoint") from error
        if not (match := _OLD.fullmatch(first)):
            raise InputError("add-checkpoint: the first line must be 'old <size>'")
        if len(hashes) > merkle.MAX_PROOF:
            raise InputError(f"add-checkpoint: more than {merkle.MAX_PROOF} hashes")
        proof = tuple(base64_bytes(each, "add-checkpoint: hash", merkle.HASH) for each in hashes)
        return cls(decimal(match.group(1), "add-checkpoint: old size"), proof, note)


class Witness:
    """Cosigns for the logs it knows: ``logs`` maps an origin to the log's public key."""

    def __init__(
        self, state: Path, cosigner: Cosigner, logs: Mapping[str, Verifier], clock: Clock
    ) -> None:
        self._state = state
        self._cosigner = cosigner
        self._logs = dict(logs)
        self._clock = clock

    @property
    def vkey(self) -> str:
        """The witness's public key as text."""
        return self._cosigner.vkey

    def _folder(self, origin: str) -> Path:
        return durable.folder(self._state / digest(origin.encode()))

    def published(self, origin: str) -> bytes | None:
        """The last cosigned checkpoint, for monitors; None if there is none."""
        path = self._state / digest(origin.encode()) / "checkpoint"
        return path.read_bytes() if path.exists() else None

    def recall(self, note: bytes) -> bool:
        """Go on from ``note`` if we cosigned it and remember less; True if so.

        For a start: state that came back from a backup would cosign a fork of what it forgot. The
        log's published checkpoint (or any copy) bears our own cosignature, which is proof that we
        had checked it. Without that, or of another log, it says nothing about us: False.
        :class:`IntegrityError` if it shows another root than we hold, and both are kept.
        """
        try:
            text, _ = split_note(note, "a checkpoint to recall")
            checkpoint = Checkpoint.parse(text, "a checkpoint to recall")
            log = self._logs[checkpoint.origin]
            opened = open_note(note, [log, self._cosigner.verifier])
        except (InputError, IntegrityError, KeyError):
            return False
        if {each.verifier for each in opened.verified} != {log, self._cosigner.verifier}:
            return False
        folder = self._folder(checkpoint.origin)
        with durable.lock(folder / "lock", wait=True):
            last = self._last(folder, checkpoint.origin)
            if checkpoint.size == last.size and checkpoint.root != last.root:
                self._convict(folder, note)
                raise IntegrityError(
                    f"{folder}: we cosigned two trees of {last.size} entries",
                    hint="both are kept: publish them, and stop this witness",
                )
            if checkpoint.size <= last.size:
                return False
            ours = b"".join(each.line for each in opened.verified)
            durable.write(folder / "checkpoint", text + b"\n" + ours)
        return True

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Answer one ``add-checkpoint`` request: HTTP status and body.

        200 signature lines; 400 malformed; 403 no good log signature; 404 unknown log; 409 the old
        size is not ours (body: our size, as ``text/x.tlog.size``); 422 the tree is not an
        extension of what we cosigned.
        """
        try:
            request = AddCheckpoint.parse(body)
            text, _ = split_note(request.note, "add-checkpoint: checkpoint")
            checkpoint = Checkpoint.parse(text, "add-checkpoint: checkpoint")
        except InputError as error:
            return 400, f"{error.message}\n".encode()
        if checkpoint.origin not in self._logs:
            return 404, b"unknown log\n"
        try:
            opened = open_note(request.note, [self._logs[checkpoint.origin]])
        except IntegrityError as error:
            return 403, f"{error.message}\n".encode()
        if request.old > checkpoint.size:
            return 400, b"the old size is larger than the checkpoint's\n"
        folder = self._folder(checkpoint.origin)
        # INVARIANT: the stored checkpoint is read, compared and replaced under one lock, so that
        # a slow request can never put a smaller tree back after a larger one was cosigned.
        with durable.lock(folder / "lock", wait=True):
            return self._advance(folder, request, checkpoint, opened)

    def _advance(
        self, folder: Path, request: AddCheckpoint, checkpoint: Checkpoint, opened: Note
    ) -> tuple[int, bytes]:
        last = self._last(folder, checkpoint.origin)
        if checkpoint.size == last.size and checkpoint.root != last.root:
            self._convict(folder, request.note)
        if request.old != last.size:
            return 409, b"%d\n" % last.size
        try:
            merkle.verify_consistency(
                last.size, checkpoint.size, last.root, checkpoint.root, request.proof
            )
        except IntegrityError as error:
            return 422, f"{error.message}\n".encode()
        line = self._cosigner.line(checkpoint.text, self._clock.now())
        # Persisted before answering: a cosignature that we might forget would let the log show
        # another tree to the next one who asks.
        # Signature lines of others are not ours to keep.
        ours = b"".join(each.line for each in opened.verified) + line
        durable.write(folder / "checkpoint", checkpoint.text + b"\n" + ours)
        return 200, line

    def _last(self, folder: Path, origin: str) -> Checkpoint:
        """The last cosigned checkpoint; the empty tree where there is none."""
        path = folder / "checkpoint"
        if not path.exists():
            return Checkpoint(origin, 0, merkle.EMPTY)
        try:
            opened = open_note(path.read_bytes(), [self._cosigner.verifier], str(path))
            last = Checkpoint.parse(opened.text, str(path))
        except InputError as error:
            raise IntegrityError(f"{path}: our own state is damaged: {error.message}") from error
        if last.origin != origin:
            raise IntegrityError(f"{path}: our own state is that of another log")
        return last

    def _convict(self, folder: Path, note: bytes) -> None:
        """Keep both signed checkpoints: together they prove that the log equivocates."""
        conflict = durable.folder(folder / "conflict")
        ours = (folder / "checkpoint").read_bytes() if (folder / "checkpoint").exists() else b""
        for each in (ours, note):
            path = conflict / digest(each)
            if each and not path.exists() and len(list(conflict.iterdir())) < _MAX_CONFLICTS:
                durable.create(path, each)
