# SPDX-License-Identifier: Apache-2.0
"""Finding faces and plates again, in films and pictures that the product's own detectors redacted.

To be found again is not to be known again: a grey box between hair and shoulders tells that a
head was there, as the report does. Counted all the same, beside what the same detectors make of
boxes of the same size and fill where nobody is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from incamera.ids import Digest
from incamera.recording.model import Box
from incamera.redaction import Redactor, redact_path
from incamera.redaction.fill import FillKind
from incamera.redaction.model import Detector
from incamera.redaction.report import read_report

Picture = NDArray[np.uint8]
Edges = tuple[float, float, float, float]
Finder = Callable[[Picture], Sequence[Edges]]

_STEP = 6  # of a film's frames every sixth is looked at again
_FRAMES = 48


@dataclass
class Remembering:
    """A detector that looks once: both fills redact the same pictures."""

    inner: Detector
    seen: dict[int, list[Box]] = field(default_factory=dict)

    @property
    def digest(self) -> Digest:
        """The inner detector's."""
        return self.inner.digest

    def detect(self, image: Picture) -> list[Box]:
        """The inner detector's boxes."""
        key = hash(image.tobytes())
        if key not in self.seen:
            self.seen[key] = self.inner.detect(image)
        return self.seen[key]


def sources(data: Path, folder: Path, count: int) -> list[Path]:
    """The start of two real films, and ``count`` real pictures with faces and with plates."""
    out = []
    for name in ("egoblur-person.mp4", "intel-person.mp4"):
        with av.open(str(data / "clips" / name)) as container:
            frames = [p for p, _ in zip(container.decode(video=0), range(_FRAMES), strict=False)]
        out.append(folder / name)
        with av.open(str(out[-1]), "w") as made:
            stream = made.add_stream("libx264", rate=25, options={"crf": "14"})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = frames[0].width, frames[0].height
            stream.pix_fmt = "yuv420p"
            for index, picture in enumerate(frames):
                picture.pts, picture.time_base, picture.pict_type = index, Fraction(1, 25), 0
                made.mux(stream.encode(picture))
            made.mux(stream.encode(None))
    for kind in ("faces", "plates"):
        lines = (data / kind / "eval" / "labels.jsonl").read_text().splitlines()
        step = max(1, len(lines) // max(1, count))
        names = [json.loads(line)["image"] for line in lines[::step][:count]]
        out += [data / kind / "eval" / "images" / name for name in names]
    return out


def _shown(path: Path) -> Iterator[tuple[int, Picture]]:
    """Frame numbers and pictures of a file, RGB; of a film every sixth."""
    if path.suffix != ".mp4":
        yield 0, np.asarray(Image.open(path).convert("RGB"), np.uint8)
        return
    with av.open(str(path)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index % _STEP == 0:
                yield index, np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


def elsewhere(
    image: Picture, boxes: Sequence[Edges], fill: FillKind
) -> tuple[Picture, list[Edges]]:
    """``image`` with as many boxes filled where nothing was destroyed: what chance finds."""
    rng = np.random.default_rng(len(boxes))
    out, placed = image.copy(), list[Edges]()
    high, wide = image.shape[:2]
    for _, _, w, h in boxes:
        for _ in range(40):
            x = int(rng.integers(0, max(1, wide - int(w))))
            y = int(rng.integers(0, max(1, high - int(h))))
            if not any(_meet((x, y, w, h), other) for other in [*boxes, *placed]):
                part = out[y : y + int(h), x : x + int(w)]
                small = cv2.resize(part, (5, 5), interpolation=cv2.INTER_AREA)
                cells = cv2.resize(small, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
                part[:] = 128 if fill == "solid" else cells
                placed.append((x, y, w, h))
                break
    return out, placed


def _meet(a: Edges, b: Edges) -> bool:
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    return across > 0 and min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) > 0


def _hits(found: Sequence[Edges], boxes: Sequence[Edges]) -> int:
    """How many of ``boxes`` have the middle of something found in them, of about their size."""
    return sum(
        any(
            x < u + w2 / 2 < x + w and y < v + h2 / 2 < y + h and w2 * h2 > 0.2 * w * h
            for u, v, w2, h2 in found
        )
        for x, y, w, h in boxes
    )


def attack(
    files: Sequence[Path],
    redactor: Redactor,
    fill: FillKind,
    finders: dict[str, dict[str, Finder]],
    folder: Path,
) -> dict[str, Any]:
    """Per kind and finder: shares of boxes found before, after, and where nothing was."""
    redactor.fill = fill
    counts: dict[str, dict[str, NDArray[np.int64]]] = {
        kind: {name: np.zeros(4, np.int64) for name in tools} for kind, tools in finders.items()
    }
    for source in files:
        out = folder / f"{fill}-{source.name}"
        report = out.with_suffix(".jsonl")
        redact_path(source, out, report=report, redactor=redactor)
        lines = {line.frame: line.boxes for line in read_report(report)}
        for (frame, after), (_, before) in zip(_shown(out), _shown(source), strict=True):
            for kind, tools in finders.items():
                boxes = [(b.x, b.y, b.w, b.h) for b in lines[frame] if b.kind == kind]
                if not boxes or (kind == "plate" and source.suffix == ".mp4"):
                    continue
                _tally(counts[kind], tools, boxes, (before, after, fill))
    return {
        kind: {name: _shares(count) for name, count in tools.items()}
        for kind, tools in counts.items()
    }


def _tally(
    counts: dict[str, NDArray[np.int64]],
    tools: dict[str, Finder],
    boxes: list[Edges],
    seen: tuple[Picture, Picture, FillKind],
) -> None:
    before, after, fill = seen
    other, placed = elsewhere(after, boxes, fill)
    for name, find in tools.items():
        counts[name] += [
            len(boxes), _hits(find(before), boxes), _hits(find(after), boxes), 0
        ]  # fmt: skip
        counts[name][3] += round(_hits(find(other), placed) * len(boxes) / max(1, len(placed)))


def _shares(count: NDArray[np.int64]) -> dict[str, float]:
    boxes = max(1, int(count[0]))
    before, after, chance = (round(int(n) / boxes, 4) for n in count[1:])
    return {"boxes": int(count[0]), "before": before, "after": after, "chance": chance}
