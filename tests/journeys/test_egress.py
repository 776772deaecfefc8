# SPDX-License-Identifier: Apache-2.0
"""Every packet of every party while all is done that a region does: and one planted address."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wires import possible

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
FOREIGN = "203.0.113.66"


@dataclass
class Run:
    """One short run of the bench, with the planted address."""

    code: int
    told: dict[str, Any]
    page: str
    table: str
    packets: bytes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """``python -m bench.egress --seconds 1 --plant``."""
    if why := possible():
        pytest.skip(f"no network namespaces can be made here: {why}")
    to = tmp_path_factory.mktemp("egress")
    done = subprocess.run(
        [sys.executable, "-m", "bench.egress", "--seconds", "1", "--plant", "--to", str(to)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode in (0, 1), done.stderr
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    page, table = ((to / f"egress.{each}").read_text() for each in ("html", "md"))
    packets = (to / "egress.pcap").read_bytes()
    return Run(done.returncode, json.loads(lines[-1]), page, table, packets)


def test_nobody_speaks_to_an_address_that_the_log_does_not_declare(run: Run) -> None:
    """Founding, off, on and busy: every function of a region, no frame missed, no name asked."""
    phases = ("founding", "off", "on", "busy")
    assert {name: run.told["by_phase"][name] for name in phases} == dict.fromkeys(phases, 0)
    assert run.told["dropped"] == run.told["dns"] == 0
    assert run.told["destinations"] == run.told["declared"] == 9
    verbs = {"init", "enrol", "upload", "list", "request", "grant", "open", "erase", "demand"}
    verbs |= {"report", "audit", "audit --follow", "succession", "addresses", "serve"}
    assert verbs <= set(run.told["acts"])


def test_a_party_that_is_told_of_an_address_abroad_sends_nothing_there(run: Run) -> None:
    """Its own rule refuses, says so, and not one packet leaves its machine."""
    assert run.told["planted"] == {"refused": True}
    assert run.told["by_phase"]["planted"] == 0


def test_the_capture_sees_what_a_foreign_program_sends(run: Run) -> None:
    """Past the party's rule: who, where to, in the page and in the packets; and the bench fails."""
    assert run.code == 1
    assert run.told["by_phase"]["intruder"] == run.told["foreign"] == 1
    assert run.told["foreign_to"] == [f"nl to {FOREIGN}:443"]
    assert f"nl to {FOREIGN} port 443" in run.page
    assert f"| nl | ? | {FOREIGN} | 443/tcp | 1 |" in run.table
    assert bytes(map(int, FOREIGN.split("."))) in run.packets


def test_the_page_says_how_long_was_looked(run: Run) -> None:
    """A short run is not taken for the hours that a regulator asks for."""
    assert "shorter than the hour each" in run.page
    assert "<script" not in run.page
    assert "http" not in run.page
