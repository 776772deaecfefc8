# SPDX-License-Identifier: Apache-2.0
"""Vault and trustees as whoever is enrolled sees them: each call of theirs, once. No belief in it.

What an answer claims of capsules or the log is for the caller to check; here only its form is. An
answer that is not one is an :class:`UnavailableError`: the party is not what it should be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from incamera.clock import Clock
from incamera.encoding import base64_bytes, canonical, exact_keys, parse_json
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, Name, parse_digest, parse_name
from incamera.ledger.codec import parse_int
from incamera.ledger.request import MAX_BATCH, GrantRequest
from incamera.sealing.keys import SigningKey
from incamera.sealing.wrap import WRAPPED_BYTES
from incamera.service.auth import sign_call
from incamera.service.bundle import LENGTH, MAX_BUNDLE, unbundle
from incamera.service.deliver import ATTEMPTS, Progress, deliver
from incamera.vault import Row
from incamera.wire import Client

__all__ = ["Pieces", "Told", "TrusteeClient", "VaultClient"]

_SMALL = 1 << 16
_PAGE = 1 << 23
_EVIDENCE = MAX_BATCH * (1 << 18)
_EXTRACT = 1 << 25
_GRANT = 1 << 20
_RECEIPT = 1 << 18
_WHOLE = 1 << 50
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Told:
    """Where the vault says that the others are."""

    region: Name
    log: str
    trustees: Mapping[Name, str]


@dataclass(frozen=True, slots=True)
class Pieces:
    """An envelope and its wrapped shares, as the vault sent them."""

    envelope: bytes
    wrapped: tuple[bytes, ...]


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """What is malformed in an answer is the answering party's fault, not the caller's."""
    try:
        yield
    except InputError as error:
        raise UnavailableError(
            error.message, hint="this party does not answer as it should: is the URL right?"
        ) from error


class VaultClient:
    """A vault at a URL, for the holder of an enrolled key. For any number of threads."""

    def __init__(
        self,
        url: str,
        key: SigningKey,
        clock: Clock,
        *,
        ca: Path | None = None,
        seconds: float = 30.0,
    ) -> None:
        """``key`` signs each call; ``seconds`` is for one attempt of a short one."""
        self._clock = clock
        self._ca = ca
        self._seconds = seconds
        self._client = Client(url, ca=ca, sign=self._signing(key), seconds=seconds)
        self.url = self._client.url

    def region(self) -> Told:
        """``GET /region``."""
        data, where = self._client.get("region", limit=_SMALL), f"{self._client.where}/region"
        with _answered():
            value = exact_keys(parse_json(data, where), ("v", "region", "log", "trustees"), where)
            log, trustees = value["log"], value["trustees"]
            if not isinstance(log, str) or not isinstance(trustees, dict):
                raise InputError(f"{where}: log and trustees are URLs")
            if not all(isinstance(url, str) for url in trustees.values()):
                raise InputError(f"{where}: trustees are URLs by name")
            named = {parse_name(name, f"{where}: trustee"): url for name, url in trustees.items()}
            return Told(parse_name(value["region"], where), log, named)

    def extract(self, car: Name, owner: Name, since: int) -> bytes:
        """``GET /extract``: what of the log concerns a car; unchecked."""
        query: dict[str, str | int] = {"car": car, "owner": owner, "since": since}
        return self._client.get("extract", limit=_EXTRACT, query=query)

    def rows(self, **having: str | None) -> list[Row]:
        """``GET /capsules``, page by page; ``having``: as the vault's catalogue takes it."""
        found: list[Row] = []
        query: dict[str, str | int] = {k: v for k, v in having.items() if v is not None}
        where = f"{self._client.where}/capsules"
        while True:
            if found:
                query["after"] = found[-1].cursor
            data = self._client.get("capsules", limit=_PAGE, query=query)
            with _answered():
                value = exact_keys(parse_json(data, where), ("v", "capsules", "more"), where)
                if not isinstance(value["capsules"], list):
                    raise InputError(f"{where}: not a list of capsules")
                page = [_row(each, where) for each in value["capsules"]]
            found += page
            if not page or value["more"] is not True:
                return found

    def evidence(self, capsules: Sequence[Digest]) -> list[Pieces]:
        """``POST /evidence`` for at most 128 capsules, in their order."""
        body, where = canonical({"capsules": list(capsules)}), f"{self._client.where}/evidence"
        data = self._client.send("POST", "evidence", body, limit=_EVIDENCE).body
        with _answered():
            value = exact_keys(parse_json(data, where), ("v", "capsules"), where)
            shown = value["capsules"]
            if not isinstance(shown, list) or len(shown) != len(capsules):
                raise InputError(f"{where}: not what was asked for")
            return [_pieces(each, where) for each in shown]

    def download(self, capsule: Digest, dest: Path) -> None:
        """``GET /capsules/<digest>`` into ``dest``, from where an earlier attempt left it.

        Nothing is checked here, and nothing synced: who reads ``dest`` checks all of it.
        """
        have = dest.stat().st_size if dest.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self._client.stream("GET", f"capsules/{capsule}", headers=headers) as answer:
            begin = f"bytes {have}-"
            resumed = answer.status == 206 and answer.headers.get("content-range", "").startswith(
                begin
            )
            if have and not resumed:
                have = 0
            with dest.open("ab" if have else "wb") as file:
                for piece in answer.pieces(_WHOLE):
                    file.write(piece)

    def bundle(self, capsules: Sequence[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """``POST /bundle`` for at most 128 capsules: each and its bytes, unchecked.

        Empty ones are too long for a bundle, or cannot be had: :meth:`download` them.
        """
        body, where = canonical({"capsules": list(capsules)}), f"{self._client.where}/bundle"
        limit = MAX_BUNDLE + len(capsules) * LENGTH.size
        data = self._client.send("POST", "bundle", body, limit=limit).body
        return unbundle(data, capsules, where)

    def submit(self, entry: bytes) -> int:
        """``POST /entries``; the index that the vault says."""
        answer = self._client.send("POST", "entries", entry, limit=_SMALL)
        where = f"{self._client.where}/entries"
        with _answered():
            said = exact_keys(parse_json(answer.body, where), ("index",), where)
            return parse_int(said["index"], where)

    def publish_list(self, name: Digest, data: bytes) -> None:
        """``PUT /list/<digest>``."""
        self.publish("list", name, data)

    def publish(self, kind: str, name: Digest, data: bytes) -> None:
        """``PUT /<kind>/<digest>``: a text beside the log."""
        self._client.send("PUT", f"{kind}/{name}", data, limit=_SMALL)

    def admit(self, path: Path) -> bytes:
        """``POST /capsules``; the receipt, to be checked by the car."""
        size = path.stat().st_size
        headers = {"Content-Length": str(size)}
        seconds = 60.0 + size / (1 << 16)
        with (
            path.open("rb") as file,
            self._client.stream(
                *("POST", "capsules", iter(lambda: file.read(_READ), b"")),
                headers=headers,
                seconds=seconds,
            ) as answer,
        ):
            return answer.whole(_RECEIPT).body

    def send(
        self,
        path: Path,
        key: SigningKey | None = None,
        progress: Progress | None = None,
        *,
        attempts: int = ATTEMPTS,
    ) -> bytes:
        """Deliver the capsule at ``path``, going on where an earlier attempt stopped; the receipt.

        Errors as :func:`incamera.service.deliver.deliver` raises them; the receipt is the
        caller's to check. ``key``: the car's, if it is not this client's. ``progress`` is told
        bytes sent, of how many. ``attempts``: without the vault getting further.
        """
        if key is None:
            return deliver(self._client, path, progress, attempts)
        with Client(self.url, ca=self._ca, sign=self._signing(key), seconds=self._seconds) as car:
            return deliver(car, path, progress, attempts)

    def _signing(self, key: SigningKey) -> Callable[[str, str, bytes], str]:
        def sign(method: str, target: str, body: bytes) -> str:
            return sign_call(key, method, target, body, self._clock.now())

        return sign

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class TrusteeClient:
    """A trustee at a URL. For any number of threads."""

    def __init__(self, url: str, *, ca: Path | None = None, seconds: float = 120.0) -> None:
        """``seconds``: for one attempt; a trustee with a long queue takes its time."""
        self._client = Client(url, ca=ca, seconds=seconds, attempts=2)
        self.url = self._client.url

    def decide(self, asked: GrantRequest) -> bytes:
        """``POST /decide``: the grant's envelope, or the trustee's refusal as an error."""
        kind = "application/json"
        return self._client.send("POST", "decide", asked.serialise(), limit=_GRANT, kind=kind).body

    def read(self) -> int:
        """``GET /status``: how many log entries it says it has read."""
        data, where = self._client.get("status", limit=_SMALL), f"{self._client.where}/status"
        with _answered():
            said = parse_json(data, where)
            return parse_int(said.get("size") if isinstance(said, dict) else None, where)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


_TEXTS = ("status", "owner", "vehicle", "hour")
_LISTS = ("cameras", "tags", "purposes")
_NAMES = tuple(each.name for each in fields(Row))


def _row(value: object, where: str) -> Row:
    found = exact_keys(value, _NAMES, where)
    plain: dict[str, Any] = {"digest": parse_digest(found["digest"], where)}
    plain["index"] = None if found["index"] is None else parse_int(found["index"], where)
    for name in _TEXTS:
        plain[name] = _line(found[name], where)
    for name in ("duration", "expires", "bytes"):
        plain[name] = parse_int(found[name], where)
    for name in _LISTS:
        if not isinstance(found[name], list):
            raise InputError(f"{where}: {name} is a list")
        plain[name] = tuple(_line(each, where) for each in found[name])
    return Row(**plain)


def _line(value: object, where: str) -> str:
    """It goes to a terminal."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 256:
        raise InputError(f"{where}: not a line of text")
    return value


def _pieces(value: object, where: str) -> Pieces:
    found = exact_keys(value, ("capsule", "envelope", "wrapped"), where)
    if not isinstance(found["wrapped"], list):
        raise InputError(f"{where}: wrapped shares are a list")
    return Pieces(
        base64_bytes(found["envelope"], f"{where}: envelope"),
        tuple(base64_bytes(e, f"{where}: share", WRAPPED_BYTES) for e in found["wrapped"]),
    )
