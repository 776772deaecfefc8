# SPDX-License-Identifier: Apache-2.0
"""``incamera init``: found a region in one folder."""

from __future__ import annotations

from pathlib import Path

import click

from incamera.cli import terminal
from incamera.cli.found import Plan, found
from incamera.clock import SystemClock
from incamera.errors import InputError
from incamera.ids import Region, parse_name
from incamera.ledger.codec import parse_country
from incamera.ledger.policies import COUNTRIES, default_policy
from incamera.trustee import check_policy

__all__ = ["command", "plan_of"]

PURPOSE = "driver-assistance"
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
) -> Plan:
    """The plan behind `incamera init`'s options; :class:`InputError` names what is wrong."""
    name = Region(parse_name(region, "--region"))
    try:
        text = default_policy(name) if policy is None else policy.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{policy}: cannot read the policy: {error}") from error
    check_policy(text, str(policy or "policy"))
    return Plan(
        region=name,
        jurisdictions=_jurisdictions(name, trustees, jurisdictions),
        threshold=threshold,
        quorum=witnesses,
        notice=notice,
        retention=retention,
        quota=quota,
        policy=text,
        purposes=[parse_name(each, "--purpose") for each in purposes],
    )


@click.command("init")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--region", required=True, help="Legal region: eu, cn, us, uk, ch, jp ...")
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
@click.option("--notice", default=0, show_default=True, help="Seconds a request is public first.")
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
@terminal.json_option
def command(
    home: Path,
    region: str,
    trustees: int,
    threshold: int,
    witnesses: int,
    jurisdictions: tuple[str, ...],
    notice: int,
    retention: int,
    quota: int,
    policy: Path | None,
    purposes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make HOME: one region's vault, public log, witnesses, trustees, car, owner and their keys.

    All parties live in one folder, each with its own keys and state, so that the journey can be
    tried; whoever holds the folder holds all keys. HOME/public is what everybody may see.

    Example: incamera init home --region eu --trustees 5 --threshold 3
    """
    plan = plan_of(
        region,
        trustees=trustees,
        threshold=threshold,
        witnesses=witnesses,
        jurisdictions=jurisdictions,
        notice=notice,
        retention=retention,
        quota=quota,
        policy=policy,
        purposes=purposes,
    )
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
    where = ", ".join(plan.jurisdictions)
    lines = [
        f"{made.root}: a home in region {plan.region}",
        f"  opening a capsule takes {plan.threshold} of {trustees} trustees, in {where}",
        f"  a checkpoint takes {plan.quorum} of {2 * plan.quorum - 1} witnesses",
        f"  what is public: {made.public}",
        f"next: incamera ingest RECORDINGS --home {made.root} --zones ZONES.geojson",
    ]
    terminal.result(document, lines, as_json)
