# SPDX-License-Identifier: Apache-2.0
"""Several processes may write the log: the vault is told all of them, and how entries get there."""

from __future__ import annotations

import contextlib
import functools
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from incamera.clock import monotonic
from incamera.errors import InputError, UnavailableError
from incamera.service.auth import Token
from incamera.service.logclient import LogClient, parse_appended
from incamera.service.settings_queue import QueueSettings
from incamera.service.toml import read_table
from incamera.tlog.log import Appended
from incamera.wire import MissingError
from world_tlog import log_world


def taken(tmp_path: Path, text: str) -> QueueSettings | None:
    """The section of a file."""
    file = tmp_path / "vault.toml"
    file.write_text(text)
    return QueueSettings.take(read_table(file))


def test_a_queue_is_read_from_its_section(tmp_path: Path) -> None:
    """One URL or several; what opens it lies in a file that only its owner may read."""
    assert taken(tmp_path, "") is None
    found = taken(tmp_path, '[queue]\nurl = "nats://127.0.0.1:4222"\n')
    assert found == QueueSettings(("nats://127.0.0.1:4222",), None, None)
    secret = tmp_path / "nats.token"
    secret.write_text("opens the queue\n")
    secret.chmod(0o600)
    found = taken(tmp_path, '[queue]\nurl = ["tls://a", "tls://b:1"]\ntoken = "nats.token"\n')
    assert found == QueueSettings(("tls://a", "tls://b:1"), "opens the queue", None)
    assert "opens" not in repr(found)
    secret.chmod(0o640)
    with pytest.raises(InputError, match="other users"):
        taken(tmp_path, '[queue]\nurl = "tls://a"\ntoken = "nats.token"\n')


@pytest.mark.parametrize(
    "text", ['url = "http://a"', "url = []", 'url = "nats://user:word@a"', "url = 4", 'token = "x"']
)
def test_a_queue_section_that_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    """By the name of its key; no secret stands in a URL."""
    with pytest.raises(InputError, match="queue"):
        taken(tmp_path, f"[queue]\n{text}\n")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A log's public files over HTTP; its URL."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_that_is_not_there_is_not_asked_of_one_that_is_frozen(tmp_path: Path) -> None:
    """Partial tiles grow and go: if each cost the patience with a frozen leader, nobody came in."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "checkpoint").write_bytes(b"a note")
    policy = log_world(tmp_path / "log").policy
    with serving(tmp_path / "public") as good:
        frozen = socket.create_server(("127.0.0.1", 0))  # takes a connection, and answers nothing
        urls = [f"http://127.0.0.1:{frozen.getsockname()[1]}", good]
        log = LogClient(urls, Token("s" * 32), policy, seconds=1.0)
        with contextlib.closing(log), frozen:
            with pytest.raises(MissingError):
                log.fetch("tile/0/000.p/3")  # the first call finds out who is frozen
            began = monotonic()
            for _ in range(3):
                with pytest.raises(MissingError):
                    log.fetch("tile/0/000.p/3")
            assert log.fetch("checkpoint") == b"a note"
            assert monotonic() - began < 0.9  # less than one wait for the frozen one


def test_an_answer_of_a_log_is_read_strictly() -> None:
    """Where the entries begin, or where each of them stands; anything else is no answer."""
    assert parse_appended(b'{"first":3,"size":9}', 2, "log") == Appended(3, 9)
    found = parse_appended(b'{"first":3,"indices":[3,1],"size":9}', 2, "log")
    assert found == Appended(3, 9, (3, 1))
    assert found.note == b""
    noted = parse_appended('{"first":3,"note":"log\\n3\\nü","size":9}'.encode(), 2, "log")
    assert (noted, noted.note) == (Appended(3, 9), "log\n3\nü".encode())
    assert parse_appended(b'{"first":3,"note":"\\ud800","size":9}', 2, "log").note == b"?"
    for answer in (
        b'{"first":3,"indices":[3],"size":9}',
        b'{"first":3,"indices":[1,3],"size":9}',
        b'{"first":3,"indices":["3",1],"size":9}',
        b'{"first":3,"indices":7,"size":9}',
        b'{"first":true,"size":9}',
        b'{"first":3,"note":7,"size":9}',
        b'{"first":3,"note":null,"size":9}',
        b'{"first":3,"notes":"","size":9}',
        b'{"first":3}',
        b"[]",
        b"",
    ):
        with pytest.raises(UnavailableError, match="not an answer"):
            parse_appended(answer, 2, "log")
