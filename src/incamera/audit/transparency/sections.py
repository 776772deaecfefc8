# SPDX-License-Identifier: Apache-2.0
"""What the report says, in order, in words and tables: the one text behind Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from incamera.audit.transparency.model import Transparency, day
from incamera.audit.transparency.model import Trustee as Row

__all__ = ["Section", "Table", "preface", "sections", "title"]

Cell = str | int


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under ``columns``; ``none`` is said where there are no rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    none: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence (or none), tables, and a list."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    items: tuple[str, ...] = ()


def title(report: Transparency) -> str:
    """The report's name."""
    return f"Transparency report: {report.region or 'no region'}"


def preface(report: Transparency) -> str:
    """Where it comes from, and how to check it."""
    return (
        f"Made on {day(report.made)} from {report.size} public entries of the log "
        f"{report.origin or '(none)'}. Anybody can make it again with incamera report; what it "
        "rests on is checked by incamera audit."
    )


def sections(report: Transparency) -> Iterable[Section]:
    """All sections; the first is about reads."""
    yield _reads(report)
    yield _refusals(report)
    yield _demands(report)
    erased = report.erasures
    yield Section(
        "What is kept and what is gone",
        f"{erased.admitted} capsules were admitted; {erased.by_owners} were erased by their "
        f"owners, {erased.by_operator} by the operator; {erased.by_vault} expired and were erased "
        f"by the vault. Owners withdrew {erased.consents} consents and retired the keys of "
        f"{erased.cars} cars.",
    )
    yield _trustees(report)
    yield _addresses(report)
    yield Section("The log", items=tuple(_health(report)))


def _reads(report: Transparency) -> Section:
    rows = [
        (
            *(each.reader, each.kind, each.country, each.purpose),
            *(each.requests, each.granted, each.refused, each.open),
            *(each.asked, each.readable, each.datasets),
        )
        for each in report.reads
    ]
    columns = (
        *("reader", "kind", "country", "purpose", "requests", "granted", "refused", "open"),
        *("capsules asked", "made readable", "datasets"),
    )
    return Section(
        "Who asked to read",
        f"Opening a capsule takes {report.threshold} trustees.",
        (Table(columns, tuple(rows), "Nobody asked."),),
    )


def _refusals(report: Transparency) -> Section:
    rows = tuple((each.trustee, each.code, each.count, each.example) for each in report.refusals)
    columns = ("trustee", "reason", "times", "in its words")
    table = Table(columns, rows, "No trustee refused anything.")
    return Section("What trustees refused", tables=(table,))


def _demands(report: Transparency) -> Section:
    cases = []
    for case in report.demands:
        history = "; ".join(f"{what} {day(at)}, entry {i}" for i, at, what in case.history)
        facts = (case.reference, case.authority, case.country, case.date, case.outcome)
        cases.append((*facts, history))
    asked = []
    for each in report.requests:
        if each.kind == "government":
            refused = ", ".join(name for name, _ in each.refused)
            asked.append((each.reader, each.country, each.index, each.fate, refused))
    letters = ("reference", "authority", "country", "dated", "outcome", "history")
    readers = ("government that asked as a reader", "country", "log entry", "outcome", "refused by")
    return Section(
        "Demands by authorities",
        tables=(
            Table(letters, tuple(cases), "The operator recorded none."),
            Table(readers, tuple(asked), "No government asked as a reader."),
        ),
    )


def _trustees(report: Transparency) -> Section:
    columns = ("trustee", "country", "grants", "refusals", "present key", "destroyed", "state")
    rows = tuple(_trustee(each) for each in report.trustees)
    table = Table(columns, rows, "There are none.")
    return Section("Trustees", tables=(table,), items=report.successions)


def _trustee(row: Row) -> tuple[Cell, ...]:
    key = "none" if row.epoch is None else f"epoch {row.epoch} to {day(row.until or 0)}"
    gone = ", ".join(f"epoch {each}" for each in row.destroyed) or "none"
    state = "; ".join(("FROZEN",) * row.frozen + row.late) or "in order"
    return (row.name, row.country, row.grants, row.refusals, key, gone, state)


def _addresses(report: Transparency) -> Section:
    said = "No list is declared: nothing public says where they may connect."
    if report.addresses:
        said = "They refuse to connect anywhere else; the last list counts."
    return Section("Where the region's parties may connect", said, items=report.addresses)


def _health(report: Transparency) -> Iterable[str]:
    health = report.health
    for each in health.forks:
        yield f"THIS LOG FORKED: trustees hold the proof {each}"
    yield f"witnessed until {day(health.witnessed)}"
    for name, at in health.cosigned:
        yield f"cosigned by {name} on {day(at)}"
    for name in health.missing:
        yield f"NOT cosigned by {name}"
    yield f"{health.void} entries without effect, {health.repeated} repeated"
    if health.first_void:
        yield f"the first of them: {health.first_void}"
