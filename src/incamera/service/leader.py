# SPDX-License-Identifier: Apache-2.0
"""One of several processes that stand ready to write a log: it stands by, leads, steps down.

A candidate asks twice a second for the lead (:mod:`incamera.service.term`). Having it, it opens
the log by what the database decided (:mod:`incamera.tlog.deciding` has the order and what a death
leaves), and writes until the session is over: then all who wait are told to ask again, and it
stands by like the others. What it learns of trees it forgets with the lead, and reads again.

Who cannot lead (a stale copy of the folder, say) lets go of the lead at once, says why, and leaves
it to the others for ten seconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from incamera.errors import Error, UnavailableError
from incamera.service.journal import Journal
from incamera.service.sequencer import Sequencer
from incamera.service.settings_leader import LeaderSettings
from incamera.service.term import Session, Term, open_session
from incamera.tlog.log import Appended, Log
from incamera.tlog.policy import Witnessed
from incamera.tlog.storage import Tree

__all__ = ["Candidate", "Folder", "StandbyError"]

_POLL = 0.5
_SULK = 10.0


class StandbyError(UnavailableError):
    """Another leads; ``leader`` is where it can be asked, if that is known."""

    def __init__(self, leader: str | None) -> None:
        super().__init__(
            "this log stands by: it reads and does not write",
            hint=f"ask {leader}" if leader else "ask again in a moment: nobody leads yet",
        )
        self.leader = leader


@dataclass(frozen=True, slots=True)
class Folder:
    """What a candidate does with its folder once it leads."""

    #: The tree it decided alone, for a log that no database knows yet; ``adopt`` is called with it
    #: while nobody else can write there.
    adopt: Callable[[Callable[[Tree], Term]], Term]
    #: Open the log under a lead, and a writer for it.
    open: Callable[[Term], tuple[Log, Sequencer]]


class Candidate:
    """Stands by or leads; a thread of its own."""

    def __init__(
        self, told: LeaderSettings, origin: str, url: str, folder: Folder, journal: Journal
    ) -> None:
        """``url``: where clients find this process."""
        self._told = told
        self._origin = origin
        self._url = told.url or url
        self._folder = folder
        self._journal = journal
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        #: The lead and its writer while we lead. Replaced whole: any thread may read it.
        self._now: tuple[Term, Log, Sequencer] | None = None
        self._leader: str | None = None
        self._said = ""
        self._thread = threading.Thread(target=self._work, name="leader", daemon=True)

    def start(self) -> None:
        """Begin to ask for the lead."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch that is being written, and hand over."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def add(self, entries: Sequence[bytes]) -> Future[Appended]:
        """As :meth:`Sequencer.add`; :class:`StandbyError` while another leads."""
        return self._writing()[2].add(entries)

    def refresh(self, older_than: int) -> Witnessed:
        """As :meth:`Log.refresh`; :class:`StandbyError` while another leads."""
        return self._writing()[1].refresh(older_than)

    def check(self) -> None:
        """:class:`StandbyError` unless this process leads, as far as it knows."""
        self._writing()

    def known(self) -> None:
        """:class:`StandbyError` if it is not known who leads."""
        if self._now is None and self._leader is None:
            raise StandbyError(None)

    def writes(self) -> float:
        """1 while we lead."""
        return float(self._now is not None)

    def status(self) -> dict[str, Any]:
        """``role`` (leader, standby), ``leader`` (URL or None), ``fence`` and ``size`` if leading.

        What this process knows at this moment; asks nobody.
        """
        now = self._now
        if now is None:
            return {"role": "standby", "leader": self._leader}
        term = now[0]
        return {
            "role": "leader",
            "leader": self._url,
            "fence": term.fence,
            "size": term.tree.size,
        }

    def _writing(self) -> tuple[Term, Log, Sequencer]:
        now = self._now
        if now is None:
            raise StandbyError(self._leader)
        return now

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            pause = _POLL
            try:
                async with open_session(self._told.database, self._told.lease) as session:
                    await self._stand(session)
            except UnavailableError as error:
                self._say("leader", error)
            except Error as error:
                self._say("cannot lead", error)
                pause = _SULK
            except Exception as error:  # noqa: BLE001 - it must go on asking
                self._journal.fault(error)
                pause = _SULK
            await self._pause(pause)

    async def _stand(self, session: Session) -> None:
        """Until the session is over, or we stop."""
        while not await session.elected(self._origin):
            self._leader = await session.leader(self._origin)
            await self._pause(_POLL)
            if self._stopping.is_set():
                return
        beating = asyncio.create_task(session.beat())
        try:
            await self._lead(session)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _lead(self, session: Session) -> None:
        term = await Term.begin(session, self._origin, self._url)
        if term is None:
            adopt = self._folder.adopt
            term = await asyncio.to_thread(adopt, lambda tree: Term.adopt(session, tree, self._url))
        log, writer = await asyncio.to_thread(self._folder.open, term)
        writer.start()
        self._now, self._leader, self._said = (term, log, writer), self._url, ""
        self._journal.say("leads", fence=term.fence, size=term.tree.size)
        try:
            await self._until_over(session)
        finally:
            self._now = None
            if session.over.is_set():
                self._leader = None
                self._journal.say("leads no more", fence=term.fence)
            await asyncio.to_thread(writer.stop)
            log.close()

    async def _until_over(self, session: Session) -> None:
        waits = [asyncio.create_task(each.wait()) for each in (session.over, self._stopping)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _say(self, event: str, error: Error) -> None:
        """Once, until something else happens: it is tried twice a second."""
        if self._said != error.message:
            self._journal.say(event, kind=error.kind, said=error.message[:300])
            self._said = error.message
