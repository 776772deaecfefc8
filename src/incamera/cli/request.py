# SPDX-License-Identifier: Apache-2.0
"""``incamera request``: ask to read, in the open."""

from __future__ import annotations

from pathlib import Path

import click

from incamera.cli import terminal
from incamera.cli.home import Home, home_option
from incamera.cli.init import PURPOSE
from incamera.cli.pick import pick_capsules
from incamera.errors import InputError
from incamera.ids import Digest, Name, parse_name
from incamera.ledger.codec import capsule_list, parse_country
from incamera.ledger.entries import MAX_INLINE, CapsuleList
from incamera.ledger.policies import COUNTRIES
from incamera.ledger.request import build_request
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import read_capsule

__all__ = ["ask", "command"]

DAY = 86_400


def ask(
    home: Home,
    *,
    reader: str | None = None,
    kind: str = "research",
    country: str | None = None,
    purpose: str = PURPOSE,
    days: int = 30,
    words: tuple[str, ...] = (),
    tag: str | None = None,
) -> dict[str, object]:
    """Log a request and say where it stands."""
    rows = pick_capsules(home, words, list(home.vault.find(status="kept", tag=tag)))
    region = home.settings.region
    name = Name(parse_name(reader or f"{kind}-reader", "--reader"))
    where = parse_country((country or COUNTRIES.get(region, ("DE",))[0]).upper(), "--country")
    enrolled = home.enrol_reader(name, parse_name(kind, "--kind"), where)
    signing, opening = home.reader_keys(name)
    capsules = [row.digest for row in rows]
    leaf = build_request(
        region=region,
        reader=name,
        capsules=_named(home, capsules),
        purpose=parse_name(purpose, "--purpose"),
        policy=_policy(home, capsules),
        expires=home.clock.now() + days * DAY,
        recipient=opening.public,
        time=home.clock.now(),
        key=signing,
    )
    return {
        "request": leaf_digest(leaf),
        "index": home.vault.submit(leaf),
        "reader": name,
        "enrolled": enrolled,
        "purpose": purpose,
        "capsules": sorted(capsules),
    }


def _named(home: Home, capsules: list[Digest]) -> list[Digest] | CapsuleList:
    if len(capsules) <= MAX_INLINE:
        return capsules
    data, named = capsule_list(capsules)
    home.publish("list", data, "")
    return named


def _policy(home: Home, capsules: list[Digest]) -> Digest:
    """The one policy all capsules are sealed under: a request names exactly one."""
    found = {read_capsule(home.vault.path(each)).header.policy for each in capsules}
    if len(found) != 1:
        raise InputError(
            f"these capsules are sealed under {len(found)} policies; a request names one",
            hint="ask for the capsules of each policy on their own: --capsule ...",
        )
    return found.pop()


@click.command("request")
@home_option
@click.option("--reader", help="Who asks; enrolled with new keys if unknown. Default: KIND-reader.")
@click.option("--kind", default="research", show_default=True, help="company, research, government")
@click.option("--country", help="Where the reader sits (ISO 3166). Default: one of the region's.")
@click.option("--purpose", default=PURPOSE, show_default=True, help="What for.")
@click.option("--capsule", "words", multiple=True, help="A digest or its beginning. Default: all.")
@click.option("--tag", help="Only capsules with this trigger tag, such as hard-brake.")
@click.option("--days", default=30, show_default=True, help="Until the request expires.")
@terminal.json_option
def command(
    root: Path,
    reader: str | None,
    kind: str,
    country: str | None,
    purpose: str,
    words: tuple[str, ...],
    tag: str | None,
    days: int,
    as_json: bool,
) -> None:
    """Ask, in the public log, to read capsules for a purpose.

    The request is signed by the reader and names the key that shares will be sealed to. It grants
    nothing: trustees decide (`incamera grant`), and everybody can see it. In a home the operator's
    key is at hand, so an unknown reader is enrolled on the way, which is a public entry too.

    Example: incamera request --home home --reader acme --kind company --country DE
    """
    home = Home(root)
    document = ask(
        home,
        reader=reader,
        kind=kind,
        country=country,
        purpose=purpose,
        days=days,
        words=words,
        tag=tag,
    )
    asked = document["capsules"]
    assert isinstance(asked, list)
    says = f"{document['reader']} asks for {len(asked)} capsules, for {purpose}"
    lines = [
        f"request {document['request']}",
        f"  {says}; log entry {document['index']}",
        f"next: incamera grant --home {root} {str(document['request'])[:12]}",
    ]
    terminal.result(document, lines, as_json)
