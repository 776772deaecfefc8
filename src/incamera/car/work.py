# SPDX-License-Identifier: Apache-2.0
"""What the worker does while the car rests: read the log, ingest what may be, send what waits.

It is a process of its own, which the agent stops when the car drives off, at whatever point it is;
the power may go just as well. What it leaves, in this order:

=========================================  =====================================================
it dies                                    the next one
=========================================  =====================================================
as it reads the log                        stands where it stood, and reads on
with files staged                          clears the stage, which holds links only
as a clip is cut, sealed or sent           goes on as ``ingest.journal`` and ``ingest.spool`` say
with all clips noted, files not marked     goes through them again, and finds every clip done
with files marked ``taken``                does not look at them again
before it said what it did                 says it anew
=========================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from incamera import durable
from incamera.car.diary import Diary, File
from incamera.car.exclusion import fetch_exclusions
from incamera.car.link import Link
from incamera.car.outcome import outcome_of
from incamera.car.prepare import Allowed, allowed, car_home
from incamera.car.send import send_waiting
from incamera.car.settings import CarSettings
from incamera.car.stage import staged
from incamera.car.times import AHEAD
from incamera.car.watch import group_of
from incamera.car.withheld import WithheldError
from incamera.clock import Clock
from incamera.encoding import canonical
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ingest import Summary, ingest_recordings
from incamera.recording import open_recordings
from incamera.recording.model import Recording
from incamera.redaction import Redactor
from incamera.sealing.keys import SigningKey

__all__ = ["Done", "Worker", "ready", "unable"]

_TRIES = 3
_AT = "at"
"""One more than the drive that is being worked on; 0: none. A worker that died of what it was at
comes back to that last, so that it keeps nothing else from being done."""


def ready(files: Sequence[File]) -> list[list[File]]:
    """Files to be taken together: those of a drive of which all are quiet, and had a consent."""
    with_consent = sorted((each for each in files if each.consent), key=group_of)
    groups = [list(group) for _, group in groupby(with_consent, group_of)]
    return [group for group in groups if all(each.settled for each in group)]


@dataclass
class Done:
    """What one worker did, for ``status``."""

    time: int
    withheld: tuple[str, str, str] | None = None  # code, message, hint
    errors: list[tuple[str, str, str]] = field(default_factory=list)  # kind, message, hint
    campaign: str = ""
    consent: str = ""
    doing: str = ""
    ended: bool = False

    def note(self, error: Error, message: str = "") -> None:
        """One thing that did not go; ``message``: in other words than its own."""
        said = (error.kind, message or error.message, error.hint or "")
        self.errors = [*self.errors, said][-20:]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "v": 1,
            "time": self.time,
            "withheld": None if self.withheld is None else list(self.withheld),
            "errors": [list(each) for each in self.errors],
            "campaign": self.campaign,
            "consent": self.consent,
            "doing": self.doing,
            "ended": self.ended,
        }


def unable(settings: CarSettings, now: int, error: Error) -> None:
    """Say, for ``status``, that a worker could not even begin."""
    done = Done(now, ended=True)
    done.note(error)
    _say(settings, done)


def _say(settings: CarSettings, done: Done) -> None:
    durable.write(settings.places.said, canonical(done.to_json()), mode=0o600)


class Worker:
    """One run. Hold no lock: the ingest's own keeps a second one out."""

    def __init__(
        self,
        settings: CarSettings,
        link: Link,
        key: SigningKey,
        clock: Clock,
        redactor: Redactor | None = None,
    ) -> None:
        self._settings, self._link, self._key = settings, link, key
        self._clock, self._redactor = clock, redactor
        self._done = Done(clock.now())
        self._lies = False  # the log: then nothing is sent either

    def run(self, *, send_only: bool = False) -> Done:
        """Do what can be done now. What cannot be is in the outcome, not raised."""
        done = self._done
        try:
            self._read()
            if not send_only:
                self._ingest()
        except WithheldError as error:
            done.withheld = (error.code, error.message, error.hint or "")
        except Error as error:
            done.note(error)
        self._say()
        if not self._lies:
            self._send()
        done.ended = True
        self._say()
        return done

    def _say(self, doing: str = "") -> None:
        self._done.doing = doing
        _say(self._settings, self._done)

    def _read(self) -> None:
        """The log and the list of exclusions, if they can be had."""
        try:
            witnessed = self._link.follow()
            if abs(self._clock.now() - witnessed) > AHEAD:
                raise WithheldError(
                    "clock",
                    f"witnesses signed {witnessed} just now, and the clock of this machine says "
                    f"{self._clock.now()}",
                    hint="set the clock",
                )
        except UnavailableError as error:
            self._done.note(error)  # offline: what was read last still counts for a while
        except IntegrityError as error:
            self._lies = True
            raise WithheldError("log", error.message, hint=error.hint) from error
        try:
            places = self._settings.places
            fetch_exclusions(self._link.fetch, places.exclusions, self._link.state)
        except UnavailableError as error:
            self._done.note(error)
        except Error as error:  # an old list, or not the operator's: somebody hides the real one
            self._done.note(error)
            raise WithheldError(
                "exclusions",
                f"who is excluded cannot be told: {error.message}",
                hint="nothing is looked at until the operator's newest list is given out again",
            ) from error

    def _ingest(self) -> None:
        settings = self._settings
        diary = Diary(settings.places.diary)
        try:
            groups = ready(diary.open())
            if not groups:
                return
            may = allowed(settings, self._link, self._key, self._clock.now())
            self._done.consent = may.home.consent
            self._done.campaign = str(may.plan.campaign.digest)
            died = diary.number(_AT)
            for group in sorted(groups, key=lambda each: each[0].drive + 1 == died):
                if self._consented(diary, may, group):
                    diary.keep(_AT, group[0].drive + 1)
                    self._say(_called(group))
                    self._take(diary, may, group)
                    diary.keep(_AT, 0)
        finally:
            diary.close()

    def _consented(self, diary: Diary, may: Allowed, group: Sequence[File]) -> bool:
        """The consent that held when it was recorded is the one that holds now."""
        first, paths = group[0], [each.path for each in group]
        if first.consent != may.found.digest:
            why = "the consent it was recorded under does not hold any more, or another one does"
        elif first.origin == "parked" and not may.found.parked:
            why = "recorded while the car was parked, and the consent is not for that"
        else:
            return True
        if first.origin == "parked":
            diary.release(paths)  # the ring takes it
        else:
            diary.became(paths, "withheld", why)
        return False

    def _take(self, diary: Diary, may: Allowed, group: Sequence[File]) -> None:
        settings = self._settings
        paths = self._there(diary, group)
        if not paths:
            return
        try:
            with staged(settings.places.stage, settings.watch, paths) as folder:
                summary = ingest_recordings(
                    _Reopened(folder),
                    may.home,
                    may.plan,
                    admit=self._link.admit,
                    redactor=self._redactor,
                    clock=self._clock,
                )
        except InputError as error:  # nothing in it is a recording
            diary.became(paths, "taken", f"no clip: {self._plain(error.message)}")
            return
        for fault in summary.faults:
            self._done.note(fault, self._plain(fault.message))
        self._mark(diary, paths, summary)

    def _plain(self, message: str) -> str:
        """Files by where the owner sees them, and not by the stage's links."""
        settings = self._settings
        return message.replace(str(settings.places.stage), str(settings.watch))

    def _there(self, diary: Diary, group: Sequence[File]) -> list[str]:
        """The files of ``group`` that are there; none if the medium is away."""
        paths = [each.path for each in group]
        found = {path: _is_file(self._settings.watch / path) for path in paths}
        there = [path for path, is_there in found.items() if is_there]
        gone = [path for path, is_there in found.items() if is_there is False]
        if there and gone:
            diary.became(gone, "gone", "it was gone before the car had time to take it")
        return there

    def _mark(self, diary: Diary, paths: Sequence[str], summary: Summary) -> None:
        """A capsule that was damaged in the spool is made again by going through it again."""
        folder = self._settings.watch
        if not any(_is_file(folder / path) for path in paths):
            return  # the medium went away meanwhile: what was missed is done when it is back
        damaged = [each for each in summary.faults if isinstance(each, IntegrityError)]
        why = self._plain(outcome_of(summary))
        if not damaged:
            diary.became(paths, "taken", why)
        elif diary.tried(paths, why) >= _TRIES:
            diary.became(paths, "failed", self._plain(damaged[0].message))

    def _send(self) -> None:
        try:
            home = car_home(self._settings, self._link, self._key, self._clock.now())
            for error in send_waiting(home, self._link.admit, self._clock):
                self._done.note(error)
        except Error as error:
            self._done.note(error)


def _called(group: Sequence[File]) -> str:
    drive = group[0].drive
    return f"{len(group)} files of " + (f"drive {drive}" if drive else "the time it was parked")


def _is_file(path: Path) -> bool | None:
    """None where that cannot be told: its folder cannot be looked into just now."""
    try:
        return path.is_file()
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class _Reopened:
    """The recordings of the stage, opened each time they are gone through."""

    folder: Path

    def __iter__(self) -> Iterator[Recording]:
        return open_recordings(self.folder)
