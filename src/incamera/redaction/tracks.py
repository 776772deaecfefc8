# SPDX-License-Identifier: Apache-2.0
"""From what was detected, frame by frame, to what is destroyed: no flicker, no single misses.

Two passes over a window that moves along (:attr:`Policy.ahead` frames, so memory is flat):

1. forward, as frames arrive: sights are joined to tracks by an optimal assignment
   (``scipy.optimize.linear_sum_assignment``) on the distance of centres from where each track is
   predicted, in units of box size;
2. ``ahead`` frames later a frame is settled: a track that has proven itself by then, even only
   after this frame, covers it by a sight, between two sights, or shortly before its first and
   after its last.

Maintained trackers (norfair, trackers) were looked at: they answer forward only, with smoothed
boxes, so the look-back that matters here would still be ours, and would stand on their innards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from incamera.recording.model import Box
from incamera.redaction.model import Cover
from incamera.redaction.policy import Policy

__all__ = ["Tracker"]

_NEVER = 1e6  # a cost no pair is joined at
_HISTORY = 4  # sights the velocity is taken from


@dataclass(slots=True)
class _Track:
    number: int
    proven: bool = False
    evidence: float = 0.0
    # (frame, box as detected), by frame. Sights that can no longer shape a frame to come are cut.
    sights: list[tuple[int, Box]] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.sights[-1][0]

    def see(self, frame: int, box: Box, policy: Policy, area: float) -> None:
        if self.sights:
            self.evidence *= policy.memory ** ((frame - self.last) / policy.stride)
        # So close, a detector is sure of the real ones; what it doubts is a wall or a window.
        if box.w * box.h <= policy.broad * area:
            self.evidence += box.score
        self.sights.append((frame, box))
        rule = policy.rule(box)
        self.proven |= box.score >= rule.sure or self.evidence >= rule.proof

    def forget(self, settled: int) -> None:
        """Cut what lies before the frames to come, but the last sights before them."""
        while len(self.sights) > _HISTORY and self.sights[_HISTORY - 1][0] <= settled:
            del self.sights[0]

    def at(self, frame: int) -> Box:
        """The box at ``frame`` by a straight line through the sights around or beside it."""
        later = next((i for i, (t, _) in enumerate(self.sights) if t >= frame), None)
        if later is None:
            return _along(self.sights[-_HISTORY:], self.sights[-1], frame)
        if self.sights[later][0] == frame:
            return self.sights[later][1]
        if later == 0:
            return _along(self.sights[:_HISTORY], self.sights[0], frame)
        (t0, a), (t1, b) = self.sights[later - 1], self.sights[later]
        return _between(a, b, (frame - t0) / (t1 - t0))

    def away(self, frame: int) -> int:
        """Frames from ``frame`` to the nearest sight."""
        return min(abs(frame - t) for t, _ in self.sights)


def _between(a: Box, b: Box, share: float) -> Box:
    """The box ``share`` of the way from ``a`` to ``b``."""
    return Box(
        x=a.x + (b.x - a.x) * share,
        y=a.y + (b.y - a.y) * share,
        w=a.w + (b.w - a.w) * share,
        h=a.h + (b.h - a.h) * share,
        kind=a.kind,
        score=min(a.score, b.score),
        via="tracked",
    )


def _along(run: Sequence[tuple[int, Box]], sight: tuple[int, Box], frame: int) -> Box:
    """``sight`` moved on to ``frame`` at the mean velocity of ``run``; its size stays."""
    (t0, a), (t1, b) = run[0], run[-1]
    when, box = sight
    step = (frame - when) / (t1 - t0) if t1 > t0 else 0.0
    return replace(
        box,
        x=box.x + step * (b.x + b.w / 2 - a.x - a.w / 2),
        y=box.y + step * (b.y + b.h / 2 - a.y - a.h / 2),
        via="tracked",
    )


class Tracker:
    """The tracks of one camera. ``see`` takes frames in order, ``settle`` answers for each."""

    def __init__(self, policy: Policy, area: float = math.inf) -> None:
        """``policy``: the numbers; ``area``: of the frames, in pixels."""
        self.policy = policy
        self._area = area
        self._tracks: list[_Track] = []
        self._seen = 0  # frames taken in
        self._settled = 0  # frames answered for; never more than were taken in
        self._numbers = 0

    def see(self, boxes: Sequence[Box] | None) -> None:
        """The next frame's detections; None if nobody looked at this frame."""
        frame, self._seen = self._seen, self._seen + 1
        if boxes is None:
            return
        sights = [box for box in boxes if self._counts(box)]
        live = [t for t in self._tracks if frame - t.last <= self.policy.reach]
        owner = {box: live[track] for track, box in _assign(live, sights, frame)}
        for number, sight in enumerate(sights):
            track = owner.get(number) or self._begin()
            track.see(frame, sight, self.policy, self._area)

    def _counts(self, box: Box) -> bool:
        return box.score >= self.policy.rule(box).low and box.w > 0 and box.h > 0

    def _begin(self) -> _Track:
        self._tracks.append(track := _Track(self._numbers))
        self._numbers += 1
        return track

    def settle(self) -> list[Cover]:
        """What to destroy in the oldest frame not settled yet, grown."""
        frame, self._settled = self._settled, self._settled + 1
        covers = [
            Cover(self.policy.grown(track.at(frame), track.away(frame)), track.number)
            for track in self._tracks
            if track.proven and self._covers(track, frame)
        ]
        for track in self._tracks:
            track.forget(self._settled)
        keep = max(self.policy.reach, self.policy.hold * self.policy.stride)
        self._tracks = [t for t in self._tracks if t.last + keep >= self._settled]
        return covers

    def _covers(self, track: _Track, frame: int) -> bool:
        policy = self.policy
        hold = policy.stride * (policy.hold if len(track.sights) > 1 else policy.blink)
        return track.sights[0][0] - hold <= frame <= track.last + hold


def _assign(tracks: Sequence[_Track], boxes: Sequence[Box], frame: int) -> list[tuple[int, int]]:
    """Pairs (track, box) of the least sum of costs; pairs too far apart stay alone."""
    if not tracks or not boxes:
        return []
    costs = np.array(
        [[_cost(track.at(frame), box, frame - track.last) for box in boxes] for track in tracks]
    )
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]] = linear_sum_assignment(costs)
    return [(int(t), int(b)) for t, b in zip(*pairs, strict=True) if costs[t, b] < _NEVER]


def _cost(expected: Box, box: Box, unseen: int) -> float:
    """How unlikely ``box`` is ``expected``, which was seen ``unseen`` frames ago."""
    if expected.kind != box.kind:
        return _NEVER
    size = math.sqrt((expected.w**2 + expected.h**2 + box.w**2 + box.h**2) / 2)
    across = box.x + box.w / 2 - expected.x - expected.w / 2
    down = box.y + box.h / 2 - expected.y - expected.h / 2
    distance = math.hypot(across, down) / size
    growth = abs(math.log(box.w * box.h / (expected.w * expected.h)))
    # A box moves at most about its own diagonal from frame to frame; less is known with time.
    if distance > min(2.0, 0.7 + 0.1 * unseen) or growth > math.log(4):
        return _NEVER
    return distance + growth / 2
