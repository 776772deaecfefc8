# SPDX-License-Identifier: Apache-2.0
"""Everything a person or a script reads from incamera passes through here.

The rules of the terminal:

- results go to stdout, everything else to stderr with ``incamera:`` in front;
- with ``--json`` stdout holds one JSON document and nothing else, also when the verb fails;
- a progress bar appears on stderr, and only where stderr is a terminal;
- an error is one sentence, and a ``hint:`` line saying what to do next; never a traceback.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from incamera.errors import Error

__all__ = ["bar", "fail", "json_option", "note", "result", "table"]

Advance = Callable[[float, float | None, str | None], None]
"""Called with (done so far, total if known, what is being worked on)."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else."
)


def note(text: str) -> None:
    """One line for the person at the terminal, on stderr."""
    click.echo(f"incamera: {text}", err=True)


def result(document: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """The outcome of a verb: ``document`` for scripts, ``lines`` for people."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True))
        return
    for line in lines:
        click.echo(line)


def fail(error: Error, as_json: bool) -> None:
    """Say what is wrong and what to do next."""
    note(f"error: {error.message}")
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    if as_json:
        what = {
            "kind": error.kind,
            "message": error.message,
            "hint": error.hint,
            "exit": error.exit_code,
        }
        click.echo(json.dumps({"error": what}, ensure_ascii=False, sort_keys=True))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows for people, on stdout, as wide as the terminal allows."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False).print(grid)


class _Rate(ProgressColumn):
    """Steps a second, once known."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f} {task.fields['unit']}/s", "cyan")


@contextlib.contextmanager
def bar(label: str, unit: str) -> Iterator[Advance]:
    """A bar with rate and time left while the block runs; silent where nobody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as progress:
        task = progress.add_task(label, total=None, unit=unit)

        def advance(done: float, total: float | None = None, what: str | None = None) -> None:
            text = label if what is None else f"{label} {what}"
            progress.update(task, completed=done, total=total, description=text[:48])

        yield advance
