# SPDX-License-Identifier: Apache-2.0
"""Ingest over Ray: the same clips as one process makes, whatever becomes of the workers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spreading
from incamera.errors import InputError, UnavailableError
from incamera.geofence import GeofencePolicy, Zones
from incamera.ids import Digest, digest
from incamera.ingest import Plan, Summary, ingest
from incamera.ingest.cluster import Cluster, check_head, joined
from incamera.ingest.spread import ingest_over
from incamera.recording import Options
from incamera.redaction import Redactor
from incamera.sealing.opening import open_as_owner
from incamera.wire import egress
from ingesting import Car

EVENTS = 4
MARK = secrets.token_hex(8)
PLAN = Plan(Zones.empty(), spreading.CAMPAIGN, GeofencePolicy(ends_m=0.0, ends_s=0.0))

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: incamera[ray]"
)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """One cluster of two workers on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INCAMERA_TEST_MARK", MARK)
        patch.setenv("PYTHONPATH", str(Path(spreading.__file__).parent), prepend=os.pathsep)
        with joined(Cluster(workers=2)) as found:
            yield found


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six events, and where the car was."""
    return spreading.stick(tmp_path_factory.mktemp("stick"), EVENTS)


class Depot:
    """A car's stick, ingested by one process or by workers."""

    def __init__(self, folder: Path, stick: tuple[Path, Path]) -> None:
        self.source, positions = stick
        self.options = Options(positions=positions, align="start")
        self.car = Car(folder)
        self.key = folder / "signing.key"
        self.car.world.car.save(self.key)

    def alone(self) -> Summary:
        """In this process."""
        return ingest(
            self.source,
            self.car.home,
            PLAN,
            admit=self.car.admit,
            options=self.options,
            redactor=spreading.quick(),
            clock=self.car.world.clock,
        )

    def spread(self, make: Callable[[], Redactor] = spreading.quick, **more: Any) -> Summary:
        """By two workers."""
        return ingest_over(
            Cluster(workers=2),
            more.pop("source", self.source),
            self.car.home,
            PLAN,
            key=self.key,
            admit=more.pop("admit", self.car.admit),
            options=self.options,
            redactor=make,
            clock=self.car.world.clock,
            **more,
        )

    def clips(self) -> list[Digest]:
        """The digests of the packed clips in the vault's capsules, as their owner opens them."""
        found = []
        for name in self.car.kept():
            clip = self.car.folder / "clip"
            with self.car.vault.local(name) as path:
                open_as_owner(path, self.car.world.owner.opening, clip)
            found.append(digest(clip.read_bytes()))
        return sorted(found)

    def settled(self) -> None:
        """Every clip admitted, each by one capsule, and nothing left behind."""
        assert len(self.car.kept()) == EVENTS
        assert len({path.name for path in self.car.sent}) == len(self.car.sent) == EVENTS
        assert self.car.spooled() in ([], ["work"])


@pytest.fixture
def depot(tmp_path: Path, stick: tuple[Path, Path], ray: Any) -> Depot:
    """A car that sent nothing yet."""
    return Depot(tmp_path / "spread", stick)


def ours() -> list[Path]:
    """Processes that this module's cluster consists of."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"INCAMERA_TEST_MARK={MARK}".encode() in (each / "environ").read_bytes():
                found.append(each)
    return found


def sockets(process: Path) -> list[str]:
    """The inodes of the sockets that a process has open."""
    found = []
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


def workers() -> list[int]:
    """The processes of workers."""
    named = [each for each in ours() if (each / "cmdline").read_bytes().startswith(b"ray::Worker")]
    return [int(each.name) for each in named]


def test_workers_make_the_same_clips_digest_for_digest_as_one_process(
    depot: Depot, tmp_path: Path, stick: tuple[Path, Path]
) -> None:
    """And the same counts, with progress over all of them; a second run adds nothing."""
    alone = Depot(tmp_path / "alone", stick)
    told: list[tuple[float, float | None]] = []
    one = alone.alone()
    many = depot.spread(progress=lambda done, known, what: told.append((done, known)))
    assert one.error() is many.error() is None
    assert many.admitted == many.sealed == EVENTS
    assert len(set(depot.clips())) == EVENTS
    assert depot.clips() == alone.clips()
    depot.settled()
    left_out = ("stages", "bytes")
    first, second = (
        {k: v for k, v in s.to_json().items() if k not in left_out} for s in (one, many)
    )
    assert first == second
    assert {"decode", "redact", "encode", "pack", "seal", "admit"} <= set(many.stages)
    assert told[-1] == (2.0 * EVENTS, 2.0 * EVENTS)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    again = depot.spread()
    assert (again.already, again.sealed, again.admitted) == (EVENTS, 0, 0)
    depot.settled()


def test_a_worker_that_is_killed_loses_nothing_and_repeats_nothing(
    depot: Depot, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL in the middle of a clip, another makes it; the vault sees each clip once."""
    killed: list[int] = []

    def admit(path: Path) -> bytes:
        if not killed and (found := workers()):
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])
        return depot.car.admit(path)

    summary = depot.spread(spreading.slow, admit=admit)
    assert killed
    assert capsys.readouterr().out == ""  # where a command's result stands
    assert summary.error() is None
    assert summary.admitted == summary.sealed == EVENTS
    depot.settled()


