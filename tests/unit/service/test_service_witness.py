# SPDX-License-Identifier: Apache-2.0
"""A witness's configuration: which logs it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.clock import FixedClock
from incamera.errors import InputError
from incamera.service.settings import WitnessSettings
from incamera.service.witness import open_witness
from incamera.tlog import Signer
from incamera.tlog.keys import generate_cosigner, save
from world_tlog import ORIGIN, START, ed25519_key


def test_two_keys_for_one_log_are_refused(tmp_path: Path) -> None:
    """The second must not silently take the place of the first."""
    save(tmp_path / "note.key", generate_cosigner("witness.example/w"))
    keys = [Signer(ORIGIN, ed25519_key(name)).vkey for name in ("old", "new")]
    logs = "".join(f'[[log]]\nvkey = "{each}"\n' for each in keys)
    file = tmp_path / "witness.toml"
    file.write_text(f'listen = "127.0.0.1:0"\nstate = "state"\nkey = "note.key"\n{logs}')
    with pytest.raises(InputError, match="two keys for the log"):
        open_witness(WitnessSettings.load(file), FixedClock(START))
