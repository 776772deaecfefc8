# SPDX-License-Identifier: Apache-2.0
"""A log that a database decides: the table of `tlog/deciding.py`, row by row, on PostgreSQL.

A leader stops at each of its steps, another takes over and goes on, and then the first one goes
on where it was. Dead or late, there is one history.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from engines import Engine, postgres
from incamera import durable
from incamera.clock import FixedClock, monotonic
from incamera.errors import InputError, IntegrityError, PolicyError, UnavailableError
from incamera.service.journal import Journal
from incamera.service.sequencer import Sequencer
from incamera.service.settings_leader import LeaderSettings
from incamera.service.term import Session, Term, open_session
from incamera.service.toml import read_table
from incamera.tlog import Log
from incamera.tlog import log as tlog_log
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.deciding import Led, adopt, mark
from incamera.tlog.note import split_note
from incamera.tlog.storage import Tree
from incamera.wire import egress
from world import quick_folder
from world_tlog import ORIGIN, START, LogWorld, check_log, log_world

LEASE = 5.0


class Leads:
    """Leads of one database, each over a session of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._loop = asyncio.new_event_loop()
        self._kept: list[Any] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Any) -> Any:
        """Have ``work`` done in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def session(self) -> Session:
        """A new one, kept until the end."""
        opened: Any = asyncio.run_coroutine_threadsafe(self._opened(), self._loop).result(20)
        found: Session = opened
        return found

    async def _opened(self) -> Session:
        context = open_session(self.url, LEASE)
        session = await context.__aenter__()
        self._kept.append((context, session, self._loop.create_task(session.beat())))
        return session

    def first(self, state: Path) -> Term:
        """The lead of a log that was alone until now."""
        session = self.session()
        assert self.wait(Term.begin(session, ORIGIN, "http://first")) is None
        with adopt(state) as tree:
            return Term.adopt(session, tree, "http://first")

    def next(self, name: str = "http://next") -> Term:
        """The next lead, whoever has the one before."""
        term: Term | None = self.wait(Term.begin(self.session(), ORIGIN, name))
        assert term is not None
        return term

    def sql(self, text: str) -> Any:
        """As an operator."""

        async def ask() -> Any:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetchrow(text)
            finally:
                await connection.close()

        return self.wait(ask())

    def close(self) -> None:
        """Let go of all."""
        self.wait(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ended(self) -> None:
        for context, _, beating in self._kept:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await context.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def database() -> Iterator[Engine]:
    """PostgreSQL."""
    with postgres() as engine:
        yield engine


@pytest.fixture
def leads(database: Engine) -> Iterator[Leads]:
    """Leads of a database that knows no log."""
    made = Leads(database.url)
    made.sql("DROP TABLE IF EXISTS incamera_log")
    yield made
    made.close()


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """A log, until now alone, of 254 entries: two more fill a tile."""
    with quick_folder() as home:
        log_world(home).log.append([b"acknowledged %d" % number for number in range(254)])
        yield home


@pytest.fixture
def world(base: Path) -> Iterator[LogWorld]:
    """A copy of it."""
    with quick_folder() as home:
        shutil.copytree(base, home, dirs_exist_ok=True)
        yield log_world(home)


def led(world: LogWorld, term: Term) -> Log:
    """The log under a lead."""
    rest = (world.signer, world.witnesses, world.policy, world.clock)
    return Log(world.public, world.state, *rest, deciding=Led(world.state, term))


class Seen:
    """Every tree that witnesses were shown."""

    def __init__(self, world: LogWorld) -> None:
        self.roots: dict[int, set[bytes]] = {}
        for witness in world.witnesses:
            inner = witness.inner.add_checkpoint

            def watch(body: bytes, inner: Any = inner) -> tuple[int, bytes]:
                tree = Checkpoint.parse(split_note(body.partition(b"\n\n")[2])[0])
                self.roots.setdefault(tree.size, set()).add(tree.root)
                answer: tuple[int, bytes] = inner(body)
                return answer

            witness.inner.add_checkpoint = watch  # type: ignore[method-assign]

    def check(self) -> None:
        """No size has two roots."""
        assert all(len(each) == 1 for each in self.roots.values())


class Stop:
    """Where the first leader stops until it may go on."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.thread: threading.Thread | None = None
        self.there, self.go = threading.Event(), threading.Event()

    def at(self, step: str) -> None:
        """The old leader's step ``step`` is reached."""
        if threading.current_thread() is self.thread and step == self.step:
            self.there.set()
            assert self.go.wait(20)

    def around(self, name: str, act: Callable[[], Any]) -> Any:
        """``act``, with a stop before and after it."""
        self.at(f"before {name}")
        found = act()
        self.at(f"after {name}")
        return found

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At each durable step, and at the decision."""
        write, create_all, decide = durable.write, durable.create_all, Term.decide

        def writes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
            name = path.name.partition("-")[0]
            self.around(name, lambda: write(path, data, mode=mode))

        sign: Callable[..., bytes] = tlog_log.sign  # type: ignore[attr-defined]
        monkeypatch.setattr(durable, "write", writes)
        monkeypatch.setattr(
            tlog_log, "sign", lambda *args: self.around("signature", lambda: sign(*args))
        )
        monkeypatch.setattr(
            durable, "create_all", lambda files: self.around("tiles", lambda: create_all(files))
        )
        monkeypatch.setattr(
            Term,
            "decide",
            lambda term, old, new: self.around("decision", lambda: decide(term, old, new)),
        )


STEPS = [
    f"{when} {what}"
    for what in ("batch", "decision", "tiles", "tree", "signature", "checkpoint")
    for when in ("before", "after")
]


@pytest.mark.parametrize("step", STEPS)
def test_a_leader_stops_at_a_step_and_is_overtaken(
    world: LogWorld, leads: Leads, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What was decided is finished by the next; what was not, never was; nothing forks.

    Until it goes on, the first one is as good as dead.
    """
    old, seen = led(world, leads.first(world.state)), Seen(world)
    old.refresh()
    stop = Stop(step)
    stop.install(monkeypatch)
    risk = [b"at risk %d" % number for number in range(3)]
    heard: list[BaseException] = []

    def append() -> None:
        try:
            old.append(risk)
        except UnavailableError as error:
            heard.append(error)

    stop.thread = threading.Thread(target=append)
    stop.thread.start()
    assert stop.there.wait(20)
    new = led(world, leads.next())
    new.append([b"new 1"])
    new.append([b"new 2"])
    decided = step not in ("before batch", "after batch", "before decision")
    expected = [*(risk if decided else []), b"new 1", b"new 2"]
    assert check_log(world)[254:] == expected
    stop.go.set()
    stop.thread.join(30)
    # What it had cosigned before it was overtaken is in the log: it may answer for that.
    assert bool(heard) == ("checkpoint" not in step)
    new.refresh(older_than=1 << 30)  # within a second, by the sequencer
    assert check_log(world)[254:] == expected
    again = Sequencer(new, Journal("log", FixedClock(START)), refresh=600)
    again.start()
    assert again.add(risk).result(20).first_index == (254 if decided else 256)
    again.stop()
    assert sorted(check_log(world)[254:]) == sorted([*risk, b"new 1", b"new 2"])
    for late in (lambda: old.append([b"fork"]), old.refresh):
        with pytest.raises(UnavailableError):
            late()
    seen.check()
    third = led(world, leads.next())
    third.append([b"third"])
    assert check_log(world)[-1] == b"third"
    assert len(list(world.state.glob("batch-*"))) == 1


