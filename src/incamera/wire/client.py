# SPDX-License-Identifier: Apache-2.0
"""One other party over HTTP: bounded in time and size, and its errors turned back into ours.

What a server of ours answers with an error is a problem document (RFC 9457) that names the family
of :mod:`incamera.errors`; of a foreign server the status decides. Nothing here follows a redirect,
reads a proxy or certificate from the environment, or takes a compressed answer: who is asked, and
how much is read, is what the caller said; and what the region's list allows
(:mod:`incamera.wire.egress`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import stamina

from incamera.clock import monotonic
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.wire import egress

__all__ = ["Answer", "BusyError", "Client", "MissingError", "RefusedError", "Stream", "problem"]

PROBLEM = "application/problem+json"

Sign = Callable[[str, str, bytes], str]
"""From method, target (path below the prefix, and query) and body, the ``Authorization`` header."""

_CONNECT_SECONDS = 5.0
_SLOWEST = 1 << 14  # bytes a second of an answer
_MAX_PROBLEM = 1 << 16
_MAX_TEXT = 1_000
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
_QUIET = logging.NullHandler()


class MissingError(UnavailableError):
    """The party answered that it has no such thing (404, 410)."""


class BusyError(UnavailableError):
    """The party said when to ask again (``Retry-After``)."""

    def __init__(self, message: str, *, after: int, hint: str | None = None) -> None:
        """``after``: seconds."""
        super().__init__(message, hint=hint)
        self.after = after


class RefusedError(PolicyError):
    """A rule of the party that was asked forbids it; ``code`` tells programs which."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        """``code``: lower-case words joined by ``-``, empty where none was given."""
        super().__init__(message, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. ``headers``: names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Client:
    """Talks to the party at one URL. For any number of threads; connections are kept and reused.

    Every call may be repeated: the parties' calls are made so that the same bytes again do no
    more than once. What does not answer, or answers that it cannot now, is asked ``attempts``
    times; :class:`UnavailableError` then.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        token: str | None = None,
        sign: Sign | None = None,
        seconds: float = 30.0,
        attempts: int = 3,
    ) -> None:
        """``url``: scheme, host and, if any, a path that all others stand below.

        ``ca``: PEM file of the authorities that may vouch for the host, instead of the system's.
        ``token``: bearer token; ``sign``: signs each call instead. ``seconds``: for one attempt,
        from connecting to the last byte of an answer.
        """
        self.url = _base(url)
        self.where = self.url.split("://", 1)[1]
        self._sign = sign
        self._seconds = seconds
        self._attempts = attempts
        logging.getLogger("stamina").addHandler(_QUIET)  # or retries are told on stderr
        headers = {"Accept-Encoding": "identity", "User-Agent": "incamera"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        # Kept shorter than our servers keep them, so that none is used as it is being closed.
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=4)
        tls = _tls(self.url, ca)

        def make() -> httpx.Client:
            return httpx.Client(
                verify=tls, headers=headers, limits=limits, trust_env=False, follow_redirects=False
            )

        self._make = make
        self._turn = threading.Lock()
        #: Guarded by ``_turn``: connections, and the list of addresses they were made under.
        self._http, self._under = make(), egress.version()

    def __enter__(self) -> Self:
        """The client, closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the connections."""
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, *, limit: int, query: Mapping[str, str | int] | None = None) -> bytes:
        """The body of a successful answer, at most ``limit`` bytes; an error of ours otherwise."""
        return self.send("GET", path, limit=limit, query=query).body

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        limit: int,
        query: Mapping[str, str | int] | None = None,
        kind: str = "application/octet-stream",
    ) -> Answer:
        """A successful answer (2xx); any other becomes the error of ours that it stands for."""
        return self.ask(method, path, body, limit=limit, query=query, kind=kind, raises=True)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        limit: int,
        query: Mapping[str, str | int] | None = None,
        kind: str = "application/octet-stream",
        raises: bool = False,
    ) -> Answer:
        """Whatever is answered; :class:`UnavailableError` if nothing is, or more than ``limit``.

        ``path``: relative to the URL. ``kind``: media type of ``body``. With ``raises``, an
        answer other than 2xx is raised as an error.
        """
        for attempt in self._retries():
            with attempt:
                headers = {"Content-Type": kind} if body else {}
                with self._open(method, path, query, body, headers) as response:
                    # Why there is no tile may take more words than the tile would.
                    good = 200 <= response.status < 300
                    answer = response.whole(limit if good else max(limit, _MAX_PROBLEM))
                if raises and not 200 <= answer.status < 300:
                    raise problem(answer, f"{self.where}/{path}")
        return answer

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Iterator[Stream]:
        """One attempt of a call whose answer, or body, is too long to be held; not repeated.

        ``body`` in pieces wants a ``Content-Length`` among ``headers``. ``seconds``: to the first
        byte of the answer, and as long again for its rest, where that comes at less than 16 KiB a
        second. An answer other than 2xx is raised as an error.
        """
        with self._open(method, path, None, body, headers or {}, seconds) as response:
            if not 200 <= response.status < 300:
                raise problem(response.whole(_MAX_PROBLEM), f"{self.where}/{path}")
            yield response

    def _retries(self) -> Iterator[stamina.Attempt]:
        return iter(
            stamina.retry_context(
                on=_passing,
                attempts=self._attempts,
                timeout=3 * self._seconds,
                wait_initial=0.1,
                wait_max=2.0,
                wait_jitter=0.2,
            )
        )

    def _connections(self) -> httpx.Client:
        """Those to use now: none that was made under another list of addresses."""
        version = egress.version()
        with self._turn:
            if version != self._under:
                # What is being answered on the old ones is read to its end; then they are gone.
                self._http, self._under = self._make(), version
            return self._http

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: bytes | Iterable[bytes],
        headers: Mapping[str, str],
        seconds: float | None = None,
    ) -> Iterator[Stream]:
        seconds = seconds or self._seconds
        http = self._connections()
        request = http.build_request(
            method,
            f"{self.url}/{path}",
            params=query,
            content=body,
            headers=dict(headers),
            timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
        )
        deadline = monotonic() + seconds
        if self._sign is not None:
            # Below our prefix: a proxy that serves the party there takes the prefix away.
            prefix = httpx.URL(self.url).raw_path.removesuffix(b"/")
            target = request.url.raw_path.removeprefix(prefix).decode("ascii")
            signed = body if isinstance(body, bytes) else b""
            request.headers["Authorization"] = self._sign(method, target, signed)
        try:
            response = http.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _foreign(error, self.where) or self._silent(error) from error
        try:
            yield Stream(self, response, deadline)
        finally:
            response.close()

    def _silent(self, error: Exception) -> UnavailableError:
        """What went wrong on the way, in one line."""
        text = str(error).split("\n", 1)[0] or type(error).__name__
        return UnavailableError(
            f"{self.where} does not answer: {text:.200}",
            hint="see that the party runs and that its URL is right, then try again",
        )


