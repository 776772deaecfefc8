# SPDX-License-Identifier: Apache-2.0
"""The two files of a succession: what was written comes back, anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, Name, digest
from incamera.ledger.dealing import PART, Paper, open_paper, write_paper

LEAF = digest(b"a succession")
CH = Name("ch")
ROWS = [[bytes([c, s]) + bytes(PART - 2) for s in (1, 2, 3)] for c in (1, 2)]


def written(path: Path, rows: list[list[bytes | None]] | None = None) -> tuple[Digest, Paper]:
    """A dealing for three seats and two capsules."""
    name = write_paper(path, "dealing", LEAF, CH, 3, rows or [list(row) for row in ROWS], 2)
    return name, open_paper(path, name, "a dealing")


def test_a_dealing_comes_back_record_by_record(tmp_path: Path) -> None:
    """Facts and records are those that were written."""
    _, paper = written(tmp_path / "deal")
    facts = (paper.kind, paper.succession, paper.trustee, paper.seats, paper.capsules)
    assert facts == ("dealing", LEAF, "ch", 3, 2)
    assert [[paper.record(c, s) for s in (1, 2, 3)] for c in (0, 1)] == ROWS
    assert paper.dealt(0)
    with pytest.raises(InputError, match="no record"):
        paper.record(2, 1)
    with pytest.raises(InputError, match="no record"):
        paper.record(0, 4)


def test_zeros_say_that_there_is_nothing(tmp_path: Path) -> None:
    """A capsule with no record, or with records for some seats only, was not dealt."""
    rows: list[list[bytes | None]] = [[None] * 3, [ROWS[1][0], None, ROWS[1][2]]]
    _, paper = written(tmp_path / "deal", rows)
    assert paper.record(0, 1) is None
    assert not paper.dealt(0)
    assert not paper.dealt(1)


def test_a_file_that_is_not_the_one_named_is_refused(tmp_path: Path) -> None:
    """Any flipped byte, a cut, a longer file, another first line."""
    path = tmp_path / "deal"
    name, _ = written(path)
    whole = path.read_bytes()
    for place in (0, 40, 120, len(whole) - 1):
        bent = bytearray(whole)
        bent[place] ^= 1
        path.write_bytes(bent)
        with pytest.raises(IntegrityError, match="not the file"):
            open_paper(path, name, "x")
    for odd in (whole[:-1], whole + b"\0", whole.replace(b" 3 2\n", b" 4 2\n"), b"dealing\n"):
        path.write_bytes(odd)
        with pytest.raises(InputError):
            open_paper(path, digest(odd), "x")


def test_a_dealing_that_does_not_fit_its_list_is_not_written(tmp_path: Path) -> None:
    """Too few capsules, too few seats, a short record: no file."""
    path = tmp_path / "deal"
    for rows in ([list(ROWS[0])], [row[:2] for row in ROWS], [[b"x"] * 3, list(ROWS[1])]):
        with pytest.raises(InputError):
            write_paper(path, "dealing", LEAF, CH, 3, rows, 2)
        assert not path.exists()