def test_of_many_who_decide_at_once_under_one_fence_one_does(world: LogWorld, leads: Leads) -> None:
    """The same size with other roots, from one tree, over several sessions: one row, one root."""
    term = leads.first(world.state)
    terms = [Term(leads.session(), term.fence, term.tree) for _ in range(8)]

    def decide(number: int) -> bool:
        new = Tree(ORIGIN, 300, bytes([number]) * 32)
        try:
            terms[number].decide(term.tree, new)
        except UnavailableError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(decide, range(8)))
    assert won.count(True) == 1
    assert (
        bytes(leads.sql("SELECT root FROM incamera_log")["root"]) == bytes([won.index(True)]) * 32
    )


@pytest.mark.parametrize("size", [0, 253, 254])
def test_the_database_takes_no_smaller_or_other_tree(
    world: LogWorld, leads: Leads, size: int
) -> None:
    """Nor one of the same size; and who tried does not lead any more."""
    term = leads.first(world.state)
    with pytest.raises(UnavailableError, match="does not lead"):
        term.decide(term.tree, Tree(ORIGIN, size, bytes(32)))
    with pytest.raises(UnavailableError):
        term.check(term.tree)


def test_a_stale_copy_of_the_folder_cannot_lead(
    world: LogWorld, leads: Leads, tmp_path: Path
) -> None:
    """Whatever the database decided since is not in it: nothing is written or signed there."""
    log, seen = led(world, leads.first(world.state)), Seen(world)
    log.append([b"copied"])
    for number in range(3):
        shutil.copytree(world.public, tmp_path / f"stale-{number}" / "public")
        shutil.copytree(world.state, tmp_path / f"stale-{number}" / "state")
        log.append([b"after %d" % number])
    rest = (world.signer, world.witnesses, world.policy, world.clock)
    for number in range(3):
        copy = tmp_path / f"stale-{number}"
        before = {path: path.stat().st_mtime_ns for path in (copy / "public").rglob("*")}
        with pytest.raises(IntegrityError, match="has not the tiles"):
            Log(copy / "public", copy / "state", *rest, deciding=Led(copy / "state", leads.next()))
        assert before == {path: path.stat().st_mtime_ns for path in (copy / "public").rglob("*")}
    seen.check()
    led(world, leads.next()).append([b"the right one goes on"])
    check_log(world)


