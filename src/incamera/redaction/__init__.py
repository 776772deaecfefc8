# SPDX-License-Identifier: Apache-2.0
"""Faces and plates: found, followed, destroyed, and reported.

::

    from pathlib import Path
    from incamera.redaction import redact_path

    outcome = redact_path(Path("TeslaCam"), Path("safe"), report=Path("report.jsonl"))
    outcome.files, outcome.frames, outcome.boxes, outcome.faults

Within a program, frame by frame: ``for safe in Redactor().redact(track.frames()): ...``.
"""

from incamera.redaction.model import Box, Detector
from incamera.redaction.paths import Options, Outcome, Progress, redact_path
from incamera.redaction.policy import Policy
from incamera.redaction.redactor import Redactor

__all__ = [
    "Box",
    "Detector",
    "Options",
    "Outcome",
    "Policy",
    "Progress",
    "Redactor",
    "redact_path",
]
