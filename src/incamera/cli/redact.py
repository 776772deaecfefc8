# SPDX-License-Identifier: Apache-2.0
"""``incamera redact``: make pictures and videos safe to share. Needs no home."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from incamera.cli import terminal
from incamera.errors import InputError
from incamera.redaction.fill import FillKind
from incamera.redaction.paths import Options, Outcome, redact_path
from incamera.redaction.review import Amending, Reviewing, check_folder, read_corrections, write

__all__ = ["command"]


@dataclass(frozen=True, slots=True)
class _Said:
    """What the person wants, but for how boxes are filled."""

    source: Path
    dest: Path
    report: Path | None
    review: Path | None


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
    help="One colour hides who it was. A grid of at most 5x5 means looks better, but who has a "
    "list of candidates can match it. Never a blur: blurs can be undone.",
)
@click.option(
    "--review",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a page of the least certain boxes into DIR. It shows them: keep DIR to yourself.",
)
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Apply what was corrected on the page of an earlier --review of the same SOURCE.",
)
@terminal.json_option
def command(
    source: Path,
    dest: Path,
    report: Path | None,
    fill: FillKind,
    review: Path | None,
    corrections: Path | None,
    as_json: bool,
) -> None:
    """Destroy faces and plates in SOURCE (a picture, a video, or a folder of them) into DEST.

    A folder is mirrored; a TeslaCam tree is one. Each output keeps frame count, size and
    timestamps; metadata, GPS, telemetry and audio are gone. Files that are neither picture nor
    video (event.json holds a position) are not copied. What cannot be read is named, the rest
    goes on, and the exit code is 3. A run that was stopped goes on where it was.

    Example: incamera redact TeslaCam/SavedClips safe --report boxes.jsonl
    """
    if review is not None and corrections is not None:
        raise click.UsageError("--review and --corrections exclude each other: review first")
    said = _Said(source, dest, report, review)
    if review is not None:
        check_folder(review, source, dest)
    reviewing = Reviewing() if review is not None else None
    amending = Amending(read_corrections(corrections)) if corrections is not None else None
    with terminal.bar("redacting", "frames") as advance:

        def progress(done_frames: int, total_frames: int, label: str) -> None:
            advance(done_frames, total_frames, label)

        options = Options(fill=fill, editing=reviewing or amending)
        outcome = redact_path(source, dest, report=report, options=options, progress=progress)
    document, lines = _document(outcome), _lines(outcome, said)
    if reviewing is not None:
        page = _page(reviewing, said)
        document["review"] = page
        lines.append(f"{page['page']}: {page['doubtful']} doubtful, {page['whole']} whole frames")
        terminal.note(f"{review} shows what is hidden in {dest}: do not share it")
    if amending is not None:
        document["missed"] = amending.missed
    terminal.result(document, lines, as_json)
    for told in [*outcome.faults, *(amending.missed if amending else [])]:
        terminal.note(told)
    if outcome.faults:
        raise SystemExit(InputError.exit_code)


def _page(reviewing: Reviewing, said: _Said) -> dict[str, str | int]:
    """Write the review page; where it is and how much is on it."""
    assert said.review is not None
    findings = reviewing.findings()
    again = shlex.join(["incamera", "redact", str(said.source), "DEST2"])
    page = write(findings, said.review, f"{again} --corrections corrections.json")
    doubtful = len(findings.questions.covered) + len(findings.questions.missed)
    return {"page": str(page), "doubtful": doubtful, "whole": len(findings.stills)}


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "files": outcome.files,
        "frames": outcome.frames,
        "boxes": outcome.boxes,
        "kept": outcome.kept,
        "left_out": list(outcome.left_out),
        "faults": list(outcome.faults),
    }


def _lines(outcome: Outcome, said: _Said) -> list[str]:
    did = f"{outcome.files} files, {outcome.frames} frames, {outcome.boxes} boxes destroyed"
    lines = [f"{said.dest}: {did}"]
    if outcome.kept:
        lines.append(f"{outcome.kept} of the files were finished by an earlier run")
    if outcome.left_out:
        shown = ", ".join(outcome.left_out[:5]) + (" ..." if len(outcome.left_out) > 5 else "")
        lines.append(f"not copied, neither picture nor video: {shown}")
    if said.report:
        lines.append(f"what was destroyed, frame by frame: {said.report}")
    if outcome.faults:
        lines.append(f"{len(outcome.faults)} files could not be read and have no output:")
    return lines
