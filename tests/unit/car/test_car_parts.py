# SPDX-License-Identifier: Apache-2.0
"""How the car says that it drives, what counts as a file of a drive, and what settings may say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import warm
from agents import AgentCar, Ticks
from incamera.car.drive import DriveWatch
from incamera.car.exclusion import Exclusions
from incamera.car.settings import DriveSource
from incamera.car.times import Leap, check_clock
from incamera.car.withheld import WithheldError
from incamera.cli.agent import command
from incamera.cli.agent_settings import load
from incamera.cli.agent_told import told
from incamera.cli.party import PartyPlan, make_party
from incamera.clock import FixedClock, SystemClock
from incamera.errors import InputError
from incamera.ids import Name
from incamera.ledger.consent import open_consent
from incamera.sealing.keys import SigningKey
from world import DAY, quick_folder
from world_tlog import START

VECTORS = Path(__file__).parents[3] / "vectors" / "policies"
PACKAGING = Path(__file__).parents[3] / "packaging" / "systemd"


@pytest.mark.parametrize(
    ("said", "state", "number"),
    [
        ("parked\n", "parked", None),
        ("idle", "idle", None),
        ("driving 17\n", "driving", 17),
        ("", "driving", None),
        ("Parked\n", "driving", None),
        ("parked\nparked\n", "driving", None),
        ("parked maybe\n", "driving", None),
    ],
)
def test_what_cannot_be_understood_counts_as_driving(
    tmp_path: Path, said: str, state: str, number: int | None
) -> None:
    """By a file as by a command; nothing but the three words lets anybody work."""
    path = tmp_path / "drive"
    path.write_text(said)
    os.utime(path, (START, START))
    for source in (DriveSource(path), DriveSource(None, ("cat", str(path)))):
        moment = DriveWatch(source, FixedClock(START)).look()
        assert (moment.state, moment.number) == (state, number)
        assert moment.resting == (state != "driving")


def test_a_car_that_stops_saying_what_it_does_may_be_anywhere(tmp_path: Path) -> None:
    """A missing file, an old one, a command that fails or is none: it drives."""
    path, clock, ticks = tmp_path / "drive", FixedClock(START), Ticks()
    watch = DriveWatch(DriveSource(path, stale=60), clock, ticks)
    assert watch.look().state == "driving"
    path.write_text("parked\n")
    os.utime(path, (START - 30, START - 30))
    assert watch.look().state == "parked"
    ticks.seconds += 29
    clock.advance(-DAY)  # a clock that is set back makes nothing young again
    assert watch.look().state == "parked"
    ticks.seconds += 2
    assert watch.look().state == "driving"
    os.utime(path, (START - 29, START - 29))
    assert watch.look().state == "parked"
    for program in ("false", str(tmp_path / "none")):
        assert not DriveWatch(DriveSource(None, (program,)), clock).look().resting


def test_a_clock_is_believed_only_where_the_others_do_not_contradict_it() -> None:
    """Behind what witnesses signed it is wrong; far ahead of it, nobody knows."""
    for now, witnessed, code in (
        (START, 0, "log"),
        (START, START, ""),
        (START - 3_601, START, "clock"),
        (START + DAY + 1, START, "log"),
    ):
        found = ""
        try:
            check_clock(now, witnessed, DAY)
        except WithheldError as error:
            found = error.code
        assert found == code
    clock, ticks = FixedClock(START), Ticks()
    leap = Leap(clock, ticks)
    clock.advance(100)
    ticks.seconds += 100
    assert not leap.look()
    clock.advance(-DAY)
    assert leap.look()
    assert not leap.sure(START + 100)
    clock.advance(DAY)
    leap.look()
    assert leap.sure(START + 100)
    assert not leap.look()


@pytest.fixture
def car() -> Iterator[AgentCar]:
    """A car whose owner consents."""
    with quick_folder() as folder:
        made = AgentCar(folder)
        made.consent()
        made.parks()
        yield made


def test_files_are_bound_by_what_was_seen_and_not_by_what_they_say(car: AgentCar) -> None:
    """Old files that come during a drive, a stick that comes back, a file that goes on growing."""
    car.drives(1)
    car.records("new")
    old = car.stick / "old.mp4"
    shutil.copyfile(car.stick / "new.mp4", old)
    os.utime(old, (START - DAY, START - DAY))
    car.later(1)
    growing = car.records("growing")
    car.later(20)
    with growing.open("ab") as file:
        file.write(b"more")
    os.utime(growing, (car.clock.now(), car.clock.now()))
    car.later(1)
    car.parks(20)
    diary = car.agent._diary
    assert {each.path for each in diary.open() if each.consent and not each.settled}
    away = car.folder / "away"
    car.stick.rename(away)
    car.later(60)
    assert car.status()["agent"]["folder"] is False
    away.rename(car.stick)
    shutil.copyfile(car.stick / "new.mp4", car.stick / "other.mp4")
    car.later(1)
    car.later(60)
    bound = {name: diary.file(f"{name}.mp4") for name in ("new", "old", "growing", "other")}
    origins = {name: file.origin for name, file in bound.items() if file is not None}
    assert origins == {"new": "drive", "old": "found", "growing": "drive", "other": "found"}
    assert (car.stick / "other.mp4").exists()
    before = diary.file("new.mp4")
    car.agent.stop()
    car.start()
    car.later(1)
    assert car.agent._diary.file("new.mp4") == before


def test_what_was_saved_is_never_removed_and_an_event_begun_in_a_drive_stays_whole(
    car: AgentCar,
) -> None:
    """The car goes on copying an event after it parked; what is saved then is his."""
    diary = car.agent._diary
    car.drives(1)
    car.records("SavedClips/2027-01-01_10-00-00/a")
    car.parks()
    late = car.records("SavedClips/2027-01-01_10-00-00/b")
    other = car.records("SavedClips/2027-01-01_11-00-00/c")
    bound = [diary.file(path.relative_to(car.stick).as_posix()) for path in (late, other)]
    assert [each.origin for each in bound if each] == ["drive", "found"]
    assert [bool(each.consent) for each in bound if each] == [True, False]
    car.later(60)
    car.later(1_000)
    assert late.exists()
    assert other.exists()


def test_a_second_drive_is_not_the_first_one_going_on(car: AgentCar) -> None:
    """By the car's number, and by its having stood; an agent started again knows the number."""
    diary = car.agent._diary
    begun = diary.drive()[0]
    car.drives(7)
    car.later(10)
    assert diary.drive()[:2] == (begun + 1, 7)
    car.start()
    car.later(1)
    assert diary.drive()[:2] == (begun + 1, 7)
    car.drives(8)
    assert diary.drive()[:2] == (begun + 2, 8)
    car.parks()
    car.drives(8)
    assert diary.drive()[:2] == (begun + 3, 8)


