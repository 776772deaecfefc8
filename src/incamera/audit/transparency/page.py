# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page: no script, nothing fetched, readable on paper and in the dark."""

from __future__ import annotations

import html
from collections import Counter
from importlib import resources

from incamera.audit.transparency.chart import chart
from incamera.audit.transparency.model import Transparency
from incamera.audit.transparency.sections import Section, Table, preface, sections, title

__all__ = ["page"]


def _text(value: object) -> str:
    return html.escape(str(value))


def page(report: Transparency) -> str:
    """The whole page."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    name = _text(title(report))
    alarm = "<p class=alarm>This log forked. Trustees hold the proof.</p>"
    first, *others = sections(report)
    body = [
        f"<h1>{name}</h1>",
        alarm if report.health.forks else "",
        f"<p>{_text(preface(report))}</p>",
        _tiles(report),
        _section(first, chart(report)),
        *map(_section, others),
    ]
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        f'<meta name=viewport content="width=device-width">\n<title>{name}</title>\n'
        f"<style>\n{style}</style>\n<main>\n{chr(10).join(filter(None, body))}\n</main>\n</html>\n"
    )


def _tiles(report: Transparency) -> str:
    erased = report.erasures
    fates = Counter(each.fate for each in report.requests)
    figures = (
        (len(report.requests), "requests to read"),
        (fates["granted"], "granted"),
        (fates["refused"], "refused"),
        (len(report.demands), "demands by authorities"),
        (erased.admitted, "capsules admitted"),
        (erased.by_owners + erased.by_operator + erased.by_vault, "erased"),
    )
    cells = "".join(f"<li><b>{count:,}</b> {_text(what)}</li>" for count, what in figures)
    return f"<ul class=tiles>{cells}</ul>"


def _section(section: Section, picture: str = "") -> str:
    parts = [f"<h2>{_text(section.title)}</h2>"]
    parts += [f"<p>{_text(section.text)}</p>"] if section.text else []
    parts += [picture, *map(_table, section.tables)]
    if section.items:
        parts.append(f"<ul>{''.join(f'<li>{_text(each)}</li>' for each in section.items)}</ul>")
    return "".join(parts)


def _table(table: Table) -> str:
    if not table.rows:
        return f"<p class=none>{_text(table.none)}</p>"
    head = "".join(f"<th scope=col>{_text(each)}</th>" for each in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return (
        f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(cell: str | int) -> str:
    return f"<td{' class=n' if isinstance(cell, int) else ''}>{_text(cell)}</td>"
