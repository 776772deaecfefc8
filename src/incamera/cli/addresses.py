# SPDX-License-Identifier: Apache-2.0
"""``incamera addresses``: where a region's parties may connect, declared in the log."""

from __future__ import annotations

from pathlib import Path

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.places import allow_option, missing, nftables, of_url, parse_allow, shown
from incamera.errors import InputError
from incamera.ledger.addresses import found_under
from incamera.ledger.codec import encode
from incamera.ledger.entries import Address, AddressesEntry
from incamera.ledger.rows import Declared
from incamera.wire import egress

__all__ = ["command"]


@click.command("addresses")
@with_desk
@allow_option
@click.option(
    "--parties",
    is_flag=True,
    help="Declare the present addresses of vault, log, witnesses and trustees, and any --allow.",
)
@click.option(
    "--force", is_flag=True, help="Declare a list that leaves out a party this desk knows."
)
@click.option("--nftables", "rules", is_flag=True, help="Print the list as rules for nftables.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave the list in a witness's folder too: a witness reads no entries.",
)
@terminal.json_option
def command(
    desk: Desk,
    allow: tuple[str, ...],
    parties: bool,
    force: bool,
    rules: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Show or declare the addresses that the region's parties may connect to, and no others.

    The list is an entry of the log, signed by the operator; the newest counts and replaces what
    was declared before. From then on each party refuses to connect anywhere else, and an audit
    shows every list there was. With --nftables it becomes rules for the kernel of a party's
    machine, which hold even if the party was taken over. docs/operating/residency.md has more.

    Example: incamera addresses --home home --parties --allow database=192.0.2.9:5432
    """
    index = None
    if allow or parties:
        if rules:
            raise click.UsageError("--nftables prints what is declared: first declare, then print.")
        index = _declare(desk, allow, parties, force)
    lists = list(desk.state().addresses())
    if save is not None and lists:
        found_under(save, lists[-1].entry)
    if rules:
        _rules(lists, as_json)
        return
    _show(lists, index, as_json)


def _declare(desk: Desk, allow: tuple[str, ...], parties: bool, force: bool) -> int:
    known = desk.parties()
    with egress.naming():  # what is new has a name that no list has yet
        wanted = {address for each in allow for address in parse_allow(each)}
        if parties:
            wanted |= {each for name, url in known.items() for each in of_url(name, url)}
        left_out = missing(sorted(wanted), known)
    if left_out and not force:
        raise InputError(
            f"the list leaves out {', '.join(left_out)}",
            hint="who is left out cannot be reached by the others any more, and a log without "
            "witnesses cannot even take in another list: add --parties, or --force",
        )
    entry = AddressesEntry(
        region=desk.region().region, time=desk.clock.now(), allowed=tuple(sorted(wanted))
    )
    return desk.submit(encode(entry, desk.operator()))


def _rules(lists: list[Declared], as_json: bool) -> None:
    if not lists:
        raise InputError("this region declared no addresses", hint="declare some: --parties")
    text = nftables(lists[-1].entry, lists[-1].index)
    terminal.result({"entry": lists[-1].index, "nftables": text}, text.splitlines(), as_json)


def _show(lists: list[Declared], index: int | None, as_json: bool) -> None:
    present = lists[-1] if lists else None
    document = {
        "declared": index,
        "entry": None if present is None else present.index,
        "allowed": [] if present is None else [_plain(each) for each in present.entry.allowed],
        "lists": [each.index for each in lists],
    }
    if present is None:
        lines = [
            "no addresses are declared: this region's parties may connect anywhere",
            "next: incamera addresses --parties, by the operator",
        ]
    else:
        count = len(present.entry.allowed)
        lines = [f"{count} addresses, and no others, by log entry {present.index}"]
        lines += [f"  {shown(each)}" for each in present.entry.allowed]
        if len(lists) > 1:
            before = ", ".join(str(each.index) for each in lists[:-1])
            lines.append(f"declared before, and replaced: log entries {before}")
    terminal.result(document, lines, as_json)


def _plain(each: Address) -> dict[str, object]:
    return {name: getattr(each, name) for name in ("party", "host", "network", "port")}
