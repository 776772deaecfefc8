# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every fsync, rename, unlink and mkdir of log, witness and trustee.

What must hold after each death is in ``kill_log.py``, ``kill_witness.py`` and ``kill_trustee.py``;
the table is ``docs/faults.md``. With ``INCAMERA_KILL=all`` also at each write (whole, and torn in
the middle) and each message.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PARTIES = {
    # The fewest deaths each row must come to; a row in which nothing dies shows nothing.
    "log": (("log: made, appends, refreshes", 50), ("log: appends, refreshes", 50)),
    "witness": (("witness: cosigns, convicts", 18),),
    "trustee": (
        ("trustee: grants, refuses", 8),
        ("trustee: freezes", 4),
        ("trustee: ends an epoch, begins one", 14),
    ),
}


def table(*words: str, **environment: str) -> dict[str, Any]:
    """Run the rows of ``words``; the last line of what they print."""
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_points.py"), *words],
        env=os.environ | {"PYTHONPATH": str(HERE.parent)} | environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("party", PARTIES)
def test_a_party_killed_at_every_fsync_goes_on_as_promised(party: str) -> None:
    """Real processes, SIGKILL; nothing acknowledged is lost, no size has two trees."""
    rows = {row["row"]: row for row in table(f"{party}:")["rows"]}
    assert list(rows) == [title for title, _ in PARTIES[party]]
    for title, least in PARTIES[party]:
        assert rows[title]["deaths"] >= least
        sync, names, _, _ = rows[title]["calls"]
        if shutil.which("cc"):  # else counted from Python, which sees less
            assert rows[title]["deaths"] >= sync + names - 1


@pytest.mark.skipif(os.environ.get("INCAMERA_KILL") != "all", reason="INCAMERA_KILL=all")
@pytest.mark.parametrize("how", ["--calls=all", "--half"])
@pytest.mark.timeout(1600)
def test_a_party_killed_at_every_write_and_message_goes_on_as_promised(how: str) -> None:
    """The same at ten times as many points, with writes that ended halfway."""
    assert len(table("--calls", "all", how)["rows"]) == 6


def test_without_a_compiler_deaths_are_counted_from_python(tmp_path: Path) -> None:
    """Fewer points, but the same law: at fsync, rename and each commit of SQLite."""
    done = table("freezes", PATH=str(tmp_path))
    assert done["rows"][0]["calls"] == [0, 0, 0, 0]
    assert done["rows"][0]["deaths"] >= 4
