# SPDX-License-Identifier: Apache-2.0
"""``incamera demand``: what an authority demanded, in the open."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.errors import InputError
from incamera.ids import Digest, Name, digest, parse_digest, parse_name
from incamera.ledger.codec import encode, parse_country, parse_text
from incamera.ledger.entries import DemandEntry, Outcome
from incamera.ledger.state import State

__all__ = ["command"]

_OUTCOMES = ("pending", "refused", "contested", "withdrawn", "nothing-held", "complied")


def _scope(document: Path | None, scope: str | None, before: DemandEntry | None) -> Digest:
    """The digest of the demand's document: the file stays with the operator."""
    if document is not None and scope is not None:
        raise InputError("name the document or its digest, not both")
    if scope is not None:
        return parse_digest(scope, "--scope")
    if document is not None:
        try:
            with document.open("rb") as file:
                return Digest(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise InputError(f"{document}: cannot be read: {error.strerror}") from error
    if before is not None:
        return before.scope
    raise InputError(
        "a new demand needs its document: --document FILE (only its digest becomes public)",
        hint="or --scope DIGEST, if you have only the SHA-256 of it",
    )


def _last(state: State, reference: str) -> DemandEntry | None:
    steps = [each.entry for each in state.demands() if each.entry.reference == reference]
    return steps[-1] if steps else None


def _same(what: str, given: str | None, before: DemandEntry | None) -> str:
    """A fact of the demand: said at first, and never another later."""
    if before is None:
        if given is None:
            raise InputError(f"a new demand needs --{what}", hint="incamera demand --help")
        return given
    known = str(getattr(before, what))
    if given is not None and given != known:
        raise InputError(
            f"demand {before.reference} has the {what} {known!r} in the log",
            hint="give each demand a reference of its own",
        )
    return known


def _day(text: str, now: int) -> str:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--date {text!r}: not a day, YYYY-MM-DD") from error
    if day > datetime.datetime.fromtimestamp(now, datetime.UTC).date():
        raise InputError(f"--date {text}: has not come yet")
    return day.isoformat()


@click.command("demand")
@with_desk
@click.option("--reference", required=True, help="Your number for it, such as de-2026-7.")
@click.option("--authority", help="The office that demands, never a person's name.")
@click.option("--country", help="Of the authority (ISO 3166).")
@click.option("--date", "dated", help="On the demand, YYYY-MM-DD.")
@click.option(
    "--document",
    type=click.Path(path_type=Path),
    help="The demand itself: its SHA-256 becomes public, the file stays with you.",
)
@click.option("--scope", help="The document's SHA-256 instead of the file.")
@click.option(
    "--outcome",
    type=click.Choice(_OUTCOMES),
    default="pending",
    show_default=True,
    help="What became of it so far; run again with the same reference when that changes.",
)
@terminal.json_option
def command(
    desk: Desk,
    reference: str,
    authority: str | None,
    country: str | None,
    dated: str | None,
    document: Path | None,
    scope: str | None,
    outcome: Outcome,
    as_json: bool,
) -> None:
    """Record a legal or governmental demand, or its next outcome, as a public entry.

    The entry is the operator's word, signed and for good: authority, country, date, the digest of
    the document, the outcome. It gives nobody anything: an authority that wants to read asks as a
    reader, and the policy in each capsule forbids governments. `incamera report` lists all.
    With --url, --keys is the operator's folder.

    Example: incamera demand --home home --reference de-7 --authority "Amtsgericht Musterstadt"
    --country DE --date 2026-11-02 --document letter.pdf --outcome refused
    """
    name = Name(parse_name(reference, "--reference"))
    before = _last(desk.state(), name)
    where = None if country is None else parse_country(country.upper(), "--country")
    day = None if dated is None else _day(dated, desk.clock.now())
    office = None if authority is None else parse_text(authority, "--authority")
    entry = DemandEntry(
        region=desk.region().region,
        time=desk.clock.now(),
        reference=name,
        authority=_same("authority", office, before),
        country=_same("country", where, before),
        date=_same("date", day, before),
        scope=_scope(document, scope, before),
        outcome=outcome,
    )
    data = encode(entry, desk.operator())
    index = desk.submit(data)
    told = {
        "entry": index,
        "digest": digest(data),
        **{name: getattr(entry, name) for name in ("reference", "authority", "country", "date")},
        "scope": entry.scope,
        "outcome": outcome,
        "first": before is None,
    }
    lines = [
        f"demand {name} of {entry.authority} ({entry.country}), {entry.date}: {outcome}",
        f"  public for good as log entry {index}",
        f"next: incamera report {desk.words.partition(' --keys')[0]}",
    ]
    terminal.result(told, lines, as_json)
