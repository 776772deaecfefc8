# SPDX-License-Identifier: Apache-2.0
"""Reading plates: two OCR engines on every view of what was destroyed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import chance, views
from .engines import Ocr
from .scene import Seen


def attack(seen: Sequence[Seen], engines: dict[str, Ocr], only: set[str] | None = None) -> Any:
    """Share of characters recovered, by engine and view, and of the best view an oracle picks."""
    names = [s.name for s in seen]
    seen_as = [views.of(s) for s in seen]
    tries = [view for view in seen_as[0] if only is None or view in only]
    out: dict[str, Any] = {}
    for engine, read in engines.items():
        said = {view: read([pictures[view] for pictures in seen_as]) for view in tries}
        scores = {view: _scores(said[view], names) for view in tries}
        out[engine] = {view: chance.judged(scores[view]) for view in tries}
        if len(tries) > 1:
            out[engine]["best of all"] = chance.judged(np.max(list(scores.values()), axis=0))
        out[engine]["whole plates"] = max(
            sum(a == b for a, b in zip(said[view], names, strict=True)) for view in tries
        )
    return out


def by_height(seen: Sequence[Seen], read: Ocr, heights: Sequence[float]) -> dict[str, float]:
    """Share of characters read in one frame, by the plate's height: what there was to lose."""
    said = read([views.of(s)["one frame"] for s in seen])
    out: dict[str, list[float]] = {}
    for answer, s, height in zip(said, seen, heights, strict=True):
        out.setdefault(f"{height:.0f}", []).append(chance.alike(answer, s.name))
    return {height: round(float(np.mean(values)), 3) for height, values in out.items()}


def _scores(said: Sequence[str], names: Sequence[str]) -> chance.Matrix:
    return np.array([[chance.alike(answer, name) for name in names] for answer in said])
