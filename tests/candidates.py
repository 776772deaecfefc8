# SPDX-License-Identifier: Apache-2.0
"""A log that several processes stand ready to write, its three witnesses, and its database.

All real: `serve log` over one folder, `serve witness`, PostgreSQL, and nats-server where asked.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines import Engine, nats, postgres
from incamera.errors import Error, UnavailableError
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
from incamera.service.queuedlog import QueuedLog
from incamera.service.settings_queue import QueueSettings
from incamera.tlog import LogReader, Policy, merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.keys import generate_cosigner, generate_signer, save
from incamera.tlog.note import split_note
from incamera.tlog.remote import HttpFetch
from incamera.wire import Client
from serving import Party, free_ports

__all__ = ["Candidates", "candidates", "load"]

LEASE = 2


class Candidates:
    """The processes below one folder."""

    def __init__(self, folder: Path, database: str | None, queue: str | None = None) -> None:
        self.folder = folder
        self.database = database
        self.road = queue
        self.queue = f'[queue]\nurl = "{queue}"\n' if queue else ""
        self.signer = generate_signer("log.example/led")
        names = ["w1", "w2", "w3"]
        cosigners = [generate_cosigner(f"witness.example/{name}") for name in names]
        lines = [f"log {self.signer.vkey}"]
        lines += [f"witness {n} {c.vkey}" for n, c in zip(names, cosigners, strict=True)]
        lines += [f"group all-witnesses 2 {' '.join(names)}", "quorum all-witnesses", ""]
        self.policy = Policy.parse("\n".join(lines))
        (folder / "tlog-policy").write_bytes(self.policy.text)
        self.witnesses = []
        for name, cosigner, port in zip(names, cosigners, free_ports(3), strict=True):
            save(folder / f"{name}.key", cosigner)
            config = folder / f"{name}.toml"
            config.write_text(
                f'listen = "127.0.0.1:{port}"\nstate = "{name}"\nkey = "{name}.key"\n'
                f'[[log]]\nvkey = "{self.signer.vkey}"\n'
            )
            self.witnesses.append(Party("witness", config, f"http://127.0.0.1:{port}"))
        save(folder / "log.key", self.signer)
        self.token = Token(secrets.token_hex(32))
        (folder / "token").write_text(self.token.secret)
        (folder / "token").chmod(0o600)
        self.logs: list[Party] = []

    def candidate(self, place: str = "log", *, create: bool = True) -> Party:
        """One more process over the folder ``place``, not started."""
        port = free_ports(1)[0]
        config = self.folder / f"log-{len(self.logs)}.toml"
        asked = "".join(f'[[witness]]\nurl = "{each.url}"\n' for each in self.witnesses)
        leader = f'[leader]\ndatabase = "{self.database}"\nlease = {LEASE}\n'
        config.write_text(
            f'listen = "127.0.0.1:{port}"\npublic = "{place}/public"\nstate = "{place}/state"\n'
            f'key = "log.key"\npolicy = "tlog-policy"\ntoken = "token"\n{asked}'
            + (leader if self.database else "")
            + self.queue
        )
        more = ("--create",) if create else ()
        self.logs.append(Party("log", config, f"http://127.0.0.1:{port}", more))
        return self.logs[-1]

    def start(self, count: int = 2) -> None:
        """Witnesses, and ``count`` candidates at once; until one of them has published."""
        for each in self.witnesses:
            each.start(wait=False)
        for each in self.witnesses:
            each.ready()
        made = [self.candidate() for _ in range(count)]
        for each in made:
            each.start(wait=False)
        for each in made:
            each.ready()
        client = self.client()
        client.refresh()  # somebody leads, and has published
        client.close()

    def stop(self) -> None:
        """All of them."""
        for each in (*self.logs, *self.witnesses):
            each.kill()

    def status(self, party: Party) -> dict[str, Any]:
        """What it says of itself; empty if it does not answer."""
        with contextlib.suppress(Error), Client(party.url, seconds=1.0, attempts=1) as client:
            found: dict[str, Any] = json.loads(client.get("status", limit=10_000))
            return found
        return {}

    def until(self, party: Party, seconds: float = 30.0) -> None:
        """Until a process that was started answers."""
        end = time.monotonic() + seconds
        while not self.status(party):
            assert time.monotonic() < end, party.log()[-2000:]
            time.sleep(0.05)

    def leader(self, seconds: float = 30.0, *, besides: Party | None = None) -> Party:
        """Who leads, as soon as somebody does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for each in self.logs:
                if each is besides or each.process is None:
                    continue
                if self.status(each).get("role") == "leader":
                    return each
            time.sleep(0.05)
        raise AssertionError("nobody leads\n" + "\n".join(each.log()[-2000:] for each in self.logs))

    def client(self, seconds: float = 30.0) -> LogClient:
        """As a vault has it."""
        return LogClient([each.url for each in self.logs], self.token, self.policy, seconds=seconds)

    def queued(self, seconds: float = 30.0) -> LogClient:
        """As a vault has it that goes by the queue."""
        assert self.road
        urls = [each.url for each in self.logs]
        told = QueueSettings((self.road,), None, None)
        return QueuedLog(urls, self.token, self.policy, told, seconds=seconds)

    def entries(self, party: Party | None = None) -> list[bytes]:
        """All entries, verified under the witnessed root."""
        fetch = HttpFetch((party or self.leader()).url)
        log = LogReader(fetch, self.policy)
        checkpoint = log.checkpoint().checkpoint
        found = list(log.entries(0, checkpoint.size, checkpoint.size))
        assert merkle.root([merkle.leaf_hash(each) for each in found]) == checkpoint.root
        fetch.close()
        return found

    def check(self, told: dict[bytes, int], found: Sequence[bytes]) -> None:
        """Each acknowledged entry stands where it was said, once; one history for all witnesses."""
        for entry, index in told.items():
            assert found[index] == entry, (entry, index)
        twice = {entry for entry in told if found.count(entry) != 1}
        assert not twice, f"{len(twice)} entries stand twice"
        hashes = [merkle.leaf_hash(each) for each in found]
        for each in self.witnesses:
            state = each.config.parent / each.config.stem
            for path in state.rglob("checkpoint"):
                seen = Checkpoint.parse(split_note(path.read_bytes())[0])
                assert seen.size <= len(hashes)
                assert merkle.root(hashes[: seen.size]) == seen.root
            assert not list(state.rglob("*conflict*")), "a witness has seen two roots of one size"


