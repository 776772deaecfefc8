# SPDX-License-Identifier: Apache-2.0
"""``incamera request``: ask to read, in the open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from incamera import durable
from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.init import PURPOSE
from incamera.cli.pick import pick_capsules
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, parse_name
from incamera.ledger.codec import capsule_list
from incamera.ledger.entries import MAX_INLINE, CapsuleList
from incamera.ledger.request import MAX_BATCH, build_request
from incamera.ledger.state import leaf_digest

__all__ = ["ask", "command"]

DAY = 86_400


def ask(
    desk: Desk,
    *,
    reader: str | None = None,
    kind: str = "research",
    country: str | None = None,
    purpose: str = PURPOSE,
    days: int = 30,
    words: tuple[str, ...] = (),
    tag: str | None = None,
) -> dict[str, object]:
    """Log a request, keep the proof that it is logged, and say where it stands."""
    rows = pick_capsules(desk, words, desk.rows(status="kept", tag=tag))
    keys, enrolled = desk.asker(reader, kind, country)
    capsules = [row.digest for row in rows]
    leaf = build_request(
        region=desk.region().region,
        reader=keys.name,
        capsules=_named(desk, capsules),
        purpose=parse_name(purpose, "--purpose"),
        policy=_policy(desk, capsules),
        expires=desk.clock.now() + days * DAY,
        recipient=keys.opening.public,
        time=desk.clock.now(),
        key=keys.signing,
    )
    index = desk.submit(leaf)
    _keep_proof(desk, keys.name, leaf_digest(leaf))
    return {
        "request": leaf_digest(leaf),
        "index": index,
        "reader": keys.name,
        "enrolled": enrolled,
        "purpose": purpose,
        "capsules": sorted(capsules),
    }


def _named(desk: Desk, capsules: list[Digest]) -> list[Digest] | CapsuleList:
    if len(capsules) <= MAX_INLINE:
        return capsules
    data, named = capsule_list(capsules)
    desk.publish_list(data)
    return named


def _policy(desk: Desk, capsules: Sequence[Digest]) -> Digest:
    """The one policy all capsules are sealed under: a request names exactly one."""
    published = desk.state().documents("policy")
    if len(published) == 1:
        return published[0]  # admission refuses all others; and trustees look for themselves
    found: set[Digest] = set()
    for start in range(0, len(capsules), MAX_BATCH):
        batch = desk.shown(capsules[start : start + MAX_BATCH])
        found |= {each.header.policy for each in batch}
    if len(found) != 1:
        raise InputError(
            f"these capsules are sealed under {len(found)} policies; a request names one",
            hint="ask for the capsules of each policy on their own: --capsule ...",
        )
    return found.pop()


def _keep_proof(desk: Desk, reader: Name, leaf: Digest) -> None:
    """``requests/LEAF.tlog-proof``: for the reader to show that it asked in the open."""
    asked = desk.state().request(leaf)
    if asked is None:
        raise IntegrityError(f"request {leaf[:16]}: the log took it but does not show it")
    entry, proof = desk.place(asked)
    folder = durable.folder(desk.folder(reader) / "requests", 0o700)
    durable.write(folder / f"{leaf}.tlog-proof", replace(proof, extra=entry).format(), mode=0o600)


@click.command("request")
@with_desk
@click.option(
    "--reader",
    help="Who asks; in a home enrolled with new keys if unknown. Default: KIND-reader, or who "
    "the keys are of.",
)
@click.option("--kind", default="research", show_default=True, help="company, research, government")
@click.option("--country", help="Where the reader sits (ISO 3166). Default: one of the region's.")
@click.option("--purpose", default=PURPOSE, show_default=True, help="What for.")
@click.option("--capsule", "words", multiple=True, help="A digest or its beginning. Default: all.")
@click.option("--tag", help="Only capsules with this trigger tag, such as hard-brake.")
@click.option("--days", default=30, show_default=True, help="Until the request expires.")
@terminal.json_option
def command(
    desk: Desk,
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
    key is at hand, so an unknown reader is enrolled on the way, which is a public entry too; with
    --url the reader was enrolled by the operator before (`incamera enrol`), as what its card says.

    Example: incamera request --home home --reader acme --kind company --country DE
    """
    document = ask(
        desk,
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
        f"next: incamera grant {desk.words} {str(document['request'])[:12]}",
    ]
    terminal.result(document, lines, as_json)
