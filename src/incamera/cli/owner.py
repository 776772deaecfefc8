# SPDX-License-Identifier: Apache-2.0
"""``incamera owner``: what is kept of one's own car, to see, to have, to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.own.ending import check_erasure, erase, sell
from incamera.cli.own.kept import drives, owned, reads_of
from incamera.cli.own.times import day

__all__ = ["command"]


@click.group("owner")
def command() -> None:
    """See, export and erase what is kept of your own car; sell it and leave nothing behind.

    Every step takes --home HOME, or --url URL with --keys DIR, and --json. What the vault says is
    only used to find things: each capsule is checked by its header, each fact by the public log.

    Example: incamera owner list --home home
    """


@command.command("list")
@with_desk
@terminal.json_option
def show(desk: Desk, as_json: bool) -> None:
    """What is kept of you, by vehicle and hour, and who asked to read it and why.

    Example: incamera owner list --home home
    """
    rows = owned(desk)
    reads = reads_of(desk, [row.digest for row in rows])
    kept = [each.to_json(reads) for each in drives(rows)]
    if as_json:
        told = [each.to_json() for each in reads]
        terminal.result({"owner": desk.owner().name, "drives": kept, "reads": told}, [], True)
        return
    columns = ("hour (UTC)", "vehicle", "clips", "s", "MB", "cameras", "tags", "for", "until")
    terminal.table((*columns, "asked for"), [_drive(each) for each in kept])
    for line in [each.told for each in reads] or ["nobody asked to read any of it"] * bool(rows):
        click.echo(line)
    if not rows:
        terminal.note("nothing is kept of you")


def _drive(each: dict[str, Any]) -> tuple[str, ...]:
    lost = sum(one["status"] == "lost" for one in each["capsules"])
    return (
        each["hour"],
        each["vehicle"],
        f"{len(each['capsules'])}" + (f" ({lost} lost)" if lost else ""),
        str(each["seconds"]),
        f"{each['bytes'] / 1e6:.1f}",
        str(len(each["cameras"])),
        " ".join(each["tags"]),
        " ".join(each["purposes"]),
        day(each["expires"]),
        f"{len(each['reads'])} times",
    )


@command.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@with_desk
@terminal.json_option
def export(desk: Desk, out: Path, as_json: bool) -> None:
    """Export all that is kept of you into OUT, opened with your own key, in open formats.

    Videos as files, positions and telemetry as CSV, GPX, GeoJSON and MCAP, a page to look at, a
    manifest, and proofs of the log entries: your clips, and each request for them. No trustee is
    needed. Run it again to go on where it stopped, or to add what is new. Exit code 4 if a
    capsule is damaged: it is named, and the others are there.

    Example: incamera owner export mine --home home
    """
    from incamera.cli.own.export import export as make

    with terminal.bar("opening", "capsules") as advance:
        done = make(desk, out, lambda count, total: advance(count, total, None))
    document = {
        "folder": str(done.folder),
        "clips": done.clips,
        "opened": done.opened,
        "reads": done.reads,
        "damaged": done.damaged,
    }
    lines = [
        f"{out}: {done.clips} clips ({done.opened} new), opened with your own key",
        f"  {done.reads} requests named them; look at {out / 'index.html'}",
        *(f"  damaged: {each['capsule'][:16]}  {each['why']}" for each in done.damaged),
    ]
    terminal.result(document, lines, as_json)
    if done.damaged:
        raise SystemExit(4)


for each in (erase, sell, check_erasure):
    command.add_command(each)
