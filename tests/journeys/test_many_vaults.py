# SPDX-License-Identifier: Apache-2.0
"""Two vaults of one region, each a process of its own, over one PostgreSQL: one dies under load."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import Engine, postgres
from incamera.errors import Error
from incamera.ids import Digest
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey
from incamera.tlog import LogReader
from incamera.wire import RefusedError
from serving import CLOCK, WITNESSES, Party, Region, free_ports
from world import quick_folder

MANY = 36


@pytest.fixture(scope="module")
def database() -> Iterator[Engine]:
    """Durable, as in production."""
    with postgres() as engine:
        yield engine


@pytest.fixture(scope="module")
def parties(database: Engine) -> Iterator[Region]:
    """Log, witnesses and two vaults, ``vault`` and ``second``; capsules in one folder."""
    with quick_folder() as folder, contextlib.ExitStack() as stack:
        made = Region(folder)
        stack.callback(made.stop)
        first = made.parties["vault"]
        text = first.config.read_text().replace(
            "[log]", f'[database]\nurl = "{database.url}"\n[log]', 1
        )
        first.config.write_text(text)
        second_vault(made, text)
        made.start(["log", *WITNESSES, "vault", "second"])
        yield made


def second_vault(made: Region, text: str) -> None:
    """The same configuration, but for its address and its folder."""
    home = made.folder / "second-home"
    home.mkdir(mode=0o700)
    (made.home.vault / "blobs").mkdir(mode=0o700, exist_ok=True)
    (home / "blobs").symlink_to(made.home.vault / "blobs")
    made.urls["second"] = f"http://127.0.0.1:{free_ports(1)[0]}"
    text = text.replace(made.urls["vault"].split("//")[1], made.urls["second"].split("//")[1])
    text = text.replace(f'home = "{made.home.vault}"', f'home = "{home}"')
    config = made.folder / "second.toml"
    config.write_text(text)
    made.parties["second"] = Party("vault", config, made.urls["second"])


class Senders:
    """Cars: each sends its capsules to either vault until one of them gives a receipt."""

    def __init__(self, made: Region, paths: list[Path]) -> None:
        self.made = made
        self.left = list(enumerate(paths))
        self.receipts: dict[Digest, bytes] = {}
        self.turn = threading.Lock()
        self.threads = [threading.Thread(target=self._work) for _ in range(6)]

    def _work(self) -> None:
        while True:
            with self.turn:
                if not self.left:
                    return
                number, path = self.left.pop(0)
            receipt = self._send(number, path.read_bytes())
            with self.turn:
                self.receipts[read_capsule(path).digest] = receipt

    def _send(self, number: int, data: bytes) -> bytes:
        for attempt in range(200):
            client = self.made.client(("vault", "second")[(number + attempt) % 2], attempts=1)
            with contextlib.suppress(Error):
                return client.send("POST", "capsules", data, limit=1 << 18).body
            time.sleep(0.1)
        raise AssertionError("no vault took it")

    def done(self) -> int:
        """How many have a receipt."""
        with self.turn:
            return len(self.receipts)


def logged(made: Region) -> Counter[Digest]:
    """How often the log has each capsule."""
    reader = LogReader(made.fetch(), made.policy)
    size = reader.checkpoint().checkpoint.size
    entries = (decode(each, "log").entry for each in reader.entries(0, size, size))
    return Counter(each.capsule for each in entries if isinstance(each, CapsuleEntry))


def wait_until(condition: object, seconds: float = 30) -> None:
    """Until ``condition()`` is true."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_a_vault_that_dies_under_load_loses_nothing_and_doubles_nothing(
    parties: Region, database: Engine
) -> None:
    """Kill -9 of one, then of the database: every receipt holds, every capsule is there once."""
    paths = [parties.seal(bytes(2000)) for _ in range(MANY)]
    names = [read_capsule(path).digest for path in paths]
    senders = Senders(parties, paths)
    for thread in senders.threads:
        thread.start()
    wait_until(lambda: senders.done() >= MANY // 4)
    parties.parties["vault"].kill()
    wait_until(lambda: senders.done() >= MANY // 2)
    database.restart()
    parties.parties["vault"].start()
    for thread in senders.threads:
        thread.join(60)
    assert sorted(senders.receipts) == sorted(names)
    region = parties.state().region
    assert region is not None
    places = [
        check_receipt(receipt, name, region, parties.policy).index
        for name, receipt in senders.receipts.items()
    ]
    assert len(set(places)) == MANY
    assert logged(parties) == Counter(names)


def test_what_one_vault_took_in_the_other_gives_out(parties: Region) -> None:
    """Receipt, row and file; and an erasure by way of one is obeyed by both."""
    path = parties.seal()
    name = read_capsule(path).digest
    receipt = parties.upload(path)
    again = parties.client("second").send("POST", "capsules", path.read_bytes(), limit=1 << 18)
    region = parties.state().region
    assert region is not None
    one, two = (
        check_receipt(each, name, region, parties.policy).index for each in (receipt, again.body)
    )
    assert one == two
    owner = SigningKey.load(parties.home.owner / "signing.key")
    client = parties.client("second", owner)
    assert client.get(f"capsules/{name}", limit=1 << 20) == path.read_bytes()
    entry = ErasureEntry(
        region=read_capsule(path).header.region,
        time=CLOCK.now(),
        capsules=(name,),
        by="operator",
        name="",
        reason="gone",
    )
    parties.submit(encode(entry, SigningKey.load(parties.home.operator)))
    assert not (parties.home.vault / "blobs" / name[:2] / name).exists()
    for vault in ("vault", "second"):
        with pytest.raises(Error):
            parties.client(vault, owner).get(f"capsules/{name}", limit=1 << 20)
        with pytest.raises(RefusedError, match="erased"):
            parties.client(vault).send("POST", "capsules", path.read_bytes(), limit=1 << 18)
