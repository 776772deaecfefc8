# SPDX-License-Identifier: Apache-2.0
"""A stick with several events on it, and redactors that Ray's workers make for themselves."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from incamera.ids import Digest, digest
from incamera.recording.model import Box
from incamera.redaction import Redactor
from incamera.trigger import Campaign
from videos import film

CAMPAIGN = Campaign.parse(b'version = 1\nname = "taps"\n[saved]\nbefore = 1\nafter = 1\n', "taps")
EARTH = 111_320.0  # metres a degree
EYE = digest(b"eye")


def stick(folder: Path, events: int) -> tuple[Path, Path]:
    """A TeslaCam folder with so many saved events, and a GPX file of the drive."""
    for number in range(events):
        event = folder / "TeslaCam" / "SavedClips" / f"2026-05-01_12-{number:02d}-02"
        event.mkdir(parents=True)
        for camera in ("front", "back"):
            path = event / f"2026-05-01_12-{number:02d}-00-{camera}.mp4"
            size = (64 + 16 * (number % 3), 48)  # so that no two are the same film
            film(path, times=range(16), time_base=Fraction(1, 4), rate=4, size=size)
        reason = "user_interaction_dashcam_icon_tapped"
        told = {"timestamp": f"2026-05-01T12:{number:02d}:02", "reason": reason}
        (event / "event.json").write_text(json.dumps(told | {"est_lat": "48", "est_lon": "11"}))
    points = "".join(
        f'<trkpt lat="{48 + 10 * n / EARTH:.6f}" lon="11.5">'
        f"<time>2026-05-01T10:{n // 60:02d}:{n % 60:02d}Z</time></trkpt>"
        for n in range(60 * events)
    )
    head = '<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">'
    (folder / "track.gpx").write_text(f"{head}<trk><trkseg>{points}</trkseg></trk></gpx>")
    return folder / "TeslaCam", folder / "track.gpx"


@dataclass(frozen=True)
class Eye:
    """Sees a face in every picture, after ``seconds``; or dies of one that is so wide."""

    seconds: float = 0.0
    deadly: int = 0
    digest: Digest = EYE

    def detect(self, image: NDArray[np.uint8]) -> list[Box]:
        """One box, always the same."""
        time.sleep(self.seconds)
        if image.shape[1] == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return [Box(10, 10, 8, 8, "face", 0.9)]


def quick() -> Redactor:
    """One that wastes no time."""
    return Redactor([Eye()], threads=1)


def slow() -> Redactor:
    """One whose worker can be caught at it."""
    return Redactor([Eye(0.05)], threads=1)


def deadly() -> Redactor:
    """One that every third event kills."""
    return Redactor([Eye(0.0, 96)], threads=1)
