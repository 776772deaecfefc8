# SPDX-License-Identifier: Apache-2.0
"""One face or plate over time: where it was seen, and where it was between and around."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from incamera.recording.model import Box
from incamera.redaction import flow
from incamera.redaction.flow import Luma, Step, Tiles
from incamera.redaction.policy import Pace, Policy

__all__ = ["Place", "Track"]

_HISTORY = 4  # sights the velocity is taken from
_FRESH = 0.5  # of the velocity is the last step's
_PART = 0.9  # of a side: a sight that is smaller shows a part only
_FADING = 0.95  # of its sides: as much of the whole is remembered from sight to sight
_TORN = 0.35  # of the box's size: so far from its sight, a carried box was not the thing seen


@dataclass(frozen=True, slots=True)
class Place:
    """Where a track is in one frame."""

    box: Box
    doubt: float = 0.0  # more growth, as a share of the box
    blind: int = 0  # of the frames since a sight, those in which nothing like it was found


@dataclass(slots=True)
class Track:
    """Places by frame, from the oldest that may still be asked for on."""

    number: int
    pace: Pace
    proven: bool = False
    evidence: float = 0.0
    count: int = 0  # sights so far
    torn: int = 0  # frames before the last sight in which what was carried did not lead to it
    birth: Box | None = None  # the first sight
    first: int = 0  # its frame
    sights: list[tuple[int, Box]] = field(default_factory=list)  # the last few
    places: dict[int, Place] = field(default_factory=dict)
    faces: tuple[Tiles | None, Tiles | None] = (None, None)  # at the first and the last sight
    velocity: tuple[float, float] = (0.0, 0.0)  # pixels a frame, at the newest place

    def ghost(self, frame: int) -> Track:
        """Another that was first seen at the last sight: to carry back what lies before that."""
        box = self.sights[-1][1]
        return Track(
            self.number,
            self.pace,
            first=frame,
            birth=box,
            sights=[(frame, box)],
            places={frame: Place(box)},
            faces=(self.faces[1], self.faces[1]),
            velocity=self.velocity,
        )

    def unite(self, ghost: Track) -> None:
        """Cover where the ghost was, too."""
        for frame, place in ghost.places.items():
            mine = self.places.get(frame)
            if mine is not None and not place.blind and frame < ghost.first:
                self.places[frame] = replace(mine, box=_union(mine.box, place.box))

    @property
    def early(self) -> bool:
        """Whether it was carried back in a straight line before anyone knew how it moves."""
        place = self.places.get(self.first - 1)
        return self.count == 1 and place is not None and place.blind > 0

    @property
    def last(self) -> int:
        """Frame of the last sight."""
        return self.sights[-1][0]

    def see(self, frame: int, box: Box, policy: Policy, area: float) -> None:
        """Note a sight, and bend what was carried to it since the one before."""
        seen, box = box, self._whole(frame, box)
        if self.sights:
            self.evidence *= policy.memory ** ((frame - self.last) / self.pace.stride)
            self._bend(frame, box, policy)
        else:
            self.first, self.birth = frame, box
        # So close, a detector is sure of the real ones; what it doubts is a wall or a window.
        if seen.w * seen.h <= policy.broad * area:
            self.evidence += box.score
        self.sights = [*self.sights[1 - _HISTORY :], (frame, box)]
        self.count += 1
        self.places[frame] = Place(box)
        rule = policy.rule(box)
        self.proven |= box.score >= rule.sure or self.evidence >= rule.proof

    def _whole(self, frame: int, box: Box) -> Box:
        """``box`` and what of the thing may be hidden or beyond the edge, as it was seen before."""
        place = self.places.get(frame)
        if place is None or place.blind:
            return box
        known = _shrunk(place.box, _FADING)
        if box.w >= known.w * _PART and box.h >= known.h * _PART:
            return box
        return _union(box, known) if _off(known, box) < 1 else box

    def _bend(self, frame: int, box: Box, policy: Policy) -> None:
        """Settle the frames since the last sight, now that ``box`` is known to end them."""
        start, before = self.sights[-1]
        carried = self.places[frame]
        off = _off(carried.box, box)
        self.torn = frame - start - 1 if carried.blind or off > _TORN else 0
        for at in range(start + 1, frame):
            share = (at - start) / (frame - start)
            line = _between(before, box, share)
            away = min(at - start, frame - at) * self.pace.step
            place = self.places.get(at)
            if place is None:  # settled long ago
                continue
            if self.torn:
                merged = _union(line, _shifted(place.box, carried.box, box, share))
                self.places[at] = Place(merged, policy.stray * away)
            else:
                merged = _shifted(place.box, carried.box, box, share)
                self.places[at] = Place(merged, policy.drift * away + off / 4)
        if carried.blind or off > _TORN:
            (t0, a) = self.sights[0]
            self.velocity = _velocity(a, box, frame - t0)

    def expected(self, frame: int) -> list[Box]:
        """Where a sight in ``frame`` may be: where it was carried to, and straight on."""
        (t0, a), (t1, b) = self.sights[0], self.sights[-1]
        vx, vy = _velocity(a, b, t1 - t0)
        return [self.places[frame].box, _moved(b, vx * (frame - t1), vy * (frame - t1), 1.0)]

    def followed(self, frame: int) -> bool:
        """Whether it is worth following from ``frame``: not what was lost sight of long ago."""
        place = self.places.get(frame)
        return place is not None and place.blind <= self.pace.hold

    def hint(self, frame: int, way: int) -> tuple[float, float]:
        """Pixels the track should move from ``frame`` to the next one, forward or backward."""
        if way > 0:
            return self.velocity
        return self._backward(frame)

    def _backward(self, frame: int) -> tuple[float, float]:
        here = self.places[frame].box
        for frames in range(_HISTORY, 0, -1):
            later = self.places.get(frame + frames)
            if later is not None and frame + frames <= self.last:
                return _velocity(later.box, here, frames)
        return (-self.velocity[0], -self.velocity[1])

    def carry(
        self, frame: int, way: int, step: Step | None, view: Luma | None, alike: float
    ) -> None:
        """Go on by ``step``, or straight on if there is none.

        ``view``: the picture of ``frame``; ``alike``: how much the track must look there like it
        did at the sight it comes from.
        """
        place = self.places.get(frame - way)
        if place is None:
            return
        if step is not None:
            box = _moved(place.box, step.dx, step.dy, step.scale)
            seen = self.faces[1 if way > 0 else 0]
            if view is not None and flow.alike(seen, view.patch(box)) >= alike:
                self.places[frame] = Place(box, place.doubt, place.blind)
                if way > 0:
                    vx, vy = self.velocity
                    self.velocity = (vx + _FRESH * (step.dx - vx), vy + _FRESH * (step.dy - vy))
                return
        box = _moved(place.box, *self.hint(frame - way, way), 1.0)
        self.places[frame] = Place(box, place.doubt, place.blind + 1)

    def covered(self, frame: int, policy: Policy) -> Place | None:
        """Where the track is to be destroyed in ``frame``; None where it is not there."""
        place = self.places.get(frame)
        if place is None or self.first <= frame <= self.last:
            return place
        away = self.first - frame if frame < self.first else frame - self.last
        hold = self.pace.hold
        if away > hold and (away > self.pace.carry or place.blind > hold // 2):
            return None
        place = replace(place, box=_no_smaller(place.box, self.edge(frame)))
        rate = policy.stray if place.blind else policy.drift
        return replace(place, doubt=place.doubt + rate * away * self.pace.step)

    def edge(self, frame: int) -> Box:
        """The sight nearest to a frame before the first or after the last."""
        return self.birth if frame < self.first and self.birth else self.sights[-1][1]

    def forget(self, frame: int) -> None:
        """Drop what is settled."""
        self.places.pop(frame, None)


def _middle(box: Box) -> tuple[float, float]:
    return box.x + box.w / 2, box.y + box.h / 2


def _velocity(a: Box, b: Box, frames: int) -> tuple[float, float]:
    (ax, ay), (bx, by) = _middle(a), _middle(b)
    return ((bx - ax) / max(1, frames), (by - ay) / max(1, frames))


def _moved(box: Box, dx: float, dy: float, scale: float) -> Box:
    x, y = _middle(box)
    w, h = box.w * scale, box.h * scale
    return replace(box, x=x + dx - w / 2, y=y + dy - h / 2, w=w, h=h, via="tracked")


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


def _shifted(box: Box, carried: Box, seen: Box, share: float) -> Box:
    """``box``, and of the way from where it was carried to where it was seen its ``share``."""
    return replace(
        box,
        x=box.x + (seen.x - carried.x) * share,
        y=box.y + (seen.y - carried.y) * share,
        w=max(1.0, box.w + (seen.w - carried.w) * share),
        h=max(1.0, box.h + (seen.h - carried.h) * share),
        score=min(box.score, seen.score),
        via="tracked",
    )


def _shrunk(box: Box, share: float) -> Box:
    w, h = box.w * share, box.h * share
    return replace(box, x=box.x + (box.w - w) / 2, y=box.y + (box.h - h) / 2, w=w, h=h)


def _no_smaller(box: Box, seen: Box) -> Box:
    """``box`` about its middle at no less than the size of ``seen``: what hides it shrinks flow."""
    w, h = max(box.w, seen.w), max(box.h, seen.h)
    return replace(box, x=box.x - (w - box.w) / 2, y=box.y - (h - box.h) / 2, w=w, h=h)


def _union(a: Box, b: Box) -> Box:
    x, y = min(a.x, b.x), min(a.y, b.y)
    right, bottom = max(a.x + a.w, b.x + b.w), max(a.y + a.h, b.y + b.h)
    return replace(a, x=x, y=y, w=right - x, h=bottom - y)


def _off(a: Box, b: Box) -> float:
    """How far two boxes are apart: distance of edges, as a share of the larger's sides."""
    across = max(abs(a.x - b.x), abs(a.x + a.w - b.x - b.w)) / max(a.w, b.w)
    down = max(abs(a.y - b.y), abs(a.y + a.h - b.y - b.h)) / max(a.h, b.h)
    return math.hypot(across, down)
