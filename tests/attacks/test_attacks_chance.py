# SPDX-License-Identifier: Apache-2.0
"""What the bench of attacks calls chance is chance, and what it calls success is success."""

from __future__ import annotations

import numpy as np
import pytest

from bench.attacks.chance import alike, judged, ranked


def test_readings_are_compared_by_what_must_be_changed() -> None:
    """Edit distance, as a share of the longer: nothing read is nothing recovered."""
    assert alike("AB12CDE", "AB12CDE") == 1
    assert alike("", "AB12CDE") == 0
    assert alike("AB12CD", "AB12CDE") == pytest.approx(6 / 7)
    assert alike("XAB12CDE", "AB12CDE") == pytest.approx(7 / 8)


def test_what_is_known_is_told_from_what_is_guessed() -> None:
    """Right answers give a small p; answers without meaning, and no answer at all, do not."""
    assert judged(np.eye(30))["p"] < 0.001
    noise = np.random.default_rng(3).random((30, 30))
    assert judged(noise)["p"] > 0.01
    assert judged(noise)["right"] == pytest.approx(judged(noise)["chance"], abs=0.15)
    assert judged(np.zeros((30, 30))) == {"right": 0.0, "chance": 0.0, "p": 1.0}


def test_a_gallery_that_all_looks_alike_gives_chance_and_no_bits() -> None:
    """Ties are shared out: an attack on one grey neither wins nor learns."""
    flat = ranked(np.zeros((20, 64)))
    assert flat["top1"] == pytest.approx(1 / 64, abs=1e-4)
    assert flat["p"] == 1.0
    assert abs(flat["bits"]) < 0.7
    sure = ranked(np.eye(20, 64))
    assert (sure["top1"], sure["of"]) == (1.0, 6.0)
    assert sure["p"] < 0.001
    assert sure["bits"] > 4
