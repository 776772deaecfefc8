# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that fails on purpose, before an engine that does not.

What comes next is taken from ``plan``, one word for each call; when it is empty, ``rule`` says, and
by default all goes well. Each call is in ``seen``: method, path, word, and the status that the
engine behind gave (None where it was never asked).
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Faulty", "faulty"]

Word = Literal["well", "500", "503", "403", "cut", "lost", "half", "slow"]
"""``cut``: the connection ends unanswered; ``lost``: done behind, then cut; ``half``: the answer
ends half-way; ``slow``: a second later."""

Seen = tuple[str, str, Word, int | None]
SLOW_S = 1.0
CODES = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}


@dataclass
class Faulty:
    """The proxy at ``url``."""

    url: str
    plan: deque[Word] = field(default_factory=deque)
    rule: Callable[[str, str], Word] = lambda method, path: "well"
    seen: list[Seen] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def word(self, method: str, path: str) -> Word:
        """What happens to the next call."""
        with self._turn:
            return self.plan.popleft() if self.plan else self.rule(method, path)

    def count(self, word: Word) -> int:
        """How many calls went so."""
        return sum(each[2] == word for each in self.seen)


class _Server(ThreadingHTTPServer):
    """Knows what to do, and what is behind."""

    daemon_threads = True

    def __init__(self, told: Faulty, behind: str) -> None:
        self.told, self.behind = told, behind
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Of a caller that gave up, nothing is said."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._call
        raise AttributeError(name)

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def _call(self) -> None:
        told = self.server.told
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        word = told.word(self.command, self.path)
        if word == "slow":
            time.sleep(SLOW_S)
        if word in CODES:
            told.seen.append((self.command, self.path, word, None))
            answer = f"<Error><Code>{CODES[word]}</Code></Error>".encode()
            self._answer(int(word), {}, answer)
            return
        status = None
        if word != "cut":
            status, headers, answer = self._behind(body)
        told.seen.append((self.command, self.path, word, status))
        if status is None or word == "lost":
            self._end()
            return
        self._answer(status, headers, answer, half=word == "half")

    def _end(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, half: bool = False
    ) -> None:
        self.send_response(status)
        length = {} if "Content-Length" in headers else {"Content-Length": str(len(body))}
        for name, value in {**headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self._end()

    def _behind(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        link = http.client.HTTPConnection(self.server.behind, timeout=30)
        try:
            link.request(self.command, self.path, body, dict(self.headers))
            answer = link.getresponse()
            data = answer.read()
        finally:
            link.close()
        left = {"connection", "transfer-encoding", "server", "date"}
        if self.command != "HEAD":
            left.add("content-length")
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in left}
        return answer.status, kept, data


@contextlib.contextmanager
def faulty(url: str) -> Iterator[Faulty]:
    """A proxy on loopback before the engine at ``url``."""
    told = Faulty("")
    server = _Server(told, urlsplit(url).netloc)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
