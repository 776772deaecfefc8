# SPDX-License-Identifier: Apache-2.0
"""From what was detected in some frames to what is destroyed in each: no flicker, no misses.

Two passes over a window that moves along (:attr:`Pace.ahead` frames, so memory is flat):

1. forward, as frames arrive: every track is carried on by what is in the pictures (see
   :mod:`incamera.redaction.flow`), or else in a straight line. In a frame that was looked at,
   sights are joined to tracks by an optimal assignment (``scipy.optimize.linear_sum_assignment``)
   on the distance from where each track was carried to. What was between two sights is then bent
   so that it meets both;
2. backward, when a track has proven itself: it is carried back from its first sight.

``ahead`` frames later a frame is settled: whatever has proven itself by then covers it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from incamera.recording.model import Box
from incamera.redaction import flow
from incamera.redaction.flow import Luma
from incamera.redaction.model import Cover
from incamera.redaction.policy import Pace, Policy
from incamera.redaction.track import Track

__all__ = ["Tracker"]

_NEVER = 1e6  # a cost no pair is joined at


class Tracker:
    """The tracks of one camera. ``see`` takes frames in order, ``settle`` answers for each."""

    def __init__(self, policy: Policy, pace: Pace | None = None, area: float = math.inf) -> None:
        """``policy``, ``pace``: the numbers; ``area``: of the frames, in pixels."""
        self.policy, self.pace = policy, pace or policy.pace()
        self._area = area
        self._tracks: list[Track] = []
        self._views: deque[Luma | None] = deque()  # of the frames not settled yet
        self._seen = 0  # frames taken in
        self._settled = 0  # frames answered for; never more than were taken in
        self._numbers = 0
        self.doubts: list[Cover] = []  # of the frame settled last: found there, and not proven

    def see(self, boxes: Sequence[Box] | None, view: Luma | None = None) -> None:
        """The next frame's detections; None if nobody looked at this frame.

        ``view``: its picture; without, boxes move in straight lines.
        """
        frame, self._seen = self._seen, self._seen + 1
        self._views.append(view)
        self._carry([t for t in self._tracks if frame - t.last <= self._limit], frame, 1)
        if boxes is None:
            return
        sights = [box for box in boxes if self._counts(box)]
        live = [t for t in self._tracks if frame - t.last <= self.pace.reach]
        owner = {box: live[track] for track, box in _assign(live, sights, frame)}
        born, torn = [], []
        for number, sight in enumerate(sights):
            track = owner.get(number) or self._begin()
            known = track.proven and not track.early
            track.see(frame, sight, self.policy, self._area)
            if view is not None:
                patch = view.patch(sight)
                track.faces = (track.faces[0] if track.count > 1 else patch, patch)
            if track.proven and not known:
                born.append(track)
            if track.torn:
                torn.append(track)
        self._mend(torn, frame)
        for first in {track.first for track in born}:
            self._back([track for track in born if track.first == first], first)

    @property
    def _limit(self) -> int:
        return max(self.pace.reach, self.pace.carry)

    def _counts(self, box: Box) -> bool:
        return box.score >= self.policy.rule(box).low and box.w > 0 and box.h > 0

    def _begin(self) -> Track:
        self._tracks.append(track := Track(self._numbers, self.pace))
        self._numbers += 1
        return track

    def _view(self, frame: int) -> Luma | None:
        number = frame - self._settled
        return self._views[number] if 0 <= number < len(self._views) else None

    def _carry(self, tracks: Sequence[Track], frame: int, way: int) -> None:
        """Place ``tracks`` in ``frame`` by where they were one frame ago (``way`` 1) or later."""
        before, after = self._view(frame - way), self._view(frame)
        moving = [t for t in tracks if t.followed(frame - way)]
        steps: dict[int, flow.Step | None] = {}
        if before is not None and after is not None:
            found = flow.follow(
                before,
                after,
                [t.places[frame - way].box for t in moving],
                [t.hint(frame - way, way) for t in moving],
            )
            steps = {t.number: step for t, step in zip(moving, found, strict=True)}
        for track in tracks:
            track.carry(frame, way, steps.get(track.number), after, self.policy.alike)

    def _back(self, tracks: Sequence[Track], first: int) -> None:
        """Carry tracks back from their first sight, as far as they can be told to be there."""
        for frame in range(first - 1, max(self._settled, first - self.pace.carry) - 1, -1):
            self._carry(tracks, frame, -1)
            tracks = [t for t in tracks if t.covered(frame, self.policy) is not None]
            if not tracks:
                return

    def _mend(self, tracks: Sequence[Track], frame: int) -> None:
        """Carry back what is seen in ``frame`` as far as it was lost, and cover that way too."""
        ghosts = [track.ghost(frame) for track in tracks]
        most = max((track.torn for track in tracks), default=0)
        for at in range(frame - 1, max(frame - most, self._settled) - 1, -1):
            self._carry(
                [g for g, t in zip(ghosts, tracks, strict=True) if frame - at <= t.torn], at, -1
            )
        for ghost, track in zip(ghosts, tracks, strict=True):
            track.unite(ghost)
            track.torn = 0

    def settle(self) -> list[Cover]:
        """What to destroy in the oldest frame not settled yet, grown."""
        frame, self._settled = self._settled, self._settled + 1
        here = [
            (track, Cover(self.policy.grown(place.box, place.doubt), track.number))
            for track in self._tracks
            if (place := track.covered(frame, self.policy)) is not None
        ]
        covers = [cover for track, cover in here if track.proven]
        self.doubts = [cover for track, cover in here if not track.proven]
        for track in self._tracks:
            track.forget(frame)
        self._tracks = [t for t in self._tracks if t.last + self._limit > frame]
        self._views.popleft()
        return covers


def _assign(tracks: Sequence[Track], boxes: Sequence[Box], frame: int) -> list[tuple[int, int]]:
    """Pairs (track, box) of the least sum of costs; pairs too far apart stay alone."""
    if not tracks or not boxes:
        return []
    costs = np.array([[_cost(track, box, frame) for box in boxes] for track in tracks])
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]] = linear_sum_assignment(costs)
    return [(int(t), int(b)) for t, b in zip(*pairs, strict=True) if costs[t, b] < _NEVER]


def _cost(track: Track, box: Box, frame: int) -> float:
    """How unlikely ``box`` is a sight of ``track``, wherever that may be by now."""
    return min(_way(place, box, frame - track.last) for place in track.expected(frame))


def _way(expected: Box, box: Box, unseen: int) -> float:
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
