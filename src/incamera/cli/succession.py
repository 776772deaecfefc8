# SPDX-License-Identifier: Apache-2.0
"""``incamera succession``: trustees come and go, capsules stay openable."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from incamera.cli import terminal
from incamera.cli.desk import Desk, with_desk
from incamera.cli.home import Home, home_option
from incamera.cli.home_desk import HomeDesk
from incamera.cli.passing import kept, propose, until
from incamera.cli.seats import in_home, seated
from incamera.errors import Error, InputError
from incamera.ids import Name, parse_name
from incamera.ledger.entries import Seat

__all__ = ["command"]

_trustee_options = (
    click.option("--home", "root", type=click.Path(path_type=Path), help="A home."),
    click.option("--trustee", "name", help="With --home: which of its trustees."),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="The trustee's serve.toml, for a trustee that lives apart.",
    ),
)


def _with_trustee(function: Any) -> Any:
    for option in reversed(_trustee_options):
        function = option(function)
    return function


@click.group("succession", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Pass shares on to a new set of trustees: one joins, one leaves, one lost its disk.

    The data keys are never put together. The operator proposes a new set in the public log;
    enough of the present trustees split their shares anew for it (deal), each by an act of its
    own; the new ones combine what they were dealt (accept). It must be public for the notice
    period first, can never make a capsule easier to open, and lengthens no capsule's life.

    Example: incamera succession run --home home --seat trustee-fr --seat trustee-nl --json
    """


@command.command("run")
@home_option
@click.option("--seat", "names", multiple=True, required=True, help="A trustee of the new set.")
@click.option("--threshold", type=int, help="How many of them open. Default: the region's.")
@click.option("--capsule", "words", multiple=True, help="A digest or its beginning. Default: all.")
@click.option("--reason", default="", help="One line that stands in the public log.")
@terminal.json_option
def run(
    root: Path,
    names: tuple[str, ...],
    threshold: int | None,
    words: tuple[str, ...],
    reason: str,
    as_json: bool,
) -> None:
    """All steps at once, in a home, where every party's keys are at hand.

    Example: incamera succession run --home home --seat trustee-fr --seat trustee-nl
    """
    home = Home(root)
    desk = HomeDesk(home)
    capsules = kept(desk, words)
    end = until(desk, capsules)
    seats = []
    for each in (Name(parse_name(name, "--seat")) for name in names):
        with in_home(home, each) as party:
            seats.append(Seat(each, party.trustee.announce(end)))
    number, index = propose(desk, seats, capsules, threshold=threshold, reason=reason)
    dealt, taken = {}, {}
    for party_name in [each.name for each in desk.state().parties("trustee")]:
        try:
            with in_home(home, party_name) as party:
                dealt[party_name] = party.deal(number)
        except Error as error:  # as many as it takes must deal, not all
            terminal.note(f"{party_name} does not deal: {error.message}")
    for seat in seats:
        with in_home(home, seat.trustee) as party:
            taken[seat.trustee] = party.take_over(number)
    document = {"succession": number, "entry": index, "dealt": dealt, "accepted": taken}
    lines = [
        f"succession {number}, log entry {index}: {len(capsules)} capsules",
        *(f"  {name} dealt {count}" for name, count in dealt.items()),
        *(f"  {name} holds {count} now" for name, count in taken.items()),
    ]
    terminal.result(document, lines, as_json)


@command.command("announce")
@_with_trustee
@click.option(
    "--until", "last", required=True, help="Day on which the present keys end, YYYY-MM-DD."
)
@terminal.json_option
def announce(
    root: Path | None, name: str | None, config: Path | None, last: str, as_json: bool
) -> None:
    """A trustee of the new set announces a key to take shares over with; prints its epoch.

    `incamera succession show` says when the present keys end: a later end is not dealt to.

    Example: incamera succession announce --config serve.toml --until 2026-12-22
    """
    try:
        day = datetime.datetime.fromisoformat(last).replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise InputError(f"--until {last!r}: not a day, YYYY-MM-DD") from error
    with seated(root, name, config) as party:
        epoch = party.trustee.announce(int(day.timestamp()))
        seat = f"{party.trustee.name}={epoch}"
    lines = [f"{seat}: tell the operator, who proposes it with --seat {seat}"]
    terminal.result({"seat": seat, "epoch": epoch}, lines, as_json)


