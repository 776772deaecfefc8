# SPDX-License-Identifier: Apache-2.0
"""The README's commands are run as they stand there, in order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall(r"^\$ (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_the_readme_shows_the_commands_that_this_test_runs() -> None:
    """Two make commands, and four of incamera's verbs in the order of the journey."""
    assert [each for each in COMMANDS if each.startswith("make")] == ["make demo", "make test"]
    verbs = [each.split()[1] for each in COMMANDS if "incamera" in each]
    assert verbs == ["redact", "init", "ingest", "audit"]


def test_make_demo_runs_the_demo_verb_and_make_test_the_tests() -> None:
    """What make would do, told by make itself."""
    for target, wanted in (("demo", "incamera demo"), ("test", "pytest")):
        told = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert wanted in told.stdout


def test_the_commands_of_the_readme_do_what_it_says(drive: Path, tmp_path: Path) -> None:
    """Each ends with exit code 0 for somebody who has a drive, a TeslaCam folder and zones."""
    film = next(drive.glob("TeslaCam/SavedClips/*/*-front.mp4"))
    shutil.copy(film, tmp_path / "drive.mp4")
    (tmp_path / "TeslaCam").symlink_to(drive / "TeslaCam")
    shutil.copy(drive / "zones.geojson", tmp_path)
    for command in COMMANDS:
        if command.startswith("make"):
            continue
        program = str(Path(sys.executable).with_name("incamera"))
        words = command.replace(".venv/bin/incamera", program).split()
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (tmp_path / "safe.mp4").stat().st_size > 0
    assert (tmp_path / "boxes.jsonl").read_text().count("\n") > 0