class Stream:
    """An answer that is still being read."""

    def __init__(self, client: Client, response: httpx.Response, deadline: float) -> None:
        """``deadline``: by :func:`incamera.clock.monotonic`; more for what comes steadily."""
        self._client = client
        self._response = response
        self._deadline = deadline
        self.status = response.status_code
        self.headers: dict[str, str] = {k.lower(): v for k, v in response.headers.items()}

    def pieces(self, limit: int) -> Iterator[bytes]:
        """The body in pieces; :class:`UnavailableError` past ``limit`` bytes or the deadline."""
        where, read = self._client.where, 0
        if self.headers.get("content-encoding", "identity") != "identity":
            raise UnavailableError(f"{where} sends what was not asked for: a compressed body")
        try:
            for piece in self._response.iter_raw():
                read += len(piece)
                if read > limit:
                    raise UnavailableError(f"{where} sends more than {limit} bytes")
                if monotonic() > self._deadline + read / _SLOWEST:
                    raise UnavailableError(f"{where} answers too slowly")
                yield piece
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._client._silent(error) from error

    def whole(self, limit: int) -> Answer:
        """All of it, at most ``limit`` bytes."""
        return Answer(self.status, b"".join(self.pieces(limit)), self.headers)


def _foreign(error: BaseException, where: str) -> RefusedError | None:
    """The refusal of :mod:`incamera.wire.egress` behind an error of the library, if it was that."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, egress.ForeignError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    return RefusedError(cause.code, f"{where} is not asked: {cause.message}", hint=cause.hint)


def _passing(error: Exception) -> bool:
    """True for what may be gone at the next attempt; a 404 is an answer, not silence."""
    return isinstance(error, UnavailableError) and not isinstance(error, MissingError)


def problem(answer: Answer, where: str) -> Error:
    """The error of ours that ``answer`` (not 2xx) stands for; ``where`` names what was asked."""
    said = _said(answer)
    detail = _text(said.get("detail")) or f"answered {answer.status}"
    message, hint = f"{where}: {detail}", _text(said.get("hint")) or None
    kind, status = said.get("kind"), answer.status
    if kind == "policy" or (kind is None and status in (401, 403)):
        return RefusedError(_text(said.get("code")), message, hint=hint)
    if status in (404, 410):
        return MissingError(message, hint=hint)
    if kind == "integrity" or (kind is None and status == 422):
        return IntegrityError(message, hint=hint)
    if kind == "unavailable" or status in _AGAIN or not 400 <= status < 500:
        after = answer.headers.get("retry-after", "")
        if after.isascii() and after.isdigit() and len(after) < 8:
            return BusyError(message, after=int(after), hint=hint)
        return UnavailableError(message, hint=hint)
    return InputError(message, hint=hint)


def _said(answer: Answer) -> dict[str, object]:
    """The problem document, if it is one. It only words a message: read leniently."""
    if answer.headers.get("content-type", "").split(";")[0] != PROBLEM:
        return {}
    try:
        value = json.loads(answer.body[:_MAX_PROBLEM])
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """One printable line: the words of a stranger go to somebody's terminal."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else "?" for c in value[:_MAX_TEXT])


def _base(url: str) -> str:
    """``url`` without a slash at its end, if it is one that can be asked."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InputError(f"not a URL: {url!r:.200}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(
            f"not a URL of a party: {url!r:.200}", hint="for example https://host:8443"
        )
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise InputError(f"a party's URL has no user, query or fragment: {url!r:.200}")
    return str(parsed).rstrip("/")


def _tls(url: str, ca: Path | None) -> ssl.SSLContext:
    if not url.startswith("https://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; knows nobody
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{ca}: cannot be read as certificates in PEM: {error}") from error
