# SPDX-License-Identifier: Apache-2.0
"""``incamera car consent`` and ``incamera car exclude``: what owner and operator sign for cars."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from incamera import durable
from incamera.cli import terminal
from incamera.cli.card import Card, read_card
from incamera.clock import SystemClock
from incamera.errors import InputError
from incamera.ids import Name, Region, parse_name
from incamera.ledger.consent import Consent, open_consent
from incamera.ledger.queries import DAY
from incamera.sealing.keys import SigningKey, key_id

__all__ = ["consent", "exclude"]

# A list that is over as it is signed would have every car of the region stop; a consent ends.
_DAYS = click.IntRange(1, 3650)
_NUMBER = click.IntRange(1, (1 << 53) - 1)


@click.command("consent")
@click.argument("card", type=click.Path(path_type=Path))
@click.option(
    "--keys", required=True, type=click.Path(path_type=Path), help="The owner's own folder."
)
@click.option("--region", required=True, help="The region it is for: eu, cn ...")
@click.option("--purpose", "purposes", multiple=True, required=True, help="What for; once each.")
@click.option(
    "--days", type=_DAYS, default=30, show_default=True, help="It holds so long from now."
)
@click.option("--parked", is_flag=True, help="Also for what is recorded while the car is parked.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The token's file.")
@terminal.json_option
def consent(
    card: Path,
    keys: Path,
    region: str,
    purposes: tuple[str, ...],
    days: int,
    parked: bool,
    out: Path,
    as_json: bool,
) -> None:
    """The owner allows the car of CARD to record, for these purposes and so long; signed.

    OUT goes into the car's folder `consents`. Without a token that holds, the car looks at nothing.

    Example: incamera car consent car/card.json --keys owner --region eu --purpose mapping --out t
    """
    car, owner = _card(card, "car"), _card(keys, "owner")
    now = SystemClock().now()
    token = Consent(
        region=Region(parse_name(region, "--region")),
        owner=owner.name,
        car=key_id(car.key),
        purposes=tuple(sorted({parse_name(each, "--purpose") for each in purposes})),
        not_before=now,
        expires=now + days * DAY,
        parked=parked,
        nonce=secrets.token_bytes(16),
    )
    data = token.seal(SigningKey.load(keys / "signing.key"))
    durable.write(out, data, mode=0o600)
    digest = open_consent(data).digest
    document = {"consent": digest, "file": str(out), "car": car.name, "expires": token.expires}
    lines = [f"{out}: consent {digest} for car {car.name}", "put it into the car's folder consents"]
    terminal.result(document, lines, as_json)


@click.command("exclude")
@click.argument("cards", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--keys", required=True, type=click.Path(path_type=Path), help="The operator's own folder."
)
@click.option("--region", required=True, help="The region it is for: eu, cn ...")
@click.option("--number", required=True, type=_NUMBER, help="One more than the last list's.")
@click.option(
    "--days", type=_DAYS, default=30, show_default=True, help="When the next list is due."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The list's file.")
@terminal.json_option
def exclude(
    cards: tuple[Path, ...],
    keys: Path,
    region: str,
    number: int,
    days: int,
    out: Path,
    as_json: bool,
) -> None:
    """The operator lists the cars of CARDS, and only them, as those that must record nothing.

    OUT belongs beside the log's checkpoint, as exclusions.json, where every car fetches it. A car
    that has had a list takes no older one, and records nothing once its list is over its time.

    Example: incamera car exclude mayor.json --keys operator --region eu --number 7 --out list
    """
    from incamera.car.exclusion import Exclusions

    _card(keys, "operator")
    cars = frozenset(key_id(_card(each, "car").key) for each in cards)
    end = SystemClock().now() + days * DAY
    listed = Exclusions(Region(Name(parse_name(region, "--region"))), number, end, cars)
    durable.write(out, listed.seal(SigningKey.load(keys / "signing.key")))
    document = {"file": str(out), "number": number, "cars": len(cars), "expires": end}
    lines = [f"{out}: list {number} of {len(cars)} excluded cars"]
    terminal.result(document, lines, as_json)


def _card(path: Path, role: str) -> Card:
    card, _ = read_card(path)
    if card.role != role:
        raise InputError(f"{path}: the card of {card.role} {card.name}, not of the {role}")
    return card
