# SPDX-License-Identifier: Apache-2.0
"""One camera's frames on their way: being looked at, then waiting to be settled.

Not every frame is looked at: about :attr:`Policy.looks` a second are, and besides

- the first and the last one, so that nobody is there only before or after the looks;
- the two at a cut, where another scene begins: nothing can be carried across.

Where two looks differ, somebody came, went or was missed in one of them: the frame midway is
looked at too. On films with truth this is as good as looking at every frame, at a third of the
looks; in real streets one pair of looks in ten differs.

All others are covered by what the tracks carry over. Held are the frames of :attr:`Pace.ahead`
and those between ``threads`` + 4 looks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from incamera.recording.model import Box, Frame, RedactedFrame
from incamera.redaction.fill import Fill, FillKind
from incamera.redaction.flow import Luma
from incamera.redaction.policy import Policy
from incamera.redaction.review.editing import Edit
from incamera.redaction.tracks import Tracker

__all__ = ["Lane"]

Sights = Future[list[Box]]

_NEAR = 1.5  # of its diagonal: as far a box may go from look to look and be the same
_ALIKE = 2.5  # times as large, or as small, at most
_LISTEN = 9  # frames whose times tell how fast the camera is


@dataclass(slots=True)
class _Entry:
    frame: Frame
    view: Luma
    sights: Sights | None = None


class Lane:
    """Takes the frames of one camera in order and gives them back redacted."""

    def __init__(
        self,
        policy: Policy,
        fill: FillKind,
        look: Callable[[Frame], Sights],
        threads: int,
        edit: Edit | None = None,
    ) -> None:
        """``look``: has a frame looked at, by one of ``threads`` threads; ``edit``: has a say."""
        self._policy = policy
        self._look = look
        self._threads = threads
        self._fill = Fill(fill)
        self._edit = edit
        self._early: list[_Entry] = []  # until the pace is known
        self._tracker: Tracker | None = None
        self._count = 0
        self._looking: deque[_Entry] = deque()
        self._thinking: deque[_Entry] = deque()  # whether the looks differ is known
        self._before: Sequence[Box] = ()  # what the last look saw
        self._between: list[_Entry] = []  # frames since
        self._waiting: deque[Frame] = deque()

    def push(self, frame: Frame) -> Iterator[RedactedFrame]:
        """Take the next frame; those about which enough is known come out."""
        entry = _Entry(frame, Luma(frame.picture))
        if self._tracker is None:
            self._early.append(entry)
            if len(self._early) < _LISTEN:
                return
            self._start()
        else:
            self._take(entry)
        yield from self._settled()

    def rest(self) -> Iterator[RedactedFrame]:
        """The frames left at the end of the stream."""
        if self._tracker is None:
            self._start()
        if self._looking and self._looking[-1].sights is None:
            self._ask(self._looking[-1])
        while self._looking:
            self._think()
        while self._thinking:
            self._see()
            yield from self._settled()
        while self._waiting:
            yield self._settle()

    def _start(self) -> None:
        first = self._early[0].frame.picture
        self._pace = self._policy.pace([entry.frame.time for entry in self._early])
        self._tracker = Tracker(self._policy, self._pace, first.width * first.height)
        for entry in self._early:
            self._take(entry)
        self._early.clear()

    def _take(self, entry: _Entry) -> None:
        before = self._looking[-1] if self._looking else None
        cut = before is not None and entry.view.cut(before.view)
        if cut and before is not None:
            self._ask(before)
        if cut or self._count % self._pace.stride == 0:
            self._ask(entry)
        self._count += 1
        self._looking.append(entry)
        while len(self._looking) > (self._threads + 1) * self._pace.stride:
            self._think()
        while len(self._thinking) > 3 * self._pace.stride:
            self._see()

    def _ask(self, entry: _Entry) -> None:
        if entry.sights is None:
            entry.sights = self._look(entry.frame)

    def _think(self) -> None:
        """Move one frame on; if it was looked at, compare it with the look before."""
        entry = self._looking.popleft()
        self._thinking.append(entry)
        if entry.sights is None:
            self._between.append(entry)
            return
        sights = entry.sights.result()
        if self._between and self._differ(self._before, sights):
            self._ask(self._between[len(self._between) // 2])
        self._between, self._before = [], sights

    def _differ(self, a: Sequence[Box], b: Sequence[Box]) -> bool:
        """Whether one of two looks is sure of something that the other has not seen at all."""
        return any(
            box.score >= self._policy.rule(box).sure
            and not any(_same(box, other) for other in others)
            for mine, others in ((a, b), (b, a))
            for box in mine
        )

    def _see(self) -> None:
        entry = self._thinking.popleft()
        assert self._tracker is not None
        sights = None if entry.sights is None else entry.sights.result()
        self._tracker.see(sights, entry.view)
        self._waiting.append(entry.frame)

    def _settled(self) -> Iterator[RedactedFrame]:
        while len(self._waiting) > self._pace.ahead:
            yield self._settle()

    def _settle(self) -> RedactedFrame:
        assert self._tracker is not None
        frame, covers = self._waiting.popleft(), self._tracker.settle()
        if self._edit is not None:
            covers = list(self._edit(frame, covers, self._tracker.doubts))
        return self._fill(frame, covers)


def _same(a: Box, b: Box) -> bool:
    """Whether two boxes may be one thing in two looks."""
    if a.kind != b.kind or not a.w * a.h / _ALIKE < b.w * b.h < a.w * a.h * _ALIKE:
        return False
    away = math.hypot(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2)
    return away < _NEAR * math.hypot(a.w, a.h)
