# SPDX-License-Identifier: Apache-2.0
"""What the product destroys, by its own report: what is measured is what a user gets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from incamera.errors import InputError
from incamera.redaction import Redactor, redact_path
from incamera.redaction.report import read_report

# Source -> frame -> rows of x, y, w, h, kind, score, via.
Report = dict[str, dict[int, list[tuple[Any, ...]]]]


def redacted(folder: Path, redactor: Redactor | None = None, keep: Path | None = None) -> Report:
    """The report on a folder of films or pictures, redacted as `incamera redact` does.

    ``keep``: where to leave the report itself too.
    """
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as out:
        report = Path(out) / "report.jsonl"
        outcome = redact_path(folder, Path(out) / "safe", report=report, redactor=redactor)
        if outcome.faults:
            raise InputError(f"not all was redacted: {'; '.join(outcome.faults[:3])}")
        if keep is not None:
            shutil.copyfile(report, keep)
        return loaded(report)


def redacted_files(paths: Sequence[Path], redactor: Redactor | None = None) -> Report:
    """The report on some pictures of a folder: copied into a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="incamera-bench-") as folder:
        for path in paths:
            shutil.copyfile(path, Path(folder) / path.name)
        return redacted(Path(folder), redactor)


def loaded(path: Path) -> Report:
    """A report by source and frame."""
    out: Report = {}
    for line in read_report(path):
        rows = [(b.x, b.y, b.w, b.h, b.kind, b.score, b.via) for b in line.boxes]
        out.setdefault(line.source, {})[line.frame] = rows
    return out
