# SPDX-License-Identifier: Apache-2.0
"""A contact sheet of leaks: for each leaking track its first leaking frame, cut out and enlarged.

Green: the truth. Red: what was covered in that frame. White: how much of the object was covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from bench.redaction.cuts import Picture
from bench.redaction.leaks import TrackResult

TILE = 200
ACROSS = 8
MOST = 96


def leaks(
    path: Path,
    folder: Path,
    truth: Sequence[dict[str, Any]],
    report: dict[str, dict[int, list[tuple[Any, ...]]]],
    results: Sequence[TrackResult],
) -> None:
    """Write the sheet to ``path``; no file if nothing leaks."""
    path.unlink(missing_ok=True)
    leaking = [r for r in results if r.leaked][:MOST]
    by_name = {film["film"]: film for film in truth}
    tiles = []
    for result in leaking:
        frame = result.leaked[0]
        film = by_name[result.film]
        track = next(t for t in film["tracks"] if t["track"] == result.track)
        box = next(s[1:5] for s in track["sights"] if s[0] == frame)
        share = result.shares[result.frames.index(frame)]
        rows = report.get(result.film, {}).get(frame, [])
        count = f"{len(result.leaked)}/{len(result.frames)}"
        text = f"{result.film[:3]} t{result.track} f{frame} {count} {share:.2f}"
        tiles.append(tile(picture(folder / result.film, frame), box, rows, text))
    if tiles:
        blank = np.zeros((TILE, TILE, 3), np.uint8)
        tiles += [blank] * (-len(tiles) % ACROSS)
        lines = [np.hstack(tiles[i : i + ACROSS]) for i in range(0, len(tiles), ACROSS)]
        cv2.imwrite(str(path), np.vstack(lines)[:, :, ::-1])


def picture(path: Path, number: int) -> Picture:
    """One frame of a film, RGB."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    raise ValueError(f"{path} has no frame {number}")


def tile(image: Picture, box: Sequence[float], rows: Sequence[Sequence[Any]], text: str) -> Picture:
    """The neighbourhood of ``box`` with all boxes drawn."""
    x, y, w, h = box
    half = max(w, h) * 1.5
    scale = TILE / (2 * half)
    left, top = x + w / 2 - half, y + h / 2 - half
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    out = np.asarray(cv2.warpAffine(image, matrix, (TILE, TILE)), np.uint8)
    for row, colour in [*((r, (255, 40, 40)) for r in rows), (box, (40, 255, 40))]:
        a = (round((row[0] - left) * scale), round((row[1] - top) * scale))
        b = (round((row[0] + row[2] - left) * scale), round((row[1] + row[3] - top) * scale))
        cv2.rectangle(out, a, b, colour, 1)
    cv2.putText(
        out, text, (3, TILE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 255), 1, cv2.LINE_AA
    )
    return out
