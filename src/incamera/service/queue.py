# SPDX-License-Identifier: Apache-2.0
"""Entries by way of NATS JetStream: vaults publish, whoever writes the log consumes and answers.

A message is one call: an entry bundle, under the digest of its bytes as message ID. The order:

1. the vault subscribes to the answer of that digest, then publishes; the stream keeps the message;
2. the writer of the log takes it, and the entries go into a batch like those of any call;
3. they stand under a published, cosigned checkpoint: only now is the vault answered, and
4. the message acknowledged to the stream, which forgets it.

A writer that dies before 4 leaves the message to the next, after some seconds; what stands in the
log already is answered and not taken in again. **That the stream has a message is no
acknowledgement of ours**: nats-server 2.9 syncs its store every two minutes, so a power cut of its
machine may lose what it said it had. The vault waits for the log's answer, and asks again.

Who may reach the queue is for NATS to say; whose entries are taken is said by the log's token, as
for HTTP: a message and an answer each carry an HMAC-SHA256 under it, over what they are for.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from incamera.errors import UnavailableError
from incamera.service.auth import Token
from incamera.service.settings_queue import QueueSettings

__all__ = ["MAC", "Names", "Thread", "connected", "holds", "mac_of", "silent"]

T = TypeVar("T")

MAC = "Incamera-Mac"
"""Header of each message and each answer."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a log is called in NATS: there a dot and a space mean something."""

    origin: str

    @property
    def stream(self) -> str:
        """The stream, and what each subject begins with."""
        return "incamera-" + hashlib.sha256(self.origin.encode()).hexdigest()[:24]

    @property
    def entries(self) -> str:
        """The subject of what is to be logged."""
        return f"{self.stream}.entries"

    def answer(self, digest: str) -> str:
        """The subject of the answer to the bundle of this SHA-256."""
        return f"{self.stream}.answer.{digest}"


def mac_of(token: Token, what: bytes, data: bytes) -> str:
    """HMAC-SHA256 under the log's token, in hex; ``what``: what ``data`` is for."""
    return hmac.digest(token.secret.encode(), what + b"\0" + data, "sha256").hex()


def holds(token: Token, what: bytes, msg: Msg) -> bool:
    """True if ``msg`` carries the MAC of its data, for ``what``; in constant time."""
    shown = (msg.headers or {}).get(MAC, "")
    return hmac.compare_digest(shown.encode(), mac_of(token, what, msg.data).encode())


@asynccontextmanager
async def connected(told: QueueSettings, seconds: float = 5.0) -> AsyncIterator[Nats]:
    """A connection that finds its way back by itself; :class:`UnavailableError` if none is had."""

    async def quiet(_: Exception) -> None:
        """What matters is told by the call that it spoils."""

    tls = ssl.create_default_context(cafile=told.ca) if told.ca is not None else None
    client = Nats()
    try:
        async with asyncio.timeout(seconds):
            await client.connect(
                servers=list(told.urls),
                token=told.secret,
                tls=tls,
                error_cb=quiet,
                connect_timeout=2,
                reconnect_time_wait=1,
                max_reconnect_attempts=-1,
                ping_interval=5,
            )
    except (NatsError, OSError, ValueError) as error:
        raise silent(error) from error
    try:
        yield client
    finally:
        try:
            async with asyncio.timeout(2):
                await client.close()
        except (NatsError, OSError):
            pass


def silent(error: BaseException) -> UnavailableError:
    """What failed, without what it quotes."""
    return UnavailableError(
        f"the queue does not answer ({type(error).__name__})",
        hint="see that nats-server runs with JetStream and that [queue] is right",
    )


class Thread:
    """A thread with an event loop, which runs as long as it is wanted."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have ``work`` done there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self) -> None:
        """Stop it, and wait."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
