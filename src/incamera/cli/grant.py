# SPDX-License-Identifier: Apache-2.0
"""``incamera grant``: each trustee decides, alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from incamera import durable
from incamera.cli import terminal
from incamera.cli.home import Home, home_option
from incamera.cli.pick import capsules_of, pick_requests
from incamera.errors import Error, InputError, PolicyError
from incamera.ids import Digest, Name
from incamera.ledger.request import MAX_BATCH, CapsuleEvidence, GrantRequest
from incamera.ledger.rows import Requested
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.tlog.proof import Proof
from incamera.trustee import Trustee

__all__ = ["Answer", "command", "decide"]

_FRESH = 600  # seconds; trustees take a checkpoint of at most an hour


@dataclass(frozen=True, slots=True)
class Answer:
    """What one trustee said to one request."""

    request: Digest
    trustee: Name
    granted: int  # capsules
    error: Error | None = None

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        plain: dict[str, object] = {
            "request": self.request,
            "trustee": self.trustee,
            "granted": self.granted,
        }
        if self.error is not None:
            code = getattr(self.error, "code", self.error.kind)
            plain["refused"] = {"code": code, "reason": self.error.message}
        return plain


def decide(home: Home, asked: Requested, trustees: Sequence[Name]) -> Iterator[Answer]:
    """Show ``asked`` with its proofs to each trustee; what it hands out goes to the reader."""
    folder = durable.folder(home.paths.reader(asked.entry.reader) / "grants" / asked.leaf, 0o700)
    state = home.state()
    wanted = [each for each in capsules_of(home, asked.entry) if state.erased(each) is None]
    if not wanted:
        raise PolicyError(f"request {asked.leaf[:12]}: every capsule it names was erased")
    capsules = [read_capsule(home.vault.path(each)) for each in wanted]
    home.log.refresh(older_than=_FRESH)
    for name in trustees:
        trustee = home.trustee(name)
        try:
            yield _ask(home, trustee, asked, capsules, folder)
        finally:
            trustee.close()


def _ask(
    home: Home, trustee: Trustee, asked: Requested, capsules: list[Capsule], folder: Path
) -> Answer:
    done = 0
    for number, start in enumerate(range(0, len(capsules), MAX_BATCH)):
        batch = capsules[start : start + MAX_BATCH]
        try:
            grant = trustee.decide(_show(home, trustee.name, asked, batch))
        except Error as error:
            return Answer(asked.leaf, trustee.name, done, error)
        durable.write(folder / f"{trustee.name}-{number}.json", grant.envelope, mode=0o600)
        done += len(grant.shares)
    return Answer(asked.leaf, trustee.name, done)


def _show(home: Home, name: Name, asked: Requested, batch: Sequence[Capsule]) -> GrantRequest:
    """The request with its proofs, and of each capsule the header and this trustee's share."""
    proof = Proof.parse(home.log.proof(asked.index), "inclusion proof")
    shown = []
    for capsule in batch:
        holders = [share.trustee for share in capsule.header.shares]
        if name not in holders:
            raise InputError(f"{name} holds no share of capsule {capsule.digest[:16]}")
        index = holders.index(name)
        shown.append(CapsuleEvidence(capsule.envelope, capsule.wrapped[index], index + 1))
    leaf = home.log.entry(asked.index)
    return GrantRequest(leaf, asked.index, proof.note, tuple(proof.hashes), tuple(shown))


def _undecided(home: Home) -> list[Requested]:
    """Requests that were neither granted by enough trustees nor refused."""
    state, waiting = home.state(), []
    for each in state.requests():
        granted = {grant.trustee for grant in state.grants(each.leaf)}
        refused = {refusal.trustee for refusal in state.refusals(each.leaf)}
        if len(granted) < home.settings.threshold and not refused:
            waiting.append(each)
    return waiting


@click.command("grant")
@click.argument("requests", nargs=-1)
@home_option
@click.option("--trustee", "names", multiple=True, help="Only these trustees. Default: all.")
@terminal.json_option
def command(requests: tuple[str, ...], root: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Let each trustee decide, alone, on REQUESTS (default: those still undecided).

    A trustee reads the whole log itself, checks every proof, and evaluates the policy sealed into
    each capsule. A grant is logged before a share is handed out; a refusal is a public entry. If a
    request does not reach the threshold the exit code is 5.

    Example: incamera grant --home home 3f0c5a
    """
    home = Home(root)
    trustees = [Name(each) for each in names or home.settings.trustees]
    for name in trustees:
        if name not in home.settings.trustees:
            raise InputError(f"no trustee {name} in this home", hint="see home.toml")
    chosen = pick_requests(home, requests) if requests else _undecided(home)
    answers = [answer for asked in chosen for answer in decide(home, asked, trustees)]
    lines = [_line(each) for each in answers] or ["no request waits for a decision"]
    terminal.result({"answers": [each.to_json() for each in answers]}, lines, as_json)
    _end(home, answers)


def _line(answer: Answer) -> str:
    said = f"grants {answer.granted} capsules"
    if answer.error is not None:
        code = getattr(answer.error, "code", answer.error.kind)
        said = f"refuses ({code}): {answer.error.message}"
    return f"{answer.request[:12]}  {answer.trustee} {said}"


def _end(home: Home, answers: Sequence[Answer]) -> None:
    """Exit as the gravest refusal says, if a request stays below the threshold."""
    for leaf in dict.fromkeys(each.request for each in answers):
        granted = {grant.trustee for grant in home.state().grants(leaf)}
        if len(granted) < home.settings.threshold:
            errors = [each.error for each in answers if each.request == leaf and each.error]
            if errors:
                raise SystemExit(max(errors, key=lambda error: error.exit_code == 4).exit_code)
