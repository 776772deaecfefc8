# SPDX-License-Identifier: Apache-2.0
"""``incamera grant``: each trustee decides, alone."""

from __future__ import annotations

from collections.abc import Sequence

import click

from incamera.cli import terminal
from incamera.cli.asking import Answer, decide, kept_grants
from incamera.cli.desk import Desk, with_desk
from incamera.cli.pick import pick_requests
from incamera.errors import IntegrityError, PolicyError, UnavailableError
from incamera.ledger.rows import Requested

__all__ = ["command"]


def _undecided(desk: Desk) -> list[Requested]:
    """Requests of ours that not enough trustees granted, and that enough of them still could."""
    state, threshold, waiting = desk.state(), desk.region().threshold, []
    trustees = {each.name for each in state.parties("trustee")}
    for each in state.requests():
        granted = {grant.trustee for grant in state.grants(each.leaf)}
        refused = {said.trustee for said in state.refusals(each.leaf) if said.code != "notice"}
        able = len(trustees - (refused - granted))
        if len(granted) < threshold <= able and desk.sits_here(each.entry.reader):
            waiting.append(each)
    return waiting


@click.command("grant")
@click.argument("requests", nargs=-1)
@with_desk
@click.option(
    "--trustee",
    "names",
    multiple=True,
    help="Only these trustees (NAME, or with --url NAME=URL). Default: all.",
)
@terminal.json_option
def command(desk: Desk, requests: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> None:
    """Let each trustee decide, alone, on REQUESTS (default: those still undecided).

    A trustee reads the whole log itself, checks every proof, and evaluates the policy sealed into
    each capsule. A grant is logged before a share is handed out; a refusal is a public entry. With
    --url the trustees are asked over HTTP, all at once; what each hands out is kept as it comes,
    and a run that was stopped goes on where it was. Once the threshold is reached the exit code is
    0; else it is 5 if too many refuse, and 6 if too many cannot be reached.

    Example: incamera grant --home home 3f0c5a
    """
    trustees = desk.trustees(names)
    chosen = pick_requests(desk, requests) if requests else _undecided(desk)
    answers: list[Answer] = []
    for asked in chosen:
        with terminal.bar("granting", "shares") as advance:
            answers += decide(desk, asked, trustees, advance)
    lines = [_line(each) for each in answers] or ["no request waits for a decision"]
    terminal.result({"answers": [each.to_json() for each in answers]}, lines, as_json)
    code = max((_code(desk, each, answers, len(trustees)) for each in chosen), default=0)
    if code:
        raise SystemExit(code)


def _line(answer: Answer) -> str:
    said = f"grants {answer.granted} capsules"
    if isinstance(answer.error, UnavailableError):
        said = f"cannot be reached: {answer.error.message}"
    elif answer.error is not None:
        said = f"refuses ({answer.code}): {answer.error.message}"
    elif answer.granted == 0:
        said = "holds no share of these capsules now"
    return f"{answer.request[:12]}  {answer.trustee} {said}"


def _code(desk: Desk, asked: Requested, answers: Sequence[Answer], asked_of: int) -> int:
    """0 with enough grants at hand; else what stands in the way, and 0 if nobody said no."""
    failed = {each.trustee: each.error for each in answers if each.request == asked.leaf}
    errors = [each for each in failed.values() if each is not None]
    kept = kept_grants(desk.folder(asked.entry.reader) / "grants" / asked.leaf)
    granted = {name for name, _ in kept if failed.get(name) is None}
    threshold = desk.region().threshold
    if len(granted) >= threshold or not errors:
        return 0
    if any(isinstance(each, IntegrityError) for each in errors):
        return IntegrityError.exit_code
    away = [each for each in errors if isinstance(each, UnavailableError)]
    if away and len(granted) + len(away) + len(desk.trustees()) - asked_of >= threshold:
        return UnavailableError.exit_code
    refused = any(isinstance(each, PolicyError) for each in errors)
    return PolicyError.exit_code if refused else errors[0].exit_code
