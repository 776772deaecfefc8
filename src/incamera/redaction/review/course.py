# SPDX-License-Identifier: Apache-2.0
"""The way of one box through a film: a few key boxes, and straight lines between them.

::

    course = Course.through([(0, a), (1, b), (2, c), ...])   # as few keys as describe it
    course.at(17)                                            # a Key, or None outside of it
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Course", "Key", "Rectangle", "overlap", "within"]

_TRUE = 0.85  # intersection over union of every box with where its course says it is, at least


class Rectangle(Protocol):
    """Anything with an upper left corner and a size, in pixels."""

    @property
    def x(self) -> float: ...  # noqa: D102 - as the class says
    @property
    def y(self) -> float: ...  # noqa: D102
    @property
    def w(self) -> float: ...  # noqa: D102
    @property
    def h(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Key:
    """A box in one frame, in pixels of the frame as stored."""

    frame: int
    x: float
    y: float
    w: float
    h: float

    @staticmethod
    def of(frame: int, box: Rectangle) -> Key:
        """``box`` in ``frame``, to a tenth of a pixel."""
        return Key(frame, *(round(value, 1) for value in (box.x, box.y, box.w, box.h)))


@dataclass(frozen=True, slots=True)
class Course:
    """Keys in order of their frames: one at least, no frame twice."""

    keys: tuple[Key, ...]

    @property
    def first(self) -> int:
        """The first frame it is in."""
        return self.keys[0].frame

    @property
    def last(self) -> int:
        """The last frame it is in."""
        return self.keys[-1].frame

    def at(self, frame: int) -> Key | None:
        """Where the box is in ``frame``; None before the first key and after the last."""
        after = bisect.bisect_left(self.keys, frame, key=lambda key: key.frame)
        if after == len(self.keys):
            return None
        key = self.keys[after]
        if key.frame == frame:
            return key
        return None if after == 0 else _between(self.keys[after - 1], key, frame)

    @staticmethod
    def through(keys: Sequence[Key]) -> Course:
        """The course that passes by all ``keys`` (one a frame, in order) closely, with few of them.

        Splits where a straight line is furthest off (Ramer 1972), measured by overlap.
        """
        kept = {0, len(keys) - 1}
        spans = [(0, len(keys) - 1)]
        while spans:
            left, right = spans.pop()
            worst, where = _TRUE, None
            for i in range(left + 1, right):
                there = overlap(keys[i], _between(keys[left], keys[right], keys[i].frame))
                if there < worst:
                    worst, where = there, i
            if where is not None:
                kept.add(where)
                spans += [(left, where), (where, right)]
        return Course(tuple(keys[i] for i in sorted(kept)))


def _between(a: Key, b: Key, frame: int) -> Key:
    share = (frame - a.frame) / (b.frame - a.frame)
    return Key(
        frame,
        a.x + (b.x - a.x) * share,
        a.y + (b.y - a.y) * share,
        a.w + (b.w - a.w) * share,
        a.h + (b.h - a.h) * share,
    )


def _shared(a: Rectangle, b: Rectangle) -> float:
    across = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    down = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return max(0.0, across) * max(0.0, down)


def overlap(a: Rectangle, b: Rectangle) -> float:
    """Intersection over union, 0 to 1."""
    shared = _shared(a, b)
    return shared / (a.w * a.h + b.w * b.h - shared) if shared else 0.0


def within(inner: Rectangle, outer: Rectangle) -> float:
    """The share of ``inner`` that lies in ``outer``, 0 to 1."""
    shared = _shared(inner, outer)
    return shared / (inner.w * inner.h) if shared else 0.0
