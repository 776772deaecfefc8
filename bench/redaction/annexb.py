# SPDX-License-Identifier: Apache-2.0
"""The anonymisation test of GB/T 44464-2024, 5.6.2 and annex B, on anyone's labelled pictures.

    incamera redact FOLDER SAFE --report report.jsonl
    python -m bench.redaction --parts annexb --labels labels.jsonl --report report.jsonl

``labels.jsonl`` has one line a picture, or a sampled frame of a video::

    {"image": "rel/path.jpg", "camera": "front", "time": 12.5, "frame": 0,
     "boxes": [{"x": 1, "y": 2, "w": 30, "h": 40, "kind": "face", "counts": true}]}

``image`` is the report's ``source``; ``frame`` (of a video; left out for a picture) its ``frame``;
``time`` seconds on one clock for each camera; ``counts: false`` marks what the standard leaves
out: half hidden or blurred faces, plates that are covered or illegible, adverts, reflections.

What is asked: of the faces whose box's short side is 32 pixels or more, and of the plates from
16 pixels, at least 90 % each must be hit: a box is hit if the mask covers half of it. Of the masks
at most 10 % should be false: those that lie on no labelled box of any size or kind. Smaller sets
get no verdict: 500 pictures at least a second apart (or 1,000 s of video in pieces of 10 s and
more, looked at every 2 s at least), 200 faces, 200 plates, 10 pictures or 10 s of each camera.

This counts; it is no type approval.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bench.redaction.leaks import covered
from bench.redaction.reports import Report, loaded
from incamera.errors import InputError

HIT = 0.5
LEAST = {"face": 32.0, "plate": 16.0}
RATE, FALSE = 0.9, 0.1
PICTURES, APART = 500, 1.0
SECONDS, PIECE, SAMPLED = 1000.0, 10.0, 2.0
OBJECTS = 200
CAMERA_PICTURES, CAMERA_SECONDS = 10, 10.0
SLACK = 1e-6  # seconds; times are floats
Rect = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """One labelled picture or sampled frame."""

    image: str
    frame: int | None  # None: a picture
    camera: str
    time: float
    boxes: tuple[tuple[Rect, str, bool], ...]  # box, kind, whether it counts

    @property
    def key(self) -> tuple[str, int]:
        """Its place in the report."""
        return self.image, self.frame or 0


def read_labels(path: Path) -> list[Look]:
    """Every line; :class:`InputError` at the first that lacks something."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read: {error}") from error
    looks = [_look(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if len({look.key for look in looks}) != len(looks):
        raise InputError(f"{path}: a picture or frame is labelled twice")
    return looks


def _look(line: str, where: str) -> Look:
    try:
        value = json.loads(line)
        boxes = tuple(
            (
                (float(b["x"]), float(b["y"]), float(b["w"]), float(b["h"])),
                str(b["kind"]),
                bool(b.get("counts", True)),
            )
            for b in value["boxes"]
        )
        frame = value.get("frame")
        look = Look(
            str(value["image"]),
            None if frame is None else int(frame),
            str(value["camera"]),
            float(value["time"]),
            boxes,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{where}: not a label: {error!r}",
            hint="it needs image, camera, time and boxes: see bench/redaction/annexb.py",
        ) from error
    if any(kind not in LEAST or rect[2] <= 0 or rect[3] <= 0 for rect, kind, _ in boxes):
        raise InputError(f"{where}: a box is empty or of unknown kind")
    return look


def needed(rect: Rect, kind: str, counts: bool) -> bool:
    """Whether the standard asks for this box."""
    return counts and min(rect[2], rect[3]) >= LEAST[kind]


def hit(rect: Rect, masks: Sequence[Sequence[Any]]) -> bool:
    """Whether the masks cover half of a box."""
    x, y, w, h = rect
    shape = (math.ceil(y + h) + 1, math.ceil(x + w) + 1)
    return covered(rect, (), masks, shape) >= HIT


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % confidence interval of a share (Wilson, 1927)."""
    if total == 0:
        return 0.0, 1.0
    share, square = hits / total, z * z / total
    middle = (share + square / 2) / (1 + square)
    reach = z * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def lacking(looks: Sequence[Look]) -> list[str]:
    """What the set is too small in; nothing if a verdict may be given."""
    out = []
    stills = [look for look in looks if look.frame is None]
    apart = sum(_apart(times) for times in _by_camera(stills).values())
    pieces = _pieces(look for look in looks if look.frame is not None)
    seconds = sum(length for _, length in pieces)
    if apart < PICTURES and seconds < SECONDS:
        out.append(
            f"{apart} of {PICTURES} pictures a second apart, and {seconds:.0f} of {SECONDS:.0f} s "
            "of video"
        )
    for kind in LEAST:
        count = sum(needed(*box) for look in looks for box in look.boxes if box[1] == kind)
        if count < OBJECTS:
            out.append(f"{count} of {OBJECTS} {kind}s that are large enough")
    for camera in sorted({look.camera for look in looks}):
        count = sum(look.camera == camera for look in stills)
        length = sum(s for name, s in pieces if name == camera)
        if count < CAMERA_PICTURES and length < CAMERA_SECONDS:
            out.append(f"camera {camera}: {count} of {CAMERA_PICTURES} pictures, {length:.0f} s")
    return out


def _by_camera(looks: Iterable[Look]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for look in looks:
        times.setdefault(look.camera, []).append(look.time)
    return times


def _apart(times: list[float]) -> int:
    """How many of the pictures are left if each is a second or more after the one before."""
    count, last = 0, -math.inf
    for time in sorted(times):
        if time - last >= APART - SLACK:
            count, last = count + 1, time
    return count


def _pieces(looks: Iterable[Look]) -> list[tuple[str, float]]:
    """Camera and seconds of each piece of video that is long enough and looked at often enough."""
    films: dict[tuple[str, str], list[float]] = {}
    for look in looks:
        films.setdefault((look.camera, look.image), []).append(look.time)
    out = []
    for (camera, _), times in films.items():
        times.sort()
        first = before = times[0]
        for time in [*times[1:], math.inf]:
            if time - before > SAMPLED + SLACK:
                if before - first >= PIECE - SLACK:
                    out.append((camera, before - first))
                first = time
            before = time
    return out


def measured(looks: Sequence[Look], report: Report) -> dict[str, Any]:
    """Detection rates and false detections, without a verdict."""
    out: dict[str, Any] = {}
    found = {kind: [0, 0] for kind in LEAST}
    false = {kind: [0, 0] for kind in LEAST}
    for look in looks:
        masks = _masks(report, look)
        for box in look.boxes:
            if needed(*box):
                found[box[1]][0] += hit(box[0], masks)
                found[box[1]][1] += 1
        for mask in masks:
            false[mask[4]][0] += not _near(mask, [rect for rect, _, _ in look.boxes])
            false[mask[4]][1] += 1
    for kind, (hits, total) in found.items():
        low, high = wilson(hits, total)
        wrong, masks_ = false[kind]
        out[kind] = {
            "boxes": total,
            "hit": hits,
            "rate": round(hits / total, 4) if total else None,
            "interval95": [round(low, 4), round(high, 4)],
            "masks": masks_,
            "false_rate": round(wrong / masks_, 4) if masks_ else 0.0,
        }
    return out


def _masks(report: Report, look: Look) -> list[tuple[Any, ...]]:
    try:
        return report[look.image][look.frame or 0]
    except KeyError:
        raise InputError(
            f"{look.image}, frame {look.frame or 0}: labelled, but not in the report",
            hint="redact the folder that the labels name, and give its whole report",
        ) from None


def _near(mask: Sequence[Any], labels: Sequence[Rect]) -> bool:
    """Whether a mask lies on a labelled box: a tenth of the smaller of both is common."""
    for x, y, w, h in labels:
        across = min(mask[0] + mask[2], x + w) - max(mask[0], x)
        down = min(mask[1] + mask[3], y + h) - max(mask[1], y)
        if across > 0 and down > 0 and across * down >= 0.1 * min(mask[2] * mask[3], w * h):
            return True
    return False


def verdict(looks: Sequence[Look], report: Report) -> dict[str, Any]:
    """The rates and whether they suffice; :class:`InputError` on a set that is too small."""
    if missing := lacking(looks):
        _refuse(missing)
    out = measured(looks, report)
    enough = all(out[kind]["rate"] >= RATE for kind in LEAST)
    return {
        **out,
        "pass": enough,
        "pass_beyond_doubt": all(out[kind]["interval95"][0] >= RATE for kind in LEAST),
        "false_detections_ok": all(out[kind]["false_rate"] <= FALSE for kind in LEAST),
    }


def _refuse(missing: Sequence[str]) -> NoReturn:
    raise InputError(
        f"too small a set for a verdict by GB/T 44464-2024, annex B: {'; '.join(missing)}",
        hint="label more pictures, of more cameras and further apart",
    )


def run(labels: Path | None, report: Path | None) -> Mapping[str, Any]:
    """The part, as the command line calls it."""
    if labels is None or report is None:
        raise InputError(
            "annex B needs --labels and --report", hint="see bench/redaction/annexb.py"
        )
    return verdict(read_labels(labels), loaded(report))
