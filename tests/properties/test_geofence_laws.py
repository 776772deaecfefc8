# SPDX-License-Identifier: Apache-2.0
"""Laws of the geofence: nothing is invented, nothing near a zone survives, no raw error leaks."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incamera.errors import InputError
from incamera.geofence import GeofencePolicy, Zones, keep
from incamera.geofence.geojson import Part
from incamera.recording.model import Fix, Recording
from incamera.trigger.model import Span

POLICY = GeofencePolicy(ends_s=3.0, ends_m=20.0)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
STEPS = st.tuples(st.floats(0, 3), st.floats(-3e-4, 3e-4), st.floats(-3e-4, 3e-4))


def walk(steps: list[tuple[float, float, float]], lat: float, lon: float) -> list[Fix]:
    """Fixes along steps of (seconds, degrees north, degrees east)."""
    time = 0.0
    fixes = []
    for wait, north, east in steps:
        time, lat = time + wait, max(-90.0, min(90.0, lat + north))
        lon = (lon + east + 180) % 360 - 180
        fixes.append(Fix(time, lat, lon))
    return fixes


@settings(max_examples=150, deadline=None)
@given(
    st.lists(STEPS, max_size=60),
    st.sampled_from([(48.0, 11.0), (0.0, 180.0), (89.999, 30.0)]),
    st.lists(st.tuples(st.floats(-10, 100), st.floats(0, 50)), max_size=4),
    st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)),
)
def test_pieces_partition_the_spans_and_stay_clear(
    steps: list[tuple[float, float, float]],
    home: tuple[float, float],
    asked: list[tuple[float, float]],
    off: tuple[float, float],
) -> None:
    """Kept and dropped pieces tile the spans; each kept moment lies between near, clear fixes."""
    fixes = walk(steps, *home)
    spot = [(home[1] + off[1] + 180) % 360 - 180, max(-90.0, min(90.0, home[0] + off[0]))]
    zones = Zones([Part("point", (np.array([spot]),), ())])
    spans = [Span(start, start + length, ("t",)) for start, length in asked if length > 1e-6]
    decision = keep(spans, Recording("r", {}, fixes=fixes), zones, POLICY)
    for span in spans:
        alone = keep([span], Recording("r", {}, fixes=fixes), zones, POLICY)
        pieces = sorted(
            [(s.start, s.end) for s in alone.kept]
            + [(d.span.start, d.span.end) for d in alone.dropped]
        )
        assert pieces[0][0] == span.start
        assert pieces[-1][1] == span.end
        assert all(a[1] == b[0] for a, b in pairwise(pieces))
    for piece in decision.kept:
        assert piece.end - piece.start >= POLICY.least_s
        inner = [f for f in fixes if piece.start <= f.time <= piece.end]
        before = [f for f in fixes if f.time <= piece.start][-1:]
        after = [f for f in fixes if f.time >= piece.end][:1]
        around = before + inner + after
        assert not zones.near(
            [f.latitude for f in around], [f.longitude for f in around], 250.0
        ).any()
        times = [f.time for f in around]
        assert max(np.diff(times)) <= POLICY.stale_s


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=30))
def test_any_numbers_as_fixes_give_an_answer(rows: list[tuple[float, float, float]]) -> None:
    """Fixes of any numbers at all, infinite and NaN too, give a decision, not an error."""
    recording = Recording("r", {}, fixes=[Fix(*row) for row in rows])
    decision = keep([Span(0.0, 10.0, ())], recording, Zones.empty(), POLICY)
    assert decision.kept or decision.dropped


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
GOOD: dict[str, Any] = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[[[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]]],
            },
        },
        {
            "type": "Feature",
            "properties": None,
            "geometry": {"type": "Point", "coordinates": [0, 0]},
        },
    ],
}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value of a document."""
    if not isinstance(value, dict | list):
        return [at]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [at, *(place for key, child in inner for place in places(child, (*at, key)))]


def load(path: Path) -> Zones | None:
    """The zones, or None for an InputError that names the file."""
    try:
        return Zones.load(path)
    except InputError as error:
        if str(path) not in error.message:
            raise
        return None


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(places(GOOD)), JSON)
def test_a_document_changed_anywhere_is_read_or_refused(
    tmp_path: Path, at: tuple[Any, ...], value: Any
) -> None:
    """Any value in any place of a zone file gives zones or an InputError that names the file."""
    document: Any = json.loads(json.dumps({"x": GOOD}))
    holder = document
    for step in ("x", *at)[:-1]:
        holder = holder[step]
    holder[("x", *at)[-1]] = value
    path = tmp_path / "z.geojson"
    path.write_text(json.dumps(document["x"]), encoding="utf-8")
    zones = load(path)
    if zones is not None:
        zones.near([0.0], [0.0], 250.0)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_bytes_changed_anywhere_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Any byte of a zone file changed gives zones or an InputError, nothing else."""
    raw = bytearray(json.dumps(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "z.geojson"
    path.write_bytes(bytes(raw))
    load(path)
