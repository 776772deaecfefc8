# SPDX-License-Identifier: Apache-2.0
"""``incamera init``: found a region in one folder, or one party of a region that lives apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from incamera.cli import apart, terminal
from incamera.cli.ceremony import Rules
from incamera.cli.found import Plan, found
from incamera.cli.places import allow_option, of_url, parse_allow
from incamera.cli.serving import home_urls
from incamera.clock import SystemClock
from incamera.errors import InputError
from incamera.ids import Name, Region, parse_name
from incamera.ledger.codec import parse_country
from incamera.ledger.policies import COUNTRIES, default_policy
from incamera.trustee import check_policy

__all__ = ["command", "plan_of"]

PURPOSE = "driver-assistance"
_DAY = 86_400
_FIRST = {"eu": ("DE", "FR", "NL", "IE", "ES", "PL", "SE", "IT", "AT")}
_NEUTRAL = ("CH", "IS", "UY", "SG", "NZ", "CR", "NO", "MU")
"""Where a region of one country seats its other trustees: no country may hold the threshold."""


def _jurisdictions(region: Region, count: int, named: tuple[str, ...]) -> list[str]:
    """One country a trustee, all different."""
    if named:
        if len(named) != count:
            raise InputError(f"{len(named)} jurisdictions for {count} trustees: name one for each")
        return [parse_country(each.upper(), "--jurisdiction") for each in named]
    own = _FIRST.get(region) or COUNTRIES.get(region, ())[:1]
    offered = [*own, *(each for each in _NEUTRAL if each not in own)]
    if len(offered) < count:
        raise InputError(
            f"no default jurisdictions for {count} trustees",
            hint="say where they sit, all different: --jurisdiction DE --jurisdiction FR ...",
        )
    return offered[:count]


def plan_of(
    region: str,
    *,
    trustees: int = 3,
    threshold: int = 2,
    witnesses: int = 2,
    jurisdictions: tuple[str, ...] = (),
    notice: int = 0,
    retention: int = 365,
    quota: int = 10_000,
    policy: Path | None = None,
    purposes: tuple[str, ...] = (PURPOSE,),
    addresses: bool = False,
    allow: tuple[str, ...] = (),
) -> Plan:
    """The plan behind `incamera init`'s options; :class:`InputError` names what is wrong."""
    name = Region(parse_name(region, "--region"))
    text = _policy(name, policy)
    seats = _jurisdictions(name, trustees, jurisdictions)
    places = [address for each in allow for address in parse_allow(each)]
    if addresses or places:
        urls = home_urls(2 * witnesses - 1, [Name(f"trustee-{each.lower()}") for each in seats])
        places += [address for party, url in urls.items() for address in of_url(party, url)]
    return Plan(
        region=name,
        jurisdictions=seats,
        threshold=threshold,
        quorum=witnesses,
        notice=notice,
        retention=retention,
        quota=quota,
        policy=text,
        purposes=[parse_name(each, "--purpose") for each in purposes],
        addresses=places,
    )


def _policy(region: Region, path: Path | None) -> str:
    """The Cedar text at ``path``, or the region's default; checked."""
    try:
        text = default_policy(region) if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the policy: {error}") from error
    check_policy(text, str(path or "policy"))
    return text


