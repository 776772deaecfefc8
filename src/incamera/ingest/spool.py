# SPDX-License-Identifier: Apache-2.0
"""The spool: sealed capsules on their way to the vault, each until its receipt is verified.

The order for one clip, with the journal's line after what it states has become true:

1. ``seal``: the capsule is durable at ``spool/<clip>.capsule``; journal: ``sealed``;
2. ``send``: the vault admits it and answers with a receipt, which is verified against the region's
   keys and the log's policy, and kept in ``journal/receipts``; journal: ``admitted``;
3. the capsule is removed.

Plaintext exists only below ``spool/work``, redacted, while a clip is cut; every start empties it.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Digest
from incamera.ingest.home import Admit, CarHome
from incamera.ingest.journal import ClipId, Journal, Step
from incamera.ledger.receipt import check_receipt
from incamera.recording.contents import Contents
from incamera.sealing import Facts, read_capsule, seal

__all__ = ["Spool"]

_DAY = 86_400
_HOUR = 3_600


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
        """A folder to cut ``clip`` in, gone afterwards with all that is in it."""
        try:
            yield durable.folder(self._work / clip, 0o700)
        finally:
            self._empty_work()

    def waiting(self) -> list[Step]:
        """Clips that are sealed and have no receipt yet."""
        return self._journal.in_state("sealed")

    def seal(self, clip: ClipId, packed: Path, contents: Contents) -> Digest:
        """Seal the packed clip and note it; the capsule's digest."""
        home = self._home
        with packed.open("rb") as payload:
            capsule = seal(
                payload,
                self.path(clip),
                facts=self._facts(contents),
                recipients=home.recipients,
                car=home.key,
            )
        self._journal.note(clip, "sealed", capsule)
        return capsule

    def _facts(self, contents: Contents) -> Facts:
        home = self._home
        # Retention counts from the sealing, as the trustees' epochs do, and from the full hour:
        # the minute of an ingest is nobody's business either.
        sealed = self._clock.now() // _HOUR * _HOUR
        return Facts(
            region=home.region.region,
            vehicle=home.vehicle,
            hour=contents.hour,
            duration=max(1, math.ceil(contents.duration)),
            cameras=[each.camera for each in contents.footage],
            tags=list(contents.tags),
            consent=home.consent,
            purposes=list(home.purposes),
            policy=home.policy,
            report=contents.report.digest,
            models=list(contents.models),
            zones=contents.zones,
            expires=sealed + home.region.retention * _DAY,
        )

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
            if getattr(error, "code", None) != "erased":
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
