# SPDX-License-Identifier: Apache-2.0
"""``incamera open``: shares to clips to a dataset."""

from __future__ import annotations

from pathlib import Path

import click

from incamera import durable
from incamera.cli import terminal
from incamera.cli.asking import kept_grants
from incamera.cli.desk import Desk, with_desk
from incamera.cli.pick import capsules_of, pick_requests
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.ledger.rows import Requested
from incamera.recording.clip import unpack
from incamera.release import Reader, Released, Source, release
from incamera.release.opening import Format
from incamera.release.source import ahead
from incamera.sealing.opening import open_as_owner

__all__ = ["command", "open_request"]


def open_request(desk: Desk, asked: Requested, dest: Path, form: Format) -> Released:
    """Build the dataset of one granted request at ``dest``."""
    keys = desk.reader(asked.entry.reader)
    folder = desk.folder(asked.entry.reader) / "grants" / asked.leaf
    with terminal.bar("opening", "capsules") as advance:
        return release(
            asked.leaf,
            kept_grants(folder),
            capsules_of(desk, asked.entry),
            reader=Reader(keys.name, keys.signing, keys.opening),
            source=Source(desk.state(), desk.capsules, desk.submit, desk.clock, desk.fetch),
            dest=dest,
            form=form,
            progress=advance,
        )


def _latest(desk: Desk) -> Requested:
    state, threshold = desk.state(), desk.region().threshold
    granted = [
        each
        for each in state.requests()
        if len({g.trustee for g in state.grants(each.leaf)}) >= threshold
        and desk.sits_here(each.entry.reader)
    ]
    if not granted:
        raise InputError(
            "no request in the log was granted by enough trustees",
            hint=f"incamera request {desk.words}, then incamera grant",
        )
    return granted[-1]


def _as_owner(desk: Desk, dest: Path) -> list[Digest]:
    """Every clip of the owner who sits here, opened with the owner's own key."""
    if dest.exists():
        raise InputError(f"{dest}: exists already", hint="name a folder that does not exist yet")
    owner = desk.owner()
    draft = durable.folder(dest.with_name(f".{dest.name}.partial"))
    opened: list[Digest] = []
    mine = [row.digest for row in desk.rows(status="kept") if row.owner == owner.name]
    for group in ahead(desk.capsules(mine)):
        for fetched in group:
            name, path = fetched.capsule.digest, fetched.capsule.path
            clip = draft / name[:16]
            if not clip.exists():
                bundle = clip.with_suffix(".tar")
                open_as_owner(path, owner.opening, bundle)
                unpack(bundle, clip)
                durable.remove(bundle)
            fetched.done()
            opened.append(name)
    durable.move(draft, dest)
    return opened


@click.command("open")
@click.argument("request", required=False)
@with_desk
@click.option("--to", "dest", type=click.Path(path_type=Path), help="Default: dataset-REQUEST.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["folder", "mcap"]),
    default="folder",
    show_default=True,
    help="A folder of videos and JSON for each clip, or one MCAP file for each.",
)
@click.option("--as-owner", is_flag=True, help="Open all your own clips, without any trustee.")
@terminal.json_option
def command(
    desk: Desk,
    request: str | None,
    dest: Path | None,
    form: Format,
    as_owner: bool,
    as_json: bool,
) -> None:
    """Combine the granted shares of REQUEST into a dataset (default: the latest granted one).

    Each share is checked against the commitment in the car's signed header, each clip against its
    digests. The dataset carries a signed manifest that points at its log entries, and its digest is
    logged before the folder has its name. A run that was stopped goes on where it was.

    Example: incamera open 3f0c5a --home home --to dataset --format mcap
    """
    if as_owner:
        dest = dest or Path("my-clips")
        opened = _as_owner(desk, dest)
        lines = [f"{dest}: {len(opened)} clips, opened with the owner's key"]
        terminal.result({"folder": str(dest), "capsules": opened}, lines, as_json)
        return
    asked = pick_requests(desk, [request])[0] if request else _latest(desk)
    done = open_request(desk, asked, dest or Path(f"dataset-{asked.leaf[:12]}"), form)
    terminal.result(_document(done), _lines(done), as_json)
    for each in (*done.missing, *done.faults):
        terminal.note(each)


def _document(done: Released) -> dict[str, object]:
    return {
        "folder": str(done.folder),
        "manifest": done.manifest,
        "entry": done.entry,
        "capsules": list(done.capsules),
        "missing": list(done.missing),
        "faults": list(done.faults),
    }


def _lines(done: Released) -> list[str]:
    lines = [
        f"{done.folder}: {len(done.capsules)} clips",
        f"  manifest {done.manifest[:16]}..., in the public log as entry {done.entry}",
    ]
    if done.missing:
        lines.append(f"  {len(done.missing)} capsules could not be opened")
    return lines
