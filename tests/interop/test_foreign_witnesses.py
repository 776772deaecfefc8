# SPDX-License-Identifier: Apache-2.0
"""C2SP tlog-witness between us and others: their witness for our log, ours for their logs."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from foreign import environment, go_programs, incamera_serves, run, tool

from incamera.clock import SystemClock
from incamera.errors import IntegrityError, UnavailableError
from incamera.ids import digest
from incamera.tlog import FolderFetch, Log, LogReader, Policy, Signer, Witness, keys, tile
from incamera.tlog.note import Cosigner, Verifier
from incamera.tlog.remote import HttpFetch, HttpWitness
from world_tlog import ed25519_key

ORIGIN = "log.example/eu"


def aics(config: Path, verb: str, *words: str) -> str:
    """What an aics-witness command prints."""
    return run([tool("aics-witness"), verb, "--config", config, *words])


@dataclass(frozen=True)
class Foreign:
    """An aics-witness that runs."""

    url: str
    vkey: str
    config: Path


@contextlib.contextmanager
def aics_witness(home: Path, log: Signer) -> Iterator[Foreign]:
    """aics-witness as a process of its own in ``home``, trusting ``log``."""
    config = home / "witness.json"
    home.mkdir(exist_ok=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    name, address = f"foreign.example/{home.name}", f"127.0.0.1:{port}"
    files = ("--db", "witness.db", "--key-file", "witness.key")
    words = aics(config, "init", "--name", name, "--listen", address, *files).split()
    [vkey] = {word for word in words if word.startswith(f"{name}+")}
    aics(config, "add-log", "--origin", log.name, "--vkey", log.vkey)
    with (home / "log").open("w") as output:
        process = subprocess.Popen(
            [str(tool("aics-witness")), "serve", "--config", str(config)],
            env=environment(),
            stdout=output,
            stderr=output,
        )
        try:
            _wait(port)
            yield Foreign(f"http://{address}", vkey, config)
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int) -> None:
    for _ in range(100):
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=0.2),
        ):
            return
        time.sleep(0.1)
    pytest.fail(f"nobody listens on port {port}")


def witnessed_by(home: Path, signer: Signer, *witnesses: Foreign) -> Log:
    """Our log in ``home``, opened or made, cosigned by all of ``witnesses`` over HTTP."""
    names = [f"w{number}" for number, _ in enumerate(witnesses)]
    lines = [
        f"witness {name} {each.vkey} {each.url}\n"
        for name, each in zip(names, witnesses, strict=True)
    ]
    group = f"group g all {' '.join(names)}\nquorum g\n"
    policy = Policy.parse(f"log {signer.vkey}\n{''.join(lines)}{group}")
    clients = [HttpWitness(each.url) for each in witnesses]
    make = Log if (home / "state" / "tree").exists() else Log.create
    return make(home / "public", home / "state", signer, clients, policy, SystemClock())


def test_two_foreign_witnesses_cosign_our_log_as_it_grows(tmp_path: Path) -> None:
    """Both cosign every checkpoint; where one is gone, nothing is published."""
    signer = Signer(ORIGIN, ed25519_key("log"))
    with aics_witness(tmp_path / "w1", signer) as one:
        with aics_witness(tmp_path / "w2", signer) as two:
            log = witnessed_by(tmp_path, signer, one, two)
            for batch in ([b"one"], [b"%d" % n for n in range(300)], [b"last"]):
                log.append(batch)
            assert set(log.checkpoint().times) == {"w0", "w1"}
            shown = HttpFetch(one.url)(f"{digest(ORIGIN.encode())}/checkpoint")
            only_one = Policy.parse(f"log {signer.vkey}\nwitness w {one.vkey}\nquorum w\n")
            assert only_one.check(shown).checkpoint == log.checkpoint().checkpoint
            assert '"size": 302' in aics(two.config, "status", "--json")
        with pytest.raises(UnavailableError, match="quorum"):
            log.append([b"more"])
        assert log.size == 302


def test_a_foreign_witness_stops_a_log_that_was_rolled_back(tmp_path: Path) -> None:
    """A restored backup meets a witness that remembers: it cannot sign a second tree."""
    signer = Signer(ORIGIN, ed25519_key("log"))
    with aics_witness(tmp_path / "w1", signer) as witness:
        log = witnessed_by(tmp_path / "log", signer, witness)
        log.append([b"a", b"b"])
        shutil.copytree(tmp_path / "log", tmp_path / "backup")
        log.append([b"c"])
        restored = witnessed_by(tmp_path / "backup", signer, witness)
        with pytest.raises(IntegrityError, match="has cosigned size 3"):
            restored.append([b"another c"])


def test_a_foreign_witness_convicts_a_log_that_forks(tmp_path: Path) -> None:
    """Two trees of one size under one key: refused, and kept as evidence by the other side."""
    signer = Signer(ORIGIN, ed25519_key("log"))
    with aics_witness(tmp_path / "w1", signer) as witness:
        witnessed_by(tmp_path / "log", signer, witness).append([b"a", b"b"])
        own = Cosigner("own.example/w", ed25519_key("own"))
        ours = Witness(tmp_path / "own", own, {ORIGIN: signer.verifier}, SystemClock())
        policy = Policy.parse(f"log {signer.vkey}\nwitness own {own.vkey}\nquorum own\n")
        places = tmp_path / "fork/public", tmp_path / "fork/state"
        fork = Log.create(*places, signer, [ours], policy, SystemClock())
        fork.append([b"a", b"x"])
        with pytest.raises(IntegrityError, match="another tree"):
            Log(*places, signer, [HttpWitness(witness.url)], policy, SystemClock()).refresh()
        assert ORIGIN in aics(witness.config, "evidence")


def test_our_log_server_asks_a_foreign_witness(tmp_path: Path) -> None:
    """`incamera serve log` and aics-witness, each a process: what is added is cosigned."""
    signer = Signer(ORIGIN, ed25519_key("log"))
    keys.save(tmp_path / "note.key", signer)
    (tmp_path / "token").write_text("ab" * 32 + "\n")
    (tmp_path / "token").chmod(0o600)
    with aics_witness(tmp_path / "w1", signer) as witness:
        policy = f"log {signer.vkey}\nwitness w {witness.vkey} {witness.url}\nquorum w\n"
        (tmp_path / "policy").write_text(policy)
        (tmp_path / "log.toml").write_text(
            'listen = "127.0.0.1:0"\npublic = "public"\nstate = "state"\nkey = "note.key"\n'
            f'policy = "policy"\ntoken = "token"\n[[witness]]\nurl = "{witness.url}"\n'
        )
        with incamera_serves("log", tmp_path / "log.toml", "--create") as url:
            entries = tile.encode_bundle([b"entry %d" % number for number in range(300)])
            head = {"Authorization": f"Bearer {'ab' * 32}"}
            answer = httpx.post(f"{url}/add", content=entries, headers=head)
            said = answer.json()
            assert (said["first"], said["size"]) == (0, 300)
            reader = LogReader(HttpFetch(url), Policy.parse(policy))
            assert set(reader.checkpoint().times) == {"w"}
            assert list(reader.entries(299, 300, 300)) == [b"entry 299"]
        assert '"size": 300' in aics(witness.config, "status", "--json")


@contextlib.contextmanager
def our_witness(home: Path, cosigner: Cosigner, log: Verifier) -> Iterator[str]:
    """`incamera serve witness` for one log; its address."""
    keys.save(home / "witness.key", cosigner)
    (home / "witness.toml").write_text(
        'listen = "127.0.0.1:0"\nstate = "witness"\nkey = "witness.key"\n'
        f'[[log]]\nvkey = "{log.vkey}"\n'
    )
    with incamera_serves("witness", home / "witness.toml") as url:
        yield url


def check_foreign_log(folder: Path, url: str, policy: Policy, entries: Sequence[bytes]) -> None:
    """We can read the log in ``folder``, and our witness shows monitors its last checkpoint."""
    reader, size = LogReader(FolderFetch(folder), policy), len(entries)
    last = reader.checkpoint().checkpoint
    assert last.size == size
    assert list(reader.entries(0, size, size)) == list(entries)
    assert reader.inclusion(size - 1, size)
    shown = HttpFetch(url)(f"{digest(last.origin.encode())}/checkpoint")
    assert policy.check(shown).checkpoint == last


@pytest.mark.parametrize("post_quantum", [False, True])
def test_our_witness_cosigns_a_log_written_with_gos_packages(
    tmp_path: Path, *, post_quantum: bool
) -> None:
    """Every status as the specification has it, checked in Go; we read the log that Go wrote."""
    feed = go_programs() / "bin" / "feed"
    secret = tmp_path / "log.key"
    log = Verifier.parse(run([feed, "new", secret, "go.example/log"]).strip())
    cosigner = keys.generate_cosigner("witness.example/w", ml_dsa=post_quantum)
    policy = Policy.parse(f"log {log.vkey}\nwitness w {cosigner.vkey}\nquorum w\n")
    with our_witness(tmp_path, cosigner, log) as url:
        told = run([feed, "run", secret, tmp_path / "log", url, cosigner.vkey]).splitlines()
        entries = [b"entry %d" % number for number in range(1000)]
        check_foreign_log(tmp_path / "log", url, policy, entries)
    assert [int(line.rsplit(" ", 1)[1]) for line in told] == [200] * 7 + [
        409, 422, 422, 400, 403, 404, 400,
    ]  # fmt: skip


def test_our_witness_cosigns_a_log_written_with_aics_tlog(tmp_path: Path) -> None:
    """Their client asks, understands each answer, and we read the log that they wrote."""
    tool("aics-witness")
    script = Path(__file__).parents[2] / "docs" / "verify" / "aics_feed.py"
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    log = Signer("aics.example/log", private).verifier
    cosigner = keys.generate_cosigner("witness.example/w")
    policy = Policy.parse(f"log {log.vkey}\nwitness w {cosigner.vkey}\nquorum w\n")
    with our_witness(tmp_path, cosigner, log) as url:
        told = run([tool("python"), script, tmp_path / "log", url, cosigner.vkey]).splitlines()
        entries = [b"aics entry %d" % number for number in range(700)]
        check_foreign_log(tmp_path / "log", url, policy, entries)
    assert told[0] == log.vkey
    assert told[-2:] == ["size 700: cosigned", "another tree of size 700: refused with 422"]
