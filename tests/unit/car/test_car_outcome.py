# SPDX-License-Identifier: Apache-2.0
"""What is said of each drive, and what one bad folder, file or worker may cost: itself."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents import CAMPAIGN, AgentCar
from incamera.car.outcome import outcome_of
from incamera.car.process import WorkerProcess
from incamera.car.settings import Budget
from incamera.cli.agent import command
from incamera.cli.agent_told import told
from incamera.errors import InputError, UnavailableError
from incamera.ids import Name
from incamera.ingest import Summary, ingest_recordings
from videos import bottomless, film
from world import DAY, quick_folder


@pytest.fixture
def car() -> Iterator[AgentCar]:
    """A car whose owner consents."""
    with quick_folder() as folder:
        made = AgentCar(folder)
        made.consent()
        made.parks()
        yield made


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (Summary(recorded_s=60), "no clip: no trigger of the campaign fell into its 60 s"),
        (
            Summary(recorded_s=9, selected_s={"honk": 9}, dropped_s={"no fix": 5, "zone": 4}),
            (
                "no clip: of what triggers chose nothing may leave the car; "
                "dropped: 5 s without a position, 4 s near a forbidden zone"
            ),
        ),
        (
            Summary(faults=[InputError(each) for each in ("a.mp4: cut off", "b", "c", "d")]),
            "no clip: nothing in it could be read; a.mp4: cut off; b; and 2 more faults",
        ),
        (
            Summary(recorded_s=9, selected_s={"honk": 9}, kept=2, kept_s=8.6, sealed=1),
            "2 clips, 9 s, 1 could not be made",
        ),
        (Summary(recorded_s=9, kept=2, kept_s=9, sealed=1, already=1), "2 clips, 9 s"),
    ],
    ids=["no trigger", "geofence", "undecodable", "one failed", "clips"],
)
def test_why_a_drive_has_no_clips_is_said_in_words(summary: Summary, said: str) -> None:
    """No trigger, dropped by the geofence and why, nothing readable; or what was kept."""
    assert outcome_of(summary) == said


def test_status_says_of_each_drive_what_became_of_it(car: AgentCar) -> None:
    """Clips, no consent, excluded, undecodable, nothing recorded: of the last drives, each."""
    car.a_drive("a", 1)
    car.work()
    token = car.settings.places.consents / "token"
    given = token.read_bytes()
    token.unlink()
    car.a_drive("b", 2)
    car.consent(not_before=1, expires=2)
    car.a_drive("c", 3)
    token.write_bytes(given)
    car.settings.places.switch.touch()
    car.a_drive("d", 4)
    car.settings.places.switch.unlink()
    car.drives(5)
    (car.stick / "e.mp4").write_bytes(b"")
    os.utime(car.stick / "e.mp4", (car.clock.now(), car.clock.now()))
    car.later(1)
    car.parks()
    car.work()
    car.drives(6)
    car.parks()
    drives = {each["number"]: each for each in car.status()["drives"]}
    why = {number: str(each["files"]) for number, each in drives.items()}
    assert "'taken', 'why': '1 clip, 2 s" in why[1]
    assert "'withheld', 'why': 'no consent held when it was recorded: there was no token" in why[2]
    assert "no consent held when it was recorded: token" in why[3]
    assert "the car was excluded when it was recorded" in why[4]
    assert "no clip: nothing in it could be read" in why[5]
    assert f"{car.stick}/e.mp4: the file is empty" in why[5]  # where the owner sees it
    assert drives[6]["files"] == []
    lines = "\n".join(told(car.status()))
    assert "drive     6, the car's 6" in lines
    assert "no file came into being" in lines


def test_a_drive_without_a_trigger_says_so(car: AgentCar) -> None:
    """The campaign looks for what did not happen."""
    car.publish(CAMPAIGN.replace(b"[sample]\nevery = 1\nlength = 600", b"[honk]"))
    car.a_drive("a", 1)
    car.work()
    (drive,) = (each for each in car.status()["drives"] if each["number"] == 1)
    assert "no trigger of the campaign" in drive["files"][0]["why"]


def test_a_folder_that_cannot_be_looked_into_costs_what_is_in_it(car: AgentCar) -> None:
    """It is named; the rest is bound and taken; what comes to light in it later is only found."""
    deep = bottomless(car.stick)
    car.a_drive("a", 1)
    said = car.status()["agent"]
    assert said["folder"] is True
    assert "File name too long" in str(said["failed"])
    car.work()
    taken = car.agent._diary.file("a.mp4")
    assert taken is not None
    assert taken.outcome == "taken"
    car.drives(2)
    inside = deep.relative_to(car.stick).as_posix()
    car.agent._watcher._blind = {inside}  # as if it had been closed up to now
    shutil.copyfile(car.stick / "a.mp4", deep / "new.mp4")
    car.later(1)
    found = car.agent._diary.file(f"{inside}/new.mp4")
    assert found is not None
    assert (found.origin, found.consent) == ("found", "")


def test_what_a_worker_died_of_comes_last(car: AgentCar, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be tried first for ever, and nothing recorded later would ever be sent."""
    car.a_drive("bad", 1)
    car.a_drive("good", 2)
    from incamera.car import work

    def dies(recordings: work._Reopened, *words: object, **more: object) -> Summary:
        if (Path(recordings.folder) / "bad.mp4").exists():
            raise MemoryError
        return ingest_recordings(recordings, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "ingest_recordings", dies)
    for _ in range(2):
        with pytest.raises(MemoryError):
            car.work()
    assert car.outcomes() == {"bad": "open", "good": "taken"}
    monkeypatch.undo()
    car.work()
    assert car.outcomes() == {"bad": "taken", "good": "taken"}


