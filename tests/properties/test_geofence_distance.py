# SPDX-License-Identifier: Apache-2.0
"""``Zones.near`` against a slow reference that shares nothing with it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from incamera.geofence import Zones
from incamera.geofence.geojson import Part

LATITUDES = st.one_of(
    st.floats(-90, 90),
    st.sampled_from([90.0, -90.0, 89.9999, -89.999, 0.0]),
    st.floats(89.99, 90),
    st.floats(-90, -89.99),
)
LONGITUDES = st.one_of(
    st.floats(-180, 180),
    st.sampled_from([180.0, -180.0, 179.9999, -179.9999, 0.0]),
    st.floats(179.99, 180),
    st.floats(-180, -179.99),
)
OFFSETS = st.floats(-900, 900)  # metres


def vincenty(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Metres of the geodesic on WGS 84 (Vincenty's inverse formula, 1975), for near points."""
    a, f = 6378137.0, 1 / 298.257223563
    b = a * (1 - f)
    u1, u2 = (math.atan((1 - f) * math.tan(math.radians(v))) for v in (lat1, lat2))
    turn = math.radians(math.remainder(lon2 - lon1, 360.0))
    lam = turn
    for _ in range(200):
        sin_s = math.hypot(
            math.cos(u2) * math.sin(lam),
            math.cos(u1) * math.sin(u2) - math.sin(u1) * math.cos(u2) * math.cos(lam),
        )
        if sin_s == 0:
            return 0.0
        cos_s = math.sin(u1) * math.sin(u2) + math.cos(u1) * math.cos(u2) * math.cos(lam)
        sigma = math.atan2(sin_s, cos_s)
        sin_a = math.cos(u1) * math.cos(u2) * math.sin(lam) / sin_s
        cos2a = max(0.0, 1 - sin_a * sin_a)
        mid = cos_s - 2 * math.sin(u1) * math.sin(u2) / cos2a if cos2a > 1e-12 else 0.0
        c = f / 16 * cos2a * (4 + f * (4 - 3 * cos2a))
        before = lam
        lam = turn + (1 - c) * f * sin_a * (
            sigma + c * sin_s * (mid + c * cos_s * (2 * mid * mid - 1))
        )
        if abs(lam - before) < 1e-13:
            break
    u = cos2a * (a * a - b * b) / (b * b)
    big_a = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)))
    big_b = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)))
    delta = big_b * sin_s * (mid + big_b / 4 * cos_s * (2 * mid * mid - 1))
    return b * big_a * (sigma - delta)


def moved(lat: float, lon: float, north: float, east: float) -> tuple[float, float]:
    """About ``north`` and ``east`` metres from a place, over the poles and the seam as needed."""
    angle, way = math.atan2(east, north), math.hypot(north, east) / 6371000.0
    phi = math.radians(lat)
    sine = math.sin(phi) * math.cos(way) + math.cos(phi) * math.sin(way) * math.cos(angle)
    turn = math.atan2(
        math.sin(angle) * math.sin(way) * math.cos(phi), math.cos(way) - math.sin(phi) * sine
    )
    to = math.degrees(math.asin(max(-1.0, min(1.0, sine))))
    return to, math.remainder(lon + math.degrees(turn), 360.0)


def parts(kind: str, *rings: list[tuple[float, float]]) -> list[Part]:
    """One part of longitude, latitude positions."""
    return [Part(kind, tuple(np.array(ring) for ring in rings), ())]  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(LATITUDES, LONGITUDES, OFFSETS, OFFSETS, st.floats(0, 800))
def test_a_point_zone_is_near_as_far_as_the_geodesic_says(
    lat: float, lon: float, north: float, east: float, metres: float
) -> None:
    """Near a point zone is what Vincenty's geodesic says, at poles and antimeridian too."""
    to_lat, to_lon = moved(lat, lon, north, east)
    true = vincenty(lat, lon, to_lat, to_lon)
    zones = Zones(parts("point", [(lon, lat)]))
    near = bool(zones.near([to_lat], [to_lon], metres)[0])
    if true <= metres:
        assert near
    elif true > metres + 0.2:
        assert not near


