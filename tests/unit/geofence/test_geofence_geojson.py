# SPDX-License-Identifier: Apache-2.0
"""What counts as a zone file, and what an error about one says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import InputError
from incamera.geofence import Zones

SQUARE: list[list[float]] = [[10, 50], [10.01, 50], [10.01, 50.01], [10, 50.01], [10, 50]]
HOLE = [[10.004, 50.004], [10.006, 50.004], [10.006, 50.006], [10.004, 50.006], [10.004, 50.004]]


def feature(kind: str, coordinates: Any) -> dict[str, Any]:
    """A feature of one geometry."""
    return {
        "type": "Feature",
        "properties": {"name": "x"},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def written(folder: Path, document: Any) -> Path:
    """The document as a file."""
    path = folder / "z.geojson"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def collection(*features: Any) -> dict[str, Any]:
    """A collection of features."""
    return {"type": "FeatureCollection", "features": list(features)}


@pytest.mark.parametrize(
    ("kind", "coordinates", "count"),
    [
        ("Point", [10, 50], 1),
        ("MultiPoint", [[10, 50], [11, 50, 300]], 2),
        ("LineString", [[10, 50], [11, 50]], 1),
        ("MultiLineString", [[[10, 50], [11, 50]], [[1, 2], [3, 4]]], 2),
        ("Polygon", [SQUARE, HOLE], 1),
        ("MultiPolygon", [[SQUARE], [[[x + 1, y] for x, y in SQUARE]]], 2),
    ],
)
def test_every_geometry_is_read(tmp_path: Path, kind: str, coordinates: Any, count: int) -> None:
    """Each geometry of RFC 7946 is read: bare, as a feature, in a collection of either sort."""
    one = feature(kind, coordinates)
    several = {"type": "GeometryCollection", "geometries": [one["geometry"], one["geometry"]]}
    assert len(Zones.load(written(tmp_path, one["geometry"]))) == count
    assert len(Zones.load(written(tmp_path, one))) == count
    assert len(Zones.load(written(tmp_path, collection(one, one)))) == 2 * count
    assert len(Zones.load(written(tmp_path, several))) == 2 * count


def test_an_empty_collection_is_no_zone(tmp_path: Path) -> None:
    """A collection without features is the empty set, with its digest."""
    zones = Zones.load(written(tmp_path, collection()))
    assert len(zones) == 0
    assert zones.digest == Zones.empty().digest
    assert not zones.near([50.0], [10.0], 250.0).any()


BAD: list[tuple[str, Any]] = [
    ("features[1].geometry.coordinates[0]: the ring is not closed", [[*SQUARE[:-1], [9, 9]]]),
    ("features[1].geometry.coordinates[0][1][1]: latitude 95", [[[1, 1], [2, 95], *SQUARE]]),
    ("features[1].geometry.coordinates[0][0][0]: longitude 181", [[[181, 1], [2, 5]] * 3]),
    ("features[1].geometry.coordinates[0][0]: not a position", [[[True, 1]] * 4]),
    ("features[1].geometry.coordinates[0][0]: not a position", [[["1", 1]] * 4]),
    ("features[1].geometry.coordinates[0][0]: not a position", [[[1, 2, 3, 4]] * 4]),
    ("features[1].geometry.coordinates[0]: 3 positions", [SQUARE[:3]]),
    ("features[1].geometry.coordinates: a zone without a place", []),
    ("features[1].geometry.coordinates[0]: expected an array of positions", [7]),
    (
        "features[1].geometry.coordinates: not a valid polygon: Self-intersection",
        [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]],
    ),
    (
        "features[1].geometry.coordinates[0][2]: the edge jumps across the antimeridian",
        [[[179, 0], [179, 1], [-179, 1], [-179, 0], [179, 0]]],
    ),
]


@pytest.mark.parametrize(("message", "coordinates"), BAD)
def test_a_bad_ring_is_named_with_its_line(tmp_path: Path, message: str, coordinates: Any) -> None:
    """A bad polygon is refused with line, path in the document, and a message."""
    path = written(tmp_path, collection(feature("Point", [1, 2]), feature("Polygon", coordinates)))
    with pytest.raises(InputError) as caught:
        Zones.load(path)
    text = path.read_text(encoding="utf-8").splitlines()
    assert message in caught.value.message
    line = int(caught.value.message.split("line ")[1].split(":")[0])
    assert line > next(i for i, row in enumerate(text) if '"Polygon"' in row)


DOCUMENTS: list[tuple[Any, str]] = [
    ([], "expected an object"),
    ({}, "missing the key 'type'"),
    ({"type": 3}, "missing the key 'type'"),
    ({"type": "Circle", "coordinates": [1, 2]}, "unknown type 'Circle'"),
    ({"type": "FeatureCollection"}, "missing the key 'features'"),
    ({"type": "FeatureCollection", "features": {}}, "expected an array"),
    (collection({"type": "Feature", "properties": {}}), "features[0]: missing the key 'geometry'"),
    (collection({"type": "Feature", "geometry": None}), "a zone without a place"),
    (collection({"type": "Point", "coordinates": [1, 2]}), "expected 'Feature'"),
    ({**feature("Point", [1, 2]), "coordinates": [1, 2]}, "does not belong in a Feature"),
    ({**collection(), "crs": {"properties": {"name": "EPSG:3857"}}}, "another coordinate system"),
    ({"type": "GeometryCollection", "geometries": []}, "a zone without a place"),
]


@pytest.mark.parametrize(("document", "message"), DOCUMENTS)
def test_what_would_have_to_be_guessed_is_refused(
    tmp_path: Path, document: Any, message: str
) -> None:
    """A document that is no GeoJSON, or names no place, is refused, never skipped."""
    with pytest.raises(InputError, match="line") as caught:
        Zones.load(written(tmp_path, document))
    assert message in caught.value.message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"type":"Point","type":"Point"}'])
def test_what_is_not_json_is_refused(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no JSON give an InputError that names the file."""
    path = tmp_path / "z.geojson"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"z\.geojson"):
        Zones.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is an InputError with its name."""
    with pytest.raises(InputError, match="nowhere"):
        Zones.load(tmp_path / "nowhere")


def test_the_crs_that_qgis_writes_is_understood(tmp_path: Path) -> None:
    """The CRS84 member of older exports means what RFC 7946 means."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert len(Zones.load(written(tmp_path, {**collection(), "crs": crs}))) == 0


def test_the_digest_is_of_the_set_of_shapes(tmp_path: Path) -> None:
    """Order, names and repetition do not change the digest; a moved corner or other kind does."""
    square, hole = feature("Polygon", [SQUARE]), feature("Polygon", [HOLE])
    named = {**square, "properties": None, "id": 7}

    def digest(*features: Any) -> str:
        return Zones.load(written(tmp_path, collection(*features))).digest

    both = digest(square, hole)
    assert both == digest(hole, named) == digest(hole, square, square)
    moved = [[x + 1e-9, y] for x, y in SQUARE]
    others = {
        digest(square),
        digest(feature("Polygon", [SQUARE, HOLE])),
        digest(feature("Polygon", [moved]), hole),
        digest(feature("LineString", SQUARE), hole),
    }
    assert both not in others
    assert len(others) == 4


def test_the_empty_set_has_the_documented_digest() -> None:
    """The digest of no zones is SHA-256 of the label alone, as docs/formats/zones.md says."""
    assert Zones.empty().digest == (
        "ca4f65017d3d316ad5bdabde639fd1d29ab3598c9383c79a21f5ae932d774367"
    )
