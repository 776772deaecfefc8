# SPDX-License-Identifier: Apache-2.0
"""The agent: looks at the folder all the time, and lets a worker work while the car rests.

It holds nothing that is not on disk: the diary says what was seen, the ingest's journal what
became of each clip. So it may die at any moment, and the next one goes on:

=========================================  =====================================================
it dies                                    the next one
=========================================  =====================================================
before a file is bound                     binds it as ``found``: nobody saw whose it is
after that                                 finds it in the diary, whatever it was bound to
after a drive's begin is noted             begins another, unless the car gives its number
as parked footage is removed               finds it gone, or removes it
with a worker at work                      the worker notices, ends, and loses nothing
=========================================  =====================================================

While nobody watches no consent holds: what is recorded then is found, and never ingested.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from incamera import durable
from incamera.car.diary import Diary
from incamera.car.drive import DriveWatch, Moment
from incamera.car.exclusion import check_excluded
from incamera.car.prepare import look_for_consent
from incamera.car.process import WorkerProcess
from incamera.car.ring import turn_ring
from incamera.car.settings import CarSettings
from incamera.car.times import AHEAD, Leap
from incamera.car.watch import Seen, Watcher
from incamera.car.withheld import WithheldError
from incamera.car.work import ready
from incamera.clock import Clock, monotonic
from incamera.encoding import canonical
from incamera.errors import Error, UnavailableError
from incamera.ledger.state import State

__all__ = ["Agent"]

_AGE = "age"
_WALL = "wall"
_MONTH = 30 * 86_400  # seconds of watching
_IDLE = 30
"""Times ``every``: how seldom the log is looked at while there is nothing to do."""


@dataclass
class _Heard:
    """What was last written for ``status``; written again only when it changed."""

    written: dict[str, Any] = field(default_factory=dict)


class Agent:
    """One car's. Call :meth:`look` every second or so, under ``places.lock``."""

    def __init__(
        self,
        settings: CarSettings,
        clock: Clock,
        worker: WorkerProcess,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._settings, self._clock, self._worker, self._now = settings, clock, worker, now
        places = settings.places
        for folder in (places.home, places.consents):
            durable.folder(folder, 0o700)
        self._state = State(places.state)
        self._diary = Diary(places.diary)
        self._drive = DriveWatch(settings.drive, clock, now)
        self._watcher = Watcher(settings.watch, self._diary, clock, settings.quiet, now)
        self._leap = Leap(clock, now)
        self._leap.unsure = clock.now() < max(self._diary.number(_WALL), self._state.time) - AHEAD
        self._driving = False
        self._began, self._age = now(), self._diary.number(_AGE)
        self._kept = now()
        self._due = now()
        self._heard = _Heard()
        #: Groups of files that were ready at the last look, and when there came to be more.
        self._groups, self._ready_since = 0, float("-inf")
        if settings.watch.is_dir():
            self._diary.prune(self._age - _MONTH, lambda path: not (settings.watch / path).exists())

    @property
    def age(self) -> int:
        """Seconds that agents of this car have watched, ever."""
        return self._age + int(self._now() - self._began)

    def look(self) -> Moment:
        """Once: what the car does, what is in the folder, and what follows from it.

        After one that failed (a full disk, say), nobody knows what came into being meanwhile: it
        counts as found, or a drive's film would be taken for parked footage, and removed.
        """
        try:
            return self._look()
        except Error:
            self._watcher.missed()
            raise

    def _look(self) -> Moment:
        moment = self._drive.look()
        unsure = self._leap.look()
        if unsure and self._state.time and self._worker.read_log_since():
            unsure = not self._leap.sure(self._state.time)
        drive = self._drives(moment)
        self._watcher.rests(moment.resting)
        seen = self._watcher.look(drive, self.age, self._consent)
        self._withhold()
        failed = turn_ring(
            self._settings.watch,
            self._diary,
            age=self.age,
            wall=self._clock.now(),
            ring=self._settings.ring,
            unsure=unsure,
        )
        self._work(moment)
        self._remember()
        self._tell(moment, seen, failed)
        return moment

    @property
    def idle(self) -> bool:
        """True if a worker has done what can be done now, and nothing becomes ready by waiting."""
        files = [each for each in self._diary.open() if each.consent]
        settled = all(each.settled for each in files)
        tried = self._worker.begun > self._ready_since
        return not self._worker.running and settled and tried

    def stop(self) -> None:
        """As the car's power goes, only friendlier."""
        self._worker.stop()
        self._remember(always=True)
        self._diary.close()
        self._state.close()

    def _drives(self, moment: Moment) -> int:
        """The present drive, or the last one; begun and ended here, as the car says."""
        drive, number, ended = self._diary.drive()
        wall = self._clock.now()
        if moment.resting:
            if not ended:
                self._diary.end(drive, wall)
            self._driving = False
            return drive
        other = moment.number is not None and moment.number != number
        fresh = not self._driving and (ended or moment.number is None)
        if ended or other or fresh:
            with self._diary.transaction():
                self._diary.end(drive, wall)
                drive = self._diary.begin(moment.number, wall)
        self._driving = True
        return drive

    def _consent(self, parked: bool) -> tuple[str, str]:
        """The token that holds at this moment for what is recorded now; or none, and why."""
        now, none = self._clock.now(), "no consent held when it was recorded"
        if self._leap.unsure:
            return "", f"{none}: the clock of this machine was in doubt"
        if not self._state.time:
            return "", f"{none}: the log was never read here"
        if now < self._state.time - AHEAD:
            return "", f"{none}: the clock of this machine was behind what witnesses signed"
        places, car = self._settings.places, self._settings.car
        try:
            check_excluded(places.switch, places.exclusions, car, self._state, now)
        except WithheldError as error:
            return "", f"the car was excluded when it was recorded: {error.message}"
        found = look_for_consent(self._settings, self._state, now)
        if found.token is None:
            said = "; ".join(found.refused) or "there was no token"
            return "", f"{none}: {said:.300}"
        if parked and not found.parked:
            return "", "recorded while the car was parked, and the consent is not for that"
        return found.digest, ""

    def _withhold(self) -> None:
        """Say of what is quiet and had no consent that nothing becomes of it."""
        by_reason: dict[str, list[str]] = {}
        for file in self._diary.open():
            if file.settled and not file.consent and file.origin != "parked":
                why = (
                    file.why or "no consent held when it was recorded, or another one did"
                    if file.origin == "drive"
                    else "nobody watched as it was recorded: whether a consent held is not known"
                )
                by_reason.setdefault(why, []).append(file.path)
        for why, paths in by_reason.items():  # thousands, where a full stick comes: one commit
            self._diary.became(paths, "withheld", why)

    def _wanted(self) -> bool:
        groups = len(ready(self._diary.open()))
        if groups > self._groups:
            self._ready_since = self._now()
        self._groups = groups
        return bool(groups or self._waits())

    def _waits(self) -> bool:
        """Whether sealed capsules wait, as far as the spool shows."""
        spool = self._settings.places.spool
        return spool.is_dir() and next(spool.glob("*.capsule"), None) is not None

    def _work(self, moment: Moment) -> None:
        worker, now, wanted = self._worker, self._now(), self._wanted()
        may_send = self._settings.upload == "always"
        if worker.running and not moment.resting and not (worker.send_only and may_send):
            worker.stop()
        worker.pace()
        if worker.running or now < self._due:
            return
        send_only = not moment.resting
        if send_only and not (may_send and self._waits()):
            return
        every = self._settings.budget.every
        unread = not self._state.time or self._leap.unsure
        if not (wanted or unread or now - worker.ended > _IDLE * every):
            return
        worker.start(send_only=send_only)
        self._due = now + every + secrets.randbelow(1 + 250 * every) / 1000

    def _remember(self, *, always: bool = False) -> None:
        if not always and self._now() - self._kept < 30:
            return
        self._kept = self._now()
        with self._diary.transaction():
            self._diary.keep(_AGE, self.age)
            if not self._leap.unsure:
                self._diary.keep(_WALL, self._clock.now())

    def _tell(self, moment: Moment, seen: Seen, failed: list[str]) -> None:
        document = {
            "v": 1,
            "state": moment.state,
            "doubt": moment.doubt,
            "folder": seen.there,
            "why": seen.why,
            "clock": "in doubt" if self._leap.unsure else "",
            "working": self._worker.running,
            "failed": [*self._died(), *failed, *seen.odd][:20],
        }
        if document != self._heard.written:
            durable.write(self._settings.places.heard, canonical(document), mode=0o600)
            self._heard.written = document

    def _died(self) -> list[str]:
        """That the last worker ended of itself: what it was at is tried again, after the rest."""
        code = self._worker.died
        return (
            [f"the last worker ended ({code}) before it was done: see the journal"] if code else []
        )

    def trouble(self, error: Error) -> None:
        """Something went wrong in a look; it is said in ``status``, and tried again.

        Unless the disk is full: then the agent watches on, and its journal alone has it.
        """
        document = {**self._heard.written, "v": 1, "failed": [error.message]}
        if document != self._heard.written:
            with contextlib.suppress(UnavailableError):
                durable.write(self._settings.places.heard, canonical(document), mode=0o600)
                self._heard.written = document
