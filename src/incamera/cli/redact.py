# SPDX-License-Identifier: Apache-2.0
"""``incamera redact``: make pictures and videos safe to share. Needs no home."""

from __future__ import annotations

from pathlib import Path

import click

from incamera.cli import terminal
from incamera.errors import InputError
from incamera.redaction.fill import FillKind
from incamera.redaction.paths import Options, Outcome, redact_path

__all__ = ["command"]


@click.command("redact")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("dest", type=click.Path(path_type=Path))
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write JSON Lines here: each frame's boxes, exactly what was destroyed.",
)
@click.option(
    "--fill",
    type=click.Choice(["solid", "mosaic"]),
    default="solid",
    show_default=True,
    help="One colour, or a grid of at most 5x5 means. Never a blur: blurs can be undone.",
)
@terminal.json_option
def command(source: Path, dest: Path, report: Path | None, fill: FillKind, as_json: bool) -> None:
    """Destroy faces and plates in SOURCE (a picture, a video, or a folder of them) into DEST.

    A folder is mirrored; a TeslaCam tree is one. Each output keeps frame count, size and
    timestamps; metadata, GPS, telemetry and audio are gone. Files that are neither picture nor
    video (event.json holds a position) are not copied. What cannot be read is named, the rest
    goes on, and the exit code is 3. A run that was stopped goes on where it was.

    Example: incamera redact TeslaCam/SavedClips safe --report boxes.jsonl
    """
    with terminal.bar("redacting", "frames") as advance:

        def progress(done_frames: int, total_frames: int, label: str) -> None:
            advance(done_frames, total_frames, label)

        outcome = redact_path(
            source, dest, report=report, options=Options(fill=fill), progress=progress
        )
    terminal.result(_document(outcome), _lines(outcome, dest, report), as_json)
    for fault in outcome.faults:
        terminal.note(fault)
    if outcome.faults:
        raise SystemExit(InputError.exit_code)


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "files": outcome.files,
        "frames": outcome.frames,
        "boxes": outcome.boxes,
        "kept": outcome.kept,
        "left_out": list(outcome.left_out),
        "faults": list(outcome.faults),
    }


def _lines(outcome: Outcome, dest: Path, report: Path | None) -> list[str]:
    did = f"{outcome.files} files, {outcome.frames} frames, {outcome.boxes} boxes destroyed"
    lines = [f"{dest}: {did}"]
    if outcome.kept:
        lines.append(f"{outcome.kept} of the files were finished by an earlier run")
    if outcome.left_out:
        shown = ", ".join(outcome.left_out[:5]) + (" ..." if len(outcome.left_out) > 5 else "")
        lines.append(f"not copied, neither picture nor video: {shown}")
    if report:
        lines.append(f"what was destroyed, frame by frame: {report}")
    if outcome.faults:
        lines.append(f"{len(outcome.faults)} files could not be read and have no output:")
    return lines
