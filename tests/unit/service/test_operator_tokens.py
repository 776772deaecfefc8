# SPDX-License-Identifier: Apache-2.0
"""The file of the operators' tokens, as people write it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from incamera.errors import InputError
from incamera.ids import digest
from incamera.service.settings_operator import read_tokens


def test_the_line_is_what_the_documented_command_prints(tmp_path: Path) -> None:
    """``printf %s TOKEN | sha256sum``, with the dash it prints for standard input, or without."""
    said = subprocess.run(["sha256sum"], input=b"word", capture_output=True, check=True)
    path = tmp_path / "tokens"
    path.write_bytes(b"# alice\n" + said.stdout + said.stdout[:64] + b" # bob\n")
    path.chmod(0o600)
    assert [each.hex() for each in read_tokens(path)] == [digest(b"word")] * 2


@pytest.mark.parametrize("line", ["word", "-", f"{'0' * 64} - -", f"{'0' * 64} file"])
def test_another_line_is_refused(tmp_path: Path, line: str) -> None:
    """A token itself, above all: it would stand there in clear."""
    path = tmp_path / "tokens"
    path.write_text(f"{line}\n")
    path.chmod(0o600)
    with pytest.raises(InputError, match="line 1"):
        read_tokens(path)
