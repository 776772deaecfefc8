# SPDX-License-Identifier: Apache-2.0
"""Ingest from films to a real vault, and back with the owner's key."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.geofence import GeofencePolicy, Zones
from incamera.geofence.geojson import Part
from incamera.ingest import Admit, Plan, Summary, ingest, ingest_recordings
from incamera.ledger.receipt import check_receipt
from incamera.recording.mcap_writer import write_mcap
from incamera.recording.model import Fix
from incamera.redaction.report import read_report
from incamera.sealing import read_capsule
from incamera.trigger import Campaign
from ingesting import BEGIN, CAMPAIGN, GEOFENCE, LAT, RATE, Car, Seer, broken, drive, redactor
from videos import film
from world_tlog import START

EVERYTHING = Campaign.parse(b'version = 1\nname = "all"\n[sample]\nevery = 1\nlength = 60\n')


@pytest.fixture
def car(tmp_path: Path) -> Car:
    """A car with an empty vault."""
    return Car(tmp_path)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's films lie: made once."""
    return tmp_path_factory.mktemp("films")


def point(metres: float) -> Zones:
    """A point zone so many metres up the road."""
    return Zones([Part("point", (np.array([[10.0, 45 + metres * LAT]]),), ())])


def test_a_drive_becomes_capsules_in_the_vault(car: Car, films: Path) -> None:
    """Two honks become two capsules; the car keeps receipts and no copy."""
    summary = car.ingest(drive(films, seconds=16, honks=(3, 12), name="long"))
    assert summary.error() is None
    assert (summary.kept, summary.sealed, summary.admitted, summary.waiting) == (2, 2, 2, 0)
    assert summary.selected_s == pytest.approx({"honk": 4.0})
    assert summary.frames == 2 * 2 * 2 * RATE
    assert summary.boxes == {"face": summary.frames, "plate": summary.frames}
    assert summary.bytes > 0
    assert len(car.kept()) == 2
    assert car.spooled() == []
    for capsule in car.kept():
        receipt = car.home.journal / "receipts" / f"{capsule}.tlog-proof"
        check_receipt(receipt.read_bytes(), capsule, car.home.region, car.home.log_policy)


def test_the_header_states_what_was_done(car: Car, films: Path) -> None:
    """Region, pseudonym, hour, cameras, tags, consent, digests and expiry are the right ones."""
    car.ingest(drive(films))
    (capsule,) = car.kept()
    header = read_capsule(car.vault.path(capsule)).header
    contents, folder = car.opened(capsule)
    assert (header.region, header.vehicle, header.consent) == ("eu", "car-7", "consent-1")
    assert header.hour == contents.hour == "2027-01-15T07"
    assert header.duration == 2
    assert header.cameras == ("front", "left-repeater")
    assert header.tags == contents.tags == ("honk",)
    assert header.models == contents.models == (Seer().digest,)
    assert header.zones == contents.zones == Zones.empty().digest
    assert header.report == contents.report.digest
    assert header.policy == car.home.policy
    assert header.expires == START // 3600 * 3600 + 30 * 86_400
    assert contents.campaign == CAMPAIGN.digest
    assert (folder / "clip.json").exists()


def test_the_clip_holds_every_frame_of_the_span_and_no_more(car: Car, films: Path) -> None:
    """Each camera has its frames at their times from the clip's start, redacted and reported."""
    car.ingest(drive(films))
    contents, folder = car.opened(car.kept()[0])
    assert contents.duration == pytest.approx(2.0)
    lines = list(read_report(folder / "report.jsonl"))
    assert len(lines) == contents.report.lines
    for footage in contents.footage:
        mine = [line for line in lines if line.source == footage.file]
        assert [line.frame for line in mine] == list(range(footage.frames))
        with av.open(str(folder / footage.file)) as container:
            times = [float(frame.time or 0) for frame in container.decode(video=0)]
            assert container.metadata.get("title") is None
        assert times == pytest.approx([line.time for line in mine], abs=1e-5)
        assert times[0] == pytest.approx(footage.first, abs=1e-5)
        assert times[-1] == pytest.approx(footage.last, abs=1e-5)
        assert len(times) == footage.frames == 2 * RATE
        assert all({box.kind for box in line.boxes} == {"face", "plate"} for line in mine)