@settings(max_examples=120, deadline=None)
@given(LATITUDES, LONGITUDES, st.floats(1e-4, 3), st.floats(-3, 3), OFFSETS, OFFSETS)
def test_an_edge_is_straight_in_longitude_and_latitude(
    lat: float, lon: float, wide: float, high: float, north: float, east: float
) -> None:
    """Near a line is near its densely sampled course in longitude and latitude."""
    assume(lon + wide <= 180 and abs(lat + high) <= 90)
    zones = Zones(parts("line", [(lon, lat), (lon + wide, lat + high)]))
    on_line = 0.35
    to_lat, to_lon = moved(lat + high * on_line, lon + wide * on_line, north, east)
    reach = min(0.3, 1500 / (1000 + 111_000 * abs(high)))  # the part of the line worth sampling
    true = min(
        vincenty(lat + high * step, lon + wide * step, to_lat, to_lon)
        for step in np.linspace(on_line - reach, on_line + reach, 301).tolist()
    )
    assert zones.near([to_lat], [to_lon], true + 0.01)[0]


@settings(max_examples=150, deadline=None)
@given(LATITUDES, LONGITUDES, st.floats(10, 2000), st.floats(0, 1), st.floats(0, 6.28))
def test_every_point_inside_a_polygon_is_near_at_no_distance(
    lat: float, lon: float, reach: float, part: float, angle: float
) -> None:
    """A point of a box is in it at distance 0, wherever on Earth the box stands."""
    up = reach / 111_700
    side = min(90.0, up / max(1e-9, math.cos(math.radians(min(90, abs(lat) + up)))))
    south, north = max(-90.0, lat - up), min(90.0, lat + up)
    west, east = max(-180.0, lon - side), min(180.0, lon + side)
    assume(west < east and south < north)
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    zones = Zones(parts("polygon", ring))
    x = (west + east) / 2 + part * (east - west) / 2 * math.cos(angle) * 0.999
    y = (south + north) / 2 + part * (north - south) / 2 * math.sin(angle) * 0.999
    assert bool(zones.near([y], [x], 0.0)[0])


@settings(max_examples=150, deadline=None)
@given(LATITUDES, LONGITUDES, OFFSETS, OFFSETS, st.floats(0, 500), st.floats(0, 500))
def test_what_is_near_stays_near_at_a_larger_distance(
    lat: float, lon: float, north: float, east: float, less: float, more: float
) -> None:
    """Raising the distance never frees a position."""
    zones = Zones(parts("point", [(lon, lat)]))
    to = moved(lat, lon, north, east)
    if zones.near([to[0]], [to[1]], less)[0]:
        assert zones.near([to[0]], [to[1]], less + more)[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 52.0, -75.0, 89.95]))
def test_bulk_and_single_questions_agree(seed: int, middle: float) -> None:
    """A thousand positions at once get the answers each gets alone, by plain brute force."""
    rng = np.random.default_rng(seed)
    spots = [
        (float(rng.uniform(-180, 180)), float(np.clip(middle + rng.normal(0, 0.02), -90, 90)))
        for _ in range(20)
    ]
    zones = Zones([part for spot in spots for part in parts("point", [spot])])
    chosen = rng.integers(len(spots), size=30)
    asked = [
        moved(spots[i][1], spots[i][0], float(rng.normal(0, 300)), float(rng.normal(0, 300)))
        for i in chosen
    ]
    near = zones.near([a[0] for a in asked], [a[1] for a in asked], 250.0)
    for (lat, lon), found in zip(asked, near, strict=True):
        true = min(vincenty(spot[1], spot[0], lat, lon) for spot in spots)
        assert found or true > 250.0
        assert not found or true < 250.2