def test_what_cannot_be_made_is_named_and_the_others_are_done(
    depot: Depot, tmp_path: Path, stick: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged film, in the words of one process; a clip of which only workers die."""
    monkeypatch.setattr("incamera.ingest.cluster._ATTEMPTS", 2)
    source = tmp_path / "TeslaCam"
    shutil.copytree(stick[0], source)
    film = min(source.rglob("*-front.mp4"))
    data = bytearray(film.read_bytes())
    data[5_000:8_000] = bytes(3_000)  # in the middle of its pictures
    film.write_bytes(data)
    depot.source = source
    summary = depot.spread(spreading.deadly)
    assert isinstance(summary.error(), InputError)
    told = [fault.message for fault in summary.faults]
    (died,) = (each for each in told if "2 workers died at one of its clips" in each)
    assert summary.admitted == EVENTS - 2
    alone = depot.alone()
    assert alone.admitted == 1
    assert [fault.message for fault in alone.faults] == [each for each in told if each != died]
    assert depot.car.spooled() in ([], ["work"])


def test_interrupted_it_ends_its_workers_and_goes_on_in_the_next_run(depot: Depot) -> None:
    """Ctrl-C: no process works on, no plaintext is left, nothing is lost."""

    def interrupted(done: float, known: float | None, what: str | None) -> None:
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        depot.spread(spreading.slow, progress=interrupted)
    end = time.monotonic() + 10
    while workers() and time.monotonic() < end:
        time.sleep(0.05)
    assert workers() == []
    assert depot.alone().error() is None
    depot.settled()


def test_nothing_of_the_cluster_listens_beyond_this_machine_or_reports(ray: Any) -> None:
    """Its processes listen on loopback only, and were told to report to nobody."""
    told = ray.get(ray.remote(num_cpus=1)(lambda: dict(os.environ)).remote())
    assert told["RAY_USAGE_STATS_ENABLED"] == "0"
    assert told["RAY_USAGE_STATS_REPORT_URL"] == "http://127.0.0.1:9"
    listening = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                listening[words[9]] = words[1].partition(":")[0]
    places = {listening.get(each) for process in ours() for each in sockets(process)} - {None}
    # 127.0.0.1 as the kernel writes it, and mapped into IPv6
    assert places <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert places


def test_without_ray_it_says_how_to_get_it(
    tmp_path: Path, stick: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed") as told:
        Depot(tmp_path, stick).spread()
    assert told.value.hint == "pip install 'incamera[ray]'"


@pytest.mark.parametrize("address", ["cluster", "cluster:", "127.0.0.1:x"])
def test_an_address_that_is_none_is_told_of(address: str) -> None:
    """Before Ray looks for a cluster there."""
    with pytest.raises(InputError, match="not the address"):
        check_head(address)


def test_a_cluster_that_is_not_there_is_told_of_at_once() -> None:
    """Ray itself would try for minutes; one outside of the region is not connected to."""
    with pytest.raises(UnavailableError, match=r"no Ray cluster at .*: Connection refused"):
        check_head("127.0.0.1:9")
    try:
        egress.guard(list)
        with pytest.raises(egress.ForeignError):
            check_head("192.0.2.7:6379")
    finally:
        egress.guard(None)


def test_more_workers_than_the_cluster_has_room_for_are_refused(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a bounded time, instead of waiting for ever."""
    monkeypatch.setattr("incamera.ingest.cluster._BEGIN_SECONDS", 2.0)
    with pytest.raises(UnavailableError, match="no room for 5 workers"):
        ingest_over(
            Cluster(workers=5),
            depot.source,
            depot.car.home,
            PLAN,
            key=depot.key,
            admit=depot.car.admit,
            options=depot.options,
        )
