# SPDX-License-Identifier: Apache-2.0
"""Many callers, one writer: what arrives while a batch is being written shares the next one.

A batch costs what one entry costs (``docs/formats/log.md``), so the more ask at once the larger
the batches, and no caller waits for more than the one that is being written and its own.

A caller whose answer was lost asks again with the same bytes, perhaps among others. The writer
remembers where the last 65,536 entries stand (after a restart, or as it takes over, it reads it
from the log's own tiles): what it finds there is answered and not taken in again, entry by entry.
Beyond that a repetition gets a second place; the ledger gives it no effect.

After any failure nothing new is written before what was begun is finished: published, if it was
decided, and remembered, so that who asks again gets its place.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from incamera.errors import Error, UnavailableError
from incamera.service.journal import Journal
from incamera.service.together import settle
from incamera.tlog import merkle
from incamera.tlog.log import Appended, Log
from incamera.tlog.policy import Witnessed

__all__ = ["Intake", "Sequencer"]

_MAX_ENTRIES = 1 << 16
_MAX_BYTES = 1 << 24  # of one batch; a single call may have as many
_MAX_QUEUED = 1 << 26
_REMEMBERED = 1 << 16


@dataclass
class _Call:
    entries: Sequence[bytes]
    size: int  # bytes
    answer: Future[Appended] = field(default_factory=Future)


Add = Callable[[Sequence[bytes]], Future[Appended]]


class Intake(Protocol):
    """Another road by which entries come, for as long as the writer writes."""

    def start(self, add: Add) -> None:
        """Begin to hand them in."""
        ...

    def stop(self) -> None:
        """Hand in no more."""
        ...


class Sequencer:
    """The one writer of a log, a thread of its own."""

    def __init__(
        self, log: Log, journal: Journal, *, refresh: int, intake: Intake | None = None
    ) -> None:
        """``refresh``: seconds that the witness time of a quiet log may be old."""
        self._log = log
        self._journal = journal
        self._refresh = refresh
        self._intake = intake
        self._turn = threading.Condition()
        #: Guarded by ``_turn``.
        self._queue: deque[_Call] = deque()
        self._queued = 0
        self._stopping = False
        #: Leaf hash -> index, of the entries last published. Only the writer touches it.
        self._places: OrderedDict[bytes, int] = OrderedDict()
        #: Entries below this index were remembered, or are too old to be. All of them are
        #: published.
        self._end = 0
        #: True until what was begun, before this process or by a failed batch, is published.
        self._unfinished = True
        self._thread = threading.Thread(target=self._work, name="sequencer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()
        if self._intake is not None:
            self._intake.start(self.add)

    def stop(self) -> None:
        """Finish the batch that is being written; what waits behind it is told to ask again."""
        if self._intake is not None:
            self._intake.stop()
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        self._thread.join()

    def add(self, entries: Sequence[bytes]) -> Future[Appended]:
        """Where ``entries`` are, once they stand under a published, cosigned checkpoint."""
        call = _Call(entries, sum(map(len, entries)))
        with self._turn:
            if self._stopping:
                raise UnavailableError("the log is stopping", hint="ask again in a moment")
            if self._queued + call.size > _MAX_QUEUED:
                raise UnavailableError("too many entries wait to be logged", hint="ask again")
            self._queue.append(call)
            self._queued += call.size
            self._turn.notify_all()
        return call.answer

    def refresh(self, older_than: int) -> Witnessed:
        """As :meth:`Log.refresh`."""
        return self._log.refresh(older_than)

    def check(self) -> None:
        """Alone, this process may always write."""

    def known(self) -> None:
        """Who writes: this process."""

    def writes(self) -> float:
        """It does."""
        return 1.0

    def status(self) -> dict[str, Any]:
        """``role`` is ``alone``: nobody else stands ready to write this log."""
        return {"role": "alone", "leader": None}

    def _work(self) -> None:
        if self._log.shared:  # taking over: what was begun is published, and the past read, at once
            self._keep_fresh()
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._queue or self._stopping, self._nap())
                if self._stopping:
                    calls, self._queue = list(self._queue), deque()
                    break
                calls = self._take()
            if calls:
                self._answer(calls)
            else:
                self._keep_fresh()
        for call in calls:
            settle(call.answer, UnavailableError("the log is stopping", hint="ask again"))

    def _nap(self) -> float:
        """How long to wait for a call before the log's freshness is looked at."""
        hurried = self._unfinished or self._log.shared
        return 1.0 if hurried else min(self._refresh / 4, 30.0)

    def _take(self) -> list[_Call]:
        """The next batch: calls in the order they came, as many as fit."""
        calls: list[_Call] = []
        entries = size = 0
        while self._queue:
            call = self._queue[0]
            entries, size = entries + len(call.entries), size + call.size
            if calls and (entries > _MAX_ENTRIES or size > _MAX_BYTES):
                break
            calls.append(self._queue.popleft())
            self._queued -= call.size
        return calls

    def _answer(self, calls: list[_Call]) -> None:
        try:
            answers = self._write(calls)
        except Error as error:
            self._unfinished = True
            self._journal.say("append failed", kind=error.kind, said=error.message[:300])
            for call in calls:
                settle(call.answer, error)
        except BaseException as error:  # noqa: BLE001 - the callers must not wait for ever
            self._unfinished = True
            self._journal.fault(error)
            for call in calls:
                settle(call.answer, UnavailableError("a fault of the log's server"))
        else:
            for call, answer in zip(calls, answers, strict=True):
                settle(call.answer, answer)

    def _write(self, calls: list[_Call]) -> list[Appended]:
        """Each entry that does not stand there goes in once, whoever brings it, however often."""
        self._finish()
        hashes = [[merkle.leaf_hash(entry) for entry in call.entries] for call in calls]
        places: dict[bytes, int] = {}
        fresh: dict[bytes, bytes] = {}
        note = b""
        for leaves, call in zip(hashes, calls, strict=True):
            for leaf, entry in zip(leaves, call.entries, strict=True):
                if (at := self._places.get(leaf)) is None:
                    fresh[leaf] = entry
                else:
                    places[leaf] = at
        if fresh:
            appended = self._log.append(list(fresh.values()))
            first, note = appended.first_index, appended.note
            places.update(zip(fresh, range(first, first + len(fresh)), strict=True))
            self._remember(first, list(fresh))
        return [self._told([places[leaf] for leaf in leaves], note) for leaves in hashes]

    def _told(self, indices: list[int], note: bytes) -> Appended:
        first = indices[0]
        row = indices == list(range(first, first + len(indices)))
        return Appended(first, self._end, () if row else tuple(indices), note)

    def _finish(self) -> None:
        """Publish what was begun, and remember where it is."""
        if not self._unfinished:
            return
        size = self._log.refresh().checkpoint.size
        first = max(self._end, size - _REMEMBERED)
        self._remember(first, self._log.leaves(first, size))
        self._unfinished = False

    def _remember(self, first: int, leaves: Sequence[bytes]) -> None:
        for index, leaf in enumerate(leaves, first):
            self._places[leaf] = index
            self._places.move_to_end(leaf)
        self._end = first + len(leaves)
        while len(self._places) > _REMEMBERED:
            self._places.popitem(last=False)

    def _keep_fresh(self) -> None:
        try:
            if self._unfinished:
                self._finish()
            else:
                self._log.refresh(older_than=self._refresh)
        except Error as error:
            self._journal.say("refresh failed", kind=error.kind, said=error.message[:300])
        except Exception as error:  # noqa: BLE001 - the writer must live on
            self._journal.fault(error)
