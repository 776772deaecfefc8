# SPDX-License-Identifier: Apache-2.0
"""`incamera serve` as a command: what it prints, how it fails, how it ends."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import warm
from incamera.tlog.keys import generate_cosigner, generate_signer, save
from serving import wait_for_line


def serve(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must come soon."""
    command = [sys.executable, "-m", "incamera", "serve", *map(str, words)]
    return warm.run(command, text=True, timeout=60)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A witness's configuration."""
    save(tmp_path / "note.key", generate_cosigner("witness.example/w1"))
    path = tmp_path / "witness.toml"
    path.write_text(
        'listen = "127.0.0.1:0"\nstate = "state"\nkey = "note.key"\n'
        f'[[log]]\nvkey = "{generate_signer("log.example/eu").vkey}"\n'
    )
    return path


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(
    config: Path, as_json: bool, number: signal.Signals
) -> None:
    """One line or one JSON document on stdout; exit code 0 for SIGTERM and Ctrl-C."""
    words = ["serve", "witness", str(config), *(["--json"] if as_json else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "incamera", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    line = wait_for_line(process, 60).decode()
    url = json.loads(line)["url"] if as_json else line.split()[1]
    if as_json:
        assert json.loads(line) == {"party": "witness", "pid": process.pid, "url": url}
    host, port = url.removeprefix("http://").split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    process.send_signal(number)
    rest, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest == b""
    assert b"Traceback" not in stderr


def test_an_address_that_is_taken_is_said(config: Path) -> None:
    """Exit 6, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = serve("witness", config, "--listen", address)
    assert done.returncode == 6
    assert address in done.stderr
    assert "hint: " in done.stderr


def test_a_party_is_served_once(config: Path) -> None:
    """Two servers in one folder would not know of each other: the second ends with exit 6."""
    first = subprocess.Popen(
        [sys.executable, "-m", "incamera", "serve", "witness", str(config)], stdout=subprocess.PIPE
    )
    wait_for_line(first, 60)
    done = serve("witness", config)
    assert done.returncode == 6
    assert "serve.lock" in done.stderr
    first.kill()
    first.communicate()
    again = subprocess.Popen(
        [sys.executable, "-m", "incamera", "serve", "witness", str(config)], stdout=subprocess.PIPE
    )
    wait_for_line(again, 60)
    again.kill()
    again.communicate()


TABLE = [
    ('listen = "127.0.0.1:0"', 'listen = "nowhere"', "listen: not an address"),
    ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1:99999"', "listen: not an address"),
    ('listen = "127.0.0.1:0"', "listen = 8101", "listen must be of type str"),
    ('listen = "127.0.0.1:0"\n', "", "missing key 'listen'"),
    ('key = "note.key"', 'key = "other.key"', "key: no such file"),
    ('key = "note.key"', 'key = "witness.toml"', "may read th"),
    ("[[log]]", "colour = 1\n[[log]]", "unknown key 'colour'"),
    ("[[log]]", "connections = 0\n[[log]]", "connections must be"),
    ("[[log]]", "connections = true\n[[log]]", "connections must be of type int"),
    ("[[log]]", "[log]", "log must be of type list"),
    ("[[log]]\n", "[[log]]\nname = 1\n", "unknown key 'log[0].name'"),
    ("vkey = ", "key = ", "missing key 'log[0].vkey'"),
    ('vkey = "log', 'vkey = "log+', "vkey"),
    ("[[log]]", '[tls]\ncertificate = "note.key"\n[[log]]', "missing key 'tls.key'"),
    ("[[log]]", '[tls]\ncertificate = "note.key"\nkey = "note.key"\n[[log]]', "for TLS"),
    ("[[log]]", "[[log]", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "said"), TABLE)
def test_a_wrong_configuration_is_named(config: Path, old: str, new: str, said: str) -> None:
    """Exit 3 before anything is served: the file, the key, what is wrong."""
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    done = serve("witness", config, "--json")
    assert done.returncode == 3, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]["kind"] == "input"


def test_a_missing_configuration_and_a_wrong_party(tmp_path: Path) -> None:
    """Exit 3 for a file that is not there, 2 for a party that does not exist."""
    assert serve("log", tmp_path / "none.toml").returncode == 3
    assert serve("bank", tmp_path / "none.toml").returncode == 2
    assert serve("vault", tmp_path / "none.toml", "--create").returncode == 2


def test_a_log_is_made_once_and_only_when_told(config: Path, tmp_path: Path) -> None:
    """Without --create a missing state is bad input; its token must be a secret file."""
    signer = generate_signer("log.example/new")
    save(tmp_path / "log.key", signer)
    (tmp_path / "tlog-policy").write_text(f"log {signer.vkey}\nquorum none\n")
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o644)
    log = tmp_path / "log.toml"
    log.write_text(
        'listen = "127.0.0.1:0"\npublic = "public"\nstate = "log"\nkey = "log.key"\n'
        'policy = "tlog-policy"\ntoken = "token"\n[[witness]]\nurl = "http://127.0.0.1:9"\n'
    )
    done = serve("log", log)
    assert (done.returncode, "other users may read" in done.stderr) == (3, True)
    token.chmod(0o600)
    done = serve("log", log)
    assert (done.returncode, "no log here" in done.stderr) == (3, True)
    assert not (tmp_path / "log").exists()
