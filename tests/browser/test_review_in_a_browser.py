# SPDX-License-Identifier: Apache-2.0
"""The review journey as a person goes it: redact, look, correct with keys and mouse, apply."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import warm
from incamera.recording.model import Box
from incamera.redaction.report import read_report
from incamera.redaction.review.corrections import Mark, read_corrections
from incamera.redaction.review.course import overlap
from incamera.redaction.review.page import PAGE

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

FILM = "front <b>&\"it's.mp4"


def incamera(folder: Path, *words: str) -> dict[str, Any]:
    """Run a verb with --json in ``folder``; what it said."""
    done = warm.run([sys.executable, "-m", "incamera", *words, "--json"], cwd=folder, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


@pytest.fixture(scope="module")
def reviewed(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of drawn faces and plates, redacted, and its review in ``check``."""
    folder = tmp_path_factory.mktemp("reviewed")
    film = min(drive.glob("TeslaCam/SavedClips/*/*-front.mp4"))
    shutil.copy(film, folder / FILM)
    incamera(folder, "redact", FILM, "safe.mp4", "--report", "before.jsonl", "--review", "check")
    return folder


@pytest.fixture
def page(browser: BrowserContext, reviewed: Path) -> Page:
    """The review page, opened from disk; any error of its script fails the test."""
    opened = browser.new_page()
    opened.on("pageerror", lambda error: pytest.fail(f"the page's script: {error}"))
    opened.goto((reviewed / "check" / PAGE).as_uri())
    return opened


def drag(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    """Draw a box with the mouse, in shares of the picture."""
    canvas = page.locator("#canvas")
    canvas.wait_for(state="visible")  # the editor shows it once its picture is decoded
    area = canvas.bounding_box()
    assert area is not None
    x, y, w, h = (area[key] for key in ("x", "y", "width", "height"))
    page.mouse.move(x + left * w, y + top * h)
    page.mouse.down()
    page.mouse.move(x + right * w, y + bottom * h, steps=5)
    page.mouse.up()


def boxes(path: Path) -> list[Counter[Box]]:
    """The boxes of every frame of a report."""
    return [Counter(line.boxes) for line in read_report(path)]


def is_at(box: Box, mark: Mark, frame: int, least: float = 0.4) -> bool:
    """Whether ``box`` is what ``mark`` says (snapped to even pixels, so not to the pixel)."""
    there = mark.course.at(frame)
    return there is not None and box.kind == mark.kind and overlap(box, there) >= least


def save(page: Page, dest: Path) -> None:
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename == "corrections.json"
    download.value.save_as(dest)


def test_a_person_uncovers_hides_and_draws_and_the_film_follows(page: Page, reviewed: Path) -> None:
    """Every frame of the second result differs by what was corrected, and by nothing else."""
    assert page.locator("text=Do not share this page").is_visible()
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    focused = page.locator("#covered-1")
    assert focused.get_attribute("aria-pressed") == "true"
    assert "will be shown" in focused.inner_text()
    page.keyboard.press("2")
    page.keyboard.press("Space")
    assert page.locator("#missed-0").get_attribute("aria-pressed") == "true"
    page.keyboard.press("3")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    drag(page, 0.1, 0.2, 0.2, 0.4)
    page.keyboard.press("ArrowRight")
    assert "followed in between" in page.locator("#hint").inner_text()
    drag(page, 0.3, 0.2, 0.4, 0.4)
    page.keyboard.press("Escape")
    assert "1 to show, 1 to hide, 1 drawn" in page.locator("#counter").inner_text()
    save(page, reviewed / "corrections.json")

    found = read_corrections(reviewed / "corrections.json")
    assert list(found.sources) == [FILM]
    (gone,), (nearly, drawn) = found.remove, found.add
    assert len(drawn.course.keys) == 4
    words = ("--corrections", "corrections.json", "--report", "after.jsonl")
    said = incamera(reviewed, "redact", FILM, "better.mp4", *words)
    assert said["missed"] == []
    before, after = boxes(reviewed / "before.jsonl"), boxes(reviewed / "after.jsonl")
    assert len(before) == len(after)
    taken = added = 0
    for frame, (old, new) in enumerate(zip(before, after, strict=True)):
        for box in old - new:
            assert is_at(box, gone, frame), frame
            taken += 1
        for box in new - old:
            assert is_at(box, nearly, frame) or is_at(box, drawn, frame, 0.8), frame
            added += 1
    assert taken == gone.course.last - gone.course.first + 1
    assert added == sum(m.course.last - m.course.first + 1 for m in (nearly, drawn))


def test_changes_outlive_the_page_until_they_are_saved(page: Page, tmp_path: Path) -> None:
    """After a reload all is as it was; pressing again takes a change back."""
    page.keyboard.press("1")
    page.keyboard.press("Space")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    drag(page, 0.5, 0.5, 0.6, 0.6)
    page.click("#done")
    page.reload()
    assert page.locator("#covered-0").get_attribute("aria-pressed") == "true"
    assert "1 to show, 1 drawn" in page.locator("#counter").inner_text()
    page.click("#covered-0")
    page.click("#still-0")
    page.click("text=Remove")
    page.click("#done")
    assert "no changes yet" in page.locator("#counter").inner_text()
    save(page, tmp_path / "corrections.json")
    found = read_corrections(tmp_path / "corrections.json")
    assert (found.remove, found.add) == ((), ())


def test_a_box_can_be_placed_without_a_mouse(page: Page, tmp_path: Path) -> None:
    """Arrows move it, with shift they size it, its frames are typed, delete removes it."""
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.keyboard.press("p")
    page.focus("#place")
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    page.fill("[aria-label='to frame']", "15")
    page.keyboard.press("Enter")
    page.click("#done")
    save(page, tmp_path / "corrections.json")
    (mark,) = read_corrections(tmp_path / "corrections.json").add
    key = mark.course.keys[0]
    assert (mark.kind, mark.course.first, mark.course.last) == ("plate", 0, 20)
    assert (key.x, key.y, key.w, key.h) == (144 + 4 * 2, 108, 32, 24 + 4)  # of 320 x 240
    page.click("#close")
    page.click("#still-0")
    page.focus("#canvas .box")
    page.keyboard.press("Delete")
    assert page.locator("#canvas .box").count() == 0


def test_the_filter_shows_one_kind(page: Page) -> None:
    """f: faces only, p: plates only, a: all; j passes by what is not shown."""
    total = page.locator(".tile:visible").count()
    page.keyboard.press("f")
    faces = page.locator(".tile:visible").count()
    page.keyboard.press("p")
    plates = page.locator(".tile:visible").count()
    assert faces + plates == total
    page.keyboard.press("j")
    assert page.locator(":focus").get_attribute("data-kind") == "plate"
    page.keyboard.press("a")
    assert page.locator(".tile:visible").count() == total


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_hangs_over_the_edge(page: Page, width: int) -> None:
    """On a phone as on a desk, the page and its editor scroll down only."""
    page.set_viewport_size({"width": width, "height": 800})
    beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(beyond) == 0
    page.click("#still-0")
    drag(page, 0.2, 0.2, 0.4, 0.4)
    page.locator("#drawn li").wait_for(state="visible")
    right = page.locator("#drawn li").bounding_box()
    assert right is not None
    assert right["x"] + right["width"] <= width
