# SPDX-License-Identifier: Apache-2.0
"""A process that admits beside the one that listens: real ones, told things, killed, orphaned."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from incamera.clock import SystemClock
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Name
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import Address, AddressesEntry, CapsuleEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.hands import Hands, _Process
from incamera.service.logclient import LogClient
from incamera.service.opening import log_of, vault_of
from incamera.service.settings import VaultSettings
from incamera.tlog import LogReader
from incamera.vault import Source
from serving import WITNESSES, Party, Region
from world import quick_folder


@pytest.fixture(scope="module")
def region() -> Iterator[Region]:
    """Log and witnesses as servers; the vault is this test's."""
    with quick_folder() as folder:
        made = Region(folder)
        try:
            made.start(["log", *WITNESSES])
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def settings(region: Region) -> VaultSettings:
    """As a file with ``apart = true`` has it."""
    config = region.parties["vault"].config
    config.write_text(f"apart = true\n{config.read_text()}")
    found = VaultSettings.load(config)
    assert found.apart
    return found


@pytest.fixture(scope="module")
def hands(settings: VaultSettings) -> Iterator[Hands]:
    """Two batches at a time."""
    made = Hands(settings, 2)
    made.start()
    yield made
    made.stop()


def child(hands: Hands) -> int:
    """The other process."""
    return hands._running()._process.pid


def held(path: Path) -> Source:
    """As a short upload arrives."""
    capsule = read_capsule(path)
    return Source(Path("upload"), path.read_bytes(), capsule.header)


def admit(hands: Hands, path: Path) -> bytes:
    """One capsule, as its car delivers it: until it has a receipt."""
    for _ in range(100):
        with contextlib.suppress(UnavailableError):
            (answer,) = hands.admit_all([held(path)])
            if isinstance(answer, bytes):
                return answer
            if not isinstance(answer, UnavailableError):
                raise answer
        time.sleep(0.1)
    raise AssertionError("it was never admitted")


def check(region: Region, path: Path, receipt: bytes | Error) -> int:
    """Where the capsule stands; the log has it once."""
    assert isinstance(receipt, bytes), receipt
    name, founding = read_capsule(path).digest, region.state().region
    assert founding is not None
    reader = LogReader(region.fetch(), region.policy)
    size = reader.checkpoint().checkpoint.size
    entries = (decode(each, "log").entry for each in reader.entries(0, size, size))
    assert Counter(e.capsule for e in entries if isinstance(e, CapsuleEntry))[name] == 1
    return check_receipt(receipt, name, founding, region.policy).index


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_batch_is_admitted_by_the_other_process(region: Region, hands: Hands) -> None:
    """What is held in memory and what lies in a file; its arguments say nothing of anybody."""
    paths = [region.seal() for _ in range(3)]
    sources = [held(paths[0]), Source(paths[1]), held(paths[2])]
    answers = hands.admit_all(sources)
    assert sorted(check(region, *each) for each in zip(paths, answers, strict=True))
    assert hands.admit_all([held(paths[1])])[0] is not None
    words = Path(f"/proc/{child(hands)}/cmdline").read_bytes().split(b"\0")
    assert words[1:3] == [b"-P", b"-c"]
    assert all(word.isdigit() for word in words[4:-1])
    assert str(region.folder).encode() not in b"".join(words)


def test_an_error_comes_back_as_it_was(
    region: Region, hands: Hands, settings: VaultSettings
) -> None:
    """Class, code, message, hint: as this process would have said it."""
    rubbish = region.folder / "rubbish"
    rubbish.write_bytes(b"not a capsule")
    damaged, good = region.seal(), region.seal()
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(bytes(data))
    refused = region.seal(car=SigningKey.generate())
    sources = [Source(rubbish), held(damaged), held(refused), held(good), Source(Path("missing"))]
    answers = hands.admit_all(sources)
    vault = vault_of(settings, log_of(settings), SystemClock())
    with contextlib.closing(vault):
        here = vault.admit_sources(sources)
    check(region, good, answers.pop(3))
    check(region, good, here.pop(3))
    kinds = [InputError, IntegrityError, PolicyError, InputError]
    for one, other, kind in zip(answers, here, kinds, strict=True):
        assert isinstance(one, kind)
        assert (type(one), vars(one), str(one)) == (type(other), vars(other), str(other))
    assert vars(answers[2])["code"] == "unenrolled"


