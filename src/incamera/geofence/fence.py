# SPDX-License-Identifier: Apache-2.0
"""The index of a zone set for one distance: what could be near, found fast.

Each sieve lets through all that is near and some that is not: a grid of cells (some 50 M
positions a second), boxes around whole parts, boxes around single segments. Who passes the last
is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from incamera.geofence import earth
from incamera.geofence.geojson import Part

__all__ = ["Fence"]

Floats = NDArray[np.float64]

_MOST_CELLS = 2048  # of the grid, each way: 4 MB, which a cache holds


class _Grid:
    """Which cells of a grid over the boxes' extent touch a box. Says yes too often, never no."""

    def __init__(self, around: Floats) -> None:
        """``around``: boxes (n, 4: west, south, east, north)."""
        count = self._count = min(_MOST_CELLS, 16 * math.isqrt(len(around)))
        self._low = around[:, :2].min(axis=0)
        self._scale = count / (around[:, 2:].max(axis=0) - self._low)
        # A box is +1 at its corner and -1 beyond its sides; summed up, what it covers is above 0.
        corners = np.zeros((count + 1, count + 1), dtype=np.int32)
        x0, y0 = self._cells(around[:, 0], around[:, 1])
        x1, y1 = self._cells(around[:, 2], around[:, 3])
        for x, y, sign in ((x0, y0, 1), (x1 + 1, y0, -1), (x0, y1 + 1, -1), (x1 + 1, y1 + 1, 1)):
            np.add.at(corners, (x, y), sign)
        self._touched = corners.cumsum(axis=0).cumsum(axis=1)[:count, :count] > 0

    def _cells(self, lon: Floats, lat: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        # Both steps only ever rise with the position, so whatever lies between the sides of a box
        # gets a cell between theirs: rounding cannot lose it.
        x = (lon - self._low[0]) * self._scale[0]
        y = (lat - self._low[1]) * self._scale[1]
        last = self._count - 1
        return np.clip(x, 0, last).astype(np.int64), np.clip(y, 0, last).astype(np.int64)

    def touched(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Whether a position may lie in a box."""
        found: NDArray[np.bool_] = self._touched[self._cells(lon, lat)]
        return found


class Fence:
    """For one distance: boxes around whole parts, by grid and tree, and around their segments."""

    def __init__(self, parts: Sequence[Part], segments: Floats, metres: float) -> None:
        self.metres = metres
        low = np.array([part.rings[0].min(axis=0) for part in parts])
        high = np.array([part.rings[0].max(axis=0) for part in parts])
        around = earth.boxes(low, high, metres)[0]
        self._grid = _Grid(around)
        self._parts = shapely.STRtree(shapely.box(*around.T))
        low = np.minimum(segments[:, :2], segments[:, 2:])
        high = np.maximum(segments[:, :2], segments[:, 2:])
        around, self._owner = earth.boxes(low, high, metres)
        self._segments = shapely.STRtree(shapely.box(*around.T))

    def candidates(self, lon: Floats, lat: Floats) -> NDArray[np.int64]:
        """Indices of positions in the box of any part, ascending."""
        maybe = np.flatnonzero(self._grid.touched(lon, lat))
        hits = self._parts.query(shapely.points(lon[maybe], lat[maybe]))[0]
        found: NDArray[np.int64] = maybe[np.unique(hits)]
        return found

    def near_segments(
        self, lon: Floats, lat: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of (position, segment) whose boxes meet."""
        at, box = self._segments.query(shapely.points(lon, lat))
        return at, self._owner[box]
