# SPDX-License-Identifier: Apache-2.0
"""Looking at the recording folder: what is new in it, what is quiet, what is gone.

The folder is the car's, and often on a stick that somebody pulls out: it is read only, but for
parked footage that nobody consented to. While it is away nothing that is known is forgotten, and
when it comes back, what nobody saw come into being counts as ``found``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from incamera.car.diary import Diary, File, Origin
from incamera.clock import Clock, monotonic
from incamera.errors import InputError
from incamera.recording.folders import walk

__all__ = ["Held", "Seen", "Watcher", "group_of"]

Held: TypeAlias = Callable[[bool], tuple[str, str]]
"""The token that holds now, for parked footage or not; or none (empty), and why."""

_SENTRY, _SAVED = "SentryClips", "SavedClips"
_SLACK = 120
"""Seconds by which a stick's times may be coarse, or its clock behind, at a drive's begin."""
_OLD = 86_400
"""Seconds since a file was written, from when on it did not come into being while the car stood:
somebody put it there, and it is his."""
_TAIL = 10.0
"""Seconds after a drive in which what comes into being is still of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look."""

    there: bool  # the folder
    files: int
    new: int
    why: str = ""  # it is not there
    odd: tuple[str, ...] = ()  # one sentence for each file or folder that is left alone


class Watcher:
    """Binds what it sees. One look after the other, the more often the better."""

    def __init__(
        self,
        folder: Path,
        diary: Diary,
        clock: Clock,
        quiet: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """``quiet``: seconds without a change that settle a file."""
        self._folder, self._diary, self._clock = folder, diary, clock
        self._quiet, self._now = quiet, now
        #: Size, time and when it was first seen so, of each file that is there. Of this run only:
        #: what changed while nobody looked has to be quiet again.
        self._there: dict[str, tuple[int, int, float]] = {}
        #: Of these, what is settled in the diary just so: it need not be looked up each second.
        self._settled: set[str] = set()
        #: False until the folder was looked through once since it, or the agent, came.
        self._known = False
        #: Folders in it that could not be looked into at the last look.
        self._blind: set[str] = set()
        self._device = -1
        self._parked_since = float("-inf")

    def rests(self, rests: bool) -> None:
        """Told before each look whether the car stands."""
        if not rests:
            self._parked_since = float("inf")
        elif self._parked_since == float("inf"):
            self._parked_since = self._now()

    def missed(self) -> None:
        """Told that a look failed: what is new at the next one came while nobody saw it."""
        self._known = False

    def look(self, drive: int, age: int, consent: Held) -> Seen:
        """Go through the folder once.

        ``drive``: the present or last one. ``age``: seconds that agents have watched, ever.
        ``consent``: the token that holds now, for parked footage or not.
        """
        try:
            device = self._folder.stat().st_dev
            if device != self._device:  # a stick came or went: what is there now is another folder
                self._forget()
                self._device = device
            odd: list[str] = []
            blind: set[str] = set()
            found = dict(self._files(odd, blind))
        except (OSError, InputError) as error:
            self._forget()
            return Seen(False, 0, 0, str(error))
        new = 0
        with self._diary.transaction():
            for path, (size, mtime) in found.items():
                new += self._see(path, size, mtime, drive, age, consent)
        for path in self._there.keys() - found.keys():
            del self._there[path]
        self._settled &= self._there.keys()
        self._known, self._blind = True, blind
        return Seen(True, len(found), new, odd=tuple(odd))

    def _forget(self) -> None:
        """The folder is away, or another one."""
        self._there, self._settled, self._known = {}, set(), False

    def _files(self, odd: list[str], blind: set[str]) -> Iterator[tuple[str, tuple[int, int]]]:
        """Each file's path, size and time.

        One whose path no text can hold is ``odd``, and so is a folder that cannot be looked into,
        which is ``blind``: the rest goes on.
        """

        def refused(where: Path, why: str) -> None:
            blind.add(where.relative_to(self._folder).as_posix())
            odd.append(f"{why}: what is in it is left alone".encode(errors="replace").decode())

        for here, names in walk(self._folder, refused=refused):
            place = here.relative_to(self._folder).as_posix()
            for name in names:
                if name.startswith("."):
                    continue
                path = name if place == "." else f"{place}/{name}"
                if not _is_text(path):
                    odd.append(f"{path!a}: its name is not UTF-8, so it is left alone")
                    continue
                try:
                    status = os.lstat(f"{here}/{name}")  # of thousands, each second: no Path
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if place == ".":
                        raise
                    refused(here, f"{here}: cannot read: {error.strerror}")
                    break
                if stat.S_ISREG(status.st_mode):
                    yield path, (status.st_size, status.st_mtime_ns)

    def _see(
        self,
        path: str,
        size: int,
        mtime: int,
        drive: int,
        age: int,
        consent: Held,
    ) -> bool:
        """One file; True if it was not known."""
        now, last = self._now(), self._there.get(path)
        if last is None or last[:2] != (size, mtime):
            self._there[path] = (size, mtime, now)
            self._settled.discard(path)
        elif path in self._settled:
            return False
        known = self._diary.file(path)
        if known is None or (known.settled and (known.size, known.mtime) != (size, mtime)):
            self._diary.bind(self._bound(path, size, mtime, drive, age, consent))
            return True
        if (known.size, known.mtime) != (size, mtime):
            self._diary.grew(path, size, mtime)
        elif known.settled:
            self._settled.add(path)
        elif now - self._there[path][2] >= self._quiet:
            self._diary.settle(path)
        return False

    def _bound(
        self,
        path: str,
        size: int,
        mtime: int,
        drive: int,
        age: int,
        consent: Held,
    ) -> File:
        """The row of a file that is seen for the first time: whose it is, for good."""
        origin = self._origin(path)
        wall = self._clock.now()
        file = File(path, size, mtime, origin, 0, "", age, wall)
        if origin == "found":
            return file
        if origin == "parked" and mtime / 1e9 < wall - _OLD:
            return replace(file, origin="found")
        if origin == "parked" and _SAVED in PurePosixPath(path).parts:
            return self._saved(file, drive, consent)
        if origin == "parked":
            held, why = consent(True)
            return replace(file, consent=held, why=why)
        if mtime / 1e9 < self._diary.begun(drive) - _SLACK:  # it was there before the drive
            return replace(file, origin="found")
        held, why = consent(False)
        return replace(file, drive=drive, consent=held, why=why)

    def _saved(self, file: File, drive: int, consent: Held) -> File:
        """What somebody saved while the car stood: his to keep; the rest of a drive's, or nothing.

        The car may still be copying an event as it parks.
        """
        begun = self._diary.of_folder(PurePosixPath(file.path).parent.as_posix(), drive)
        if begun is None:
            return replace(file, origin="found")
        held, why = consent(False)
        same = begun if begun == held else ""
        return replace(file, origin="drive", drive=drive, consent=same, why=why)

    def _origin(self, path: str) -> Origin:
        if not self._known or self._was_blind(path):
            return "found"
        rests = self._now() - self._parked_since > _TAIL
        return "parked" if rests or _SENTRY in PurePosixPath(path).parts else "drive"

    def _was_blind(self, path: str) -> bool:
        """Whether nobody could see, at the last look, what was where ``path`` is."""
        return any(path.startswith(f"{place}/") for place in self._blind)


def _is_text(path: str) -> bool:
    """False for bytes that are not UTF-8, which Python has as lone surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def group_of(file: File) -> tuple[int, str, str]:
    """What files are taken together by: a drive, or a folder of parked footage; and the consent."""
    place = "" if file.origin == "drive" else PurePosixPath(file.path).parent.as_posix()
    return file.drive, place, file.consent
