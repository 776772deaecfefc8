# SPDX-License-Identifier: Apache-2.0
"""``incamera tend``: what a home's trustees, its vault and its log do as time passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from incamera.cli import terminal
from incamera.cli.home import Home, home_option
from incamera.errors import Error, InputError
from incamera.ids import Name
from incamera.ledger.queries import DAY
from incamera.sealing.keys import SigningKey
from incamera.trustee.housekeeping import Rhythm, Tended
from incamera.vault.retention import Expired, expire

__all__ = ["command", "tend"]

_FRESH = 600  # seconds; trustees take a checkpoint of at most an hour


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one trustee's housekeeping."""

    trustee: Name
    done: Tended | Error

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        if isinstance(self.done, Error):
            said = {"kind": self.done.kind, "message": self.done.message, "hint": self.done.hint}
            return {"trustee": self.trustee, "error": said}
        return {
            "trustee": self.trustee,
            "destroyed": list(self.done.destroyed),
            "logged": list(self.done.logged),
            "announced": list(self.done.announced),
            "said": list(self.done.said),
        }

    def lines(self) -> list[str]:
        """For people."""
        if isinstance(self.done, Error):
            return [f"{self.trustee}  failed: {self.done.message}"]
        return [f"{self.trustee}  {each}" for each in self.done.said or ("nothing was due",)]


def tend(home: Home, names: Sequence[Name], rhythm: Rhythm | None = None) -> list[Answer]:
    """Have the log cosigned afresh and each trustee do what is due; one's failure is its own."""
    home.log.refresh(older_than=_FRESH)
    answers = []
    for name in names:
        try:
            trustee = home.trustee(name)
            try:
                answers.append(Answer(name, trustee.tend(rhythm)))
            finally:
                trustee.close()
        except Error as error:
            answers.append(Answer(name, error))
    return answers


def retire(home: Home) -> Expired:
    """Have the vault destroy what has expired, in public."""
    key = SigningKey.load(home.paths.vault / "signing.key")
    return expire(home.vault, home.state(), key, home.clock)


@click.command("tend")
@home_option
@click.option("--trustee", "names", multiple=True, help="Only these trustees. Default: all.")
@click.option(
    "--epoch-days", default=30, show_default=True, help="How long a new key is sealed to."
)
@terminal.json_option
def command(root: Path, names: tuple[str, ...], epoch_days: int, as_json: bool) -> None:
    """Begin and end the trustees' keys of HOME, as witness time says, and end what has expired.

    Each trustee announces its next key in the log before the present one ends, and destroys, then
    logs, the keys whose retention is over: what was sealed to them, only its owner opens from
    then on. The vault destroys the capsules whose time is over, and says so in the log. The log is
    cosigned afresh. Run it daily. Where nothing is due, nothing changes; after a crash, run it
    again. A trustee or vault that is served does this by itself. With --trustee: that trustee only.

    Example: incamera tend --home home
    """
    home = Home(root)
    known = [Name(each) for each in home.settings.trustees]
    for name in names:
        if name not in known:
            raise InputError(f"no trustee {name} in this home", hint="see home.toml")
    rhythm = Rhythm(length=epoch_days * DAY)
    answers = tend(home, [each for each in known if not names or each in names], rhythm)
    lines = [line for each in answers for line in each.lines()]
    document: dict[str, object] = {"trustees": [each.to_json() for each in answers]}
    if not names:
        ended = retire(home)
        document["vault"] = {"expired": ended.capsules, "entries": list(ended.entries)}
        lines += [f"vault  destroyed {ended.capsules} capsules that had expired"] * bool(
            ended.entries
        )
    terminal.result(document, lines, as_json)
    for each in answers:
        if isinstance(each.done, Error) and each.done.hint:
            click.echo(f"hint: {each.done.hint}", err=True)
    failed = [each.done.exit_code for each in answers if isinstance(each.done, Error)]
    if failed:
        raise SystemExit(max(failed, key=lambda code: (code == 4, code)))
