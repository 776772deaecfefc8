# SPDX-License-Identifier: Apache-2.0
"""The queue's end at a vault: a log client whose entries go by way of NATS JetStream."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError

from incamera.encoding import parse_json
from incamera.errors import InputError, IntegrityError
from incamera.service.auth import Token
from incamera.service.logclient import LogClient, parse_appended
from incamera.service.queue import MAC, Names, Thread, connected, holds, mac_of, silent
from incamera.service.settings_queue import QueueSettings
from incamera.tlog import Policy, tile
from incamera.tlog.log import Appended

__all__ = ["QueuedLog"]

_ASK_AGAIN = 3.0  # seconds without an answer to what the stream says it had before
_OTHER = 8.0  # for an answer otherwise
_HEAD = 1 << 10


class QueuedLog(LogClient):
    """A log whose entries go to it through a queue, and all else over HTTP.

    What is too long for a message goes over HTTP too. While the queue is away an append is
    :class:`UnavailableError`; when it is back, it goes on by itself.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        token: Token,
        policy: Policy,
        queue: QueueSettings,
        *,
        ca: Path | None = None,
        seconds: float = 30.0,
    ) -> None:
        """As :class:`LogClient`; ``queue``: where the log's messages are."""
        super().__init__(url, token, policy, ca=ca, seconds=seconds)
        self._asking = _Asking(queue, policy.logs[0].name, token, seconds)

    def append(self, entries: Sequence[bytes]) -> Appended:
        """Into the published log. The same entries again are not taken in twice."""
        body = tile.encode_bundle(entries)
        if not self._asking.fits(body):
            return super().append(entries)
        return self._asking.append(body, len(entries))

    def close(self) -> None:
        """Let go of the connections."""
        self._asking.close()
        super().close()


class _Asking:
    """For any number of threads; one connection, made when it is needed."""

    def __init__(self, told: QueueSettings, origin: str, token: Token, seconds: float) -> None:
        """``seconds``: for one append and its repetitions."""
        self._told = told
        self._names = Names(origin)
        self._token = token
        self._seconds = seconds
        self._thread = Thread("queue")
        self._connecting = asyncio.Lock()
        self._client: Nats | None = None
        self._leave: Callable[[], Coroutine[Any, Any, Any]] | None = None

    def fits(self, body: bytes) -> bool:
        """True if one message takes ``body``."""
        client = self._client
        return len(body) + _HEAD <= (client.max_payload if client else 1 << 20)

    def append(self, body: bytes, count: int) -> Appended:
        """Answered once the ``count`` entries of a bundle are published and cosigned."""
        work = self._thread.submit(self._append(body, count))
        try:
            return work.result(self._seconds + 5)
        except TimeoutError as error:
            work.cancel()
            raise silent(error) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._leave is not None:
            self._thread.submit(self._leave()).result(10)
        self._thread.close()

    async def _connection(self) -> Nats:
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                context = connected(self._told)
                self._client = await context.__aenter__()

                async def leave() -> None:
                    await context.__aexit__(None, None, None)

                self._leave = leave
            return self._client

    async def _append(self, body: bytes, count: int) -> Appended:
        digest = hashlib.sha256(body).hexdigest()
        client = await self._connection()
        try:
            async with asyncio.timeout(self._seconds):
                answers = await client.subscribe(self._names.answer(digest))
                try:
                    return _appended(await self._asked(client, body, digest, answers), count)
                finally:
                    await answers.unsubscribe()
        except (NatsError, OSError, TimeoutError) as error:
            raise silent(error) from error

    async def _asked(self, client: Nats, body: bytes, digest: str, answers: Any) -> bytes:
        """Publish until it is answered; a repetition has an ID of its own where it must."""
        jet, number = client.jetstream(timeout=5), 0
        headers = {MAC: mac_of(self._token, b"add", body)}
        while True:
            name = digest if number == 0 else f"{digest}-{number}-{id(answers):x}"
            kept = await jet.publish(
                self._names.entries, body, headers={**headers, "Nats-Msg-Id": name}
            )
            number += 1
            try:
                # Had it before: its answer may have gone to somebody else, before we listened.
                found = await answers.next_msg(_ASK_AGAIN if kept.duplicate else _OTHER)
            except TimeoutError:
                continue
            if holds(self._token, f"answer {digest}".encode(), found):
                return bytes(found.data)


def _appended(data: bytes, count: int) -> Appended:
    found = parse_json(data, "queue")
    if isinstance(found, dict) and found.get("kind") == "integrity":
        raise IntegrityError(str(found.get("detail")))
    if isinstance(found, dict) and "kind" in found:
        raise InputError(str(found.get("detail")))
    return parse_appended(data, count, "queue")
