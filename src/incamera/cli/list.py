# SPDX-License-Identifier: Apache-2.0
"""``incamera list``: what is kept, what was asked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from incamera.cli import terminal
from incamera.cli.home import Home, home_option
from incamera.cli.pick import capsules_of
from incamera.ledger.rows import Requested
from incamera.ledger.state import State

__all__ = ["command"]


def _capsules(home: Home, tag: str | None, as_json: bool) -> None:
    rows = list(home.vault.find(tag=tag))
    if as_json:
        terminal.result({"capsules": [asdict(row) for row in rows]}, [], True)
        return
    columns = ("capsule", "hour", "s", "cameras", "tags", "MB", "status", "log entry")
    shown = [
        (
            row.digest[:16],
            row.hour,
            str(row.duration),
            str(len(row.cameras)),
            " ".join(row.tags),
            f"{row.bytes / 1e6:.1f}",
            row.status,
            "" if row.index is None else str(row.index),
        )
        for row in rows
    ]
    terminal.table(columns, shown)


def _request(home: Home, state: State, asked: Requested) -> dict[str, Any]:
    return {
        "request": asked.leaf,
        "index": asked.index,
        "reader": asked.entry.reader,
        "purpose": asked.entry.purpose,
        "capsules": len(capsules_of(home, asked.entry)),
        "expires": asked.entry.expires,
        "granted": sorted({each.trustee for each in state.grants(asked.leaf)}),
        "refused": {each.trustee: each.code for each in state.refusals(asked.leaf)},
        "datasets": [each.manifest for each in state.datasets(asked.leaf)],
    }


def _requests(home: Home, as_json: bool) -> None:
    state = home.state()
    found = [_request(home, state, each) for each in state.requests()]
    if as_json:
        terminal.result({"requests": found}, [], True)
        return
    columns = ("request", "entry", "reader", "purpose", "capsules", "granted by", "refused by")
    rows = [
        (
            each["request"][:16],
            str(each["index"]),
            each["reader"],
            each["purpose"],
            str(each["capsules"]),
            " ".join(each["granted"]),
            " ".join(f"{name} ({code})" for name, code in each["refused"].items()),
        )
        for each in found
    ]
    terminal.table(columns, rows)


@click.command("list")
@home_option
@click.option("--requests", is_flag=True, help="What was asked, and what trustees decided.")
@click.option("--tag", help="Only capsules with this trigger tag.")
@terminal.json_option
def command(root: Path, requests: bool, tag: str | None, as_json: bool) -> None:
    """Show the capsules the vault keeps, by hour, or with --requests what was asked.

    Example: incamera list --home home --tag hard-brake
    """
    home = Home(root)
    if requests:
        _requests(home, as_json)
    else:
        _capsules(home, tag, as_json)
