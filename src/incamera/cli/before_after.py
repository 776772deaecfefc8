# SPDX-License-Identifier: Apache-2.0
"""For each camera of an opened clip: the moment with the clearest boxes, before and after."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from incamera.cli.sheet import Pair, contact_sheet
from incamera.errors import InputError
from incamera.recording.contents import Contents
from incamera.recording.model import Recording, Track
from incamera.recording.video import VideoTrack
from incamera.redaction.report import Line, read_report
from incamera.trigger import Span

__all__ = ["draw", "matching"]


def matching(clips: Iterable[Path], spans: Iterable[Span]) -> tuple[Path, Span]:
    """The clip folder with most boxes, and the span of the drive it was cut from.

    A clip tells no absolute time but its hour, so the two are matched by tags and duration.
    """
    wanted = list(spans)
    best: tuple[int, Path, Span] | None = None
    for folder in clips:
        contents = Contents.parse((folder / "clip.json").read_bytes(), str(folder))
        boxes = sum(len(line.boxes) for line in read_report(folder / "report.jsonl"))
        for span in wanted:
            same = abs((span.end - span.start) - contents.duration) < 0.5
            if same and span.tags == contents.tags and (best is None or boxes > best[0]):
                best = (boxes, folder, span)
    if best is None:
        raise InputError("no clip of the dataset was cut from this drive")
    return best[1], best[2]


def _busiest(lines: Iterable[Line]) -> dict[str, int]:
    """Camera file -> the frame with the clearest faces and plates in it, by size and score."""
    found: dict[str, tuple[float, int]] = {}
    for line in lines:
        clear = sum(box.score**2 * box.h for box in line.boxes)
        if clear > found.get(line.source, (-1.0, 0))[0]:
            found[line.source] = (clear, line.frame)
    return {source: frame for source, (_, frame) in found.items()}


def _frame(track: Track, number: int, start: float | None = None) -> NDArray[np.uint8]:
    for count, frame in enumerate(track.frames(start)):
        if count == number:
            return frame.rgb()
    raise InputError(f"{track.camera}: has no frame {number}")


def draw(folder: Path, span: Span, drive: Recording, dest: Path) -> None:
    """Write the contact sheet of the clip in ``folder``, cut from ``drive`` at ``span``."""
    busiest = _busiest(read_report(folder / "report.jsonl"))
    pairs: list[Pair] = []
    tracks = {name.replace("_", "-"): track for name, track in drive.tracks.items()}
    for source, number in sorted(busiest.items()):
        camera = Path(source).stem
        before = _frame(tracks[camera], number, span.start)
        after = _frame(VideoTrack.open(folder / source, camera), number)
        pairs.append((camera, before, after))
    contact_sheet(pairs, dest, f"incamera: {' + '.join(span.tags)}, {len(pairs)} cameras")
