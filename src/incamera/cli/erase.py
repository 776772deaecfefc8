# SPDX-License-Identifier: Apache-2.0
"""``incamera erase``: gone for good, and publicly so."""

from __future__ import annotations

from typing import Literal

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.pick import pick_capsules
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import MAX_INLINE, ErasureEntry

__all__ = ["command"]

By = Literal["owner", "operator"]


def _erase(desk: Desk, capsules: list[Digest], by: By, reason: str) -> list[int]:
    """Log erasures of at most 512 capsules each, signed by who erases; their log indices."""
    name, key = "", None
    if by == "owner":
        owner = desk.owner()
        name, key = owner.name, owner.signing
    entries = []
    for start in range(0, len(capsules), MAX_INLINE):
        entry = ErasureEntry(
            region=desk.region().region,
            time=desk.clock.now(),
            capsules=tuple(sorted(capsules[start : start + MAX_INLINE])),
            by=by,
            name=name,
            reason=reason,
        )
        entries.append(desk.submit(encode(entry, key or desk.operator())))
    return entries


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
    entries = _erase(desk, erased, by, reason)
    where = ", ".join(str(each) for each in entries)
    lines = [f"{len(erased)} capsules erased; log entry {where}"]
    terminal.result({"erased": sorted(erased), "entries": entries, "by": by}, lines, as_json)