def test_the_clip_says_no_more_than_it_must(car: Car, films: Path) -> None:
    """Positions to three decimals once a second, telemetry ten times; no date, no frame number."""
    car.ingest(drive(films))
    contents, folder = car.opened(car.kept()[0])
    assert [fix.time for fix in contents.fixes] == pytest.approx([0.0, 1.0], abs=0.11)
    assert all(round(fix.latitude, 3) == fix.latitude for fix in contents.fixes)
    assert all(fix.heading == 0 and fix.speed == 20.0 for fix in contents.fixes)
    assert 19 <= len(contents.telemetry) <= 21
    assert {(t.speed, t.steering, t.sequence) for t in contents.telemetry} == {(20.0, 1.3, 0)}
    assert [(e.reason, e.camera, e.latitude) for e in contents.events] == [
        ("user_interaction_honk", None, None)
    ]
    text = (folder / "clip.json").read_text()
    assert str(int(BEGIN))[:6] not in text


def test_the_same_recording_twice_adds_nothing(car: Car, films: Path, tmp_path: Path) -> None:
    """A second run, and one over a renamed copy, find everything done."""
    first = car.ingest(drive(films))
    again = car.ingest(drive(films))
    assert (first.already, again.already, again.sealed) == (0, 1, 0)
    copy = tmp_path / "copy"
    shutil.copytree(films, copy)
    for path in copy.glob("drive-*.mp4"):
        path.rename(path.with_name(path.name.replace("drive", "other")))
    assert car.ingest(drive(copy, name="other")).already == 1
    assert len(car.kept()) == 1
    assert len(car.sent) == 1


def test_what_the_geofence_drops_is_not_in_any_clip(car: Car, films: Path) -> None:
    """A zone cuts the clip to the part beyond its distance, and the summary says how much."""
    summary = car.ingest(drive(films), zones=point(20 * 3 + 250 + 1))
    assert summary.zones == 1
    assert summary.dropped_s["zone"] == pytest.approx(1.0, abs=0.15)
    contents, _ = car.opened(car.kept()[0])
    assert contents.duration == pytest.approx(1.0, abs=0.15)
    assert contents.zones == point(20 * 3 + 250 + 1).digest
    assert car.ingest(drive(films), zones=point(60)).kept == 0


def test_no_consent_means_nothing_is_looked_at(car: Car, films: Path) -> None:
    """Without a consent or a purpose ingest is refused before it reads anything."""
    changes: list[dict[str, Any]] = [{"consent": ""}, {"purposes": ()}]
    for change in changes:
        with pytest.raises(PolicyError, match="consent"):
            car.ingest(drive(films), home=replace(car.home, **change))
    assert not car.home.journal.exists()


def test_an_undecodable_frame_fails_its_clip_and_no_other(car: Car, films: Path) -> None:
    """The clip with the bad frame is a fault; the one before it and other drives go on."""
    bad = broken(drive(films, seconds=16, honks=(3, 12), name="long"), at=12)
    summary = car.ingest(bad, drive(films))
    assert (summary.kept, summary.admitted) == (3, 2)
    assert [fault.message for fault in summary.faults] == ["front: a frame cannot be decoded"]
    assert isinstance(summary.error(), InputError)
    assert car.spooled() == []


def test_files_set_aside_are_told(car: Car, films: Path) -> None:
    """What the reader of recordings set aside ends as a fault; the rest is ingested."""
    summary = car.ingest(replace(drive(films), faults=("a.mp4: the file is empty",)))
    assert summary.admitted == 1
    assert [fault.message for fault in summary.faults] == ["a.mp4: the file is empty"]


def test_a_recording_from_the_future_is_a_fault(car: Car, films: Path) -> None:
    """What claims to be from after tomorrow is not ingested."""
    summary = car.ingest(drive(films, begin=START + 90_000.0))
    assert ["in the future" in fault.message for fault in summary.faults] == [True]
    assert summary.sealed == 0


def test_a_recording_without_a_date_is_kept_under_the_present_hour(car: Car, films: Path) -> None:
    """Seconds from a start are no date: the hour is that of the ingest, and the clip says so."""
    assert car.ingest(drive(films, begin=0.0)).error() is None
    contents, _ = car.opened(car.kept()[0])
    assert (contents.hour, contents.clock) == ("2027-01-15T08", "ingest")


def test_a_recording_without_files_is_a_fault(car: Car, films: Path) -> None:
    """Without files there is no digest to know the recording by."""
    bad = drive(films)
    for track in bad.tracks.values():
        track.sources = ()
    summary = car.ingest(replace(bad, sources=()))
    assert "says nothing of the files" in summary.faults[0].message
    gone = drive(films)
    summary = car.ingest(replace(gone, sources=[*gone.sources, films / "gone.mp4"]))
    assert "no such file" in summary.faults[0].message