@click.command("init")
@click.argument("home", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--region", help="Legal region: eu, cn, us, uk, ch, jp ...")
@click.option("--trustees", default=3, show_default=True, help="How many hold a share.")
@click.option("--threshold", default=2, show_default=True, help="How many it takes to open.")
@click.option(
    "--witnesses",
    default=2,
    show_default=True,
    help="Cosignatures needed, Q; 2Q-1 witnesses are made, since only above half is safe.",
)
@click.option(
    "--jurisdiction",
    "jurisdictions",
    multiple=True,
    help="Country of a trustee (ISO 3166), once for each; all different.",
)
@click.option(
    "--notice",
    type=click.IntRange(0, 366 * 86_400),
    help="Seconds a request is public first. Default: a day; 0 in a home, to try the journey.",
)
@click.option("--retention", default=365, show_default=True, help="Days a capsule is kept.")
@click.option("--quota", default=10_000, show_default=True, help="Capsules a reader and day.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="A Cedar policy of your own instead of the region's default.",
)
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    default=(PURPOSE,),
    show_default=True,
    help="What the owner consents to; may be given again.",
)
@click.option(
    "--addresses",
    is_flag=True,
    help="Declare that the parties connect to each other's addresses and to --allow, and nowhere "
    "else.",
)
@allow_option
@apart.party_options
@terminal.json_option
def command(
    home: Path,
    role: Any,
    founding: Path | None,
    as_json: bool,
    cards: tuple[Path, ...],
    **given: Any,
) -> None:
    """Make DIR: one region's vault, public log, witnesses, trustees, car, owner and their keys.

    All parties live in one folder, each with its own keys and state, so that the journey can be
    tried; whoever holds the folder holds all keys. DIR/public is what everybody may see, and each
    party's serve.toml is ready for `incamera serve`.

    With --as only one party is made, to live apart: its keys stay in DIR, and card.json goes to the
    operator, who founds the region from all cards (--as region) and gives each party region.json,
    which it checks and takes its place in (--join). docs/operating/ceremony.md has every step.

    Example: incamera init home --region eu --trustees 5 --threshold 3
    """
    if founding is not None and role is not None:
        raise click.UsageError("--as and --join exclude each other.")
    if founding is not None:
        apart.join_region(home, founding, given["listen"], as_json)
    elif role is not None and role != "region":
        apart.make(home, role, given, as_json)
    elif given["region"] is None:
        raise click.UsageError("Missing option '--region'.")
    elif role == "region":
        given["notice"] = _DAY if given["notice"] is None else given["notice"]
        read = apart.read_cards(cards)
        urls = [(card.name, card.url) for card, _ in read if card.url]
        apart.found(home, _rules(given, urls), read, as_json)
    else:
        given["notice"] = given["notice"] or 0
        _home(home, given, as_json)


def _rules(given: dict[str, Any], urls: Iterable[tuple[Name, str]]) -> Rules:
    """``urls``: of the parties that are served."""
    region = Region(parse_name(given["region"], "--region"))
    numbers = {each: given[each] for each in ("threshold", "notice", "retention", "quota")}
    places = [address for each in given["allow"] for address in parse_allow(each)]
    if given["addresses"] or places:
        places += [each for url in urls for each in of_url(*url)]
    policy = _policy(region, given["policy"])
    return Rules(region=region, policy=policy, addresses=places, **numbers)


def _home(home: Path, given: dict[str, Any], as_json: bool) -> None:
    """All parties in one folder."""
    alone = ("name", "country", "kind", "listen", "url")
    if said := [each for each in alone if given.pop(each) is not None]:
        raise click.UsageError(f"--{said[0]} goes with --as.")
    plan = plan_of(given.pop("region"), **given)
    made = found(home, plan, SystemClock())
    document = {
        "home": str(made.root),
        "region": plan.region,
        "trustees": list(plan.jurisdictions),
        "threshold": plan.threshold,
        "witnesses": 2 * plan.quorum - 1,
        "quorum": plan.quorum,
        "public": str(made.public),
    }
    where, count = ", ".join(plan.jurisdictions), len(plan.jurisdictions)
    lines = [
        f"{made.root}: a home in region {plan.region}",
        f"  opening a capsule takes {plan.threshold} of {count} trustees, in {where}",
        f"  a checkpoint takes {plan.quorum} of {2 * plan.quorum - 1} witnesses",
        f"  what is public: {made.public}",
        f"next: incamera ingest RECORDINGS --home {made.root} --zones ZONES.geojson",
    ]
    terminal.result(document, lines, as_json)
