# SPDX-License-Identifier: Apache-2.0
"""A log in another process, for the vault that writes to it: ``vault.PublicLog`` over HTTP.

Where several processes stand ready to write the log, all of them are asked in turn, the one that
wrote last first, until one writes: the same entries again are not taken in twice, so an answer
that a dying leader still owed is got from the next.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import stamina

from incamera.encoding import canonical, exact_keys, parse_json
from incamera.errors import InputError, UnavailableError
from incamera.service.auth import Token
from incamera.service.settings_queue import QueueSettings
from incamera.tlog import LogReader, Policy, Proof, Witnessed, tile
from incamera.tlog.log import Appended
from incamera.tlog.remote import HttpFetch
from incamera.wire import Answer, Client, MissingError

__all__ = ["LogClient", "open_log_client", "parse_appended", "tell_appended"]

_MAX_ANSWER = 1 << 21  # 65,536 indices
_PATIENCE = 5.0
"""Seconds that one of several has: a leader that was stopped keeps its connections open."""

T = TypeVar("T")


class _Turns:
    """Several that can be asked; who answered last is asked first."""

    def __init__(self, count: int) -> None:
        #: A hint, written by any thread.
        self._first = 0
        self._count = count

    def ask(self, act: Callable[[int], T]) -> T:
        """The first answer; if there is none, the last :class:`UnavailableError`."""
        first = self._first
        for step in range(self._count):
            at = (first + step) % self._count
            try:
                found = act(at)
            except UnavailableError:
                if step == self._count - 1:
                    raise
            else:
                self._first = at
                return found
        raise AssertionError


class _Fetches:
    """The public files of one log at several places: as :class:`HttpFetch`."""

    def __init__(self, fetches: Sequence[HttpFetch], turns: _Turns) -> None:
        self._fetches = fetches
        self._turns = turns

    def __call__(self, path: str) -> bytes:
        """The file at ``path``, from the first that answers: all serve the files of one folder.

        That a file is not there is an answer too. Tiles that have grown since are asked for all
        the time; if each of them waited for one that is frozen, nobody would be admitted.
        """

        def get(at: int) -> bytes | MissingError:
            try:
                return self._fetches[at](path)
            except MissingError as error:
                return error

        found = self._turns.ask(get)
        if isinstance(found, MissingError):
            raise found
        return found

    def close(self) -> None:
        """Let go of the connections."""
        for each in self._fetches:
            each.close()


class LogClient:
    """Appends by the log's token, reads what the log publishes. For any number of threads.

    Its answers are not believed: what it returns of the log's tree is verified under ``policy``,
    and where an entry stands is seen by who follows the log.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        token: Token,
        policy: Policy,
        *,
        ca: Path | None = None,
        seconds: float = 30.0,
    ) -> None:
        """``url``: the log's prefix, or that of each process that may write it.

        ``seconds``: for one attempt; with several, for the whole of a call and its repetitions.
        """
        urls = [url] if isinstance(url, str) else list(url)
        if not urls:
            raise InputError("a log has at least one URL")
        each, attempts = (seconds, 3) if len(urls) == 1 else (min(seconds, _PATIENCE), 1)
        self._seconds = seconds
        self._clients = [
            Client(one, ca=ca, token=token.secret, seconds=each, attempts=attempts) for one in urls
        ]
        self._policy = policy
        self._writing = _Turns(len(urls))
        fetches = [HttpFetch(one, ca=ca, seconds=each, attempts=attempts) for one in urls]
        self.fetch: HttpFetch | _Fetches = fetches[0]
        if len(urls) > 1:
            self.fetch = _Fetches(fetches, _Turns(len(urls)))

    @property
    def policy(self) -> Policy:
        """Whose signatures make a checkpoint of this log count."""
        return self._policy

    def append(self, entries: Sequence[bytes]) -> Appended:
        """Into the published log. The same entries again are not taken in twice."""
        answer, where = self._post("add", tile.encode_bundle(entries))
        return parse_appended(answer, len(entries), where)

    def refresh(self, older_than: int = 0) -> Witnessed:
        """Finish what was begun, and have the present tree cosigned."""
        self._post("refresh", canonical({"older_than": older_than}))
        return self._policy.check(self.fetch("checkpoint"))

    def proven(self, index: int) -> tuple[bytes, bytes]:
        """Entry ``index`` and its ``.tlog-proof`` file under the published checkpoint, verified."""
        reader = LogReader(functools.cache(self.fetch), self._policy)  # each file once
        witnessed = reader.checkpoint()
        size = witnessed.checkpoint.size
        entry = next(reader.entries(index, index + 1, size))
        return entry, Proof(index, reader.inclusion(index, size), witnessed.note).format()

    def publish(self, kind: str, name: str, data: bytes) -> None:
        """Put a text beside the log: ``list/<digest>``, ``policy/<digest>.cedar`` ..."""
        self._send("PUT", f"{kind}/{name}", data)

    def close(self) -> None:
        """Let go of the connections."""
        for each in self._clients:
            each.close()
        self.fetch.close()

    def _send(self, method: str, path: str, body: bytes) -> Answer:
        if len(self._clients) == 1:
            return self._clients[0].send(method, path, body, limit=_MAX_ANSWER)
        for attempt in self._retries():
            with attempt:
                answer = self._writing.ask(
                    lambda at: self._clients[at].send(method, path, body, limit=_MAX_ANSWER)
                )
        return answer

    def _retries(self) -> Iterator[stamina.Attempt]:
        """Until a leader is found, which a takeover may take seconds for."""
        return iter(
            stamina.retry_context(
                on=UnavailableError,
                attempts=None,
                timeout=self._seconds,
                wait_initial=0.1,
                wait_max=1.0,
                wait_jitter=0.2,
            )
        )

    def _post(self, path: str, body: bytes) -> tuple[bytes, str]:
        """The answer, and who gave it."""
        answer = self._send("POST", path, body)
        return answer.body, f"{self._clients[0].where}/{path}"