def test_a_vault_out_of_reach_leaves_the_capsules_waiting(car: Car, films: Path) -> None:
    """Sealed capsules wait; the next run sends them, even when the recording is gone."""

    def down(path: Path) -> bytes:
        car.sent.append(path)
        raise UnavailableError("the vault does not answer", hint="try later")

    long = drive(films, seconds=16, honks=(3, 12), name="long")
    summary = car.ingest(long, admit=down)
    assert (summary.sealed, summary.admitted, summary.waiting) == (2, 0, 2)
    assert isinstance(summary.error(), UnavailableError)
    assert len(car.sent) == 1  # asked once, not once a capsule
    assert len(car.spooled()) == 2
    later = car.ingest()
    assert (later.admitted, later.waiting, later.error()) == (2, 0, None)
    assert car.ingest(long).already == 2
    assert len(car.kept()) == 2


def test_what_the_vault_refuses_is_kept_and_told(car: Car, films: Path) -> None:
    """A revoked car's capsule is refused, named, and not lost."""
    car.world.revoke("car", "car-7")
    summary = car.ingest(drive(films))
    assert isinstance(summary.error(), PolicyError)
    assert (summary.sealed, summary.waiting) == (1, 1)
    assert len(car.spooled()) == 1


def test_a_receipt_that_proves_nothing_does_not_free_the_copy(car: Car, films: Path) -> None:
    """Receipts that are garbage, or of another capsule, leave the capsule in the spool."""
    car.ingest(drive(films))
    other = (car.home.journal / "receipts" / f"{car.kept()[0]}.tlog-proof").read_bytes()

    def unwitnessed(path: Path) -> bytes:
        lines = car.vault.admit(path).splitlines(keepends=True)
        return b"".join(lines[:-2])  # the log's own signature stays

    second = drive(films, seconds=16, honks=(12,), name="long")
    lies: list[tuple[Admit, type[Error]]] = [
        (lambda _: b"", InputError),
        (lambda _: other, IntegrityError),
        (unwitnessed, IntegrityError),
    ]
    for lie, kind in lies:
        summary = car.ingest(second, admit=lie)
        assert isinstance(summary.error(), kind)
        assert (summary.admitted, summary.waiting) == (0, 1)
    assert car.ingest(second).admitted == 1


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_capsule_damaged_in_the_spool_is_made_again(car: Car, films: Path, harm: str) -> None:
    """Disk rot in the spool is noticed before sending, told, and mended from the recording."""

    def down(_: Path) -> bytes:
        raise UnavailableError("down")

    car.ingest(drive(films), admit=down)
    (path,) = car.home.spool.glob("*.capsule")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(data if harm == "flip" else data[:-1])
    assert isinstance(car.ingest().error(), IntegrityError)
    summary = car.ingest(drive(films))
    assert (summary.sealed, summary.admitted, summary.error()) == (1, 1, None)
    assert len(car.kept()) == 1


def test_two_at_once_the_second_is_told_who_is_first(car: Car, films: Path) -> None:
    """While one ingest runs, another of the same car stops and names the first one's process."""
    seen: list[UnavailableError] = []

    def meanwhile(path: Path) -> bytes:
        with pytest.raises(UnavailableError) as caught:
            car.ingest(drive(films))
        seen.append(caught.value)
        return car.vault.admit(path)

    assert car.ingest(drive(films), admit=meanwhile).admitted == 1
    assert f"holds this lock (ingest in process {os.getpid()})" in seen[0].message
    assert seen[0].hint


def test_an_erased_capsule_never_comes_back(car: Car, films: Path) -> None:
    """After the owner erased it, ingesting the recording again sends nothing."""
    car.ingest(drive(films))
    car.world.erase(read_capsule(car.vault.path(car.kept()[0])))
    car.vault = car.open_vault()
    assert car.ingest(drive(films)).already == 1
    assert car.kept() == []


def test_a_capsule_erased_before_its_receipt_came_is_let_go(car: Car, films: Path) -> None:
    """Admitted, the answer lost, then erased: the car drops its copy and makes no other."""

    def answer_lost(path: Path) -> bytes:
        car.vault.admit(path)
        raise UnavailableError("the line broke")

    assert car.ingest(drive(films), admit=answer_lost).waiting == 1
    car.world.erase(read_capsule(car.vault.path(car.kept()[0])))
    summary = car.ingest(drive(films))
    assert (summary.error(), summary.admitted, summary.waiting) == (None, 0, 0)
    assert (car.spooled(), car.kept()) == ([], [])
    assert car.ingest(drive(films)).sealed == 0


def test_progress_rises_to_all_the_footage_known(car: Car, films: Path) -> None:
    """Progress goes up, never beyond what is known, and ends there."""
    seen: list[tuple[float, float | None]] = []
    car.ingest(
        drive(films, seconds=16, honks=(3, 12), name="long"),
        progress=lambda done, total, _: seen.append((done, total)),
    )
    done = [each[0] for each in seen]
    assert done == sorted(done)
    assert seen[-1] == pytest.approx((4.0, 4.0))
    assert len(seen) > 4


