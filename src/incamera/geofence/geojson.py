# SPDX-License-Identifier: Apache-2.0
"""Zones from GeoJSON (RFC 7946), strictly: a zone that is misread is a zone that is filmed.

What the RFC leaves open is refused where a guess could shrink a zone: a feature without a
geometry, an edge that jumps across the antimeridian, another coordinate system. Errors name the
file, the line, the path inside the document and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from incamera.encoding import parse_json
from incamera.errors import InputError
from incamera.geofence.where import Place, line_of, written

__all__ = ["Part", "read_geojson"]

_MAX_BYTES = 1 << 30
_MAX_DEPTH = 16  # of nested GeometryCollections
_CRS84 = (
    "urn:ogc:def:crs:OGC:1.3:CRS84",
    "urn:ogc:def:crs:OGC::CRS84",
    "urn:ogc:def:crs:EPSG::4326",
    "EPSG:4326",
)
_FOREIGN = {  # RFC 7946 section 7.1: members that belong to other types
    "FeatureCollection": ("coordinates", "geometries", "geometry", "properties"),
    "Feature": ("coordinates", "geometries", "features"),
    "": ("geometry", "properties", "features"),
}
_ORDER = "RFC 7946 wants [longitude, latitude] in degrees of WGS 84, longitude first"
_CUT = "cut the shape in two at the antimeridian, as RFC 7946 section 3.1.9 says"

Kind: TypeAlias = Literal["polygon", "line", "point"]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One polygon, line or point of a zone. Arrays are (n, 2): longitude, latitude in degrees."""

    kind: Kind
    rings: tuple[Floats, ...]  # polygon: outer ring, then holes; otherwise one array
    place: Place  # where in the document it stands


