# SPDX-License-Identifier: Apache-2.0
"""Distances on the WGS 84 ellipsoid that hold at the poles and across the antimeridian.

Positions become points in space (Earth-centred, Earth-fixed; metres), where there is no pole and
no seam. At a few hundred metres the straight line through space differs from the geodesic by
less than a micrometre (d**3 / 24 R**2), and it is never the longer one, so "within d metres" errs
to near.

An edge of a zone is straight in longitude and latitude (RFC 7946 section 3.1.1), not in space. It
is split until the chord of each piece leaves the edge by at most ``SAG`` metres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAG", "boxes", "distances", "ecef", "lonlat", "pieces", "split_edges"]

Floats = NDArray[np.float64]

_A = 6_378_137.0  # WGS 84 semi-major axis, metres
_E2 = 6.694_379_990_141_33e-3  # first eccentricity squared
_SMALLEST_RADIUS = 6_335_439.0  # of curvature of a meridian: at the equator
SAG = 0.05
"""How far a piece's chord may lie from its edge, in metres."""


def ecef(longitude: Floats, latitude: Floats) -> Floats:
    """Points (n, 3) in metres on the ellipsoid at ``longitude``, ``latitude`` (n,) in degrees."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    sin = np.sin(lat)
    radius = _A / np.sqrt(1 - _E2 * sin * sin)
    flat = radius * np.cos(lat)
    return np.stack((flat * np.cos(lon), flat * np.sin(lon), radius * (1 - _E2) * sin), axis=-1)


def lonlat(place: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude in degrees of points (n, 3) on the ellipsoid, or just below it."""
    flat = np.hypot(place[:, 0], place[:, 1])
    longitude = np.degrees(np.arctan2(place[:, 1], place[:, 0]))
    return longitude, np.degrees(np.arctan2(place[:, 2], (1 - _E2) * flat))


def pieces(edges: Floats) -> NDArray[np.int64]:
    """Into how many pieces each edge (n, 4: lon, lat, lon, lat) must be split.

    A curve c(t), 0 <= t <= 1, leaves its chord by at most max |c''| / 8, and n pieces divide
    that by n**2; c'' of an edge is bounded by its steps in longitude and latitude.
    """
    step = np.abs(np.radians(edges[:, 2:] - edges[:, :2]))
    lowest = np.minimum(np.abs(edges[:, 1]), np.abs(edges[:, 3]))
    lowest[edges[:, 1] * edges[:, 3] < 0] = 0.0
    widest = np.cos(np.radians(lowest))  # of the parallels along the edge, nearest to the equator
    bend = widest * step[:, 0] ** 2 + 2 * step[:, 0] * step[:, 1] + step[:, 1] ** 2
    # 1.01: the ellipsoid's radii exceed the semi-major axis by less than that.
    found: NDArray[np.int64] = np.ceil(np.sqrt(1.01 * _A * bend / (8 * SAG))).astype(np.int64)
    return np.maximum(1, found)


def split_edges(edges: Floats) -> Floats:
    """``edges`` (n, 4: lon, lat, lon, lat), split into pieces (m, 4) whose chords lie on them."""
    counts = pieces(edges)
    owner = np.repeat(np.arange(len(edges)), counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin, step = edges[owner, :2], (edges[:, 2:] - edges[:, :2])[owner]
    of = counts[owner]
    first = begin + step * (number / of)[:, None]
    last = begin + step * ((number + 1) / of)[:, None]
    last[number + 1 == of] = edges[:, 2:]  # exactly the vertex, not its rounding
    return np.concatenate((first, last), axis=1)


def distances(points: Floats, starts: Floats, ends: Floats) -> Floats:
    """Metres from each point (n, 3) to its own segment ``starts``-``ends`` (n, 3 each)."""
    along = ends - starts
    to = points - starts
    squared = np.einsum("ij,ij->i", along, along)
    part = np.einsum("ij,ij->i", to, along) / np.where(squared > 0, squared, 1.0)
    nearest = to - np.clip(part, 0.0, 1.0)[:, None] * along
    found: Floats = np.sqrt(np.einsum("ij,ij->i", nearest, nearest))
    return found


def boxes(low: Floats, high: Floats, metres: float) -> tuple[Floats, NDArray[np.int64]]:
    """Boxes (m, 4: west, south, east, north) that hold all within ``metres`` of the given boxes.

    ``low`` and ``high`` are (n, 2) corners: longitude, latitude in degrees. A box across the
    antimeridian comes back as two; the second array says which of the n each belongs to. Where
    a pole is within ``metres`` the box goes all the way round.
    """
    angle = metres / _SMALLEST_RADIUS
    south, north = low[:, 1] - np.degrees(angle), high[:, 1] + np.degrees(angle)
    highest = np.radians(np.minimum(np.maximum(np.abs(south), np.abs(north)), 90.0))
    # A way of `metres` that stays below the latitude `highest` turns by at most this much; at a
    # pole the cosine is all but zero, and the turn goes round more than once.
    turn = np.degrees(angle / np.maximum(np.cos(highest), 1e-12))
    west, east = low[:, 0] - turn, high[:, 0] + turn
    index = np.arange(len(low))
    over_west, over_east = west < -180.0, east > 180.0
    found = [
        np.stack((np.maximum(west, -180.0), south, np.minimum(east, 180.0), north), axis=-1),
        np.stack((west + 360.0, south, np.full_like(west, 180.0), north), axis=-1)[over_west],
        np.stack((np.full_like(east, -180.0), south, east - 360.0, north), axis=-1)[over_east],
    ]
    owner = np.concatenate((index, index[over_west], index[over_east]))
    return np.concatenate(found), owner