def tell_appended(appended: Appended) -> dict[str, Any]:
    """What a log answers; :func:`parse_appended` takes it back."""
    said: dict[str, Any] = {"first": appended.first_index, "size": appended.size}
    if appended.indices:
        said["indices"] = appended.indices
    if appended.note:
        said["note"] = appended.note.decode("utf-8")
    return said


def parse_appended(answer: bytes, count: int, where: str) -> Appended:
    """What a log says of ``count`` entries: ``{"first", "size"}``, and maybe more.

    ``"indices"``, where they are not in a row; ``"note"``, the checkpoint they stand under.
    """
    try:
        found = parse_json(answer, where)
        more = found if isinstance(found, dict) else {}
        indices, note = more.pop("indices", None), more.pop("note", "")
        said = exact_keys(found, ("first", "size"), where)
        of_each = () if indices is None else tuple(indices)
        if not isinstance(note, str) or any(
            type(each) is not int for each in (*said.values(), *of_each)
        ):
            raise InputError(f"{where}: not numbers")
        if indices is not None and (len(of_each) != count or of_each[0] != said["first"]):
            raise InputError(f"{where}: other indices than entries")
    except (InputError, TypeError) as error:
        raise UnavailableError(f"{where}: not an answer of a log") from error
    return Appended(said["first"], said["size"], of_each, note.encode("utf-8", "replace"))


def open_log_client(
    urls: Sequence[str],
    token: Token,
    policy: Policy,
    *,
    ca: Path | None = None,
    queue: QueueSettings | None = None,
) -> LogClient:
    """The log of a configuration: over HTTP, or its entries by way of a queue."""
    if queue is None:
        return LogClient(urls, token, policy, ca=ca)
    from incamera.service.queuedlog import QueuedLog  # NATS, where it is wanted

    return QueuedLog(urls, token, policy, queue, ca=ca)
