# SPDX-License-Identifier: Apache-2.0
"""``incamera enrol``: a reader, car, owner or trustee that comes later, or leaves."""

from __future__ import annotations

from pathlib import Path

import click

from incamera.cli import terminal
from incamera.cli.card import Card, read_card
from incamera.cli.ceremony import enrolment
from incamera.cli.desk import Desk, with_desk
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import EpochEntry, PartyEntry, RevokeEntry
from incamera.sealing.keys import SigningKey

__all__ = ["command"]


@click.command("enrol")
@click.argument("card", type=click.Path(path_type=Path))
@with_desk
@click.option(
    "--revoke", "reason", help="End the enrolment instead; one line that says why, public for good."
)
@terminal.json_option
def command(desk: Desk, card: Path, reason: str | None, as_json: bool) -> None:
    """Enrol the party of CARD, which `incamera init DIR --as` made, in the public log.

    The entry is signed with the operator's key: a home's, or with --url that of --keys. The card is
    signed by the party itself, so nobody is enrolled with a key that he does not hold. Enrolled
    under the same name before, the party has from now on what this card says. With --revoke the
    party that has the role and name of CARD now, by whatever key, is enrolled no more.

    Example: incamera enrol lab/card.json --url https://vault.example --keys operator
    """
    shown, _ = read_card(card)
    operator = desk.operator()
    if reason is not None:
        _revoke(desk, shown, reason, operator, as_json)
        return
    entry = enrolment(shown, desk.region().region, desk.clock.now())
    entries = [] if _stands(desk, entry) else [desk.submit(encode(entry, operator))]
    ours = _key_of_its_own(desk, shown.entry)
    if shown.entry and ours:
        entries.append(desk.submit(shown.entry))
    document = {
        "role": entry.role,
        "name": entry.name,
        "kind": entry.kind,
        "country": entry.country,
        "entries": entries,
    }
    where = ", ".join(str(each) for each in entries) or "none: it was enrolled just so already"
    lines = [
        f"{entry.role} {entry.name} ({entry.kind}, {entry.country}) is enrolled; log entry {where}"
    ]
    if not ours:
        lines.append(
            "  its card's epoch was announced before, with another key: it announces the next"
        )
        lines.append("  one when it runs, and holds no share of what was sealed until then")
    terminal.result(document, lines, as_json)


def _revoke(desk: Desk, card: Card, reason: str, operator: SigningKey, as_json: bool) -> None:
    party = enrolment(card, desk.region().region, desk.clock.now())
    entry = RevokeEntry(
        region=party.region, time=party.time, role=party.role, name=party.name, reason=reason
    )
    index = desk.submit(encode(entry, operator))
    document = {"role": party.role, "name": party.name, "revoked": True, "entries": [index]}
    line = f"{party.role} {party.name} is enrolled no more; log entry {index}"
    terminal.result(document, [line], as_json)


def _key_of_its_own(desk: Desk, data: bytes) -> bool:
    """False for a trustee that comes back with new keys: its first epoch's number is taken."""
    if not data:
        return True
    entry = decode(data, "card").entry
    assert isinstance(entry, EpochEntry)
    known = desk.state().epoch(entry.trustee, entry.epoch)
    return known is None or known.key == entry.key


def _stands(desk: Desk, entry: PartyEntry) -> bool:
    """True if the log says just this already."""
    known = desk.state().party(entry.role, entry.name)
    return known is not None and (
        (known.kind, known.country, known.key, known.opening)
        == (entry.kind, entry.country, entry.key, entry.opening)
    )
