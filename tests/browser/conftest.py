# SPDX-License-Identifier: Apache-2.0
"""A real Chromium for what only a browser can show, and the sample drive to show it on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from incamera import durable
from incamera.recording.sample import make_sample

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The sample drive of the journeys: the same folder, so it is made once for both."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "drive"
    with durable.lock(shared / "drive.lock", wait=True):
        if not (folder / "truth.json").exists():
            make_sample(folder, size=(320, 240), rate=4)
    return folder


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    """A window of 1280 x 800 that reaches no network; skips where there is no Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("needs Chromium (Debian package chromium)")
    with playwright.sync_playwright() as play:
        # Without a sandbox of its own: tests run as root in containers, on a page of ours.
        chromium = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, offline=True)
        context.set_default_timeout(20_000)
        yield context
        chromium.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser, and whole commands: they may take longer than other tests."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.timeout(900))
