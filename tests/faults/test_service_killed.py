# SPDX-License-Identifier: Apache-2.0
"""A region of processes in which anybody dies at any moment, and nobody who was told yes is lost.

| dies, by SIGKILL | in the middle of | then expected |
|---|---|---|
| log | entries from many callers | each answered entry stands where it was said, once |
| vault | capsules and requests coming in | each receipt holds; the same again, the same entry |
| a trustee | deciding | the same request gets the same shares, one grant entry |
| a witness | cosigning | the same; the others make the quorum; back, it goes on where it was |
| two witnesses | appends | refused, nothing lost; both back, all goes on |

In every row the log, read as an outsider, verifies whole afterwards.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from incamera.errors import Error, UnavailableError
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.service import LogClient
from incamera.service.auth import Token
from incamera.tlog import LogReader, merkle
from serving import Party, Reader, Region, region
from world import quick_folder


@pytest.fixture(scope="module")
def parties() -> Iterator[Region]:
    """All eight, running; each test leaves them running."""
    with quick_folder() as folder, region(folder) as made:
        yield made


@pytest.fixture(scope="module")
def reader(parties: Region) -> Reader:
    """An enrolled reader."""
    return parties.enrol()


@pytest.fixture(scope="module")
def capsule(parties: Region) -> Capsule:
    """A capsule in the vault."""
    path = parties.seal(b"kept through everything")
    parties.upload(path)
    return read_capsule(path)


def entries(parties: Region) -> list[bytes]:
    """All entries, verified under the witnessed root."""
    log = LogReader(parties.fetch(), parties.policy)
    checkpoint = log.checkpoint().checkpoint
    found = list(log.entries(0, checkpoint.size, checkpoint.size))
    assert merkle.root([merkle.leaf_hash(each) for each in found]) == checkpoint.root
    return found


def log_client(parties: Region) -> LogClient:
    """As the vault has it."""
    token = Token.load(parties.folder / "token")
    return LogClient(parties.urls["log"], token, parties.policy, seconds=20)


def again(party: Party, times: int, pause: float) -> None:
    """Kill it and start it, again and again."""
    for _ in range(times):
        time.sleep(pause)
        party.kill()
        party.start()


@pytest.mark.parametrize(
    "victims",
    [("log",) * 4, ("witness-1", "witness-2", "witness-3", "witness-1"), ("log", "witness-2") * 2],
    ids=["log", "witnesses", "both"],
)
def test_they_die_while_many_append(parties: Region, victims: tuple[str, ...]) -> None:
    """Callers that ask again until they are answered find each entry at the place they were told.

    An answer lost on the way is not a second entry: what the log had published is found in its
    tiles, what it had begun is finished first.
    """
    told: dict[bytes, int] = {}
    run = secrets.token_hex(4).encode()

    def append(number: int) -> None:
        client = log_client(parties)
        for turn in range(12):
            entry = b"not an entry of the ledger %s %d %d" % (run, number, turn)
            while entry not in told:
                try:
                    told[entry] = client.append([entry]).first_index
                except UnavailableError:
                    time.sleep(0.1)
        client.close()

    def kill() -> None:
        for name in victims:
            again(parties.parties[name], 1, 0.5)

    with ThreadPoolExecutor(7) as pool:
        killing = pool.submit(kill)
        list(pool.map(append, range(6)))
        killing.result()
    found = entries(parties)
    assert len(told) == 72
    for entry, index in told.items():
        assert found[index] == entry
    counts = {entry: found.count(entry) for entry in told}
    assert max(counts.values()) == 1, {k: v for k, v in counts.items() if v > 1}


def test_the_vault_dies_while_capsules_come(parties: Region) -> None:
    """A car that asks until it has a receipt has one that holds, for one entry."""
    paths = [parties.seal(b"clip %d" % number) for number in range(5)]
    founding = parties.state().region
    assert founding is not None
    receipts: list[bytes] = []

    def deliver() -> None:
        for path in paths:
            while True:
                try:
                    receipts.append(parties.upload(path, seconds=20))
                    break
                except UnavailableError:
                    time.sleep(0.1)

    thread = threading.Thread(target=deliver)
    thread.start()
    again(parties.parties["vault"], 3, 0.4)
    thread.join(60)
    names = [read_capsule(path).digest for path in paths]
    for name, receipt in zip(names, receipts, strict=True):
        at = check_receipt(receipt, name, founding, parties.policy).index
        admitted = parties.state().capsule(name)
        assert admitted is not None
        assert admitted.index == at
    assert not list((parties.home.vault / "incoming").iterdir())


def test_a_trustee_dies_while_it_decides(parties: Region, reader: Reader, capsule: Capsule) -> None:
    """Asked again after each death, it grants under one entry, to one key."""
    leaf = parties.leaf(reader, [capsule])
    index = parties.submit(leaf)
    name = parties.names[0]
    party = parties.parties[name]
    asked = parties.shown(name, leaf, index, [capsule])
    for pause in (0.0, 0.05, 0.15, 0.3):
        client = parties.client(name, seconds=20, attempts=1)

        def ask(client: object = client) -> None:
            try:
                client.send("POST", "decide", asked, limit=1 << 20)  # type: ignore[attr-defined]
            except Error:
                return

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(pause)
        party.kill()
        thread.join()
        party.start()
    grants = [parties.decide(each, leaf, index, capsule) for each in parties.names[:2]]
    assert parties.open(reader, capsule, leaf, grants) == b"kept through everything"
    granted = [each for each in parties.state().grants() if each.trustee == name]
    assert len([each for each in granted if each.request == grants[0].request]) == 1


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_one_witness_may_be_down(parties: Region, number: int) -> None:
    """Two of three cosign; when the third is back, it is asked again and cosigns."""
    client = log_client(parties)
    down = parties.parties[f"witness-{number}"]
    down.kill()
    before = client.append([b"without witness %d" % number])
    names = [each for each in parties.policy.witnesses if each != f"witness-{number}"]
    assert sorted(client.refresh().times) == sorted(names)
    down.start()
    client.append([b"with witness %d again" % number])
    assert len(client.refresh().times) == 3
    assert entries(parties)[before.first_index] == b"without witness %d" % number
    client.close()


def test_with_two_witnesses_down_nothing_is_taken_and_then_all_goes_on(
    parties: Region, reader: Reader, capsule: Capsule
) -> None:
    """Refused as unavailable by log and vault; back again, what was asked stands there once."""
    for name in ("witness-1", "witness-2"):
        parties.parties[name].kill()
    before = len(entries(parties))
    leaf = parties.leaf(reader, [capsule])
    answer = parties.client("vault", attempts=1).ask("POST", "entries", leaf, limit=10_000)
    assert answer.status == 503
    said = json.loads(answer.body)
    assert said["kind"] == "unavailable"
    assert "Traceback" not in answer.body.decode()
    direct = log_client(parties)
    with pytest.raises(UnavailableError, match="quorum"):
        direct.append([b"while two are down"])
    assert len(entries(parties)) == before
    parties.start(["witness-1", "witness-2"])
    index = parties.submit(leaf)
    found = entries(parties)
    assert found[index] == leaf
    assert found.count(leaf) == 1
    assert direct.append([b"while two are down"]).size >= before
    direct.close()
    for name in parties.names[1:]:
        parties.decide(name, leaf, index, capsule)


def test_everybody_stops_cleanly_and_starts_again(parties: Region, capsule: Capsule) -> None:
    """SIGTERM ends each party with exit code 0; started again, the region is as it was."""
    before = entries(parties)
    codes = {name: party.stop() for name, party in parties.parties.items()}
    assert set(codes.values()) == {0}, codes
    parties.start()
    assert entries(parties)[: len(before)] == before
    other = parties.enrol("pixel", "research", "FR")
    assert parties.kept(other, capsule.digest).digest == capsule.digest


def test_the_parties_may_be_started_in_any_order(
    parties: Region, reader: Reader, capsule: Capsule
) -> None:
    """Who starts before those it needs says that it cannot yet, and then can."""
    for party in parties.parties.values():
        party.stop()
    parties.start(["vault", *parties.names])
    vault = parties.client("vault", attempts=1)
    early = parties.leaf(reader, [capsule])
    assert vault.ask("POST", "entries", early, limit=10_000).status == 503
    for name in parties.names:
        told = json.loads(parties.client(name).get("status", limit=10_000))
        assert told["frozen"] is False
    parties.start(["log"])
    parties.start(["witness-2", "witness-3", "witness-1"])
    end = time.monotonic() + 30
    while (status := vault.ask("POST", "entries", early, limit=10_000).status) == 503:
        assert time.monotonic() < end, "the vault has not found the log again"
        time.sleep(0.2)
    assert status == 201
    other = parties.enrol("late", "research", "FR")
    leaf = parties.leaf(other, [capsule])
    index = parties.submit(leaf)
    grants = [parties.decide(name, leaf, index, capsule) for name in parties.names[:2]]
    assert parties.open(other, capsule, leaf, grants) == b"kept through everything"


def test_no_line_names_anybody_and_no_fault_was_hidden(parties: Region) -> None:
    """After all that: every line on stderr is one JSON document, and none is a fault."""
    token = (parties.folder / "token").read_text()
    for party in parties.parties.values():
        for line in party.log().splitlines():
            said = json.loads(line)
            assert said["event"] != "fault", said
            assert token not in line
            assert "127.0.0.1" not in json.dumps({k: v for k, v in said.items() if k != "said"})