class _Bad(Exception):  # noqa: N818 - never leaves this module
    """A fault at a place of the document; :func:`read_geojson` adds file and line."""

    def __init__(self, place: Place, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


def read_geojson(path: Path) -> list[Part]:
    """All parts of the zones in ``path``: a FeatureCollection, a Feature or a geometry.

    Raises :class:`InputError` for a file that cannot be read, is not GeoJSON, or holds anything
    that would have to be guessed.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than {_MAX_BYTES >> 20} MiB", hint="split the file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the zones: {error.strerror}") from error
    document = parse_json(data, str(path))
    try:
        parts = list(_document(document))
        _check_shapes(parts)
    except _Bad as bad:
        line = line_of(data.decode("utf-8"), bad.place)
        where = f"{path}: line {line}: {written(bad.place)}"
        raise InputError(f"{where}: {bad.message}", hint=bad.hint) from bad
    return parts


def _document(value: Any) -> Iterator[Part]:
    kind = _typed(value, ())
    _known_crs(value)
    if kind == "FeatureCollection":
        for index, feature in enumerate(_array(value, "features", ())):
            place: Place = ("features", index)
            if _typed(feature, place) != "Feature":
                raise _Bad((*place, "type"), f"expected 'Feature', found {feature['type']!r:.60}")
            yield from _feature(feature, place)
    elif kind == "Feature":
        yield from _feature(value, ())
    else:
        yield from _geometry(value, ())


def _typed(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        raise _Bad(place, f"expected an object, found {type(value).__name__}")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise _Bad(place, "missing the key 'type'", 'every GeoJSON object has a "type"')
    for key in _FOREIGN.get(kind, _FOREIGN[""]):
        if key in value:
            raise _Bad((*place, key), f"the key {key!r} does not belong in a {kind[:40]}")
    return kind


def _array(value: dict[str, Any], key: str, place: Place) -> list[Any]:
    if key not in value:
        raise _Bad(place, f"missing the key {key!r}")
    if not isinstance(value[key], list):
        raise _Bad((*place, key), f"expected an array, found {type(value[key]).__name__}")
    found: list[Any] = value[key]
    return found


def _known_crs(document: dict[str, Any]) -> None:
    """The 2008 format could name a coordinate system; only WGS 84 by longitude is understood."""
    if "crs" not in document:
        return
    crs = document["crs"]
    properties = crs.get("properties") if isinstance(crs, dict) else None
    if not isinstance(properties, dict) or properties.get("name") not in _CRS84:
        raise _Bad(("crs",), "another coordinate system", f"reproject the file: {_ORDER}")


def _feature(value: dict[str, Any], place: Place) -> Iterator[Part]:
    if "geometry" not in value:
        raise _Bad(place, "missing the key 'geometry'")
    if value["geometry"] is None:
        raise _Bad((*place, "geometry"), "a zone without a place", "give it a geometry or drop it")
    yield from _geometry(value["geometry"], (*place, "geometry"))


def _geometry(value: Any, place: Place, depth: int = 0) -> Iterator[Part]:
    kind = _typed(value, place)
    if kind == "GeometryCollection":
        if depth >= _MAX_DEPTH:
            raise _Bad(place, "geometry collections nested too deep")
        for index, member in enumerate(_filled(value, "geometries", place)):
            yield from _geometry(member, (*place, "geometries", index), depth + 1)
        return
    single = kind.removeprefix("Multi")
    if single not in _READERS:
        raise _Bad((*place, "type"), f"unknown type {kind!r:.60}", _TYPES)
    inside: Place = (*place, "coordinates")
    coordinates = _filled(value, "coordinates", place)
    if single == kind:
        yield _READERS[single](coordinates, inside)
        return
    for index, member in enumerate(coordinates):
        yield _READERS[single](member, (*inside, index))


def _filled(value: dict[str, Any], key: str, place: Place) -> list[Any]:
    found = _array(value, key, place)
    if not found:
        raise _Bad((*place, key), "a zone without a place", "give it coordinates or drop it")
    return found


def _positions(value: Any, place: Place, least: int) -> Floats:
    if not isinstance(value, list):
        raise _Bad(place, f"expected an array of positions, found {type(value).__name__}")
    if len(value) < least:
        raise _Bad(place, f"{len(value)} positions where at least {least} are needed")
    found = [_position(each, (*place, index)) for index, each in enumerate(value)]
    return np.array(found, dtype=np.float64)


def _position(value: Any, place: Place) -> tuple[float, float]:
    ok = isinstance(value, list) and 2 <= len(value) <= 3
    if not ok or any(type(number) not in (int, float) for number in value):
        raise _Bad(place, f"not a position: {value!r:.60}", _ORDER)
    longitude, latitude = value[0], value[1]
    if not -90 <= latitude <= 90:
        raise _Bad((*place, 1), f"latitude {latitude!r:.40} is not in -90..90", _ORDER)
    if not -180 <= longitude <= 180:
        raise _Bad((*place, 0), f"longitude {longitude!r:.40} is not in -180..180", _ORDER)
    # Adding 0.0 makes -0.0 the one zero, so that the digest sees one form.
    return float(longitude) + 0.0, float(latitude) + 0.0


def _point(value: Any, place: Place) -> Part:
    return Part("point", (np.array([_position(value, place)], dtype=np.float64),), place)


def _line(value: Any, place: Place) -> Part:
    line = _positions(value, place, 2)
    _no_jump(line, place)
    return Part("line", (line,), place)


def _polygon(value: Any, place: Place) -> Part:
    if not isinstance(value, list) or not value:
        raise _Bad(place, "a polygon needs an array of rings, the outer one first")
    return Part(
        "polygon", tuple(_ring(ring, (*place, index)) for index, ring in enumerate(value)), place
    )


def _ring(value: Any, place: Place) -> Floats:
    ring = _positions(value, place, 4)
    if not np.array_equal(ring[0], ring[-1]):
        raise _Bad(place, "the ring is not closed", "repeat its first position at its end")
    _no_jump(ring, place)
    return ring


def _no_jump(points: Floats, place: Place) -> None:
    """An edge over more than 180 degrees may be meant the short way round or the long one.

    One from -180 to 180 is clear: it goes all the way round, as in an Antarctica or a world.
    """
    step = np.abs(np.diff(points[:, 0]))
    jumps = np.flatnonzero((step > 180) & (step < 360))
    if jumps.size:
        raise _Bad((*place, int(jumps[0]) + 1), "the edge jumps across the antimeridian", _CUT)


_READERS: dict[str, Callable[[Any, Place], Part]] = {
    "Point": _point,
    "LineString": _line,
    "Polygon": _polygon,
}
_TYPES = "known: Point, LineString, Polygon, their Multi forms and GeometryCollection"


def _check_shapes(parts: list[Part]) -> None:
    """Every polygon bounds an area: no ring crosses itself or another (in longitude/latitude)."""
    areas = [part for part in parts if part.kind == "polygon"]
    shapes = [shapely.Polygon(part.rings[0], part.rings[1:]) for part in areas]
    for index in np.flatnonzero(~shapely.is_valid(shapes))[:1]:
        reason = shapely.is_valid_reason(shapes[index])
        raise _Bad(
            areas[index].place,
            f"not a valid polygon: {reason}",
            "mend it at that place, for example with QGIS (Fix geometries) or ogr2ogr -makevalid",
        )
