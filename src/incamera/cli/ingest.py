# SPDX-License-Identifier: Apache-2.0
"""``incamera ingest``: from a recording to admitted capsules, in a home or by a vault's URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from incamera.cli import terminal
from incamera.cli.car import announce_zones, announced_campaign, car_home
from incamera.cli.desk import Desk, with_desk
from incamera.cli.home import Home
from incamera.cli.home_desk import HomeDesk
from incamera.clock import Clock
from incamera.geofence import GeofencePolicy, Zones
from incamera.ids import parse_name
from incamera.ingest import Admit, CarHome, Plan, Summary, ingest
from incamera.ingest.cluster import Cluster
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
    job = _of_home(home, zones, campaign, geofence or GeofencePolicy())
    return _run(job, source, options, wait)


@dataclass(frozen=True, slots=True)
class _Job:
    """Whose recording it is, what to keep of it, and where it goes."""

    car: CarHome
    key: Path  # file of the car's signing key
    plan: Plan
    admit: Admit
    clock: Clock


def _of_home(
    home: Home, zones: Path | None, campaign: Path | None, geofence: GeofencePolicy
) -> _Job:
    forbidden = Zones.empty() if zones is None else Zones.load(zones)
    plan = Plan(forbidden, announced_campaign(home, campaign), geofence)
    announce_zones(home, forbidden.digest)
    key = home.paths.car / "signing.key"
    return _Job(car_home(home), key, plan, home.vault.admit, home.clock)


def _apart(
    desk: Desk,
    zones: Path | None,
    campaign: Path | None,
    geofence: GeofencePolicy,
    owner: str | None,
    consent: Path | None,
) -> _Job:
    """The car of ``--keys``, and the vault of ``--url``."""
    from incamera.cli.car_url import car_at, logged_campaign
    from incamera.service.clients import VaultClient

    if owner is None:
        raise click.UsageError("--url wants --owner NAME: whose car this is.")
    told = click.get_current_context().params
    folder, url, ca = told["keys"], told["url"], told["ca"]
    state, clock = desk.state(), desk.clock
    car = car_at(folder, state, parse_name(owner, "--owner"), consent, clock.now())
    forbidden = Zones.empty() if zones is None else Zones.load(zones)
    plan = Plan(forbidden, logged_campaign(state, campaign), geofence)
    vault = VaultClient(url, car.key, clock, ca=ca)
    return _Job(car, folder / "signing.key", plan, vault.send, clock)


def _run(
    job: _Job,
    source: Path,
    options: Options | None,
    wait: bool,
    cluster: Cluster | None = None,
) -> Summary:
    """Here, or over ``cluster``."""
    how: dict[str, Any] = {
        "admit": job.admit,
        "options": options,
        "clock": job.clock,
        "wait": wait,
    }
    with terminal.bar("ingesting", "s") as advance:
        if cluster is None:
            return ingest(source, job.car, job.plan, progress=advance, **how)
        from incamera.ingest.spread import ingest_over

        return ingest_over(cluster, source, job.car, job.plan, key=job.key, progress=advance, **how)


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
@with_desk
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
@click.option("--owner", help="With --url: whose car this is, by the owner's name in the log.")
@click.option(
    "--consent",
    type=click.Path(path_type=Path),
    help="With --url: the owner's consent for this car. Default: `consent` in --keys.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Who cuts, redacts and seals: this process, or the workers of a Ray cluster.",
)
@click.option(
    "--ray-address",
    "address",
    help="With --engine ray: host:port of a cluster. Default: a cluster on this machine alone.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 10_000),
    help="With --engine ray: how many workers. Default: one for each core.",
)
@click.option("--wait", is_flag=True, help="Wait for another ingest of this car to end.")
@terminal.json_option
def command(
    desk: Desk,
    source: Path,
    zones: Path | None,
    campaign: Path | None,
    zone_distance: float,
    ends_metres: float,
    ends_seconds: float,
    positions: Path | None,
    align: Literal["clock", "start"],
    axes: Axes | None,
    owner: str | None,
    consent: Path | None,
    engine: Literal["local", "ray"],
    address: str | None,
    workers: int | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Select, geofence, redact and seal what SOURCE recorded, into the vault of a home or URL.

    SOURCE: a TeslaCam tree or event folder, a video or picture with a GPX or DJI SRT file beside
    it, an MCAP file, or a folder of them. A moment without a trusted position is dropped. A run
    that was stopped goes on where it was; the same recording again adds nothing. What cannot be
    read is named, the rest goes on, and the exit code is 3.

    With --url this is a car apart: --keys names its folder, made by `incamera init DIR --as car`
    and enrolled. Trustees, policy and campaign are those of the log, read under the pinned
    tlog-policy; nothing is looked at without the owner's consent.

    With --engine ray the clips of many recordings are made by many workers, the same as one
    process makes. Each machine sees SOURCE and the car's folder at the same path; the machines read
    what the car saw, so they are trusted as the car is (docs/operating/depot.md).

    Example: incamera ingest TeslaCam --home home --zones zones.geojson
    """
    if engine != "ray" and (address or workers):
        raise click.UsageError("--ray-address and --workers go with --engine ray.")
    geofence = GeofencePolicy(distance_m=zone_distance, ends_m=ends_metres, ends_s=ends_seconds)
    if isinstance(desk, HomeDesk):
        if owner is not None or consent is not None:
            raise click.UsageError("--owner and --consent go with --url.")
        job = _of_home(desk.home, zones, campaign, geofence)
    else:
        job = _apart(desk, zones, campaign, geofence, owner, consent)
    options = Options(positions=positions, align=align, axes=axes)
    cluster = Cluster(address, workers) if engine == "ray" else None
    summary = _run(job, source, options, wait, cluster)
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
