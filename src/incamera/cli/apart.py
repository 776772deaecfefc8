# SPDX-License-Identifier: Apache-2.0
"""``incamera init --as`` and ``--join``: a region whose parties live on machines of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from incamera.cli import terminal
from incamera.cli.card import CARD, SERVED, Card, CardRole, read_card
from incamera.cli.ceremony import FOUNDING, Founding, Rules, found_region
from incamera.cli.join import join
from incamera.cli.party import PartyPlan, make_party
from incamera.cli.serving import SERVE
from incamera.clock import SystemClock
from incamera.errors import InputError
from incamera.ids import Name, Region, parse_name
from incamera.ledger.codec import parse_country

__all__ = ["ROLES", "found", "join_region", "make", "party_options", "read_cards"]

ROLES = (*get_args(CardRole), "region")
_KINDS = {"reader": "research", "owner": "person"}

_OPTIONS = (
    click.option(
        "--as",
        "role",
        type=click.Choice(ROLES),
        help="Only this party, with keys of its own, for a region whose parties live apart; "
        "`region`: the operator founds it from the parties' cards.",
    ),
    click.option("--name", help="With --as: the party's short name. Default: what it is."),
    click.option("--country", help="With --as: where the party sits (ISO 3166)."),
    click.option("--kind", help="With --as reader: company, research, journalist, government ..."),
    click.option("--listen", help="With --as or --join: HOST:PORT that the party's server takes."),
    click.option("--url", help="With --as: where others reach it. Default: http://HOST:PORT."),
    click.option(
        "--card",
        "cards",
        multiple=True,
        type=click.Path(path_type=Path),
        help="With --as region: a party's card.json, or its folder; once for each.",
    ),
    click.option(
        "--join",
        "founding",
        type=click.Path(path_type=Path),
        help="The operator's region.json: check it, and take the place it gives this party.",
    ),
)


def party_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of a party that lives apart."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def make(folder: Path, role: CardRole, given: dict[str, Any], as_json: bool) -> None:
    """Keys and card of one party."""
    listen, url = given["listen"], given["url"]
    if listen is not None:
        _check_address(listen)
        url = url or f"http://{listen}"
    country = given["country"]
    plan = PartyPlan(
        role=role,
        name=parse_name(given["name"] or role, "--name"),
        kind=parse_name(given["kind"] or _KINDS.get(role, role), "--kind"),
        country=parse_country(country.upper(), "--country") if country else "",
        url=url or "",
        region=Region(parse_name(given["region"], "--region")) if given["region"] else None,
    )
    card = make_party(folder, plan, SystemClock())
    lines = [
        f"{folder}: keys of {_called(card)}; they stay here",
        f"  public: {folder / CARD}, for the operator",
        f"next: incamera init {folder} --join {FOUNDING}, once the operator has made that",
    ]
    if role == "operator":
        lines[1:] = [f"next: incamera init {folder} --as region --region eu --card ..."]
    document = {"folder": str(folder), "card": str(folder / CARD), **_card(card)}
    terminal.result(document, lines, as_json)


def read_cards(cards: Sequence[Path]) -> list[tuple[Card, bytes]]:
    """The cards that a region is founded from."""
    if not cards:
        raise click.UsageError("--as region wants the cards of the parties: --card FILE ...")
    return [read_card(each) for each in cards]


def found(folder: Path, rules: Rules, cards: Sequence[tuple[Card, bytes]], as_json: bool) -> None:
    """``region.json`` from the cards, signed by the operator, whose key is made if missing."""
    clock = SystemClock()
    if not (folder / "signing.key").exists():
        plan = PartyPlan("operator", Name("operator"), Name("operator"), "", "", None)
        make_party(folder, plan, clock)
    elif read_card(folder)[0].role != "operator":
        raise InputError(f"{folder}: the keys of another party", hint="name a folder of your own")
    founding = found_region(folder, rules, cards, clock)
    vault = founding.one("vault").url
    lines = [
        f"{folder / FOUNDING}: region {rules.region}, for every party; public",
        *_told(founding),
        f"next, each party: incamera init DIR --join {FOUNDING}, then incamera serve",
        "      the witnesses first: the log begins when they answer",
        f"readers: incamera list --url {vault} --keys DIR --policy {folder / 'tlog-policy'}",
    ]
    terminal.result({"folder": str(folder), **_document(founding)}, lines, as_json)


def join_region(folder: Path, path: Path, listen: str | None, as_json: bool) -> None:
    """Take the place in a founding."""
    if listen is not None:
        _check_address(listen)
    card, founding = join(folder, path, SystemClock(), listen)
    lines = [
        f"{folder}: {_called(card)} of region {founding.region.region}",
        *_told(founding),
        *_next(folder, card, founding),
    ]
    document = {"folder": str(folder), **_card(card), **_document(founding)}
    terminal.result(document, lines, as_json)


def _next(folder: Path, card: Card, founding: Founding) -> list[str]:
    """What the party can do now, by its role; who came later must be enrolled first."""
    if card.role in SERVED:
        return [f"next: incamera serve {card.role} {folder / SERVE}"]
    vault = founding.one("vault").url
    there, lines = f"--url {vault} --keys {folder}", list[str]()
    named = {(each.role, each.name) for each in founding.cards}
    if card.role != "operator" and (card.role, card.name) not in named:
        enrol = f"incamera enrol {folder / CARD} --url {vault} --keys OPERATOR"
        lines.append(f"next, the operator: {enrol}")
    if card.role != "car":
        verb = "owner list" if card.role == "owner" else "list"
        return [*lines, f"{'then' if lines else 'next'}: incamera {verb} {there}"]
    region = founding.region.region
    consent = f"--keys OWNER --region {region} --purpose PURPOSE --out {folder / 'consent'}"
    return [
        *lines,
        f"{'then' if lines else 'next'}, the owner: incamera car consent {folder / CARD} {consent}",
        f"then: incamera ingest RECORDINGS {there} --owner NAME --zones ZONES",
    ]


def _check_address(listen: str) -> None:
    from incamera.service.settings import parse_listen

    parse_listen(listen, "--listen")


def _called(card: Card) -> str:
    return card.role if card.role == card.name else f"{card.role} {card.name}"


def _card(card: Card) -> dict[str, object]:
    return {"role": card.role, "name": card.name, "country": card.country, "url": card.url}


def _told(founding: Founding) -> list[str]:
    """What everybody should compare before believing it."""
    seats = ", ".join(f"{each.name} ({each.country})" for each in founding.of("trustee"))
    needed, witnesses = founding.policy.groups["witnesses"]
    return [
        f"  its SHA-256 {founding.digest}: compare it with what the others have",
        f"  opening a capsule takes {founding.region.threshold} of {seats}",
        f"  a checkpoint takes {needed} of {', '.join(witnesses)}",
    ]


def _document(founding: Founding) -> dict[str, object]:
    region, policy = founding.region, founding.policy
    return {
        "region": region.region,
        "founding": founding.digest,
        "vault": founding.one("vault").url,
        "log": founding.one("log").url,
        "trustees": {each.name: each.url for each in founding.of("trustee")},
        "threshold": region.threshold,
        "quorum": {name: [k, *members] for name, (k, members) in policy.groups.items()},
    }