@dataclass
class Load:
    """Callers that append until they are told to stop, each entry until it is acknowledged."""

    told: dict[bytes, int] = field(default_factory=dict)
    #: When each was acknowledged.
    times: list[float] = field(default_factory=list)
    stopping: bool = False
    wrong: list[BaseException] = field(default_factory=list)

    def gap(self) -> float:
        """The longest time in which nobody was acknowledged."""
        times = sorted(self.times)
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)


@contextlib.contextmanager
def load(make: Callable[[], Any], callers: int = 6) -> Iterator[Load]:
    """Appends while the block runs; at its end all that was begun is acknowledged."""
    run, made = secrets.token_hex(4).encode(), Load()

    def append(number: int) -> None:
        client = make()
        turn = 0
        while not made.stopping:
            entry = b"%s %d %d" % (run, number, turn)
            turn += 1
            while entry not in made.told:
                try:
                    made.told[entry] = client.append([entry]).first_index
                    made.times.append(time.monotonic())
                except UnavailableError:
                    time.sleep(0.1)
                except BaseException as error:
                    made.wrong.append(error)
                    raise
        client.close()

    with ThreadPoolExecutor(callers) as pool:
        running = [pool.submit(append, number) for number in range(callers)]
        try:
            yield made
        finally:
            made.stopping = True
            for each in running:
                each.result()


@contextlib.contextmanager
def candidates(folder: Path, *, queue: bool = False) -> Iterator[tuple[Candidates, Engine, Engine]]:
    """A database (and a queue; otherwise the database again), and a log to be started over it."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgres())
        road = stack.enter_context(nats()) if queue else database
        made = Candidates(folder, database.url, road.url if queue else None)
        stack.callback(made.stop)
        yield made, database, road
