# SPDX-License-Identifier: Apache-2.0
"""``incamera erase``: gone for good, and publicly so."""

from __future__ import annotations

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.own.erasing import By, erase
from incamera.cli.pick import pick_capsules
from incamera.errors import InputError

__all__ = ["command"]


@click.command("erase")
@click.argument("words", metavar="CAPSULES", nargs=-1)
@with_desk
@click.option("--all", "everything", is_flag=True, help="Every capsule of this home, or of yours.")
@click.option(
    "--by",
    type=click.Choice(["owner", "operator"]),
    default="owner",
    show_default=True,
    help="Who erases: it is signed with that key.",
)
@click.option("--reason", default="", help="One line that stands in the public log.")
@terminal.json_option
def command(
    desk: Desk, words: tuple[str, ...], everything: bool, by: By, reason: str, as_json: bool
) -> None:
    """Destroy CAPSULES (digests or their beginnings) for good.

    The signed erasure goes into the public log first; then the ciphertext is destroyed. Trustees
    obey the entry: a copy of the ciphertext that somebody kept is not opened any more.

    Example: incamera erase 3f0c5a --home home --reason "sold the car"
    """
    if bool(words) == everything:
        raise InputError("name capsules, or say --all", hint="incamera list shows them")
    rows = pick_capsules(desk, words, desk.rows(status="kept"))
    erased = [row.digest for row in rows]
    entries = erase(desk, erased, by, reason)
    where = ", ".join(str(each) for each in entries)
    lines = [f"{len(erased)} capsules erased; log entry {where}"]
    terminal.result({"erased": sorted(erased), "entries": entries, "by": by}, lines, as_json)
