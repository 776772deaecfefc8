# SPDX-License-Identifier: Apache-2.0
"""A region whose parties are processes of their own on loopback, for tests and benches.

One vault, one log, three witnesses (quorum 2), three trustees (threshold 2): founded in a folder
as `incamera init` does it, then each served from its own configuration.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import warm
from incamera.cli.found import found
from incamera.cli.init import plan_of
from incamera.cli.layout import Layout, Settings
from incamera.clock import SystemClock
from incamera.ids import Digest, Name, digest
from incamera.ids import Region as LegalRegion
from incamera.ledger.codec import encode
from incamera.ledger.entries import PartyEntry
from incamera.ledger.follower import Follower
from incamera.ledger.grant import Grant
from incamera.ledger.request import CapsuleEvidence, GrantRequest, build_request
from incamera.ledger.state import State, leaf_digest
from incamera.sealing import opening
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, seal
from incamera.sealing.seal import Trustee as SealTrustee
from incamera.service import sign_call
from incamera.tlog import LogReader, Policy
from incamera.tlog.remote import HttpFetch
from incamera.wire import Client

CLOCK = SystemClock()
PURPOSE = Name("driver-assistance")
WITNESSES = ("witness-1", "witness-2", "witness-3")


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at this moment.

    Below those that the kernel gives to outgoing connections: or one of these would take a port
    while its server is being started, or started again.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = 10_000 + secrets.randbelow(20_000)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found


def wait_for_line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The first line on stdout; AssertionError if the process ends or stays silent."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise AssertionError("the server said nothing")
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"the server ended with {process.wait()}")
    return line


@dataclass
class Party:
    """One server process."""

    kind: str
    config: Path
    url: str
    more: tuple[str, ...] = ()
    #: What its machine is entered with: ``ip netns exec NAME``.
    machine: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    said: Path = field(init=False)

    def __post_init__(self) -> None:
        self.said = self.config.with_suffix(".stderr")

    def start(self, *, wait: bool = True) -> None:
        """Run it, until it says its address."""
        serve = [sys.executable, "-m", "incamera", "serve", self.kind, str(self.config)]
        command = [*self.machine, *serve]
        with self.said.open("ab") as stderr:
            self.process = warm.Popen(
                [*command, "--json", *self.more], stdout=subprocess.PIPE, stderr=stderr
            )
        if wait:
            self.ready()

    def ready(self) -> None:
        """Wait until it can be asked."""
        assert self.process is not None
        try:
            told = json.loads(wait_for_line(self.process, 60))
        except AssertionError as error:
            raise AssertionError(f"{self.config.name}: {error}\n{self.log()}") from error
        assert told.get("url") == self.url, f"{told}\n{self.log()}"

    def kill(self) -> None:
        """As a power cut: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator stops it: SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def log(self) -> str:
        """What it said on stderr so far."""
        return self.said.read_text() if self.said.exists() else ""


