# SPDX-License-Identifier: Apache-2.0
"""Watching a log: one visit after the other, and of each only what is news."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from incamera.audit.report import Demand, Finding, Report
from incamera.audit.visit import Visit, Visitor
from incamera.errors import UnavailableError

__all__ = ["News", "watch"]

_AGE = re.compile(r"[0-9]+ seconds")


@dataclass(frozen=True, slots=True)
class News:
    """What one visit brought that the one before did not."""

    #: None while the log does not answer; then ``away`` says why.
    visit: Visit | None
    away: UnavailableError | None = None
    #: True for the first answer after silence.
    back: bool = False
    #: Entries by kind (``capsule entries``) that are new.
    grown: Counter[str] = field(default_factory=Counter)
    #: Requests that are new, or of which something new became.
    demands: tuple[Demand, ...] = ()
    found: tuple[Finding, ...] = ()
    #: Findings of the visit before that are no more.
    gone: tuple[Finding, ...] = ()

    @property
    def worth_telling(self) -> bool:
        """False if everything is as it was."""
        told = (self.away, self.back, self.grown, self.demands, self.found, self.gone)
        return any(map(bool, told)) or self.visit is None


def watch(
    visitor: Visitor, wait: Callable[[], bool], datasets: Sequence[Path] = ()
) -> Iterator[News]:
    """Visit until ``wait`` (called between two visits) says True, or the log has forked.

    A log or network that is away is news once; the next visit goes on where the last one stood.
    """
    before: Report | None = None
    away = False
    while True:
        try:
            visit = visitor.visit(datasets)
        except UnavailableError as error:
            if not away:
                yield News(None, error)
            away = True
        else:
            yield _compared(visit, before, back=away)
            before, away = visit.report, False
            if visit.evidence is not None:
                return
        if wait():
            return


def _compared(visit: Visit, before: Report | None, *, back: bool) -> News:
    report = visit.report
    old = {_key(each): each for each in before.findings} if before else {}
    new = {_key(each): each for each in report.findings}
    known = set(before.demands) if before else set()
    entries = Counter({k: n for k, n in report.counts.items() if k.endswith(" entries")})
    if before is not None:
        entries.subtract(before.counts)
    return News(
        visit,
        back=back,
        grown=+Counter({k: n for k, n in entries.items() if k.endswith(" entries")}),
        demands=tuple(each for each in report.demands if each not in known),
        found=tuple(each for key, each in new.items() if key not in old),
        gone=tuple(each for key, each in old.items() if key not in new),
    )


def _key(finding: Finding) -> tuple[str, str, str]:
    """The same finding at two visits, although it tells of another age."""
    return finding.severity, finding.where, _AGE.sub("", finding.what)
