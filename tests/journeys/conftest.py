# SPDX-License-Identifier: Apache-2.0
"""One small sample drive for all journeys, made once however many workers there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera import durable
from incamera.recording.sample import make_sample


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The sample drive, small and slow of frames: its story is the same."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "drive"
    with durable.lock(shared / "drive.lock", wait=True):
        if not (folder / "truth.json").exists():
            make_sample(folder, size=(320, 240), rate=4)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys run whole commands, one after the other: they may take longer than other tests."""
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.timeout(900))
