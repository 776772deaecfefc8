# SPDX-License-Identifier: Apache-2.0
"""How sure one must be, how often to look, how far to reach, how much to grow. Recall first."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from incamera.recording.model import Box

__all__ = ["Pace", "Policy", "Rule"]

_USUAL = 1 / 30  # seconds between frames where nothing else is known
_MOST = 60  # frames that are held at most, however fast they come


@dataclass(frozen=True, slots=True)
class Rule:
    """When a face, or a plate, is destroyed, and how much around it.

    In a video a detection below ``low`` is ignored. One at ``sure`` or above is destroyed even
    if it is seen once. Between the two it is destroyed if its track gathers scores of ``proof``
    in sum, older ones counting less: noise does not move along with the picture, a face does.
    """

    low: float
    sure: float
    proof: float
    still: float  # for a picture that stands alone, which no track can confirm
    growth: float  # of width and height in total: hair, ears and chin; the rim of a plate


@dataclass(frozen=True, slots=True)
class Pace:
    """A policy's times in frames of one camera."""

    stride: int  # every so many frames one is looked at
    reach: int  # frames a track may go unseen and still be the same
    hold: int  # frames covered on trust in a straight line
    carry: int  # frames covered before the first and after the last sight, by what moves
    ahead: int  # frames to know after one before it is redacted: this bounds the memory
    step: float  # seconds a frame


@dataclass(frozen=True, slots=True)
class Policy:
    """Numbers of redaction; times are in seconds, so that they mean the same at every rate.

    Chosen on films with exact truth (the bench's dev set): docs/decisions/0008-carrying-boxes.md
    has the figures of carrying, docs/benchmarks.md the curve of plates.
    """

    face: Rule = Rule(low=0.2, sure=0.4, proof=0.45, still=0.2, growth=0.3)
    plate: Rule = Rule(low=0.2, sure=0.45, proof=0.6, still=0.3, growth=0.2)
    broad: float = 0.003  # of the frame's area: a larger box is proven by a sure sight only
    memory: float = 0.8  # of a track's sum is kept from look to look
    looks: float = 6.5  # a second, about
    gap: float = 1.0  # a track may be lost and found again; filled in between
    hold: float = 0.1  # covered before the first and after the last sight, whatever is seen there
    carry: float = 0.8  # the same, as long as what was seen can be followed in the pictures
    alike: float = 0.5  # correlation at which what is followed still is what was seen
    margin: float = 1.0  # pixels at least, on each side: small boxes are the least exact
    # More growth, as a share of the box, for each second between it and its nearest sight:
    drift: float = 0.25  # where it was followed in the pictures
    stray: float = 0.75  # where it was not

    def rule(self, box: Box) -> Rule:
        """The rule for a box of its kind."""
        return self.face if box.kind == "face" else self.plate

    def grown(self, box: Box, doubt: float = 0.0) -> Box:
        """``box`` with its margin, and ``doubt`` (a share of its sides) more."""
        share = self.rule(box).growth + doubt
        dx = max(self.margin, box.w * share / 2)
        dy = max(self.margin, box.h * share / 2)
        return replace(box, x=box.x - dx, y=box.y - dy, w=box.w + 2 * dx, h=box.h + 2 * dy)

    def pace(self, times: Sequence[float] = ()) -> Pace:
        """The policy for a camera whose first frames have these ``times``, in seconds."""
        steps = [b - a for a, b in pairwise(times) if b > a]
        step = statistics.median(steps) if steps else _USUAL

        def frames(seconds: float, least: int) -> int:
            return max(least, min(round(seconds / step), _MOST))

        stride = min(frames(1 / self.looks, 1), _MOST // 3)
        reach = max(frames(self.gap, 2), 2 * stride)
        carry = frames(self.carry, 1)
        return Pace(
            stride=stride,
            reach=reach,
            hold=frames(self.hold, 1),
            carry=carry,
            ahead=max(reach, carry) + stride,
            step=step,
        )
