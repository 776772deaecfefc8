# SPDX-License-Identifier: Apache-2.0
"""Applies a person's corrections while a film is redacted: the second of the two commands.

A box to remove is known by its kind and its course, not by a number that may change: the track
whose box overlaps the course by half or more where they first meet is the one, and it is left
uncovered only while it keeps to the course. In doubt it stays destroyed. A box to add is
destroyed as it was drawn, with a straight line from key to key, and nothing around it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

from incamera.errors import InputError
from incamera.ids import Digest
from incamera.recording.model import Box, Frame
from incamera.redaction.fill import snap
from incamera.redaction.journal import file_digest
from incamera.redaction.model import Cover
from incamera.redaction.review.corrections import Corrections, Mark
from incamera.redaction.review.course import overlap
from incamera.redaction.review.editing import Edit, File

__all__ = ["Amending"]

_SAME = 0.5  # intersection over union from which two boxes are one


class Amending:
    """An :class:`~incamera.redaction.review.editing.Editing` that applies ``corrections``."""

    def __init__(self, corrections: Corrections) -> None:
        self._corrections = corrections
        self.missed: list[str] = []  # removals that met no box: one sentence each

    @property
    def digest(self) -> Digest:
        """Outputs of other corrections are not taken for finished."""
        return self._corrections.digest

    def begin(self, files: Sequence[File], settings: Digest) -> None:
        """Refuse corrections that were made for other films, models or thresholds."""
        there = {file.relative: file.path for file in files}
        hint = "run redact --review on this source again and correct that"
        for name, said in self._corrections.sources.items():
            if name not in there:
                raise InputError(f"{name!r:.200}: was reviewed and is not in the source", hint=hint)
            if file_digest(there[name]) != said:
                raise InputError(
                    f"{there[name]}: not the file that was reviewed: its SHA-256 differs", hint=hint
                )
        if settings != self._corrections.settings:
            raise InputError(
                "the corrections were made with other models, thresholds or another version",
                hint=hint,
            )

    @contextlib.contextmanager
    def file(self, relative: str) -> Iterator[Edit]:
        """The edit of one file. Marks that lie beyond its end are an :class:`InputError`."""
        edit = _Amend(
            [_Removal(m) for m in self._corrections.remove if m.source == relative],
            [m for m in self._corrections.add if m.source == relative],
        )
        yield edit
        edit.check_end(relative)
        self.missed += [
            f"{relative}: no {r.mark.kind} to uncover was found from frame {r.mark.course.first} on"
            for r in edit.removals
            if r.track is None
        ]


class _Removal:
    """One box to leave uncovered, and its track once they have met."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.track: int | None = None

    def pick(self, frame: int, covers: Sequence[Cover]) -> Cover | None:
        """The cover to leave out of ``frame``."""
        here = self.mark.course.at(frame)
        if here is None:
            return None
        near = [
            (overlap(cover.box, here), cover)
            for cover in covers
            if cover.box.kind == self.mark.kind and self.track in {None, cover.track}
        ]
        share, cover = max(near, key=lambda pair: pair[0], default=(0.0, None))
        if cover is None or share < _SAME:
            return None
        self.track = cover.track
        return cover


class _Amend:
    def __init__(self, removals: list[_Removal], adds: list[Mark]) -> None:
        self.removals = removals
        self._adds = adds
        self._end = 0  # frames seen

    def __call__(
        self, frame: Frame, covers: Sequence[Cover], doubts: Sequence[Cover]
    ) -> list[Cover]:
        del doubts
        self._end = frame.index + 1
        gone = {id(cover) for r in self.removals if (cover := r.pick(frame.index, covers))}
        kept = [cover for cover in covers if id(cover) not in gone]
        return kept + list(self._added(frame))

    def _added(self, frame: Frame) -> Iterator[Cover]:
        for number, mark in enumerate(self._adds):
            key = mark.course.at(frame.index)
            if key is None:
                continue
            drawn = key in mark.course.keys
            via: Literal["detected", "tracked"] = "detected" if drawn else "tracked"
            box = Box(key.x, key.y, key.w, key.h, mark.kind, 1.0, via)
            if snap(box, frame.picture.width, frame.picture.height) is None:
                raise InputError(
                    f"{frame.camera}, frame {frame.index}: a {mark.kind} to add lies outside of it"
                )
            yield Cover(box, -1 - number)  # tracks count from 0 up

    def check_end(self, relative: str) -> None:
        for mark in (*self._adds, *(r.mark for r in self.removals)):
            if mark.course.last >= self._end:
                raise InputError(
                    f"{relative}: ends with frame {self._end - 1}, but a correction reaches to "
                    f"frame {mark.course.last}"
                )
