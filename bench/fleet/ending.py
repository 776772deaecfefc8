# SPDX-License-Identifier: Apache-2.0
"""The evidence when all is over: the log, the catalogue and the blobs, read past the vault."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bench.fleet.fleet import Ready
from bench.fleet.judge import Evidence, logged
from incamera.ids import Digest

__all__ = ["collect"]


def collect(ready: Ready) -> Evidence:
    """Everything that the judge wants to see."""
    region = ready.region
    entry = region.state().region
    assert entry is not None
    tails = [each.tail_digest for each in ready.maker.bodies]
    return Evidence(entry, region.policy, logged(region), _rows(ready), _blobs(ready), tails)


def _rows(ready: Ready) -> dict[Digest, str]:
    path = ready.region.home.vault / "index.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        found = database.execute("SELECT digest, status FROM capsules")
        return {Digest(bytes(name).hex()): str(status) for name, status in found}


def _blobs(ready: Ready) -> Callable[[Digest], bytes | None]:
    root = ready.region.home.vault / "blobs"

    def blob(name: Digest) -> bytes | None:
        try:
            return Path(root / name[:2] / name).read_bytes()
        except OSError:
            return None

    return blob
