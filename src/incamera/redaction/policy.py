# SPDX-License-Identifier: Apache-2.0
"""How sure one must be, how far to reach, how much to grow. Recall comes first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from incamera.recording.model import Box

__all__ = ["Policy", "Rule"]


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
class Policy:
    """Numbers of redaction; times are counted in frames of one camera.

    Chosen on drawn drives and on pictures made to move. Against looking at each frame alone (at
    ``still``), tracking from ``low`` on covers 97-100 instead of 77-92 of 100 plates under 16
    pixels.
    """

    face: Rule = Rule(low=0.2, sure=0.4, proof=1.0, still=0.2, growth=0.3)
    plate: Rule = Rule(low=0.2, sure=0.4, proof=1.5, still=0.3, growth=0.2)
    broad: float = 0.03  # of the frame's area: a larger box is proven by a sure sight only
    memory: float = 0.9  # of a track's sum is kept from frame to frame
    gap: int = 8  # frames a track may be lost and found again; filled in between
    hold: int = 4  # frames covered before the first and after the last sight
    blink: int = 2  # the same, if it was seen in a single frame only
    stride: int = 1  # every so many frames one is looked at; the others are filled in
    margin: float = 1.0  # pixels at least, on each side: small boxes are the least exact
    drift: float = 0.05  # more growth for each frame between a box and its nearest sight

    @property
    def reach(self) -> int:
        """Frames a track may go unseen and still be the same."""
        return self.gap * self.stride

    @property
    def ahead(self) -> int:
        """Frames to know after one before it is redacted. This bounds the memory."""
        return max(self.reach, self.hold * self.stride) + 2 * self.stride

    def rule(self, box: Box) -> Rule:
        """The rule for a box of its kind."""
        return self.face if box.kind == "face" else self.plate

    def grown(self, box: Box, away: int = 0) -> Box:
        """``box`` with its margin; more of it the more frames ``away`` the last sight is."""
        share = self.rule(box).growth + self.drift * away
        dx = max(self.margin, box.w * share / 2)
        dy = max(self.margin, box.h * share / 2)
        return replace(box, x=box.x - dx, y=box.y - dy, w=box.w + 2 * dx, h=box.h + 2 * dy)