def settings(folder: Path, text: str) -> Path:
    """A car's folder and its settings."""
    plan = PartyPlan("car", Name("car-7"), Name("private"), "DE", "", None)
    make_party(folder / "car", plan, SystemClock())
    file = folder / "car.toml"
    file.write_text(text)
    return file


BASE = (
    'home = "car"\nowner = "ada"\nwatch = "stick"\nzones = ""\nvault = "http://v.example"\n'
    '[drive]\nfile = "drive"\n'
)


def test_the_packaged_settings_are_read_and_say_the_defaults(tmp_path: Path) -> None:
    """Each key of the example is known, and what it leaves out is what it says."""
    text = (PACKAGING / "incamera-car.toml").read_text()
    (tmp_path / "zones.geojson").write_text("{}")
    text = text.replace("/var/lib/incamera/car", "car").replace("/etc/incamera/zones", "zones")
    packaged = load(settings(tmp_path, text)).settings
    plain = load(settings(tmp_path, BASE)).settings
    for name in ("quiet", "ring", "fresh", "upload", "budget", "room", "seating", "geofence"):
        assert getattr(packaged, name) == getattr(plain, name), name


@pytest.mark.parametrize(
    "odd",
    [
        BASE + "stole = 3\n",
        BASE.replace('zones = ""\n', ""),
        BASE.replace('zones = ""', 'zones = "missing.geojson"'),
        BASE + 'command = ["true"]\n',
        BASE.replace('file = "drive"\n', ""),
        BASE + "[parked]\nring = 601\n",
        BASE + "[geofence]\nmetres = 100\n",
        BASE + '[disk]\nfull = "forget"\n',
        BASE + '[trustees.pins]\nch = "abc"\n',
        'upload = "never"\n' + BASE,
        BASE.replace("http://v.example", "ftp://v.example"),
        'log = "v.example"\n' + BASE,
    ],
)
def test_settings_that_say_something_odd_are_refused(tmp_path: Path, odd: str) -> None:
    """An unknown key, zones left out, two ways to ask the car, a longer ring: by name."""
    with pytest.raises(InputError, match=r"car\.toml"):
        load(settings(tmp_path, odd))


