# SPDX-License-Identifier: Apache-2.0
"""The report as Markdown. Words of others are escaped: a reason must not become a link."""

from __future__ import annotations

import re
from collections.abc import Iterable

from incamera.audit.transparency.model import Transparency
from incamera.audit.transparency.sections import Table, preface, sections, title

__all__ = ["markdown"]

# The last two: bare addresses, which GitHub makes links of.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~&@]|:(?=//)|(?<=www)\.)")


def _plain(text: object) -> str:
    """``text`` as it is, whatever Markdown would make of it."""
    return _SPECIAL.sub(r"\\\1", str(text))


def markdown(report: Transparency) -> str:
    """The whole report, with a final newline."""
    lines = [f"# {_plain(title(report))}", "", _plain(preface(report)), ""]
    for section in sections(report):
        lines += [f"## {_plain(section.title)}", ""]
        if section.text:
            lines += [_plain(section.text), ""]
        for table in section.tables:
            lines += _table(table)
        if section.items:
            lines += [*(f"- {_plain(each)}" for each in section.items), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(table: Table) -> Iterable[str]:
    if not table.rows:
        return [table.none, ""]
    head = [f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"]
    rows = [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in table.rows]
    return [*head, *rows, ""]
