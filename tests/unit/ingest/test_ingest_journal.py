# SPDX-License-Identifier: Apache-2.0
"""The journal: what was written counts, what was torn does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.errors import InputError, UnavailableError
from incamera.ids import digest
from incamera.ingest.journal import Journal, clip_id

A, B, C = digest(b"a"), digest(b"b"), digest(b"c")


def test_the_last_step_of_each_clip_counts(tmp_path: Path) -> None:
    """Reading the file again gives each clip's last step, in the order clips first came."""
    journal = Journal(tmp_path)
    journal.note(A, "sealed", C)
    journal.note(B, "sealed", C)
    journal.note(A, "admitted", C)
    for each in (journal, Journal(tmp_path)):
        assert [step.clip for step in each.in_state("sealed")] == [B]
        assert [step.clip for step in each.in_state("admitted")] == [A]
        assert each.of(C) is None


@pytest.mark.parametrize("cut", [1, 2, 40, 150])
def test_a_torn_last_line_was_never_written(tmp_path: Path, cut: int) -> None:
    """A crash in the middle of a line leaves the steps before it, and later ones can follow."""
    journal = Journal(tmp_path)
    journal.note(A, "sealed", C)
    whole = (tmp_path / "journal.jsonl").read_bytes()
    journal.note(A, "admitted", C)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    state = "admitted" if cut == 1 else "sealed"  # only the newline is missing: all was said
    again = Journal(tmp_path)
    step = again.of(A)
    assert step is not None
    assert step.state == state
    again.note(B, "sealed", C)
    assert {step.clip for step in Journal(tmp_path).in_state("sealed")} >= {B}
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    "line",
    [b'{"v":1}', b"{}", b'{"a":1}{}', b"[]}", b'{"capsule":"x","clip":"y","state":"sealed","v":1}'],
)
def test_a_strange_line_is_refused(tmp_path: Path, line: bytes) -> None:
    """A whole line that is no step stops the ingest with its number, and nothing is guessed."""
    (tmp_path / "journal.jsonl").write_bytes(b"\n" + line + b"\n")
    with pytest.raises(InputError, match="line 2"):
        Journal(tmp_path)


def test_a_step_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    """An unknown state means that a newer incamera wrote here."""
    Journal(tmp_path).note(A, "sealed", C)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"sealed", b"folded"))
    with pytest.raises(InputError, match="another version"):
        Journal(tmp_path)


def test_a_journal_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    """A folder in its place, as a stand-in for a bad disk, is told as such."""
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(UnavailableError, match="cannot read"):
        Journal(tmp_path)


def test_a_clip_is_named_by_recording_and_span() -> None:
    """Another recording, start or end is another clip; the same is the same."""
    names = {clip_id(A, 1.0, 2.0), clip_id(B, 1.0, 2.0), clip_id(A, 1.5, 2.0), clip_id(A, 1.0, 3.0)}
    assert len(names) == 4
    assert clip_id(A, 1.0, 2.0) in names
