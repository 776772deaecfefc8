# SPDX-License-Identifier: Apache-2.0
"""``incamera list``: what is kept, what was asked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.ledger.entries import CapsuleList
from incamera.ledger.rows import Requested
from incamera.ledger.state import State

__all__ = ["command"]


def _capsules(desk: Desk, tag: str | None, as_json: bool) -> None:
    rows = desk.rows(tag=tag)
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


def _request(state: State, asked: Requested) -> dict[str, Any]:
    named = asked.entry.capsules
    return {
        "request": asked.leaf,
        "index": asked.index,
        "reader": asked.entry.reader,
        "purpose": asked.entry.purpose,
        "capsules": named.count if isinstance(named, CapsuleList) else len(named),
        "expires": asked.entry.expires,
        "granted": sorted({each.trustee for each in state.grants(asked.leaf)}),
        "refused": {each.trustee: each.code for each in state.refusals(asked.leaf)},
        "datasets": [each.manifest for each in state.datasets(asked.leaf)],
    }


def _requests(desk: Desk, as_json: bool) -> None:
    state = desk.state()
    found = [_request(state, each) for each in state.requests()]
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
@with_desk
@click.option("--requests", is_flag=True, help="What was asked, and what trustees decided.")
@click.option("--tag", help="Only capsules with this trigger tag.")
@terminal.json_option
def command(desk: Desk, requests: bool, tag: str | None, as_json: bool) -> None:
    """Show the capsules the vault keeps, by hour, or with --requests what was asked.

    Example: incamera list --home home --tag hard-brake
    """
    if requests:
        _requests(desk, as_json)
    else:
        _capsules(desk, tag, as_json)
