# SPDX-License-Identifier: Apache-2.0
"""A log and a witness behind HTTP, read and asked by our clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from incamera.errors import InputError, UnavailableError
from incamera.tlog import LogReader, Witness
from incamera.tlog.remote import HttpFetch, HttpWitness
from incamera.wire import MissingError
from world_tlog import LogWorld, log_world


class Quiet(SimpleHTTPRequestHandler):
    """A static web server as Python has it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""


def serving(handler: object) -> ThreadingHTTPServer:
    """A server on a free port, in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def world(tmp_path: Path) -> LogWorld:
    """A log of 600 entries."""
    world = log_world(tmp_path)
    world.log.append([b"entry %d" % number for number in range(600)])
    return world


@pytest.fixture
def fetch(world: LogWorld) -> Iterator[HttpFetch]:
    """Its public folder behind a foreign static server."""
    server = serving(partial(Quiet, directory=str(world.public)))
    fetch = HttpFetch(f"http://127.0.0.1:{server.server_address[1]}", attempts=1)
    yield fetch
    fetch.close()
    server.shutdown()
    server.server_close()


def test_a_log_is_read_from_any_static_server(world: LogWorld, fetch: HttpFetch) -> None:
    """Checkpoint, entries and proofs, verified, over HTTP."""
    reader = LogReader(fetch, world.policy)
    size = reader.checkpoint().checkpoint.size
    assert list(reader.entries(0, size, size))[599] == b"entry 599"
    assert reader.inclusion(300, size)


def test_a_missing_file_is_told_from_a_silent_log(fetch: HttpFetch) -> None:
    """Both are unavailable; only one of them was answered."""
    with pytest.raises(MissingError):
        fetch("tile/0/999")
    silent = HttpFetch("http://127.0.0.1:9", seconds=1, attempts=1)
    with pytest.raises(UnavailableError) as caught:
        silent("checkpoint")
    assert not isinstance(caught.value, MissingError)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "", "a?b", "a#b", "a%2fb", ".x"])
def test_no_path_leads_out_of_the_prefix(fetch: HttpFetch, path: str) -> None:
    """Whatever a log's entries name, what is asked for lies below the log's own URL."""
    with pytest.raises(InputError):
        fetch(path)


def test_a_file_is_no_longer_than_its_kind(world: LogWorld, fetch: HttpFetch) -> None:
    """A tile of 256 hashes has 8192 bytes; a longer one is not read to its end."""
    (world.public / "tile/0/000").write_bytes(b"x" * 8193)
    with pytest.raises(UnavailableError, match="8192"):
        fetch("tile/0/000")


def test_many_threads_share_one_fetch(fetch: HttpFetch) -> None:
    """Each gets what it asked for."""
    found: list[bytes] = []

    def read() -> None:
        for _ in range(20):
            found.append(fetch("tile/0/000"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert len(set(found)) == 1


def witness_handler(witness: Witness, delay: list[float]) -> type[BaseHTTPRequestHandler]:
    """``add-checkpoint`` over HTTP, as slow as ``delay`` says."""

    class Handler(Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay[0])
            status, answer = witness.add_checkpoint(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    return Handler


def test_a_log_is_cosigned_over_http_and_waits_for_no_silent_witness(world: LogWorld) -> None:
    """Three witnesses behind HTTP; one goes silent, and the others are enough."""
    delays = [[0.0] for _ in world.witnesses]
    servers = [
        serving(witness_handler(each.inner, delay))
        for each, delay in zip(world.witnesses, delays, strict=True)
    ]
    clients = [
        HttpWitness(f"http://127.0.0.1:{each.server_address[1]}", seconds=3) for each in servers
    ]
    log = world.reopened(clients)
    assert log.append([b"one"]).first_index == 600
    delays[0][0] = 2.0
    assert log.append([b"two"]).first_index == 601
    begin = time.monotonic()
    for number in range(3):
        log.append([b"%d" % number])
    assert time.monotonic() - begin < 1.5
    assert len(log.checkpoint().times) == 2
    # Another one is slow now. Two are not enough of three, so the first is waited for after all.
    delays[0][0], delays[1][0], delays[2][0] = 0.0, 1.0, 1.0
    log.append([b"at last"])
    assert len(log.checkpoint().times) >= 2
    for client, server in zip(clients, servers, strict=True):
        client.close()
        server.shutdown()
        server.server_close()
