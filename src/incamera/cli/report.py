# SPDX-License-Identifier: Apache-2.0
"""``incamera report``: the transparency report, made by anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from incamera import durable
from incamera.audit.transparency import Transparency, gather, markdown, page
from incamera.cli import terminal
from incamera.cli.layout import Layout
from incamera.clock import Clock, SystemClock
from incamera.errors import InputError, UnavailableError
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.tlog.fetch import Fetch, FolderFetch
from incamera.tlog.policy import Policy
from incamera.tlog.reader import LogReader
from incamera.wire import MissingError

__all__ = ["command", "transparency"]

Form = Literal["md", "html", "json"]
_FORMS: dict[str, Form] = {".html": "html", ".htm": "html", ".json": "json"}


def transparency(fetch: Fetch, policy: Policy, clock: Clock) -> Transparency:
    """Read the whole log, believe only what its witnesses cosigned, and add up."""
    state = State("")  # a temporary file: a long log needs no long memory
    try:
        seen = Follower(LogReader(fetch, policy), state, clock).follow()
        return gather(state, policy, [seen], now=clock.now())
    finally:
        state.close()


def _policy(fetch: Fetch, path: Path | None) -> Policy:
    try:
        text = fetch("tlog-policy") if path is None else path.read_bytes()
    except (OSError, MissingError) as error:
        raise InputError(
            f"no policy to judge by: {error}", hint="name the tlog-policy you trust with --policy"
        ) from error
    except UnavailableError as error:
        if isinstance(fetch, FolderFetch):
            raise InputError(
                f"no policy to judge by: {error.message}",
                hint="name the tlog-policy you trust with --policy",
            ) from error
        raise
    return Policy.parse(text, str(path or "tlog-policy"))


def _fetch(root: Path | None, public: Path | None, url: str | None, ca: Path | None) -> Fetch:
    named = [each for each in (root, public, url) if each is not None]
    if len(named) != 1:
        raise InputError("name one of --home, --public and --url", hint="incamera report --help")
    if url is not None:
        from incamera.cli.where import log_at

        return log_at(url, ca=ca)
    folder = public if public is not None else Layout(root or Path()).public
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return FolderFetch(folder)


def _json(report: Transparency) -> str:
    return json.dumps(report.to_json(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


_WRITERS = {"md": markdown, "html": page, "json": _json}


@click.command("report")
@click.option(
    "--home",
    "root",
    type=click.Path(path_type=Path),
    help="A home made by `incamera init`; only its public folder is read.",
)
@click.option(
    "--public", type=click.Path(path_type=Path), help="A copy of a public folder, or a mirror."
)
@click.option("--url", help="Where the log is served, or its vault.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path),
    help="With --url: certificates (PEM) of the authority to believe for TLS.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="The tlog-policy to judge by. Default: the published one; keep a copy of your own.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "html", "json"]),
    default=None,
    help="Default: by the ending of --to, else md.",
)
@click.option("--to", "dest", type=click.Path(path_type=Path), help="A file. Default: stdout.")
@terminal.json_option
def command(
    root: Path | None,
    public: Path | None,
    url: str | None,
    ca: Path | None,
    policy: Path | None,
    form: Form | None,
    dest: Path | None,
    as_json: bool,
) -> None:
    """Make the transparency report from public data alone, as anybody can.

    Reads by reader and purpose, what trustees refused and why, demands by authorities and their
    outcomes, erasures, trustees that froze or are late, and how the log stands. The operator's
    word is not asked: compare the operator's own report with yours.

    Example: incamera report --home home --to report.html
    """
    fetch = _fetch(root, public, url, ca)
    made = transparency(fetch, _policy(fetch, policy), SystemClock())
    form = form or _FORMS.get(dest.suffix if dest else "", "md")
    text = _WRITERS[form](made)
    if dest is not None:
        durable.folder(dest.parent)
        durable.write(dest, text.encode())
    lines = [text.rstrip("\n")] if dest is None else [f"{dest}: {made.size} entries, {form}"]
    terminal.result(made.to_json(), lines, as_json)
