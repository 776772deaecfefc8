# SPDX-License-Identifier: Apache-2.0
"""How an owner ends things: ``incamera owner erase``, ``sell`` and ``check-erasure``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from incamera import durable
from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.layout import Layout
from incamera.cli.own.certificate import check_certificate, make_certificate
from incamera.cli.own.erasing import erase as log_erasure
from incamera.cli.own.kept import ended, owned, pick_owned
from incamera.cli.own.meant import Meant
from incamera.cli.own.selling import car_key, consent_of, given_to, plan_sale, withdraw
from incamera.cli.own.times import day
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.sealing.header import parse_hour
from incamera.tlog.policy import Policy

__all__ = ["check_erasure", "erase", "sell"]


@click.command("erase")
@click.argument("words", metavar="[CAPSULES]...", nargs=-1)
@with_desk
@click.option("--vehicle", help="Only what this vehicle recorded.")
@click.option("--since", metavar="HOUR", help="From this hour on (UTC), such as 2026-11-21T14.")
@click.option("--until", metavar="HOUR", help="Up to this hour, itself included.")
@click.option("--all", "everything", is_flag=True, help="All that is kept of you.")
@click.option("--reason", default="", help="One line that stands in the public log.")
@click.option(
    "--certificate",
    "dest",
    type=click.Path(path_type=Path),
    help="Where to write the certificate.  [default: erasure-ENTRY.json]",
)
@terminal.json_option
def erase(
    desk: Desk,
    words: tuple[str, ...],
    vehicle: str | None,
    since: str | None,
    until: str | None,
    everything: bool,
    reason: str,
    dest: Path | None,
    as_json: bool,
) -> None:
    """Destroy your CAPSULES, an hour or a drive, or all, and prove it.

    Your signed erasure goes into the public log, the vault destroys ciphertext and row, and the
    trustees obey it. Then the vault is asked for each capsule again, the trustees how far they have
    read, and a certificate is written: anybody can check it with `incamera owner check-erasure`.
    Interrupted, the same command again goes on and certifies the whole.

    Example: incamera owner erase --home home --since 2026-11-21T14 --until 2026-11-21T15
    """
    for option, value in (("--since", since), ("--until", until)):
        if value is not None:
            parse_hour(value, option)
    meant = Meant.of(desk, vehicle=vehicle, since=since, until=until)
    chosen = pick_owned(
        *(desk, words, meant.names if meant else ()),
        vehicle=vehicle,
        since=since,
        until=until,
        everything=everything,
    )
    if meant:
        meant.note(chosen)
    document, lines = _erase(desk, chosen, reason, dest)
    if meant:
        meant.done()
    terminal.result(document, lines, as_json)


def _erase(
    desk: Desk, names: list[Digest], reason: str, dest: Path | None
) -> tuple[dict[str, Any], list[str]]:
    """Erase, and write the certificate; what to say of it."""
    entries = log_erasure(desk, names, "owner", reason)
    certificate = make_certificate(desk, names)
    path = dest or Path(f"erasure-{entries[-1]}.json")
    durable.write(path, (json.dumps(certificate, indent=1, sort_keys=True) + "\n").encode())
    read = [each["trustee"] for each in certificate["trustees"] if each["read"]]
    behind = [each["trustee"] for each in certificate["trustees"] if not each["read"]]
    where = ", ".join(str(each) for each in entries)
    lines = [
        f"{len(names)} capsules erased; log entry {where}",
        "  the vault has them no more",
        f"  {', '.join(read) or 'no trustee yet'} read the entry and refuse them",
        *(f"  {each} reads it before it decides on anything" for each in behind),
        f"  {path}: the certificate; incamera owner check-erasure {path}",
    ]
    document = {
        "erased": sorted(names),
        "entries": entries,
        "by": "owner",
        "certificate": str(path),
        "vault": "gone",
        "trustees": {"read": read, "behind": behind},
    }
    return document, lines


@click.command("sell")
@with_desk
@click.option("--vehicle", help="Only consents of what this vehicle recorded.")
@click.option(
    "--car",
    "cars",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of a car whose key and consents are to end; of a home, its own car.",
)
@click.option(
    "--consent",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File of a consent to withdraw, beside those that your capsules name.",
)
@click.option("--erase-all", is_flag=True, help="Erase all that is kept of you, too.")
@terminal.json_option
def sell(
    desk: Desk,
    vehicle: str | None,
    cars: tuple[Path, ...],
    files: tuple[Path, ...],
    erase_all: bool,
    as_json: bool,
) -> None:
    """Sell the car: its key dead, your consents withdrawn, in public and for good.

    From that entry on the vault takes nothing that the key signs and nothing that is sealed to you
    under these consents, and no trustee grants what was recorded under them. What was admitted
    before stays yours to export and erase: --erase-all does the latter. The new owner's car
    needs a new key; the new owner never sees what was yours.

    Example: incamera owner sell --home home --erase-all
    """
    folders, places = list(cars), list[Path]()
    home = desk.home_paths
    if home is not None:
        folders += [] if cars else [home.car]
        places += [home.consent] if home.consent.exists() else []
    places += [path for each in folders for path in given_to(each)]
    given = _given(desk, files, places)
    sale = plan_sale(
        desk,
        owned(desk),
        vehicle=vehicle,
        consents=given.values(),
        cars=[car_key(each) for each in folders],
    )
    entries = withdraw(desk, sale)
    for path in given:
        if path not in files:
            durable.remove(path)  # the car records nothing more by it
    document: dict[str, Any] = {
        "entries": entries,
        "consents": list(sale.consents),
        "cars": [each.key_id for each in sale.cars],
        "elsewhere": list(sale.elsewhere),
        "erased": None,
    }
    where = ", ".join(str(each) for each in entries) or "none: it was all said before"
    count = f"{len(sale.consents)} consents withdrawn, {len(sale.cars)} car keys dead"
    lines = [
        f"{count}; log entry {where}",
        *(
            f"  car key {each[:16]} is alive and not here: name its folder with --car, or have "
            "the operator revoke it"
            for each in sale.elsewhere
        ),
    ]
    # With what was ended before: a sale that was interrupted is certified whole by the next one.
    if erase_all and (names := {*(row.digest for row in owned(desk)), *ended(desk)}):
        document["erased"], more = _erase(desk, sorted(names), "sold the car", None)
        lines += more
    terminal.result(document, lines, as_json)


def _given(desk: Desk, named: Sequence[Path], found: Sequence[Path]) -> dict[Path, Digest]:
    """This owner's consents, by file. What was found and is none is said, and left alone."""
    consents, owner = dict[Path, Digest](), desk.owner().name
    for path in (*named, *found):
        try:
            consent = consent_of(path, owner)
        except InputError as error:
            if path in named:
                raise
            terminal.note(f"left alone: {error.message}")
        else:
            if consent is not None:
                consents[path] = consent
    return consents


