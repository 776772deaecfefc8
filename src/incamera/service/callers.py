# SPDX-License-Identifier: Apache-2.0
"""Who is calling the vault, by what the log says of the key that signed."""

from __future__ import annotations

import hashlib
import hmac
import threading
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from incamera.clock import Clock, monotonic
from incamera.errors import Error, UnavailableError
from incamera.ids import Digest, digest
from incamera.ledger.entries import RegionEntry
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.service.answers import UnknownCallerError
from incamera.service.auth import open_call
from incamera.service.settings_operator import read_tokens
from incamera.tlog import LogReader, Policy
from incamera.tlog.fetch import Fetch

__all__ = ["CERTIFIED", "Caller", "Callers"]

CERTIFIED = "incamera.certified"
"""In the scope of a call: it came by the operators' address, with a certificate of theirs."""

_LOOK_AGAIN = 1.0
_WAITING = 4
_DOOR = 60.0
_MOST_CARS = 1 << 16


@dataclass(frozen=True, slots=True)
class Caller:
    """An enrolled party (``reader acme``), or ``operator``, and the body that it signed."""

    role: str
    name: str
    body: Digest | None
    """None: known by a token or certificate, which say nothing of a body."""
    by: str = "key"  # or token, certificate
    key: bytes = b""  # 32, that signed

    def sent(self, body: bytes) -> None:
        """:class:`UnknownCallerError` unless these are the bytes that were signed."""
        if self.body is not None and digest(body) != self.body:
            raise UnknownCallerError("other-call", "the signature is for another body")


class Callers:
    """Reads the vault's state of the log beside the vault itself: what was committed, no more.

    For any number of threads. Looking at a party that is known never waits for the log.
    """

    def __init__(
        self,
        state: Path,
        fetch: Fetch,
        policy: Policy,
        clock: Clock,
        *,
        tokens: Path | None = None,
    ) -> None:
        """``state``: the vault's ``state.db``. ``tokens``: file of the operators' tokens."""
        self._tokens = tokens
        self._state = State(state)
        self._turn = threading.Lock()
        #: Reads on through a connection of its own; ``_looking`` is held while it does.
        self._follower = Follower(LogReader(fetch, policy), State(state), clock)
        self._looking = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_WAITING)
        self._never = threading.Event()  # to wait a while for
        #: When the last look began, and what it raised. Guarded by ``_looking``.
        self._looked = -_LOOK_AGAIN
        self._failed: Error | None = None
        self._clock = clock
        #: Car's key -> when it was found enrolled, by our own clock.
        self._cars: dict[bytes, float] = {}

    def of(self, request: Request) -> Caller:
        """Who signed the call. Blocks. :class:`UnknownCallerError` if nobody enrolled did."""
        target = request.scope["raw_path"].decode("ascii")
        if request.scope["query_string"]:
            target += "?" + request.scope["query_string"].decode("ascii")
        header = request.headers.get("authorization", "")
        if request.scope.get(CERTIFIED):
            return Caller("operator", "operator", None, "certificate")
        if self._tokens is not None and header[:7].lower() == "bearer ":
            return self._bearer(header[7:].strip(), self._tokens)
        call = open_call(header, request.method, target, self._clock.now())
        found = self._find(call.key)
        if found is None:
            raise UnknownCallerError("unenrolled", "the key that signed this call is not enrolled")
        return Caller(*found, call.body, key=call.key)

    def _bearer(self, token: str, tokens: Path) -> Caller:
        """An operator by token. The file is read each time: a line taken out ends a token."""
        shown = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = [hmac.compare_digest(shown, each) for each in read_tokens(tokens)]
        if not any(known):
            raise UnknownCallerError("token", "this is no token of an operator")
        return Caller("operator", "operator", None, "token")

    def region(self) -> RegionEntry:
        """Entry 0 of the log; :class:`UnavailableError` while it was not read. Blocks."""
        found = self._region()
        if found is None:
            self._look_again()
            found = self._region()
        if found is None:
            raise UnavailableError("the log of this region is not founded yet")
        return found

    def read(self) -> tuple[int, int]:
        """How many log entries were read, and the witness time of the last."""
        with self._turn:
            return self._state.size, self._state.time

    def is_car(self, key: bytes) -> bool:
        """True if a car with this key is enrolled. Blocks."""
        found = self._find(key)
        return found is not None and found[0] == "car"

    def had(self, key: bytes) -> bool:
        """True if ``key`` is or ever was somebody's signing key, as far as was read."""
        with self._turn:
            return self._state.had(key)

    def knows_car(self, key: bytes) -> bool:
        """As :meth:`is_car`, of what was read within a minute: never waits for the log.

        A car that was revoked meanwhile gets in at the door, and no further: the vault judges.
        """
        now = monotonic()
        if now - self._cars.get(key, -_DOOR) < _DOOR:
            return True
        found = self._known(key)
        if found is None or found[0] != "car":
            return False
        if len(self._cars) >= _MOST_CARS:
            self._cars.clear()
        self._cars[key] = now
        return True

    def _region(self) -> RegionEntry | None:
        with self._turn:
            return self._state.region

    def _find(self, key: bytes) -> tuple[str, str] | None:
        """Role and name of whose key it is; looked for again in the log, as it may be new."""
        found = self._known(key)
        if found is None:
            self._look_again()
            found = self._known(key)
        return found

    def _known(self, key: bytes) -> tuple[str, str] | None:
        with self._turn:
            region = self._state.region
            if region is not None and key == region.operator_key:
                return "operator", "operator"
            party = self._state.holder(key)
        return None if party is None else (party.role, party.name)

    def _look_again(self) -> None:
        """Read on in the log: who is unknown may be new. Blocks, for a second at most and a look.

        When this returns a look that began after the call has ended; errors as of following.
        A few wait for it, at most one looks a second; more are told to ask again: nobody is called
        unenrolled whom the log was not asked about.
        """
        asked = monotonic()
        if not self._waiting.acquire(blocking=False):
            raise UnavailableError("who calls is being looked up", hint="ask again in a second")
        try:
            with self._looking:
                if self._looked <= asked:
                    self._never.wait(max(0.0, self._looked + _LOOK_AGAIN - monotonic()))
                    self._look()
                if self._failed is not None:
                    raise self._failed
        finally:
            self._waiting.release()

    def _look(self) -> None:
        self._looked, self._failed = monotonic(), None
        try:
            self._follower.follow()
        except Error as error:
            self._failed = error
