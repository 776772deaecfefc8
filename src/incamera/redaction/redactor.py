# SPDX-License-Identifier: Apache-2.0
"""Frames in, redacted frames out: the stream both ``incamera redact`` and ingest go through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from incamera.errors import Error, UnavailableError
from incamera.ids import Digest
from incamera.recording.model import Box, Frame, RedactedFrame
from incamera.redaction.detectors import default_detectors, look, look_closely
from incamera.redaction.fill import Fill, FillKind
from incamera.redaction.lane import Lane
from incamera.redaction.model import Cover, Detector
from incamera.redaction.policy import Policy
from incamera.redaction.review.editing import Edit

__all__ = ["Redactor"]

Look = Callable[[Sequence[Detector], NDArray[np.uint8]], list[Box]]


class Redactor:
    """Destroys the faces and plates of any number of videos and pictures, one after another.

    Detection runs in ``threads`` threads while the caller's thread decodes, follows and encodes
    (the networks' runtime, OpenCV and FFmpeg let go of the interpreter's lock). What comes out does
    not depend on their number. Frames held for each camera: see :class:`incamera.redaction.lane`.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] | None = None,
        fill: FillKind = "solid",
        policy: Policy | None = None,
        *,
        threads: int = 2,
    ) -> None:
        """``detectors``: all default ones if None; raises UnavailableError if one is missing."""
        self.detectors = default_detectors() if detectors is None else list(detectors)
        if not self.detectors:
            raise UnavailableError("no detector was given: nothing would be redacted")
        self.fill = fill
        self.policy = policy or Policy()
        self.threads = threads

    def models(self) -> list[Digest]:
        """Digests of the detectors' weights, sorted: for the capsule's header."""
        return sorted({detector.digest for detector in self.detectors})

    def redact(self, frames: Iterable[Frame], edit: Edit | None = None) -> Iterator[RedactedFrame]:
        """Every frame of ``frames``, redacted, in order within each camera.

        Frames of several cameras may be mixed; each camera has tracks of its own. If decoding
        or a detector fails, so does the stream: there is no frame that was not looked at.
        ``edit`` decides last what is destroyed in each frame.
        """
        lanes: dict[str, Lane] = {}

        def sight(frame: Frame) -> Future[list[Box]]:
            return pool.submit(self._look, frame)

        with ThreadPoolExecutor(self.threads, "detect") as pool:
            try:
                for frame in frames:
                    if frame.camera not in lanes:
                        lanes[frame.camera] = Lane(
                            self.policy, self.fill, sight, self.threads, edit
                        )
                    yield from lanes[frame.camera].push(frame)
                for lane in lanes.values():
                    yield from lane.rest()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def still(self, frame: Frame, edit: Edit | None = None) -> RedactedFrame:
        """One picture that stands alone."""
        policy = self.policy
        boxes = self._look(frame, look_closely)
        found = [Cover(policy.grown(box), number) for number, box in enumerate(boxes)]
        covers = [cover for cover in found if cover.box.score >= policy.rule(cover.box).still]
        if edit is not None:
            doubts = [cover for cover in found if cover not in covers]
            covers = list(edit(frame, covers, doubts))
        return Fill(self.fill)(frame, covers)

    def _look(self, frame: Frame, how: Look = look) -> list[Box]:
        where = f"{frame.camera}, frame {frame.index}"
        try:
            turns = round(frame.picture.rotation / 90) % 4
            boxes = how(self.detectors, np.ascontiguousarray(np.rot90(frame.rgb(), turns)))
            return [_turned(box, turns, frame) for box in boxes]
        except Error:
            raise
        except Exception as error:  # whatever a runtime raises: the clip must fail
            raise UnavailableError(f"{where}: a detector failed: {error}") from error


def _turned(box: Box, turns: int, frame: Frame) -> Box:
    """``box``, found in the picture turned left by ``turns`` right angles, where it is stored.

    Cameras held on their side store what they see lying and say so; detectors want it upright.
    """
    width, height = frame.picture.width, frame.picture.height
    match turns:
        case 1:
            return replace(box, x=width - box.y - box.h, y=box.x, w=box.h, h=box.w)
        case 2:
            return replace(box, x=width - box.x - box.w, y=height - box.y - box.h)
        case 3:
            return replace(box, x=box.y, y=height - box.x - box.w, w=box.h, h=box.w)
    return box
