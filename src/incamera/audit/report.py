# SPDX-License-Identifier: Apache-2.0
"""What an audit found, in plain words: where, what, what it means or what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from incamera.ids import Digest, Name

__all__ = ["Demand", "Finding", "Findings", "Report"]

_MOST = 1_000

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be.

    An ``error`` means that something was altered, withheld or done against the rules; a
    ``warning`` is for the reader to judge and leaves the audit passed.
    """

    where: str
    what: str
    hint: str
    severity: Severity = "error"
    evidence: str = ""


class Findings:
    """Collects findings; past 1,000 they are only counted, so that a report stays readable."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.errors = 0
        self.warnings = 0

    def error(self, where: str, what: str, hint: str, evidence: str = "") -> None:
        """Something was altered, withheld, or done against the rules."""
        self.errors += 1
        self._keep(Finding(where, what, hint, "error", evidence))

    def warning(self, where: str, what: str, hint: str, evidence: str = "") -> None:
        """Something to know that breaks no promise by itself."""
        self.warnings += 1
        self._keep(Finding(where, what, hint, "warning", evidence))

    def add(self, others: Findings) -> None:
        """Take over what was noted elsewhere."""
        self.errors += others.errors
        self.warnings += others.warnings
        self.kept += others.kept[: _MOST - len(self.kept)]

    def _keep(self, finding: Finding) -> None:
        if len(self.kept) < _MOST:
            self.kept.append(finding)


@dataclass(frozen=True, slots=True)
class Demand:
    """One wish to read, legal demands included, and what became of it."""

    index: int
    leaf: Digest
    reader: Name
    kind: Name
    country: str
    purpose: Name
    capsules: int
    granted: tuple[Name, ...]
    refused: tuple[tuple[Name, Name], ...]
    """Trustee and code."""
    datasets: int


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one audit. ``time`` is the checkpoint's witness time in POSIX seconds."""

    origin: str
    size: int
    time: int
    findings: tuple[Finding, ...]
    counts: Counter[str]
    demands: tuple[Demand, ...] = field(default=())
    #: Where the region's parties may connect: a sentence for each list, oldest first.
    addresses: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing was found that breaks a promise."""
        return self.counts["errors"] == 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "ok": self.ok,
            "origin": self.origin,
            "size": self.size,
            "time": self.time,
            "counts": dict(sorted(self.counts.items())),
            "findings": [asdict(each) for each in self.findings],
            "demands": [_plain(each) for each in self.demands],
            "addresses": list(self.addresses),
        }


def _plain(demand: Demand) -> dict[str, Any]:
    plain = asdict(demand)
    plain["granted"] = list(demand.granted)
    plain["refused"] = [{"trustee": who, "code": code} for who, code in demand.refused]
    return plain
