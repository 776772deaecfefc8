# SPDX-License-Identifier: Apache-2.0
"""Which of the found faces and plates a person should look at: the least certain, by track.

Two sorts: what was destroyed on weak evidence (a false alarm?), and what was nearly destroyed (a
miss?). While a film runs, each doubtful track keeps three views; what turns out to be certain is
forgotten at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from incamera.recording.model import Frame
from incamera.redaction.model import Cover
from incamera.redaction.review.course import Course, Key, within
from incamera.redaction.review.thumbs import Scene, View

__all__ = ["Question", "Watch"]

_CERTAIN = 0.8  # a track that was once seen so surely is not asked about
_CLEARER = 0.04  # of score, for a view to replace the clearest so far
_DESTROYED = 0.8  # a doubt of which so much lies under one cover is no question


@dataclass(frozen=True, slots=True)
class Question:
    """One track of one file, which may be a face, a plate or neither."""

    source: str
    kind: str
    covered: bool  # True: it was destroyed; False: it was not
    score: float  # the highest in any frame
    sights: int  # frames it was seen in, not only filled in
    course: Course
    views: tuple[View, ...]  # by frame; three at most
    clearest: int  # index of the view with the highest score

    @property
    def doubt(self) -> tuple[float, int]:
        """To sort by: the least certain first."""
        strength = (self.score, self.sights)
        return strength if self.covered else (-self.score, -self.sights)


@dataclass(slots=True)
class _Open:
    """A track while it lasts."""

    kind: str
    covered: bool
    keys: list[Key] = field(default_factory=list)
    score: float = 0.0
    sights: int = 0
    views: dict[str, tuple[float, View]] = field(default_factory=dict)  # by role

    def wants(self, cover: Cover) -> str | None:
        """The role this frame's view would have: first, clear or late."""
        seen = cover.box.via == "detected"
        if not self.views or (seen and self.sights == 1):
            return "first"
        if seen and cover.box.score > self.views.get("clear", self.views["first"])[0] + _CLEARER:
            return "clear"
        # At the 2nd, 4th, 8th ... sight: the last of these lies in the later half of the track.
        return "late" if seen and self.sights & (self.sights - 1) == 0 else None

    def question(self, source: str) -> Question | None:
        if not self.views:
            return None
        views = {view.frame: (score, view) for score, view in self.views.values()}
        ordered = [views[frame] for frame in sorted(views)]
        clearest = max(range(len(ordered)), key=lambda i: ordered[i][0])
        return Question(
            source, self.kind, self.covered, self.score, self.sights,
            Course.through(self.keys), tuple(view for _, view in ordered), clearest,
        )  # fmt: skip


class Watch:
    """The doubtful tracks of one file. Holds those that are in the frame, and their views."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._open: dict[tuple[int, bool], _Open] = {}

    def see(
        self, frame: Frame, covers: Sequence[Cover], doubts: Sequence[Cover]
    ) -> Iterator[Question]:
        """Take the next frame; yields the questions of tracks that ended before it."""
        scene: Scene | None = None
        here = {(cover.track, True): cover for cover in covers}
        here |= {(cover.track, False): cover for cover in doubts if not _under(cover, covers)}
        yield from self._close(set(self._open) - set(here))
        for name, cover in here.items():
            track = self._open.setdefault(name, _Open(cover.box.kind, covered=name[1]))
            track.keys.append(Key.of(frame.index, cover.box))
            track.sights += cover.box.via == "detected"
            track.score = max(track.score, cover.box.score)
            if track.score >= _CERTAIN:
                track.keys, track.views = track.keys[-1:], {}
            elif role := track.wants(cover):
                scene = scene or Scene(frame, covers, doubts)
                if view := scene.view(cover):
                    track.views[role] = (cover.box.score, view)

    def end(self) -> Iterator[Question]:
        """The questions of tracks that last to the end of the file."""
        yield from self._close(set(self._open))

    def _close(self, names: set[tuple[int, bool]]) -> Iterator[Question]:
        for name in sorted(names):
            track = self._open.pop(name)
            question = track.question(self._source)
            if question is not None and track.score < _CERTAIN:
                yield question


def _under(doubt: Cover, covers: Sequence[Cover]) -> bool:
    return any(within(doubt.box, cover.box) >= _DESTROYED for cover in covers)
