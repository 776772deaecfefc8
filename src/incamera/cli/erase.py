# SPDX-License-Identifier: Apache-2.0
"""``incamera erase``: gone for good, and publicly so."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from incamera.cli import terminal
from incamera.cli.home import Home, home_option
from incamera.cli.pick import pick_capsules
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import MAX_INLINE, ErasureEntry
from incamera.sealing.keys import SigningKey

__all__ = ["command"]

By = Literal["owner", "operator"]


def _erase(home: Home, capsules: list[Digest], by: By, reason: str) -> list[int]:
    """Log erasures of at most 512 capsules each, signed by who erases; their log indices."""
    owner = SigningKey.load(home.paths.owner / "signing.key")
    entries = []
    for start in range(0, len(capsules), MAX_INLINE):
        entry = ErasureEntry(
            region=home.settings.region,
            time=home.clock.now(),
            capsules=tuple(sorted(capsules[start : start + MAX_INLINE])),
            by=by,
            name="owner" if by == "owner" else "",
            reason=reason,
        )
        entries.append(home.vault.erase(encode(entry, owner if by == "owner" else home.operator)))
    return entries


@click.command("erase")
@click.argument("words", metavar="CAPSULES", nargs=-1)
@home_option
@click.option("--all", "everything", is_flag=True, help="Every capsule of this home.")
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
    words: tuple[str, ...], root: Path, everything: bool, by: By, reason: str, as_json: bool
) -> None:
    """Destroy CAPSULES (digests or their beginnings) for good.

    The signed erasure goes into the public log first; then the ciphertext is destroyed. Trustees
    obey the entry: a copy of the ciphertext that somebody kept is not opened any more.

    Example: incamera erase 3f0c5a --home home --reason "sold the car"
    """
    if bool(words) == everything:
        raise InputError("name capsules, or say --all", hint="incamera list shows them")
    home = Home(root)
    rows = pick_capsules(home, words, list(home.vault.find(status="kept")))
    erased = [row.digest for row in rows]
    entries = _erase(home, erased, by, reason)
    where = ", ".join(str(each) for each in entries)
    lines = [f"{len(erased)} capsules erased; log entry {where}"]
    terminal.result({"erased": sorted(erased), "entries": entries, "by": by}, lines, as_json)