@click.command("check-erasure")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option("--home", "root", type=click.Path(path_type=Path), envvar="INCAMERA_HOME")
@click.option("--keys", type=click.Path(path_type=Path), envvar="INCAMERA_KEYS")
@click.option(
    "--policy", type=click.Path(path_type=Path), help="The region's tlog-policy, from elsewhere."
)
@terminal.json_option
def check_erasure(
    certificate: Path, root: Path | None, keys: Path | None, policy: Path | None, as_json: bool
) -> None:
    """Check a CERTIFICATE of erasure, offline, with no key and nobody's help.

    Against the tlog-policy that you name: --policy FILE, or the one pinned in --keys DIR, or that
    of --home HOME. Exit code 4 if a proof does not hold.

    Example: incamera owner check-erasure erasure-17.json --policy tlog-policy
    """
    place = policy
    if place is None and keys is not None:
        place = keys / "tlog-policy"
    if place is None and root is not None:
        place = Layout(root).log_policy
    if place is None:
        raise click.UsageError("name the tlog-policy to believe: --policy, --keys or --home.")
    text = _read(place)
    found = check_certificate(_read(certificate), Policy.parse(text, str(place)), str(certificate))
    document = {
        "region": found.region,
        "owner": found.owner,
        "capsules": [
            {"capsule": name, "admitted": at[0], "erased": at[1]}
            for name, at in sorted(found.capsules.items())
        ],
        "by": list(found.by),
        "size": found.size,
        "time": found.time,
    }
    what = f"{len(found.capsules)} capsules of region {found.region}"
    lines = [
        f"proven: {what} were erased by the {' and the '.join(found.by)}",
        f"  in a log of {found.size} entries that a quorum of witnesses saw by {day(found.time)}",
    ]
    terminal.result(document, lines, as_json)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
