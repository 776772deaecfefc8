# SPDX-License-Identifier: Apache-2.0
"""Readers and writers of recordings: what cameras and sensors of a drive left, in step.

::

    from pathlib import Path
    from incamera.recording import open_recordings

    for recording in open_recordings(Path("TeslaCam")):
        for frame in recording.tracks["front"].frames(start=recording.start + 10):
            frame.time, frame.pts, frame.picture

Each frame comes out once, in order, with its exact time, or the track raises ``InputError``.
:class:`~incamera.recording.writer.VideoWriter` takes redacted frames only.
"""

from incamera.recording.model import Frame, Recording, RedactedFrame, Track
from incamera.recording.open import Options, open_recordings

__all__ = ["Frame", "Options", "Recording", "RedactedFrame", "Track", "open_recordings"]
