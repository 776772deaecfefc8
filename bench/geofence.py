# SPDX-License-Identifier: Apache-2.0
"""How many fixes a second the geofence judges against 20,000 polygons, on one core.

The last line is one line of JSON: {"bench": "geofence", "fixes_per_s": ..., ...}.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from incamera.geofence.geojson import Part
from incamera.geofence.zones import Zones

_METRES = 250.0


def blobs(count: int, vertices: int, rng: np.random.Generator) -> list[Part]:
    """Star-shaped polygons of 200 m to 1 km across, spread over Europe."""
    parts = []
    turn = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    for index in range(count):
        lon, lat = rng.uniform(-10, 30), rng.uniform(36, 60)
        reach = rng.uniform(100, 500) * rng.uniform(0.6, 1.0, vertices) / 111_000
        ring = np.stack(
            (lon + reach * np.cos(turn) / np.cos(np.radians(lat)), lat + reach * np.sin(turn)),
            axis=-1,
        )
        parts.append(Part("polygon", (np.concatenate((ring, ring[:1])),), (index,)))
    return parts


def rate(
    zones: Zones, lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[float, float, float]:
    """(fixes a second, the same a second of CPU, share near a zone): the best of five runs."""
    wall, cpu, near = 1e9, 1e9, np.zeros(0, dtype=np.bool_)
    for _ in range(5):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        near = zones.near(lat, lon, _METRES)
        wall = min(wall, time.perf_counter() - begin)
        cpu = min(cpu, time.process_time() - begin_cpu)
    return len(lat) / wall, len(lat) / cpu, float(near.mean())


def main() -> None:
    """Three crowds of fixes: anywhere, along drives, and crowded round the zones."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--polygons", type=int, default=20_000)
    options.add_argument("--vertices", type=int, default=24)
    options.add_argument("--fixes", type=int, default=2_000_000)
    given = options.parse_args()
    rng = np.random.default_rng(7)
    begin = time.perf_counter()
    parts = blobs(given.polygons, given.vertices, rng)
    made = time.perf_counter()
    zones = Zones(parts)
    zones.near([0.0], [0.0], _METRES)
    ready = time.perf_counter()
    n = given.fixes
    anywhere = rng.uniform(36, 60, n), rng.uniform(-10, 30, n)
    begins = rng.uniform(36, 59, n // 10_000 + 1), rng.uniform(-10, 29, n // 10_000 + 1)
    step = np.tile(np.arange(10_000) * 1e-5, n // 10_000 + 1)[:n]
    drives = np.repeat(begins[0], 10_000)[:n] + step, np.repeat(begins[1], 10_000)[:n] + step
    centre = np.array([part.rings[0].mean(axis=0) for part in parts])[
        rng.integers(len(parts), size=n)
    ]
    crowd = centre[:, 1] + rng.normal(0, 0.02, n), centre[:, 0] + rng.normal(0, 0.03, n)
    result: dict[str, object] = {
        "bench": "geofence",
        "polygons": given.polygons,
        "vertices": given.vertices,
        "fixes": n,
        "metres": _METRES,
        "build_s": round(ready - made, 3),
    }
    print(
        f"{given.polygons} polygons made in {made - begin:.2f} s, indexed in {ready - made:.2f} s"
    )
    for name, (lat, lon) in (("drives", drives), ("anywhere", anywhere), ("crowd", crowd)):
        speed, by_cpu, near = rate(zones, lat, lon)
        rates = f"{speed / 1e6:6.2f} M fixes/s, {by_cpu / 1e6:6.2f} M a CPU second"
        print(f"{name:9} {rates}, {near:7.3%} near a zone")
        result[f"{name}_fixes_per_s"] = round(speed)
        result[f"{name}_fixes_per_cpu_s"] = round(by_cpu)
        result[f"{name}_near"] = round(near, 5)
    result["fixes_per_s"] = result["crowd_fixes_per_s"]  # the hardest of the three
    print(json.dumps(result))


if __name__ == "__main__":
    main()
