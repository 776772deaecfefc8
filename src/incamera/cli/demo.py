# SPDX-License-Identifier: Apache-2.0
"""``incamera demo``: the whole journey, on a drive the package makes itself."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from incamera.cli import audit as audit_verb
from incamera.cli import ingest as ingest_verb
from incamera.cli import terminal
from incamera.cli.asking import decide
from incamera.cli.before_after import draw, matching
from incamera.cli.found import found
from incamera.cli.home import Home
from incamera.cli.home_desk import HomeDesk
from incamera.cli.init import plan_of
from incamera.cli.layout import Layout
from incamera.cli.open_ import open_request
from incamera.cli.pick import pick_requests
from incamera.cli.request import ask
from incamera.clock import SystemClock
from incamera.errors import IntegrityError
from incamera.geofence import GeofencePolicy, Zones, keep
from incamera.recording import open_recordings
from incamera.recording.sample import make_sample
from incamera.trigger import Campaign, find_spans

__all__ = ["command"]

_TARGETS = (("a capsule", "vault/blobs/*/*"), ("the log", "public/tile/entries/**/*"))


@dataclass
class Story:
    """What happened, for people line by line and for scripts as one document."""

    quiet: bool
    document: dict[str, Any] = field(default_factory=dict)

    def tell(self, text: str) -> None:
        """One line, at once: a reader should not wait for the end."""
        if not self.quiet:
            click.echo(text)

    def step(self, number: int, title: str) -> None:
        """A heading."""
        self.tell(f"\n{number}. {title}")


@click.command("demo")
@click.option(
    "--home",
    "root",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the home is made; left there to look at.",
)
@terminal.json_option
def command(root: Path, as_json: bool) -> None:
    """Make an eight-camera sample drive and take it through the whole journey.

    Drive, ingest, a government's request (refused), a laboratory's (granted), a dataset, an audit,
    and an audit of a copy in which somebody flipped one bit. About two minutes on two cores.
    Run again, it goes on with what is there: the same drive adds no capsule.

    Example: incamera demo --home try-it
    """
    story = Story(quiet=as_json)
    if not (root / "home.toml").exists():
        found(root, plan_of("eu"), SystemClock())
    home = Home(root)
    drive = _drive(home, story)
    _ingest(home, drive, story)
    _government(home, story)
    dataset = _laboratory(home, story)
    _audit(home, story)
    _tamper(home, story)
    sheet = _sheet(home, drive, dataset, story)
    _where_next(home, dataset, sheet, story)
    if as_json:
        terminal.result(story.document, [], True)


def _drive(home: Home, story: Story) -> Path:
    folder = home.paths.root / "demo" / "drive"
    story.step(1, "A drive: eight cameras, three minutes, with telemetry in every frame")
    if not (folder / "truth.json").exists():
        shutil.rmtree(folder, ignore_errors=True)  # half a drive, from a demo that was stopped
        with terminal.bar("rendering", "frames") as advance:
            make_sample(folder, progress=lambda done, total: advance(done, total, None))
    story.tell(f"   {folder}")
    story.document["drive"] = str(folder)
    return folder


def _ingest(home: Home, drive: Path, story: Story) -> None:
    story.step(2, "Ingest: choose the seconds that matter, keep away from zones, redact, seal")
    zones, campaign = drive / "zones.geojson", drive / "campaign.toml"
    summary = ingest_verb.run(home, drive / "TeslaCam", zones=zones, campaign=campaign)
    for line in ingest_verb.told(summary):
        story.tell(f"   {line}")
    if (error := summary.error()) is not None:
        raise error
    story.document["ingest"] = summary.to_json()


def _decided(home: Home, request: str, story: Story) -> list[dict[str, object]]:
    desk = HomeDesk(home)
    asked = pick_requests(desk, [request])[0]
    answers = decide(desk, asked, desk.trustees())
    for answer in answers:
        if answer.error is None:
            story.tell(f"   {answer.trustee}: grants {answer.granted} capsules")
        else:
            story.tell(f"   {answer.trustee}: refuses. {answer.error.message}")
    return [answer.to_json() for answer in answers]


def _government(home: Home, story: Story) -> None:
    story.step(3, "A government asks to read: every trustee refuses on its own, in public")
    asked = ask(HomeDesk(home), reader="ministry", kind="government")
    answers = _decided(home, str(asked["request"]), story)
    story.document["refused"] = {"request": asked, "answers": answers}
    if any(answer["granted"] for answer in answers):
        raise IntegrityError("a trustee granted a government's request: this must never happen")


def _laboratory(home: Home, story: Story) -> Path:
    story.step(4, "A laboratory asks: trustees grant, two shares open each capsule")
    desk = HomeDesk(home)
    asked = ask(desk, reader="road-lab", kind="research")
    request = str(asked["request"])
    answers = _decided(home, request, story)
    dest = home.paths.root / "demo" / f"dataset-{request[:8]}"
    done = open_request(desk, pick_requests(desk, [request])[0], dest, "folder")
    story.tell(f"   {len(done.capsules)} clips opened; manifest is log entry {done.entry}")
    story.document["granted"] = {"request": asked, "answers": answers}
    story.document["dataset"] = {"folder": str(dest), "manifest": done.manifest}
    return dest


def _audit(home: Home, story: Story) -> None:
    story.step(5, "An outsider audits, with no key")
    report = audit_verb.run(home.paths)
    story.tell(f"   {report.size} log entries and {report.counts['stored capsules']} capsules")
    story.tell(f"   {audit_verb.told(report)[-1]}")
    story.document["audit"] = report.to_json()
    if not report.ok:
        raise IntegrityError(f"the audit of an untouched home failed: {report.findings[0].what}")


@contextmanager
def _copy(home: Home) -> Iterator[Path]:
    """What is public, and the ciphertext, in a folder of their own: no key goes along."""
    with tempfile.TemporaryDirectory(prefix="incamera-") as folder:
        copy = Path(folder) / "home"
        shutil.copytree(home.paths.public, copy / "public")
        shutil.copytree(home.paths.vault / "blobs", copy / "vault" / "blobs")
        yield copy


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _tamper(home: Home, story: Story) -> None:
    story.step(6, "Somebody flips one bit in a copy: the audit sees it")
    seen = []
    for what, pattern in (
        ("a capsule", "vault/blobs/*/*"),
        ("the log", "public/tile/entries/**/*"),
    ):
        with _copy(home) as copy:
            _flip(next(path for path in sorted(copy.glob(pattern)) if path.is_file()))
            report = audit_verb.run(Layout(copy))
        if report.ok:
            raise IntegrityError(f"one bit of {what} was flipped and the audit did not see it")
        story.tell(f"   {what}: {report.findings[0].what}")
        seen.append({"flipped": what, "finding": report.findings[0].what})
    story.document["tampered"] = seen


def _sheet(home: Home, drive: Path, dataset: Path, story: Story) -> Path:
    sheet = home.paths.root / "demo" / "contact-sheet.png"
    recording = next(iter(open_recordings(drive / "TeslaCam")))
    spans = find_spans(recording, Campaign.load(drive / "campaign.toml"))
    kept = keep(spans, recording, Zones.load(drive / "zones.geojson"), GeofencePolicy()).kept
    folder, span = matching(sorted((dataset / "clips").iterdir()), kept)
    draw(folder, span, recording, sheet)
    story.document["sheet"] = str(sheet)
    return sheet


def _where_next(home: Home, dataset: Path, sheet: Path, story: Story) -> None:
    root = home.paths.root
    story.tell(
        f"""
Look at
   {sheet}    eight cameras, before and after
   {dataset}    the dataset, with its signed manifest
   {home.paths.public}    all that is public; serve it with any web server
Try
   incamera list --requests --home {root}
   incamera inspect {next(iter(sorted((home.paths.vault / "blobs").glob("*/*"))))}
   incamera erase --all --home {root} && incamera audit --home {root}
   incamera redact YOUR.mp4 safe.mp4"""
    )
