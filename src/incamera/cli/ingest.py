# SPDX-License-Identifier: Apache-2.0
"""``incamera ingest``: from a recording to admitted capsules."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from incamera.cli import terminal
from incamera.cli.car import announce_zones, announced_campaign, car_home
from incamera.cli.home import Home, home_option
from incamera.geofence import GeofencePolicy, Zones
from incamera.ingest import Plan, Summary, ingest
from incamera.recording import Options
from incamera.recording.srt import Axes

__all__ = ["command", "run", "told"]


def run(
    home: Home,
    source: Path,
    *,
    zones: Path | None = None,
    campaign: Path | None = None,
    geofence: GeofencePolicy | None = None,
    options: Options | None = None,
    wait: bool = False,
) -> Summary:
    """Ingest ``source`` into ``home`` with a bar on a terminal."""
    forbidden = Zones.empty() if zones is None else Zones.load(zones)
    plan = Plan(forbidden, announced_campaign(home, campaign), geofence or GeofencePolicy())
    announce_zones(home, forbidden.digest)
    with terminal.bar("ingesting", "s") as advance:
        return ingest(
            source,
            car_home(home),
            plan,
            admit=home.vault.admit,
            options=options,
            clock=home.clock,
            wait=wait,
            progress=advance,
        )


def _seconds(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f} s" for name, value in found.items()) or "nothing"


def told(summary: Summary) -> list[str]:
    """The summary for people."""
    sent = f"{summary.admitted} admitted with a receipt, {summary.bytes / 1e6:.1f} MB"
    zones = f"{summary.zones} zones kept away from" if summary.zones else "NO ZONES were given"
    lines = [
        f"read      {summary.recordings} recordings, {summary.recorded_s:.0f} s; {zones}",
        f"selected  {_seconds(summary.selected_s)}",
        f"dropped   {_seconds(summary.dropped_s)}",
        f"kept      {summary.kept} clips, {summary.kept_s:.0f} s; {summary.frames} frames redacted",
        f"destroyed {summary.boxes['face']} face boxes, {summary.boxes['plate']} plate boxes",
        f"sealed    {summary.sealed} capsules; {sent}",
    ]
    if summary.already:
        lines.append(f"already   {summary.already} clips were done by an earlier run")
    if summary.waiting:
        lines.append(f"waiting   {summary.waiting} capsules have no receipt yet: run it again")
    return lines


@click.command("ingest")
@click.argument("source", type=click.Path(path_type=Path))
@home_option
@click.option(
    "--zones",
    type=click.Path(path_type=Path),
    help="GeoJSON of areas that must not be recorded; what was seen within 250 m is dropped.",
)
@click.option(
    "--campaign",
    type=click.Path(path_type=Path),
    help="TOML saying which seconds to keep. Default: hard brakes, take-overs, swerves, honks.",
)
@click.option(
    "--zone-distance",
    default=250.0,
    show_default=True,
    help="Metres from a zone within which everything is dropped; can only be made larger.",
)
@click.option("--ends-metres", default=200.0, show_default=True, help="Cut round a trip's ends.")
@click.option("--ends-seconds", default=60.0, show_default=True, help="Cut at a trip's ends.")
@click.option(
    "--positions",
    type=click.Path(path_type=Path),
    help="GPX or SRT file for a single video, if it does not lie beside it by name.",
)
@click.option(
    "--align",
    type=click.Choice(["clock", "start"]),
    default="clock",
    show_default=True,
    help="How GPX meets the video: by both clocks, or first point at first frame.",
)
@click.option(
    "--axes",
    type=click.Choice(["lat-lon", "lon-lat"]),
    help="Order of the numbers in old DJI GPS(...) lines, which differs by model.",
)
@click.option("--wait", is_flag=True, help="Wait for another ingest of this car to end.")
@terminal.json_option
def command(
    source: Path,
    root: Path,
    zones: Path | None,
    campaign: Path | None,
    zone_distance: float,
    ends_metres: float,
    ends_seconds: float,
    positions: Path | None,
    align: Literal["clock", "start"],
    axes: Axes | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Select, geofence, redact and seal what SOURCE recorded, into the vault of HOME.

    SOURCE: a TeslaCam tree or event folder, a video or picture with a GPX or DJI SRT file beside
    it, an MCAP file, or a folder of them. A moment without a trusted position is dropped. A run
    that was stopped goes on where it was; the same recording again adds nothing. What cannot be
    read is named, the rest goes on, and the exit code is 3.

    Example: incamera ingest TeslaCam --home home --zones zones.geojson
    """
    geofence = GeofencePolicy(distance_m=zone_distance, ends_m=ends_metres, ends_s=ends_seconds)
    home = Home(root)
    summary = run(
        home,
        source,
        zones=zones,
        campaign=campaign,
        geofence=geofence,
        options=Options(positions=positions, align=align, axes=axes),
        wait=wait,
    )
    error = summary.error()
    document = summary.to_json()
    if error is not None:
        what = {"kind": error.kind, "message": error.message, "exit": error.exit_code}
        document["error"] = {**what, "hint": error.hint}
    terminal.result(document, told(summary), as_json)
    for fault in summary.faults:
        terminal.note(fault.message)
        if fault.hint:
            click.echo(f"hint: {fault.hint}", err=True)
    if error is not None:
        raise SystemExit(error.exit_code)