def test_a_restored_database_stops_the_log(world: LogWorld, leads: Leads) -> None:
    """It knows less than was published: nothing is signed. Without its row the log stops too."""
    log = led(world, leads.first(world.state))
    before = leads.sql("SELECT size, root FROM incamera_log")
    log.append([b"one"])
    log.append([b"two"])
    root = bytes(before["root"]).hex()
    leads.sql(f"UPDATE incamera_log SET size = {before['size']}, root = '\\x{root}'")
    with pytest.raises(UnavailableError, match="does not lead"):
        log.append([b"three"])
    with pytest.raises(IntegrityError, match="254 entries, but 256 were published"):
        led(world, leads.next())


def test_a_log_that_was_alone_is_led_and_never_alone_again(world: LogWorld, leads: Leads) -> None:
    """Whoever would write it by its files is refused, and told why."""
    with durable.lock(world.state / "serve.lock"), pytest.raises(UnavailableError, match="lock"):
        leads.first(world.state)
    log = led(world, leads.first(world.state))
    log.append([b"led"])
    with pytest.raises(InputError, match="a database decides"):
        world.reopened()
    with pytest.raises(InputError, match="a database decides"), adopt(world.state):
        pass
    mark(world.state)
    assert Tree.read(world.state / "tree") == log._deciding.tree()
    (world.state / "led").unlink()  # as the operator does who gives the database up
    world.reopened().append([b"alone again"])
    check_log(world)


def test_a_lead_ends_with_its_session(world: LogWorld, leads: Leads) -> None:
    """As the server cuts it, nothing is decided or published by it any more."""
    log = led(world, leads.first(world.state))
    log.append([b"one"])
    leads.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'incamera log'"
    )
    with pytest.raises(UnavailableError):
        log.append([b"two"])
    with pytest.raises(UnavailableError, match="does not lead"):
        log.refresh()
    assert led(world, leads.next()).append([b"three"]).first_index == 255


def test_who_holds_the_lock_keeps_the_others_out(leads: Leads) -> None:
    """One session has it; when that ends, the next has it."""
    first, second = leads.session(), leads.session()
    assert leads.wait(first.elected(ORIGIN))
    assert not leads.wait(second.elected(ORIGIN))
    assert leads.wait(second.elected("log.example/other"))
    first._loop.call_soon_threadsafe(first.end)
    for _ in range(100):
        if leads.wait(second.elected(ORIGIN)):
            break
        threading.Event().wait(0.02)
    else:
        pytest.fail("the lock was not let go")


@pytest.mark.parametrize(
    "text",
    [
        'database = "mysql://x"',
        "database = 3",
        "lease = 3",
        'database = "postgresql://x"\nlease = 1',
        'database = "postgresql://a:hidden@b/c"',
        'database = "postgresql://a@b/c?password=hidden"',
        'database = "postgresql://a@b:hidden/c"',
        'database = "postgresql://a@b/c"\npassfile = "none"',
    ],
)
def test_a_leader_section_that_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    """By name; and a password is not shown."""
    file = tmp_path / "log.toml"
    file.write_text(f"[leader]\n{text}\n")
    with pytest.raises(InputError, match="leader") as caught:
        LeaderSettings.take(read_table(file))
    assert "hidden" not in str(caught.value)


def test_a_leader_has_its_password_from_a_file_as_a_vault_has(tmp_path: Path) -> None:
    """``passfile``, which only its owner may read."""
    (tmp_path / "pgpass").write_text("db:5432:eu:log:secret")
    (tmp_path / "pgpass").chmod(0o600)
    file = tmp_path / "log.toml"
    file.write_text('[leader]\ndatabase = "postgresql://log@db/eu"\npassfile = "pgpass"\n')
    told = LeaderSettings.take(read_table(file))
    assert told is not None
    assert told.database == f"postgresql://log@db/eu?passfile={tmp_path / 'pgpass'}"
    (tmp_path / "pgpass").chmod(0o644)
    with pytest.raises(InputError, match="other users"):
        LeaderSettings.take(read_table(file))


def test_a_session_that_the_server_ended_is_over_before_anything_is_asked(
    database: Engine,
) -> None:
    """A process that slept past its lease takes no message as the leader that it is no more."""

    async def ended() -> float:
        async with open_session(database.url, 60.0) as session:
            row = await session.ask("SELECT pg_backend_pid() AS pid")
            other = await asyncpg.connect(database.url)
            await other.execute(f"SELECT pg_terminate_backend({row['pid']})")
            began = monotonic()
            await asyncio.wait_for(session.over.wait(), 10)
            await other.close()
            with pytest.raises(UnavailableError):
                await session.ask("SELECT 1")
            return monotonic() - began

    assert asyncio.run(ended()) < 5.0  # the next word was due after 20


def test_a_database_at_an_address_that_is_not_declared_is_said_to_be_that() -> None:
    """Not that it does not answer: the operator would look for an outage."""

    async def try_it() -> None:
        async with open_session("postgresql://10.9.8.7/log", LEASE):
            pass

    egress.guard(list)
    try:
        with pytest.raises(PolicyError, match=r"10\.9\.8\.7"):
            asyncio.run(try_it())
    finally:
        egress.guard(None)
