# SPDX-License-Identifier: Apache-2.0
"""Near and not near, at places one can check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from incamera.errors import InputError
from incamera.geofence import Zones
from incamera.geofence.geojson import Part

M = 1 / 111_132.0  # a metre of latitude near 45 degrees, in degrees


def polygon(*rings: list[tuple[float, float]]) -> Part:
    """A polygon, outer ring first."""
    return Part("polygon", tuple(np.array(ring, dtype=float) for ring in rings), ())


def box(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    """A closed ring along meridians and parallels."""
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def test_the_border_is_at_the_distance() -> None:
    """North of a zone, 249 m is near and 252 m is not."""
    zones = Zones([polygon(box(10, 44.99, 10.01, 45))])
    lat = [45 + 249 * M, 45 + 252 * M, 44.995]
    assert zones.near(lat, [10.005] * 3, 250.0).tolist() == [True, False, True]


def test_a_hole_is_outside_but_its_edge_is_near() -> None:
    """The middle of a wide hole is free; near its edge is not."""
    zones = Zones([polygon(box(10, 45, 10.1, 45.1), box(10.02, 45.02, 10.08, 45.08))])
    assert zones.near([45.05, 45.0201, 45.01], [10.05] * 3, 250.0).tolist() == [False, True, True]


def test_a_zone_cut_at_the_antimeridian_is_one_zone() -> None:
    """Both sides of 180 degrees are near a zone that stands on one side only."""
    zones = Zones([polygon(box(179.99, 0, 180, 0.01))])
    lon = [-180, 180, -179.999, -179.9970, 179.985]
    assert zones.near([0.005] * 5, lon, 250.0).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("side", [1, -1])
def test_a_zone_round_a_pole_is_near_from_every_longitude(side: int) -> None:
    """A cap of about 111 m at a pole reaches 250 m further, on every meridian."""
    zones = Zones([polygon(box(-180, side * 89.999, 180, side * 90.0))])
    lon = np.linspace(-180, 180, 37)
    for metres, expected in ((300, True), (355, True), (370, False), (5000, False)):
        lat = np.full(37, side * (90 - metres / 111_694))
        assert (zones.near(lat, lon, 250.0) == expected).all(), metres


def test_a_point_at_the_pole_has_no_longitude() -> None:
    """A point zone at the pole is found from any longitude."""
    zones = Zones([Part("point", (np.array([[0.0, 90.0]]),), ())])
    assert zones.near([89.999] * 3, [0, 120, -180], 250.0).all()
    assert not zones.near([89.99] * 3, [0, 120, -180], 250.0).any()


def test_a_long_parallel_is_followed_not_cut_short() -> None:
    """The edge of a wide zone at 60 N runs along the parallel, 100s of km off the great circle."""
    zones = Zones([Part("line", (np.array([[0.0, 60.0], [60.0, 60.0]]),), ())])
    assert zones.near([60.0], [30.0], 1.0)[0]
    assert not zones.near([64.3], [30.0], 1000.0)[0]  # where the great circle runs


@pytest.mark.parametrize(
    ("lat", "lon"), [(np.nan, 0), (0, np.nan), (np.inf, 0), (91, 0), (0, 180.1), (-90.1, 5)]
)
def test_no_position_counts_as_near(lat: float, lon: float) -> None:
    """What is no position is near, with and without zones."""
    assert Zones.empty().near([lat], [lon], 250.0)[0]
    assert Zones([polygon(box(10, 45, 11, 46))]).near([lat], [lon], 250.0)[0]


def test_bad_questions_are_refused() -> None:
    """Arrays that do not pair and distances out of range are InputErrors."""
    with pytest.raises(InputError, match="do not pair"):
        Zones.empty().near([1.0, 2.0], [1.0], 250.0)
    for metres in (-1.0, float("nan"), 1e6):
        with pytest.raises(InputError, match="distance"):
            Zones.empty().near([1.0], [1.0], metres)


def test_endless_edges_are_refused_before_memory_is_spent() -> None:
    """A file of edges round the world is refused by their count of pieces."""
    ring = np.array([[-180.0 if i % 2 else 180.0, i * 1e-4] for i in range(2000)])
    with pytest.raises(InputError, match="pieces"):
        Zones([Part("line", (ring,), ())])
