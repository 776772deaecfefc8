# SPDX-License-Identifier: Apache-2.0
"""Requests a month as a stacked bar chart, in SVG."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator
from typing import get_args

from incamera.audit.transparency.model import Fate, Transparency, day

__all__ = ["chart"]

_MONTHS = 24  # the latest that are drawn
_STEP, _WIDE, _TALL = 34, 26, 120  # pixels


def chart(report: Transparency) -> str:
    """The figure, or nothing where nobody asked. Months are by the readers' own clocks."""
    months: dict[str, Counter[str]] = {}
    for each in report.requests:
        months.setdefault(day(each.time)[:7], Counter())[each.fate] += 1
    shown = sorted(months)[-_MONTHS:]
    if not shown:
        return ""
    most = max(sum(months[each].values()) for each in shown)
    bars = "".join(
        part for place, month in enumerate(shown) for part in _bar(place, month, months, most)
    )
    legend = "".join(f"<li class={each}>{each}</li>" for each in get_args(Fate))
    width, height = max(len(shown) * _STEP, 120), _TALL + 20
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role=img '
        f'aria-label="Requests a month, at most {most}">{bars}</svg>'
        f"<figcaption>Requests a month (at most {most})<ul class=legend>{legend}</ul>"
        "</figcaption></figure>"
    )


def _bar(place: int, month: str, months: dict[str, Counter[str]], most: int) -> Iterator[str]:
    bottom = float(_TALL)
    for fate in get_args(Fate):
        count = months[month][fate]
        tall = count * (_TALL - 10) / most
        bottom -= tall
        if tall:
            yield (
                f'<rect class={fate} x="{place * _STEP + 4}" y="{bottom:.1f}" width="{_WIDE}" '
                f'height="{tall:.1f}"><title>{html.escape(month)}: {count} {fate}</title></rect>'
            )
    yield f'<text x="{place * _STEP + 17}" y="{_TALL + 14}">{html.escape(month[2:])}</text>'
