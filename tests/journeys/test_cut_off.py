# SPDX-License-Identifier: Apache-2.0
"""Eight machines in network namespaces: cut one off and all goes on, cut too many and it stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wires import possible
from world import quick_folder

pytestmark = pytest.mark.timeout(600)  # a minute, on machines that do nothing else
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scenes() -> list[dict[str, Any]]:
    """What happened in each scene of ``tests/cutting.py``."""
    if why := possible():
        pytest.skip(f"no network namespaces can be made here: {why}")
    with quick_folder() as folder:
        # Of the single cuts one witness and one trustee; by hand, without names, all six.
        words = [sys.executable, str(TESTS / "cutting.py"), str(folder), "witness-2", "trustee-fr"]
        done = subprocess.run(
            ["unshare", "--net", "--mount", *words],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            check=False,
            timeout=580,
        )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def named(scenes: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """The scenes of one name."""
    found = [each for each in scenes if each["scene"] == what]
    assert found, what
    return found


def test_any_one_can_be_cut_off(scenes: list[dict[str, Any]]) -> None:
    """A witness or a whole jurisdiction's trustee is silent: requests are granted and opened."""
    for each in named(scenes, "one is cut off"):
        assert each["opened"], each
    (both,) = named(scenes, "a witness and a trustee are cut off")
    assert both["opened"], both


def test_below_the_threshold_nothing_opens(scenes: list[dict[str, Any]]) -> None:
    """One trustee and k-1 more: the request is logged, one share comes, nothing opens."""
    (each,) = named(scenes, "one trustee and k-1 more are cut off")
    assert not each["opened"]
    assert len(each["silent"]) == 2
    assert "error" not in each


def test_below_the_quorum_nothing_is_logged(scenes: list[dict[str, Any]]) -> None:
    """Two witnesses of three: the request is refused as unavailable, not half taken."""
    (each,) = named(scenes, "two witnesses are cut off")
    assert each["error"] == "unavailable"
    assert "quorum" in each["message"]


def test_without_vault_or_log_requests_stop_in_one_clear_line(scenes: list[dict[str, Any]]) -> None:
    """Nobody to hand a request to: unavailable, and who does not answer."""
    for what in ("the vault is cut off", "the log is cut off"):
        (each,) = named(scenes, what)
        assert each["error"] == "unavailable"
        assert "\n" not in each["message"]


def test_all_resumes_and_nothing_acknowledged_is_lost(scenes: list[dict[str, Any]]) -> None:
    """Each time the wires are back requests are granted and opened again."""
    for who in ("trustees are", "witnesses are", "vault is", "log is"):
        (each,) = named(scenes, f"the {who} back")
        assert each["opened"], each
    (end,) = named(scenes, "end")
    assert end["lost"] == 0
    assert end["acknowledged"] >= 8