def test_the_summary_can_be_printed(car: Car, films: Path) -> None:
    """As JSON it has counts, seconds, faults and the stages of the work."""
    found = car.ingest(drive(films)).to_json()
    assert set(found["stages"]) == {
        "admit", "decode", "digest", "encode", "geofence", "open", "pack", "redact", "seal",
        "select",
    }  # fmt: skip
    assert found["clips"] == found["admitted"] == 1
    assert found["boxes"]["face"] == found["frames"]


def test_the_gravest_fault_ends_the_run() -> None:
    """Integrity before policy before reach before input, and how many there were."""
    faults = [InputError("a"), UnavailableError("b"), PolicyError("c"), IntegrityError("d")]
    assert Summary().error() is None
    for count in range(1, 5):
        error = Summary(faults=faults[:count]).error()
        assert type(error) is type(faults[count - 1])
    assert "4 parts" in str(Summary(faults=faults).error())


def test_a_folder_of_recordings_is_ingested(car: Car, films: Path, tmp_path: Path) -> None:
    """Ingest opens what a folder holds; a file that is no recording is a fault, not the end."""
    source = tmp_path / "source"
    source.mkdir()
    with_date = {"creation_time": "2027-01-15T07:00:00Z"}
    film(source / "a.mp4", times=range(8 * RATE), tags=with_date, muxing={})
    (source / "b.mp4").write_bytes(b"no film")
    points = "".join(
        f'<trkpt lat="{45 + 20 * i * LAT}" lon="10"><time>2027-01-15T07:00:0{i}Z</time></trkpt>'
        for i in range(9)
    )
    head = '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
    (source / "a.gpx").write_text(f"{head}<trk><trkseg>{points}</trkseg></trk></gpx>")
    plan = Plan(Zones.empty(), EVERYTHING, GEOFENCE)
    given: dict[str, Any] = {"admit": car.admit, "redactor": redactor(), "clock": car.world.clock}
    summary = ingest(source, car.home, plan, **given)
    assert (summary.recordings, summary.admitted) == (2, 1)
    assert ["b.mp4" in fault.message for fault in summary.faults] == [True]
    contents, _ = car.opened(car.kept()[0])
    assert (contents.hour, contents.clock) == ("2027-01-15T07", "utc")
    assert contents.footage[0].frames == round(contents.duration * RATE)


def test_a_trip_may_lie_in_two_recordings(car: Car, films: Path) -> None:
    """The end of a recording is cut, unless the next one shows the car going on."""
    first = drive(films, honks=(6.5,))
    later = drive(films, honks=(), name="later", begin=BEGIN + 8)
    onward = [replace(f, latitude=f.latitude + 160 * LAT) for f in later.fixes]
    ends = GeofencePolicy(ends_m=0.0, ends_s=3.0)
    summary = car.ingest(first, geofence=ends)
    assert summary.kept == 0
    assert summary.dropped_s == pytest.approx({"trip end": 2.0})
    recordings = (first, replace(later, fixes=onward))
    assert ingest_recordings(
        iter(recordings),
        car.home,
        Plan(Zones.empty(), CAMPAIGN, ends),
        admit=car.admit,
        redactor=redactor(),
        clock=car.world.clock,
    ).kept_s == pytest.approx(2.0)


def test_an_mcap_drive_is_ingested(car: Car, tmp_path: Path) -> None:
    """Frames with times in nanoseconds become a clip with all frames at their times."""
    movie = film(tmp_path / "movie.mp4", times=range(4 * RATE), options={"bf": "0", "g": "10"})
    fixes = [Fix(BEGIN + i / 10, 45 + 2 * i * LAT, 10.0) for i in range(41)]
    packed = tmp_path / "drive.mcap"
    write_mcap(packed, {"front": movie, "back": movie}, start=BEGIN, fixes=fixes)
    given: dict[str, Any] = {"admit": car.admit, "redactor": redactor(), "clock": car.world.clock}
    summary = ingest(packed, car.home, Plan(Zones.empty(), EVERYTHING, GEOFENCE), **given)
    assert (summary.error(), summary.admitted) == (None, 1)
    contents, folder = car.opened(car.kept()[0])
    assert [each.camera for each in contents.footage] == ["back", "front"]
    assert {each.frames for each in contents.footage} == {round(contents.duration * RATE)}
    with av.open(str(folder / "back.mp4")) as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert np.diff(times) == pytest.approx(1 / RATE, abs=1e-5)
