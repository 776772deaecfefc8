# SPDX-License-Identifier: Apache-2.0
"""The log that the audit's bench makes is a real one, and its figures are of that log."""

from __future__ import annotations

from pathlib import Path

from bench import audit as bench
from incamera.ids import digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry


def test_the_quickly_made_entry_is_the_entry() -> None:
    """Byte for byte what the ledger would have written."""
    for time in (0, 7, 1_800_000_000):
        entry = CapsuleEntry(region=bench.EU, time=time, capsule=digest(b"%d" % time))
        assert bench.quickly(entry) == encode(entry, bench.VAULT)


def test_the_bench_audits_what_it_made(tmp_path: Path) -> None:
    """Every entry read, none bad, and an extrapolation that says so."""
    figures = bench.measure(tmp_path, 2_100, 1)
    assert figures["entries"] == 2_100
    assert figures["counts"]["capsule entries"] == 2_097
    assert figures["counts"]["bad entries"] == 0
    assert figures["extrapolated"] is True
    assert figures["cpu_us_per_entry"] > figures["signature_us"] > 0
