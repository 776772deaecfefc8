# SPDX-License-Identifier: Apache-2.0
"""An opened clip's positions and telemetry in formats that any program reads.

=====================  ===============================================================
``positions.csv``      seconds from the clip's beginning, degrees (WGS 84), m/s
``telemetry.csv``      the same clock; units as in ``docs/formats/clip.md``
``track.gpx``          GPX 1.1; a clip tells no moment but its hour, so it begins at the full hour
``track.geojson``      RFC 7946: one LineString, or a Point where there is one position
=====================  ===============================================================
"""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from incamera import durable
from incamera.recording.contents import Contents
from incamera.recording.model import Fix

__all__ = ["write_tracks"]

_POSITION = ("time", "latitude", "longitude", "heading", "speed")
_TELEMETRY = (
    *("time", "speed", "steering", "accelerator", "brake", "gear"),
    *("blinker_left", "blinker_right", "autopilot"),
)
_AXES = ("acceleration_x", "acceleration_y", "acceleration_z")


def write_tracks(contents: Contents, folder: Path) -> None:
    """Write what the clip has of them into ``folder``; nothing for what it does not have."""
    fixes = contents.fixes
    if fixes:
        rows = ([getattr(each, name) for name in _POSITION] for each in fixes)
        _csv(folder / "positions.csv", _POSITION, rows)
        durable.write(folder / "track.gpx", _gpx(contents).encode())
        durable.write(folder / "track.geojson", _geojson(contents).encode())
    if contents.telemetry:
        lines = (
            [*(getattr(each, name) for name in _TELEMETRY), *each.acceleration]
            for each in contents.telemetry
        )
        _csv(folder / "telemetry.csv", (*_TELEMETRY, *_AXES), lines)


def _csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    durable.write(path, text.getvalue().encode())


def _begin(contents: Contents) -> datetime.datetime:
    return datetime.datetime.strptime(f"{contents.hour}+0000", "%Y-%m-%dT%H%z")


def _gpx(contents: Contents) -> str:
    import gpxpy.gpx

    begin, segment = _begin(contents), gpxpy.gpx.GPXTrackSegment()
    for fix in contents.fixes:
        time = begin + datetime.timedelta(seconds=fix.time)
        point = gpxpy.gpx.GPXTrackPoint(fix.latitude, fix.longitude, time=time, speed=fix.speed)
        segment.points.append(point)
    track = gpxpy.gpx.GPXTrack(description=f"begins in the hour {contents.hour} ({contents.clock})")
    track.segments.append(segment)
    gpx = gpxpy.gpx.GPX()
    gpx.creator = "incamera"
    gpx.tracks.append(track)
    text: str = gpx.to_xml(version="1.1")
    return text


def _geojson(contents: Contents) -> str:
    places = [_place(each) for each in contents.fixes]
    alone = len(places) == 1
    feature = {
        "type": "Feature",
        "geometry": {
            "type": "Point" if alone else "LineString",
            "coordinates": places[0] if alone else places,
        },
        "properties": {
            "hour": contents.hour,
            "clock": contents.clock,
            "times": [each.time for each in contents.fixes],
        },
    }
    return json.dumps({"type": "FeatureCollection", "features": [feature]}) + "\n"


def _place(fix: Fix) -> list[float]:
    return [fix.longitude, fix.latitude]
