# SPDX-License-Identifier: Apache-2.0
"""The HTTP client against servers that misbehave, each a real one on loopback."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.wire import Client, MissingError, RefusedError

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.behave: Behaviour = lambda handler: answer(handler, 200, b"")
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {k.lower(): v for k, v in self.headers.items()}
                outer.asked.append((self.command, self.path, body, headers))
                outer.behave(self)

            do_GET = do_POST = do_PUT = _any  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Silent."""

        self.inner = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.inner.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.inner.server_address[1]}"
        threading.Thread(target=self.inner.serve_forever, args=(0.02,), daemon=True).start()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """A whole response."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server to be told what to do."""
    server = Server()
    yield server
    server.inner.shutdown()
    server.inner.server_close()


def test_a_body_comes_back_whole(server: Server) -> None:
    """The bytes, no more than the limit; path and query arrive as they were given."""
    server.behave = lambda handler: answer(handler, 200, b"x" * 100)
    with Client(f"{server.url}/below/") as client:
        assert client.get("a/b", limit=100, query={"tag": "a b&c"}) == b"x" * 100
    assert server.asked[0][:2] == ("GET", "/below/a/b?tag=a+b%26c")


def test_more_than_the_limit_is_not_read(server: Server) -> None:
    """A server cannot fill our memory."""
    server.behave = lambda handler: answer(handler, 200, b"x" * 101)
    with Client(server.url, attempts=1) as client, pytest.raises(UnavailableError, match="more"):
        client.get("a", limit=100)


def test_why_there_is_nothing_may_be_longer_than_what_was_asked_for(server: Server) -> None:
    """A partial tile has 32 bytes; that it is gone is an error of its own. Bounded all the same."""
    server.behave = lambda handler: answer(handler, 404, b"x" * 5_000)
    with Client(server.url, attempts=1) as client, pytest.raises(MissingError):
        client.get("tile/0/000.p/1", limit=32)
    server.behave = lambda handler: answer(handler, 404, b"x" * (1 << 16) + b"x")
    with Client(server.url, attempts=1) as client, pytest.raises(UnavailableError, match="more"):
        client.get("tile/0/000.p/1", limit=32)


def test_a_compressed_body_is_not_inflated(server: Server) -> None:
    """Nor by what it sends without having been asked for."""
    bomb = gzip.compress(b"0" * (1 << 24))
    server.behave = lambda handler: answer(handler, 200, bomb, Content_Encoding="gzip")
    with Client(server.url, attempts=1) as client, pytest.raises(UnavailableError, match="compr"):
        client.get("a", limit=1 << 20)
    assert server.asked[0][3]["accept-encoding"] == "identity"


def test_a_redirect_is_not_followed(server: Server) -> None:
    """A party cannot send us to another host, or to a service behind our own walls."""
    other = Server()
    server.behave = lambda handler: answer(handler, 302, b"", Location=f"{other.url}/secret")
    with Client(server.url, attempts=1) as client, pytest.raises(UnavailableError, match="302"):
        client.get("a", limit=100)
    assert not other.asked
    other.inner.shutdown()
    other.inner.server_close()


def test_a_body_that_drips_is_given_up(server: Server) -> None:
    """The time for one attempt covers the whole answer, not each piece of it."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    server.behave = drip
    begin = time.monotonic()
    client = Client(server.url, seconds=0.3, attempts=1)
    with client, pytest.raises(UnavailableError, match="slowly"):
        client.get("a", limit=2000)
    assert time.monotonic() - begin < 3


def test_silence_is_unavailable_and_asked_again() -> None:
    """A closed port, and one behind which nobody speaks."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        client = Client(f"http://127.0.0.1:{port}", seconds=0.2, attempts=2)
        with client, pytest.raises(UnavailableError, match="does not answer"):
            client.get("a", limit=10)
    client = Client(f"http://127.0.0.1:{port}", attempts=1)
    with client, pytest.raises(UnavailableError, match="does not answer") as caught:
        client.get("a", limit=10)
    assert not isinstance(caught.value, MissingError)


def test_what_passes_is_asked_again(server: Server) -> None:
    """503 twice, then the answer: the caller sees the answer."""
    statuses = iter((503, 429, 200))
    server.behave = lambda handler: answer(handler, next(statuses), b"here")
    with Client(server.url, attempts=3) as client:
        assert client.send("POST", "a", b"body", limit=10).body == b"here"
    assert [each[2] for each in server.asked] == [b"body"] * 3


@pytest.mark.parametrize(
    ("status", "said", "expected", "code"),
    [
        (400, {"kind": "input"}, InputError, None),
        (413, None, InputError, None),
        (404, {"kind": "input"}, MissingError, None),
        (404, None, MissingError, None),
        (403, {"kind": "policy", "code": "quota"}, RefusedError, "quota"),
        (401, None, PolicyError, None),
        (422, {"kind": "integrity"}, IntegrityError, None),
        (422, None, IntegrityError, None),
        (503, {"kind": "unavailable"}, UnavailableError, None),
        (500, None, UnavailableError, None),
        (302, None, UnavailableError, None),
    ],
)
def test_an_answer_becomes_the_error_it_stands_for(
    server: Server, status: int, said: dict[str, str] | None, expected: type[Error], code: str
) -> None:
    """By the family a problem document names, else by the status; its words are made printable."""
    document = {"detail": "no\x1b[31m", "hint": "do", **said} if said else {}
    body = json.dumps(document).encode()
    kind = "application/problem+json" if said else "text/html"
    server.behave = lambda handler: answer(handler, status, body, Content_Type=kind)
    with Client(server.url, attempts=1) as client, pytest.raises(expected) as caught:
        client.get("path", limit=1000)
    assert type(caught.value) is expected or expected is PolicyError
    assert "\x1b" not in caught.value.message
    if said:
        assert caught.value.message.endswith("/path: no?[31m")
        assert caught.value.hint == "do"
    assert getattr(caught.value, "code", "") == (code or "")


def test_a_call_is_signed_each_time_it_is_made(server: Server) -> None:
    """The header is made from what is sent: method, target below the prefix, and body."""
    server.behave = lambda handler: answer(handler, 200, b"")
    signed: list[tuple[str, str, bytes]] = []

    def sign(method: str, target: str, body: bytes) -> str:
        signed.append((method, target, body))
        return "DSSE abc"

    with Client(f"{server.url}/x", sign=sign) as client:
        client.send("POST", "y", b"z", limit=10, query={"q": 1})
    assert signed == [("POST", "/y?q=1", b"z")]
    assert server.asked[0][3]["authorization"] == "DSSE abc"


def test_a_long_body_goes_out_in_pieces_and_comes_in_pieces(server: Server) -> None:
    """Neither is ever held whole."""
    server.behave = lambda handler: answer(handler, 200, b"y" * 300_000)
    with Client(server.url) as client:
        pieces = (b"x" * 1000 for _ in range(100))
        length = {"Content-Length": "100000"}
        with client.stream("PUT", "up", pieces, headers=length) as stream:
            assert sum(len(each) for each in stream.pieces(300_000)) == 300_000
    assert len(server.asked[0][2]) == 100_000


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://u:p@host",
        "http://h?q",
        "http://h#f",
        "file:///etc",
    ],
)
def test_only_a_plain_url_is_taken(url: str) -> None:
    """Anything else is bad input, before anybody is asked."""
    with pytest.raises(InputError):
        Client(url)