class Region:
    """The parties of region ``eu`` below one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        tls: tuple[Path, Path, Path] | None = None,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        """``tls``: certificate, key and CA files, for all servers.

        ``addresses``: host and port of each party; without, free ports on loopback.
        """
        self.folder = folder
        self.home: Layout = found(folder / "home", plan_of("eu"), CLOCK)
        self.names = [Name(each) for each in Settings.load(self.home.settings).trustees]
        self.policy = Policy.parse(self.home.log_policy.read_bytes())
        self.tls = tls
        self.parties: dict[str, Party] = {}
        scheme = "https" if tls else "http"
        everybody = ["log", "vault", *WITNESSES, *self.names]
        if addresses is None:
            ports = free_ports(len(everybody))
            places = [f"127.0.0.1:{port}" for port in ports]
            addresses = dict(zip(everybody, places, strict=True))
        self.urls = {name: f"{scheme}://{addresses[name]}" for name in everybody}
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self._configure()
        self._clients: list[Client | HttpFetch] = []
        self.count = 0

    @property
    def ca(self) -> Path | None:
        """Whom to believe."""
        return self.tls[2] if self.tls else None

    def _peer(self, name: str) -> str:
        ca = f'\nca = "{self.ca}"' if self.ca else ""
        return f'url = "{self.urls[name]}"{ca}'

    def _party(self, kind: str, name: str, text: str) -> None:
        config = self.folder / f"{name}.toml"
        listen = f'listen = "{self.urls[name].split("//")[1]}"\n'
        tls = ""
        if self.tls:
            tls = f'[tls]\ncertificate = "{self.tls[0]}"\nkey = "{self.tls[1]}"\n'
        config.write_text(listen + text + tls)
        self.parties[name] = Party(kind, config, self.urls[name])

    def _configure(self) -> None:
        vkey = self.policy.logs[0].vkey
        for number, name in enumerate(WITNESSES, 1):
            at = self.home.witness(number)
            text = f'state = "{at / "state"}"\nkey = "{at / "note.key"}"\n'
            self._party("witness", name, f'{text}[[log]]\nvkey = "{vkey}"\n')
        asked = "".join(f"[[witness]]\n{self._peer(name)}\n" for name in WITNESSES)
        public, policy = self.home.public, self.home.log_policy
        text = f'public = "{public}"\nstate = "{self.home.log}"\nkey = "{self.home.log}/note.key"\n'
        text += f'policy = "{policy}"\ntoken = "token"\n{asked}'
        self._party("log", "log", text)
        trustees = "".join(f'{name} = "{self.urls[name]}"\n' for name in self.names)
        text = f'home = "{self.home.vault}"\nkey = "{self.home.vault}/signing.key"\n'
        text += f'policy = "{policy}"\n[log]\n{self._peer("log")}\ntoken = "token"\n'
        self._party("vault", "vault", f"{text}[trustees]\n{trustees}")
        views = "".join(f'[[witness]]\nname = "{n}"\n{self._peer(n)}\n' for n in WITNESSES)
        for name in self.names:
            text = f'home = "{self.home.trustee(name)}"\nname = "{name}"\npolicy = "{policy}"\n'
            text += f"[log]\n{self._peer('log')}\n[vault]\n{self._peer('vault')}\n"
            self._party("trustee", name, text + views)

    def start(self, names: Sequence[str] = ()) -> None:
        """Start all parties, or those named, at once."""
        chosen = [self.parties[name] for name in names or self.parties]
        for each in chosen:
            each.start(wait=False)
        for each in chosen:
            each.ready()

    def stop(self) -> None:
        """Stop all, and let go of connections."""
        for client in self._clients:
            client.close()
        for each in self.parties.values():
            if each.process is not None:
                each.kill()

    # Asking

    def client(self, name: str, key: SigningKey | None = None, **more: Any) -> Client:
        """A client of one party; with ``key`` it signs its calls."""

        def sign(method: str, target: str, body: bytes) -> str:
            assert key is not None
            return sign_call(key, method, target, body, CLOCK.now())

        client = Client(self.urls[name], ca=self.ca, sign=sign if key else None, **more)
        self._clients.append(client)
        return client

    def fetch(self) -> HttpFetch:
        """The log's public files."""
        fetch = HttpFetch(self.urls["log"], ca=self.ca)
        self._clients.append(fetch)
        return fetch

    def state(self) -> State:
        """An outsider's reading of the log."""
        state = State()
        Follower(LogReader(self.fetch(), self.policy), state, CLOCK).follow()
        return state

    def submit(self, entry: bytes) -> int:
        """Into the log by way of the vault."""
        answer = self.client("vault").send("POST", "entries", entry, limit=1000)
        index: int = json.loads(answer.body)["index"]
        return index

    # Journeys

    def seal(self, payload: bytes = b"a clip", *, car: SigningKey | None = None) -> Path:
        """A capsule of this region's car (or another), not delivered."""
        state = self.state()
        now = CLOCK.now()
        trustees = [
            SealTrustee(key.trustee, key.epoch, key.key)
            for key in (state.epochs(name, at=now)[-1] for name in self.names)
        ]
        owner = OpeningKey.load(self.home.owner / "opening.key")
        facts = Facts(
            region=LegalRegion("eu"),
            vehicle=Name("car-1"),
            hour=time.strftime("%Y-%m-%dT%H", time.gmtime(now - 3600)),
            duration=30,
            cameras=[Name("front")],
            tags=[Name("hard-brake")],
            consent="c-1",
            purposes=[PURPOSE],
            policy=state.documents("policy")[0],
            report=digest(b""),
            models=[],
            zones=digest(b""),
            expires=now + 86_400,
        )
        self.count += 1
        path = self.folder / f"{self.count}.capsule"
        seal(
            io.BytesIO(payload),
            path,
            facts=facts,
            car=car or SigningKey.load(self.home.car / "signing.key"),
            recipients=Recipients(trustees, 2, owner.public),
        )
        return path

    def upload(self, path: Path, **more: Any) -> bytes:
        """Deliver a capsule; the receipt."""
        data = path.read_bytes()
        return self.client("vault", **more).send("POST", "capsules", data, limit=1 << 18).body

    def enrol(self, name: str = "acme", kind: str = "research", country: str = "DE") -> Reader:
        """A reader with new keys."""
        reader = Reader(Name(name), SigningKey.generate(), OpeningKey.generate())
        entry = PartyEntry(
            region=Settings.load(self.home.settings).region,
            time=CLOCK.now(),
            role="reader",
            name=reader.name,
            kind=Name(kind),
            country=country,
            key=reader.signing.public,
            opening=reader.opening.public,
        )
        self.submit(encode(entry, SigningKey.load(self.home.operator)))
        return reader

    def leaf(self, reader: Reader, capsules: Sequence[Capsule]) -> bytes:
        """A signed request, not logged."""
        return build_request(
            region=capsules[0].header.region,
            reader=reader.name,
            capsules=[each.digest for each in capsules],
            purpose=PURPOSE,
            policy=capsules[0].header.policy,
            expires=CLOCK.now() + 86_400,
            recipient=reader.opening.public,
            time=CLOCK.now(),
            key=reader.signing,
        )

    def shown(self, name: str, leaf: bytes, index: int, capsules: Sequence[Capsule]) -> bytes:
        """What trustee ``name`` is asked."""
        log = LogReader(self.fetch(), self.policy)
        seen = log.checkpoint()
        evidence = []
        for each in capsules:
            at = [share.trustee for share in each.header.shares].index(Name(name))
            evidence.append(CapsuleEvidence(each.envelope, each.wrapped[at], at + 1))
        proof = tuple(log.inclusion(index, seen.checkpoint.size))
        return GrantRequest(leaf, index, seen.note, proof, tuple(evidence)).serialise()

    def decide(self, name: str, leaf: bytes, index: int, *capsules: Capsule) -> Grant:
        """Ask one trustee, and check its answer."""
        asked = self.shown(name, leaf, index, capsules)
        answer = self.client(name).send("POST", "decide", asked, limit=1 << 20)
        key = SigningKey.load(self.home.trustee(name) / "signing.key").public
        return Grant.open(answer.body, key, leaf_digest(leaf))

    def open(self, reader: Reader, capsule: Capsule, leaf: bytes, grants: Sequence[Grant]) -> bytes:
        """Combine the shares of ``grants``; the clip."""
        raw = bytes.fromhex(leaf_digest(leaf))
        shares = {
            each.index: opening.open_share(
                each.sealed, reader.opening, raw, each.capsule_id, each.index
            )
            for grant in grants
            for each in grant.shares
            if each.capsule == capsule.digest
        }
        dest = self.folder / f"{secrets.token_hex(4)}.clip"
        opening.open_capsule(capsule.path, shares, dest)
        return dest.read_bytes()

    def kept(self, reader: Reader, name: Digest) -> Capsule:
        """A capsule as the vault gives it out."""
        client = self.client("vault", reader.signing)
        path = self.folder / f"{secrets.token_hex(4)}.fetched"
        path.write_bytes(client.get(f"capsules/{name}", limit=1 << 26))
        return read_capsule(path)


@dataclass(frozen=True)
class Reader:
    """An enrolled reader."""

    name: Name
    signing: SigningKey
    opening: OpeningKey


@contextlib.contextmanager
def region(folder: Path, **more: Any) -> Iterator[Region]:
    """A region that runs while the block does."""
    made = Region(folder, **more)
    try:
        made.start()
        yield made
    finally:
        made.stop()
