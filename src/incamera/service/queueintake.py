# SPDX-License-Identifier: Apache-2.0
"""The queue's end at the log: takes messages, hands them to the writer, answers, acknowledges."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from incamera.encoding import canonical
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.service.auth import Token
from incamera.service.journal import Journal
from incamera.service.logclient import tell_appended
from incamera.service.queue import MAC, Names, Thread, connected, holds, mac_of, silent
from incamera.service.settings_queue import QueueSettings
from incamera.tlog import tile
from incamera.tlog.log import Appended

__all__ = ["QueueIntake"]

Add = Callable[[Sequence[bytes]], Future[Appended]]

_STREAM_BYTES = 1 << 28
_WINDOW = 120.0  # seconds that the stream knows a message ID again
_REDELIVER = 2.0  # seconds after which a message is taken again, by this writer or the next
_AT_ONCE = 512  # messages being written


class QueueIntake:
    """The writer's end: an :class:`incamera.service.sequencer.Intake`."""

    def __init__(self, told: QueueSettings, origin: str, token: Token, journal: Journal) -> None:
        self._told = told
        self._names = Names(origin)
        self._token = token
        self._journal = journal
        self._thread: Thread | None = None
        self._running: Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, add: Add) -> None:
        """Take messages until stopped; while NATS is away, wait for it."""
        self._thread = Thread("queue")
        self._running = self._thread.submit(self._run(add))

    def stop(self) -> None:
        """Take no more. What is being written is acknowledged by nobody, and comes again."""
        if self._thread is None or self._running is None:
            return
        self._running.cancel()
        ended = self._thread.submit(self._ended())
        ended.result(10)
        self._thread.close()

    async def _ended(self) -> None:
        here = asyncio.current_task()
        others = [each for each in asyncio.all_tasks() if each is not here]
        for each in others:
            each.cancel()
        await asyncio.wait(others, timeout=5) if others else None

    async def _run(self, add: Add) -> None:
        said = ""
        while True:
            try:
                async with connected(self._told) as client:
                    await self._consume(client, add)
            except Error as error:
                if error.message != said:
                    self._journal.say("queue", kind=error.kind, said=error.message[:300])
                said = error.message
            except Exception as error:  # noqa: BLE001 - it must go on asking
                self._journal.fault(error)
            await asyncio.sleep(1.0)

    async def _consume(self, client: Nats, add: Add) -> None:
        jet = client.jetstream(timeout=5)
        try:
            await _make_stream(jet, self._names)
            wanted = ConsumerConfig(
                durable_name="log",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=_REDELIVER,
                max_ack_pending=_AT_ONCE,
            )
            pull = await jet.pull_subscribe(
                self._names.entries, durable="log", stream=self._names.stream, config=wanted
            )
            while True:
                try:
                    found = await pull.fetch(_AT_ONCE, timeout=1.0)
                except TimeoutError:
                    continue
                for msg in found:
                    task = asyncio.get_running_loop().create_task(self._take(client, msg, add))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except (NatsError, OSError, TimeoutError) as error:
            raise silent(error) from error

    async def _take(self, client: Nats, msg: Msg, add: Add) -> None:
        try:
            await self._serve(client, msg, add)
        except (NatsError, OSError, TimeoutError):
            pass  # not acknowledged: it comes again
        except Exception as error:  # noqa: BLE001 - the next message must be taken
            self._journal.fault(error)

    async def _serve(self, client: Nats, msg: Msg, add: Add) -> None:
        digest = hashlib.sha256(msg.data).hexdigest()
        if not holds(self._token, b"add", msg):
            self._journal.say("queue", kind="policy", said="a message without the log's token")
            await msg.term()
            return
        try:
            appended = await asyncio.wrap_future(add(_entries(msg.data)))
            said = tell_appended(appended)
        except UnavailableError:
            await msg.nak(delay=1)
            return
        except Error as error:
            said = {"kind": error.kind, "detail": error.message}
        body = canonical(said)
        mac = mac_of(self._token, f"answer {digest}".encode(), body)
        await client.publish(self._names.answer(digest), body, headers={MAC: mac})
        # Only now: what stands under a published checkpoint may be forgotten by the stream.
        await (msg.ack() if "first" in said else msg.term())


async def _make_stream(jet: JetStreamContext, names: Names) -> None:
    wanted = StreamConfig(
        name=names.stream,
        subjects=[names.entries],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_bytes=_STREAM_BYTES,
        duplicate_window=_WINDOW,
    )
    try:
        await jet.stream_info(names.stream)
    except NotFoundError:
        await jet.add_stream(wanted)


def _entries(body: bytes) -> list[bytes]:
    try:
        found = tile.decode_bundle(body, "queue")
    except IntegrityError as error:
        raise InputError(error.message) from error
    if not found or not all(found):
        raise InputError("queue: no entry, or an empty one")
    return found