def test_no_signal_of_a_terminal_or_a_supervisor_ends_it(region: Region, hands: Hands) -> None:
    """It ends with who started it, and not before."""
    before = child(hands)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(before, number)
    path = region.seal()
    check(region, path, admit(hands, path))
    assert child(hands) == before


def test_who_waits_for_one_that_is_killed_is_told_and_may_ask_again(
    region: Region, hands: Hands, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the log writes: both batches are told 503, and asked again nothing is there twice."""
    paths, before = [region.seal() for _ in range(2)], child(hands)
    log = region.parties["log"].process
    assert log is not None
    log.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(hands.admit_all, [held(path)]) for path in paths]
        time.sleep(0.3)
        os.kill(before, signal.SIGKILL)
        said = [each.exception(10) for each in asked]
    log.send_signal(signal.SIGCONT)
    assert all(isinstance(each, UnavailableError) for each in said)
    for path in paths:
        check(region, path, admit(hands, path))
    assert child(hands) != before
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [each["code"] for each in told if each["event"] == "admitting ended"] == [-9]


def test_one_that_died_with_nothing_in_hand_is_replaced_unnoticed(
    region: Region, hands: Hands
) -> None:
    """The next batch is admitted, with no error in between."""
    process = hands._running()
    hands._started -= 1.0  # one that dies at once is not started again at once
    os.kill(process._process.pid, signal.SIGKILL)
    wait_until(lambda: process.ended)
    path = region.seal()
    (answer,) = hands.admit_all([held(path)])
    check(region, path, answer)


def test_twenty_that_are_killed_leave_nothing_behind(settings: VaultSettings) -> None:
    """No descriptor, no process; whether they were in the middle of something or not."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    pids = []
    for number in range(20):
        process = _Process(settings, 2)
        pids.append(process._process.pid)
        if number % 2:
            asking = threading.Thread(target=_asked, args=(process,))
            asking.start()
        process.kill()
        if number % 2:
            asking.join(10)
            assert not asking.is_alive()
        with pytest.raises(OSError, match="closed"):
            process.admit_all([])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not any(map(alive, pids))


def _asked(process: _Process) -> None:
    with contextlib.suppress(EOFError, OSError):
        process.admit_all([])


def test_a_fault_in_it_is_a_line_of_the_journal_and_503(
    region: Region, settings: VaultSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    """What no capsule is, is no reason for anybody to wait for ever; nothing is quoted.

    And a signal that comes before it can say that it hears none is not heard.
    """
    process = _Process(settings, 1)
    os.kill(process._process.pid, signal.SIGTERM)
    answer = process.admit_all([Source("a secret")])  # type: ignore[arg-type]
    assert isinstance(answer, UnavailableError)
    path = region.seal()
    found = process.admit_all([held(path)])
    assert isinstance(found, list)
    check(region, path, found[0])
    (link := process._free.get()).send_bytes(b"no pickle")
    assert process._process.wait(20) == 0
    link.close()
    said = capfd.readouterr().err
    faults = [json.loads(line) for line in said.splitlines()]
    assert [each["error"] for each in faults] == ["AttributeError", "UnpicklingError"]
    assert "secret" not in said


def test_every_kind_of_settings_can_be_told(tmp_path: Path, settings: VaultSettings) -> None:
    """Each key that a vault has; what opens the queue goes by the socket, not by an argument."""
    files = ("key", "policy", "token", "ca", "credentials", "pgpass", "secret", "tokens", "cert")
    for name in files:
        (tmp_path / name).write_text("" if name == "tokens" else "a-secret-word\n")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "vault.toml").write_text(
        """listen = "127.0.0.1:8443"
home = "home"
key = "key"
policy = "policy"
largest = 1000
connections = 9
uploads = "uploads"
apart = false
[tls]
certificate = "cert"
key = "key"
[log]
url = ["https://one.example", "https://two.example"]
public = "https://log.example"
ca = "ca"
token = "token"
[trustees]
de = "https://de.example"
[residency]
networks = ["192.0.2.0/24", "2001:db8::/32"]
proxies = ["127.0.0.1/32"]
[blobs]
url = "s3://bucket/prefix"
endpoint = "https://s3.example"
region = "eu"
credentials = "credentials"
ca = "ca"
[limits]
capsules_per_hour = 1
[operator]
tokens = "tokens"
listen = "127.0.0.1:8444"
certificate = "cert"
key = "key"
ca = "ca"
[queue]
url = "nats://127.0.0.1:4222"
token = "secret"
ca = "ca"
[database]
url = "postgresql://vault@db.example/eu"
passfile = "pgpass"
connections = 3
"""
    )
    full = VaultSettings.load(tmp_path / "vault.toml")
    assert not full.apart
    for each in (full, settings, replace(full, blobs=None, queue=None, database=None)):
        assert pickle.loads(pickle.dumps(each)) == each
    text = (tmp_path / "vault.toml").read_text()
    (tmp_path / "vault.toml").write_text(text.replace("apart = false\n", ""))
    assert VaultSettings.load(tmp_path / "vault.toml").apart


@pytest.fixture
def vault(region: Region, settings: VaultSettings) -> Iterator[Party]:
    """Served, with a process that admits; and so that its group can be signalled."""
    assert settings.apart
    party = region.parties["vault"]
    party.machine = ("setsid",)
    party.start()
    yield party
    if party.process is not None:
        party.kill()


def below(pid: int) -> list[int]:
    """Its children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for task in tasks for each in (task / "children").read_text().split()]


def test_killed_it_leaves_no_orphan_and_asked_to_end_it_finishes(
    region: Region, vault: Party
) -> None:
    """Kill -9 of who listens; then, of its successor, SIGTERM to the whole group under load."""
    assert vault.process is not None
    (other,) = below(vault.process.pid)
    path = region.seal()
    check(region, path, region.upload(path))
    vault.kill()
    wait_until(lambda: not alive(other))
    vault.start()
    (other,) = below(vault.process.pid)
    more = [region.seal() for _ in range(4)]
    log = region.parties["log"].process
    assert log is not None
    log.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(region.upload, each) for each in more]
        time.sleep(0.5)
        os.killpg(vault.process.pid, signal.SIGTERM)
        time.sleep(0.2)
        log.send_signal(signal.SIGCONT)
        answers = [each.exception(20) or each.result() for each in sent]
    assert vault.process.wait(20) == 0
    assert not alive(other)
    got = [(at, each) for at, each in enumerate(answers) if isinstance(each, bytes)]
    assert got, answers  # those in hand; who waited behind them is told to ask again
    for at, receipt in got:
        check(region, more[at], receipt)
    assert "Traceback" not in vault.log()


@pytest.fixture
def elsewhere(region: Region, settings: VaultSettings, tmp_path: Path) -> Iterator[Hands]:
    """Of another vault, with a folder of its own; started while the log is away."""
    made = Hands(replace(settings, home=tmp_path / "home"), 2)
    region.parties["log"].kill()
    made.start()
    yield made
    made.stop()
    with pytest.raises(UnavailableError, match="stopping"):
        made.admit_all([])


def test_while_the_log_is_away_it_says_so_then_goes_on_and_keeps_to_what_the_log_declares(
    region: Region, elsewhere: Hands
) -> None:
    """503 while it cannot open its vault; then it connects until a list leaves the log out."""
    before, path = child(elsewhere), region.parties["vault"].config
    with pytest.raises(UnavailableError):
        elsewhere.admit_all([Source(path)])
    region.parties["log"].start()
    path = region.seal()
    check(region, path, admit(elsewhere, path))
    assert child(elsewhere) == before
    _declare(region, [region.urls[name] for name in WITNESSES])
    said = _until_refused(elsewhere, region.seal())
    assert vars(said)["code"] == "residency"


def _until_refused(hands: Hands, path: Path) -> PolicyError:
    for _ in range(200):
        try:
            (answer,) = hands.admit_all([held(path)])
        except Error as error:
            answer = error
        if isinstance(answer, PolicyError):
            return answer
        time.sleep(0.05)
    raise AssertionError("it still connects")


def _declare(region: Region, urls: Sequence[str]) -> None:
    places = sorted((each.rpartition(":")[2], each) for each in urls)
    found = region.state().region
    assert found is not None
    entry = AddressesEntry(
        region=found.region,
        time=SystemClock().now(),
        allowed=tuple(
            Address(Name("party"), "", "127.0.0.1/32", int(port)) for port, _ in sorted(places)
        ),
    )
    token = Token.load(region.folder / "token")
    log = LogClient(region.urls["log"], token, region.policy)
    with contextlib.closing(log):
        log.append([encode(entry, SigningKey.load(region.home.operator))])
