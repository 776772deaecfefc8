# SPDX-License-Identifier: Apache-2.0
"""A set of forbidden zones, and which positions are near one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from incamera.errors import InputError
from incamera.geofence import earth
from incamera.geofence.fence import Fence
from incamera.geofence.geojson import Part, read_geojson
from incamera.ids import Digest

__all__ = ["Zones"]

Floats = NDArray[np.float64]

_MARGIN = 0.1  # metres; more than earth.SAG and all rounding, so that an answer errs to near
_MAX_PIECES = 20_000_000  # 2 GB of segments
_MAX_METRES = 100_000.0
_CHUNK = 200_000  # positions looked at together: bounds the memory
_DIGEST_LABEL = b"incamera-zones-1\n"
_KINDS = {"polygon": b"A", "line": b"L", "point": b"P"}


class Zones:
    """Forbidden zones: immutable once made. ``len(zones)`` counts polygons, lines and points."""

    def __init__(self, parts: Iterable[Part]) -> None:
        """``parts`` as :func:`incamera.geofence.geojson.read_geojson` gives them."""
        self._parts = tuple(parts)
        self.digest = _digest(self._parts)
        """Digest of the set of shapes: the order of features and their properties do not count."""
        self._areas: NDArray[np.object_] = np.array(
            [shapely.Polygon(p.rings[0], p.rings[1:]) for p in self._parts if p.kind == "polygon"],
            dtype=object,
        )
        shapely.prepare(self._areas)
        self._area_tree = shapely.STRtree(self._areas)
        self._segments = _segments(self._parts)
        self._starts = earth.ecef(self._segments[:, 0], self._segments[:, 1])
        self._ends = earth.ecef(self._segments[:, 2], self._segments[:, 3])
        # By distance: one for the policy's, seldom a second. Each only depends on its key.
        self._fences: dict[float, Fence] = {}

    @classmethod
    def load(cls, path: Path) -> Zones:
        """The zones of a GeoJSON file; :class:`InputError` says what is wrong, and where."""
        parts = read_geojson(path)
        try:
            return cls(parts)
        except InputError as error:
            raise InputError(f"{path}: {error.message}", hint=error.hint) from error

    @classmethod
    def empty(cls) -> Zones:
        """No zone at all: said on purpose, and visible in the digest."""
        return cls(())

    def __len__(self) -> int:
        return len(self._parts)

    def near(self, latitude: ArrayLike, longitude: ArrayLike, metres: float) -> NDArray[np.bool_]:
        """Which positions lie in a zone or within ``metres`` of one.

        ``latitude`` and ``longitude``: (n,) degrees of WGS 84. Errs to near, by 0.2 m at most.
        A position that is not one (not finite, out of range) counts as near.
        """
        if not 0 <= metres <= _MAX_METRES:
            raise InputError(f"a distance of {metres} m is not in 0..{_MAX_METRES:.0f}")
        lat = np.atleast_1d(np.asarray(latitude, dtype=np.float64))
        lon = np.atleast_1d(np.asarray(longitude, dtype=np.float64))
        if lat.shape != lon.shape or lat.ndim != 1:
            raise InputError(f"latitudes {lat.shape} and longitudes {lon.shape} do not pair")
        found = ~((np.abs(lat) <= 90) & (np.abs(lon) <= 180))  # NaN compares false: near
        if not self._parts:
            return found
        fence = self._fences.get(metres)
        if fence is None:
            fence = self._fences[metres] = Fence(self._parts, self._segments, metres + _MARGIN)
        for begin in range(0, len(lat), _CHUNK):
            piece = slice(begin, begin + _CHUNK)
            found[piece] |= self._near(lat[piece], lon[piece], ~found[piece], fence)
        return found

    def _near(
        self, lat: Floats, lon: Floats, valid: NDArray[np.bool_], fence: Fence
    ) -> NDArray[np.bool_]:
        """Sieves, each finer and slower: grid, box of a part, inside an area, nearest segment."""
        found = np.zeros(len(lat), dtype=np.bool_)
        left = np.flatnonzero(valid)
        left = left[fence.candidates(lon[left], lat[left])]
        pairs = self._area_tree.query(shapely.points(lon[left], lat[left]))
        hits = left[pairs[0]]
        inside = shapely.intersects_xy(self._areas[pairs[1]], lon[hits], lat[hits])
        found[hits[inside]] = True
        left = left[~found[left]]
        at, segment = fence.near_segments(lon[left], lat[left])
        place = earth.ecef(lon[left], lat[left])
        metres = earth.distances(place[at], self._starts[segment], self._ends[segment])
        found[left[at[metres <= fence.metres]]] = True
        return found


def _segments(parts: Sequence[Part]) -> Floats:
    """All edges of all rings and lines, (m, 4: lon, lat, lon, lat), split to lie flat."""
    edges = [np.zeros((0, 4))]
    for part in parts:
        for ring in part.rings:
            ends = ring[1:] if len(ring) > 1 else ring  # a point is a segment of no length
            begins = ring[:-1] if len(ring) > 1 else ring
            edges.append(np.concatenate((begins, ends), axis=1))
    whole = np.concatenate(edges)
    if (count := int(earth.pieces(whole).sum())) > _MAX_PIECES:
        raise InputError(
            f"the zones' edges make {count} pieces, more than {_MAX_PIECES}",
            hint="split the zones into several files, or simplify their longest edges",
        )
    return earth.split_edges(whole)


def _digest(parts: Sequence[Part]) -> Digest:
    """SHA-256 over the label and the sorted, distinct digests of the parts (formats/zones.md)."""
    each = {_part_digest(part) for part in parts}
    return Digest(hashlib.sha256(_DIGEST_LABEL + b"".join(sorted(each))).hexdigest())


def _part_digest(part: Part) -> bytes:
    whole = hashlib.sha256(_KINDS[part.kind])
    for ring in part.rings:
        whole.update(len(ring).to_bytes(4, "big"))
        whole.update(ring.astype(">f8").tobytes())
    return whole.digest()