@command.command("propose")
@with_desk
@click.option("--seat", "seats", multiple=True, required=True, help="NAME=EPOCH, as announced.")
@click.option("--threshold", type=int, help="How many of them open. Default: the region's.")
@click.option("--capsule", "words", multiple=True, help="A digest or its beginning. Default: all.")
@click.option("--reason", default="", help="One line that stands in the public log.")
@terminal.json_option
def propose_(
    desk: Desk,
    seats: tuple[str, ...],
    threshold: int | None,
    words: tuple[str, ...],
    reason: str,
    as_json: bool,
) -> None:
    """The operator names the new set and its capsules in the public log.

    Example: incamera succession propose --home home --seat trustee-fr=3 --seat trustee-nl=2
    """
    chosen = [_seat(each) for each in seats]
    number, index = propose(desk, chosen, kept(desk, words), threshold=threshold, reason=reason)
    lines = [
        f"succession {number}, log entry {index}",
        f"next, each present trustee, if it agrees: incamera succession deal {number} --config ...",
    ]
    terminal.result({"succession": number, "entry": index}, lines, as_json)


def _seat(text: str) -> Seat:
    name, _, epoch = text.partition("=")
    if not epoch.isascii() or not epoch.isdecimal():
        raise InputError(f"--seat {text!r}: expected NAME=EPOCH")
    return Seat(parse_name(name, "--seat"), int(epoch))


@command.command("deal")
@click.argument("number", type=int)
@_with_trustee
@terminal.json_option
def deal(
    number: int, root: Path | None, name: str | None, config: Path | None, as_json: bool
) -> None:
    """A present trustee agrees to succession NUMBER and passes its shares on.

    Nobody can make it: read `incamera succession show` first, and ask why.

    Example: incamera succession deal 1 --config serve.toml
    """
    with seated(root, name, config) as party:
        count, who = party.deal(number), party.trustee.name
    told = f"{who} dealt {count} capsules for succession {number}"
    terminal.result({"trustee": who, "succession": number, "dealt": count}, [told], as_json)


@command.command("accept")
@click.argument("number", type=int)
@_with_trustee
@terminal.json_option
def accept(
    number: int, root: Path | None, name: str | None, config: Path | None, as_json: bool
) -> None:
    """A trustee of the new set combines what it was dealt, and says so in the log.

    Example: incamera succession accept 1 --config serve.toml
    """
    with seated(root, name, config) as party:
        count, who = party.take_over(number), party.trustee.name
    told = f"{who} holds shares of {count} capsules by succession {number}"
    terminal.result({"trustee": who, "succession": number, "accepted": count}, [told], as_json)


@command.command("show")
@with_desk
@terminal.json_option
def show(desk: Desk, as_json: bool) -> None:
    """Every succession in the log, who dealt and who accepted; and when present keys end.

    Example: incamera succession show --home home
    """
    state = desk.state()
    found: list[dict[str, object]] = []
    lines = []
    for each in state.successions():
        entry, number = each.entry, each.entry.number
        dealt = [step.trustee for step in state.reshared(number)]
        accepted = [step.trustee for step in state.accepted(number)]
        seats = [f"{seat.trustee}={seat.epoch}" for seat in entry.seats]
        facts = {"succession": number, "entry": each.index, "source": entry.source}
        facts |= {"threshold": entry.threshold, "capsules": entry.capsules.count}
        more = {"seats": seats, "reason": entry.reason, "dealt": dealt, "accepted": accepted}
        found.append({**facts, **more})
        lines.append(
            f"succession {number} (log entry {each.index}): {entry.capsules.count} capsules to "
            f"{entry.threshold} of {', '.join(seats)}; dealt by {', '.join(dealt) or 'nobody'}; "
            f"accepted by {', '.join(accepted) or 'nobody'}"
        )
    keys = [
        {"trustee": party.name, "epoch": key.epoch, "until": _day(key.not_after)}
        for party in state.parties("trustee")
        for key in state.epochs(party.name)
        if state.destroyed(party.name, key.epoch) is None
    ]
    lines = lines or ["no succession yet"]
    lines += [f"  {k['trustee']} epoch {k['epoch']} ends {k['until']}" for k in keys]
    terminal.result({"successions": found, "keys": keys}, lines, as_json)


def _day(time: int) -> str:
    return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat()