def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    """Checked by systemd where it is, with a program in the place of ours; hardened either way."""
    text = (PACKAGING / "incamera-car.service").read_text()
    for line in ("Type=notify", "WatchdogSec=60", "NoNewPrivileges=yes", "ProtectSystem=strict"):
        assert line in text
    if (verifier := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd here")
    unit = tmp_path / "incamera-car.service"
    unit.write_text(text.replace("/usr/bin/incamera", "/bin/true"))
    done = subprocess.run(
        [verifier, "verify", unit], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_owner_and_operator_sign_what_the_car_believes(tmp_path: Path) -> None:
    """`incamera car consent` and `exclude` make what token and list are read as; nobody else's."""
    for role in ("car", "owner", "operator"):
        country = "" if role == "operator" else "DE"
        plan = PartyPlan(role, Name(role), Name(role), country, "", None)
        make_party(tmp_path / role, plan, SystemClock())
    card, out = str(tmp_path / "car" / "card.json"), tmp_path / "out"
    words = ["--region", "eu", "--out", str(out), "--json"]
    run = CliRunner().invoke
    asked = ["consent", card, "--keys", str(tmp_path / "owner"), "--purpose", "mapping", *words]
    assert run(command, asked).exit_code == 0
    token = open_consent(out.read_bytes())
    token.verify(SigningKey.load(tmp_path / "owner" / "signing.key").public)
    assert (token.consent.purposes, token.consent.parked) == (("mapping",), False)
    operator = SigningKey.load(tmp_path / "operator" / "signing.key").public
    asked = ["exclude", card, "--keys", str(tmp_path / "operator"), "--number", "7", *words]
    assert run(command, asked).exit_code == 0
    listed = Exclusions.open(out.read_bytes(), "list", operator)
    assert (listed.number, set(listed.cars)) == (7, {token.consent.car})
    asked[3] = str(tmp_path / "owner")
    assert isinstance(run(command, asked).exception, InputError)


def test_status_says_in_words_what_holds_and_what_does_not(car: AgentCar) -> None:
    """Consent, trustees, campaign, spool, what is withheld; and that all of it is off."""
    car.a_drive()
    car.work()
    said = "\n".join(told(car.status()))
    assert "consent   for perception" in said
    assert "trustees  3 to seal to" in said
    assert car.campaign in said
    assert "receipt   1 capsules" in said
    (car.settings.places.consents / "token").unlink()
    car.settings.places.switch.touch()
    car.a_drive("b", 2)
    car.link.online = False
    car.work()
    said = "\n".join(told(car.status()))
    assert "consent   OFF: nothing is looked at" in said
    assert "excluded  this car is excluded" in said
    assert "error     no network" in said
    assert "withheld  2 files: the car was excluded when it was recorded" in said


def test_a_file_whose_name_is_no_text_is_left_alone_and_said(car: AgentCar) -> None:
    """What a broken stick makes of a name neither ends the agent nor holds up the others."""
    (car.stick / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"film")
    car.a_drive("good")
    assert [file.path for file in car.agent._diary.open()] == ["good.gpx", "good.mp4"]
    assert "not UTF-8" in str(car.status()["agent"]["failed"])


def test_a_car_of_no_region_is_told_to_join_one(tmp_path: Path) -> None:
    """By each of its commands, before it looks at anything."""
    file = settings(tmp_path, BASE)
    for verb in ("status", "once", "run"):
        shown = CliRunner().invoke(command, [verb, str(file)])
        assert isinstance(shown.exception, InputError)
        assert "--join" in str(shown.exception.hint)


def test_a_worker_that_cannot_begin_says_so_and_ends_in_peace(tmp_path: Path) -> None:
    """The car's key is not where it was: in one line, in status, in the exit code; no abort."""
    file = settings(tmp_path, BASE + "[work]\nshare = 100\n")
    (tmp_path / "car" / "signing.key").unlink()
    shutil.copyfile(VECTORS / "minimal", tmp_path / "car" / "tlog-policy")
    (tmp_path / "stick").mkdir()
    (tmp_path / "drive").write_text("parked\n")
    words = (sys.executable, "-m", "incamera", "car", "once", str(file), "--seconds", "50")
    done = warm.run([*words, "--json"], timeout=60)
    assert done.returncode == 3, done.stderr
    assert done.stderr.decode().splitlines() == [
        f"incamera: error: {tmp_path / 'car' / 'signing.key'}: no such key file"
    ]
    assert "no such key file" in str(json.loads(done.stdout)["worker"]["errors"])
