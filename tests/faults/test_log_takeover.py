# SPDX-License-Identifier: Apache-2.0
"""Two processes stand ready to write one log; whoever leads dies, stops, is cut off, comes back.

| what happens while many append | then expected |
|---|---|
| kill -9 of the leader, at random moments | the other leads; each entry stands once |
| SIGSTOP of the leader past the takeover, then SIGCONT | it signs nothing more, and stands by |
| PostgreSQL killed and started again | nobody leads meanwhile; then one does |
| nats-server killed and started again | appends by the queue wait, and then go on |
| two candidates started at once | one leads |
| a stale copy of the folder as a candidate | it cannot lead, and says so |

After each row: every acknowledged entry stands where it was said, once; the witnesses have seen one
history; somebody was acknowledged again within 30 seconds.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from candidates import Candidates, Load, candidates, load
from engines import Engine
from incamera.errors import UnavailableError
from incamera.wire import Client
from serving import Party
from world import quick_folder

RECOVERY = 30.0
Parties = tuple[Candidates, Engine, Engine]


@pytest.fixture(scope="module")
def parties() -> Iterator[Parties]:
    """Two candidates over one folder; each test leaves both running, and one leading."""
    with quick_folder() as folder, candidates(folder, queue=True) as made:
        made[0].start(2)
        yield made


def seen(what: str, log: Candidates, loads: list[Load], since: float) -> None:
    """Check all; say how long nobody was acknowledged."""
    for each in loads:
        assert not each.wrong, each.wrong[0]
        assert each.told
        assert max(each.times) > since, "nobody was acknowledged any more"
    gap, count = max(each.gap() for each in loads), sum(len(each.told) for each in loads)
    sys.stdout.write(f"\n{what}: {count} entries, {gap:.1f} s without an answer\n")
    assert gap < RECOVERY
    log.check({k: v for each in loads for k, v in each.told.items()}, log.entries())


def wait_for(load: Load, more: int = 5, seconds: float = RECOVERY) -> None:
    """Until so many more entries were acknowledged."""
    until, end = len(load.told) + more, time.monotonic() + seconds
    while len(load.told) < until and time.monotonic() < end and not load.wrong:
        time.sleep(0.02)


def test_two_that_start_at_once_have_one_leader(parties: Parties) -> None:
    """The other stands by: it reads, says where to write, and writes nothing."""
    log, _, _ = parties
    leader = log.leader()
    others = [each for each in log.logs if each is not leader]
    assert [log.status(each)["role"] for each in others] == ["standby"]
    deadline = time.monotonic() + 10
    while log.status(others[0])["leader"] is None and time.monotonic() < deadline:
        time.sleep(0.1)
    client = Client(others[0].url, token=log.token.secret, attempts=1)
    answers = [
        client.ask("POST", "add", b"\0\1x", limit=10_000),
        client.ask("POST", "refresh", b'{"older_than":0}', limit=10_000),
        client.ask("PUT", f"list/{'0' * 64}", b"x", limit=10_000),
    ]
    assert json.loads(client.get("readyz", limit=10_000))["checks"]["leader"] == "ok"
    for answer in answers:
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["incamera-leader"] == leader.url
        assert json.loads(answer.body)["kind"] == "unavailable"
    assert (
        client.get("checkpoint", limit=10_000)
        == (log.folder / "log/public/checkpoint").read_bytes()
    )
    client.close()


def test_the_leader_is_killed_again_and_again(parties: Parties) -> None:
    """At random moments of its appends; and it comes back as a candidate."""
    log, _, _ = parties
    with load(log.client) as many:
        wait_for(many)
        for _ in range(3):
            time.sleep(secrets.randbelow(200) / 1000)
            leader = log.leader()
            leader.kill()
            leader.start(wait=False)
            wait_for(many)
    seen("kill -9 of the leader, 3 times", log, [many], since=0)
    for each in log.logs:
        log.until(each)


def test_a_leader_that_was_stopped_signs_nothing_when_it_goes_on(parties: Parties) -> None:
    """The other has led meanwhile, and leads; what the stopped one had begun is there once."""
    log, _, _ = parties
    with load(log.client) as many:
        wait_for(many)
        old = log.leader()
        assert old.process is not None
        old.process.send_signal(signal.SIGSTOP)
        new = log.leader(besides=old)
        wait_for(many)
        fence = log.status(new)["fence"]
        old.process.send_signal(signal.SIGCONT)
        resumed = time.monotonic()
        while log.status(old).get("role") != "standby" and time.monotonic() < resumed + 10:
            time.sleep(0.05)
        wait_for(many)
    assert log.status(old)["role"] == "standby"
    assert log.status(new) == log.status(new) | {"role": "leader", "fence": fence}
    seen("SIGSTOP of the leader, SIGCONT after the takeover", log, [many], since=resumed)


def test_postgres_is_killed_and_comes_back(parties: Parties) -> None:
    """Without the database nothing new is decided; with it, all goes on."""
    log, database, _ = parties
    with load(log.client) as many:
        wait_for(many)
        database.kill()
        time.sleep(0.5)
        database.start()
        back = time.monotonic()
        wait_for(many)
    seen("PostgreSQL killed and started", log, [many], since=back)


def test_nats_and_then_the_leader_are_killed_while_entries_come_by_the_queue(
    parties: Parties,
) -> None:
    """Who goes by the queue waits for it; what a dead leader had taken comes to the next."""
    log, _, queue = parties
    with load(log.queued, callers=4) as queued, load(log.client, callers=2) as direct:
        wait_for(queued)
        queue.kill()
        wait_for(direct)
        queue.start()
        wait_for(queued)
        leader = log.leader()
        leader.kill()
        killed = time.monotonic()
        leader.start(wait=False)
        wait_for(queued)
    seen("nats-server, then the leader killed", log, [queued, direct], since=killed)
    log.until(leader)


def test_what_does_not_bear_the_token_is_not_taken_from_the_queue(parties: Parties) -> None:
    """Whoever may reach NATS is not who may write the log."""
    log, _, _ = parties
    other = Candidates.__new__(Candidates)
    other.__dict__.update(log.__dict__)
    other.token = type(log.token)("x" * 40)
    client = other.queued(seconds=1)
    with pytest.raises(UnavailableError):
        client.append([b"without the token"])
    client.close()
    assert b"without the token" not in log.entries()


def test_a_stale_copy_of_the_folder_does_not_lead(parties: Parties) -> None:
    """Alone with the database it says why; the right ones take over from it."""
    log, _, _ = parties
    client = log.client()
    client.append([b"before the copy"])
    shutil.copytree(log.folder / "log", log.folder / "copy")
    told = {b"after the copy": client.append([b"after the copy"]).first_index}
    right = list(log.logs)
    for each in right:
        each.kill()
    copy: Party = log.candidate("copy", create=False)
    copy.start()
    end = time.monotonic() + 20
    while "cannot lead" not in copy.log() and time.monotonic() < end:
        time.sleep(0.05)
    assert "has not the tiles" in copy.log()
    assert log.status(copy)["role"] == "standby"
    before = time.monotonic()
    for each in right:
        each.start(wait=False)
    told[b"and on"] = client.append([b"and on"]).first_index
    assert time.monotonic() - before < RECOVERY
    copy.kill()
    log.logs.remove(copy)
    for each in right:
        log.until(each)
    log.check(told, log.entries())
    client.close()


def test_both_stop_cleanly_and_no_fault_was_hidden(parties: Parties) -> None:
    """SIGTERM hands the lead over at once; no line is a fault of ours, or names anybody."""
    log, database, _ = parties
    leader = log.leader()
    began = time.monotonic()
    assert leader.stop() == 0
    log.leader(seconds=5)
    assert time.monotonic() - began < 5
    assert [each.stop() for each in log.logs if each.process] == [0]
    for party in log.logs:
        for line in party.log().splitlines():
            said = json.loads(line)
            assert said["event"] != "fault", said
            assert database.url not in line
            assert log.token.secret not in line