def test_a_worker_that_ended_of_itself_is_noticed() -> None:
    """Killed by the kernel, say; but not one that the agent stopped."""
    worker = WorkerProcess(["sh", "-c", "kill -9 $$", "sh"], Budget(nice=0))
    worker.start(send_only=False)
    assert worker._process is not None
    worker._process.wait(10)
    assert not worker.running
    assert worker.died == -9
    worker = WorkerProcess(["sleep", "60"], Budget(nice=0))
    worker.start(send_only=False)
    worker.stop()
    assert worker.died == 0


def test_consent_that_ends_in_the_middle_of_a_drive_covers_what_came_before(car: AgentCar) -> None:
    """What comes into being after its end is withheld; before, taken while it holds, else not."""
    car.consent(expires=car.clock.now() + 100)
    car.drives(1)
    car.records("before")
    car.later(120)
    car.records("after")
    car.parks()
    car.consent(name="next", nonce=b"n" * 16, purposes=(Name("mapping"),), expires=2**33)
    car.work()
    assert car.outcomes() == {"before": "withheld", "after": "withheld"}
    (drive,) = (each for each in car.status()["drives"] if each["number"] == 1)
    assert "does not hold any more" in str(drive["files"])
    assert "no consent held when it was recorded" in str(drive["files"])
    assert car.clock.now() < 2**33 - DAY


@pytest.mark.parametrize(
    "words",
    [("--number", "0"), ("--number", "7", "--days", "0"), ("--number", "7", "--days", "-3")],
)
def test_a_list_that_would_stop_the_whole_region_is_not_signed(words: tuple[str, ...]) -> None:
    """One that is over as it is signed, or that no car would take."""
    done = CliRunner().invoke(
        command, ["exclude", "--keys", "op", "--region", "eu", "--out", "list", *words]
    )
    assert done.exit_code == 2
    assert "is not in the range" in done.output


def test_a_full_disk_does_not_turn_a_drive_into_parked_footage(car: AgentCar) -> None:
    """The agent goes on; what it could not note down is found later, and never removed."""
    film(car.folder / "a.mp4")
    car.drives(1)
    stamp = car.clock.now()
    os.utime(car.folder / "a.mp4", (stamp, stamp))
    path = (car.folder / "a.mp4").rename(car.stick / "a.mp4")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(UnavailableError) as caught:
            car.later(40)
        car.agent.trouble(caught.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    car.parks()
    found = car.agent._diary.file("a.mp4")
    assert found is not None
    assert found.origin == "found"
    car.later(700)
    assert path.exists()
