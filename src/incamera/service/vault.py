# SPDX-License-Identifier: Apache-2.0
"""The vault over HTTP: the way into the log for everybody, and to ciphertext for the enrolled.

A call that wants to know who makes it carries a signature (:mod:`incamera.service.auth`) by a key
that the log knows; what a role may see is said in :mod:`incamera.service.catalogue`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
from fastapi import FastAPI

from incamera.clock import Clock
from incamera.ids import Digest
from incamera.sealing.keys import SigningKey
from incamera.service.api import api, close
from incamera.service.callers import Callers
from incamera.service.chores import Chores
from incamera.service.door import CarDoor
from incamera.service.extracts import Extracts, add_extract
from incamera.service.hands import Hands
from incamera.service.journal import Journal
from incamera.service.keep import Keep
from incamera.service.limiting import Budget
from incamera.service.opening import log_of, one_heap, vault_of
from incamera.service.operators import Operators, add_operators
from incamera.service.parts import Parts
from incamera.service.reading import add_reading
from incamera.service.retiring import retiring
from incamera.service.settings import VaultSettings
from incamera.service.standing import Standing, add_standing, room
from incamera.service.together import Together
from incamera.service.upload import BATCHES, Incoming
from incamera.service.uploadroutes import add_uploads
from incamera.service.uploads import finish
from incamera.service.vaults import Vaults
from incamera.service.writing import add_writing
from incamera.tlog import LogReader

__all__ = ["open_vault", "vault_app"]

_TOGETHER = 256
"""Entries submitted in one go; more wait for the next."""
_EVERY = 60.0
_OPENING = 5.0
"""Seconds that starting waits for what must be opened; it goes on behind."""
_NOBODY = Digest("0" * 64)


def open_vault(settings: VaultSettings, clock: Clock, journal: Journal) -> FastAPI:
    """The vault of a configuration, as an app. It is opened as soon as its log answers.

    :class:`InputError` or :class:`PolicyError` if what does answer shows that it is set up wrong:
    a bucket that is not there, a database of a newer program, an address that is not declared.
    """
    key, log = SigningKey.load(settings.key), log_of(settings)
    policy = log.policy
    vaults = Vaults(lambda: vault_of(settings, log, clock))
    one_heap()  # now: the first threads are those that open
    vaults.begin(_OPENING)
    callers = Callers(
        settings.home / "state.db", log.fetch, policy, clock, tokens=settings.operator.tokens
    )
    budget = Budget(settings.limits, clock)
    door = CarDoor(callers, budget)
    hands = Hands(settings, BATCHES) if settings.apart else None
    admit_all = vaults.admit_all if hands is None else hands.admit_all
    incoming = Incoming(settings.home / "incoming", door, admit_all, journal)
    entries: Together[bytes, int] = Together(vaults.submit_all, journal, _TOGETHER)
    keep = Keep(
        vaults=vaults,
        callers=callers,
        log=log,
        door=door,
        budget=budget,
        incoming=incoming,
        hands=hands,
        parts=Parts(settings.uploads or settings.home / "uploads", settings.limits, clock),
        largest=settings.largest,
        entries=entries,
        urls={"log": settings.log_public, "trustees": dict(settings.trustees)},
    )

    def finish_uploads() -> None:
        """Give up what has expired, and admit what is whole."""
        finish(keep.parts, incoming)

    reader = LogReader(log.fetch, policy)
    retire = retiring(vaults, reader, settings.home, key, clock, journal)
    looks = (vaults.sweep, vaults.read_through, vaults.tidy)
    acts = (vaults.follow, finish_uploads, *looks, retire)
    standing = Standing(
        {
            "log": lambda: log.fetch("checkpoint"),
            "database": lambda: vaults.row(_NOBODY),
            "disk": room(settings.home),
        }
    )
    desk = Operators(keep, settings.home / "excluded", journal)
    extracts = Extracts(settings.home / "state.db", log.fetch, policy, key)
    return vault_app(keep, Chores(journal, _EVERY, *acts), standing, desk, extracts)


def vault_app(
    keep: Keep, chores: Chores, standing: Standing, desk: Operators, extracts: Extracts
) -> FastAPI:
    """The app; it starts and stops ``chores``, and the threads that admit and submit."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        works: list[Together[Any, Any] | Chores | Hands]
        works = [keep.entries, keep.incoming.waiting, chores]
        if keep.hands is not None:
            works.append(keep.hands)
        for each in works:
            each.start()
        yield
        for each in works:
            await anyio.to_thread.run_sync(each.stop)
        keep.vaults.close()
        extracts.close()

    app = api(lifespan)
    add_writing(app, keep)
    add_uploads(app, keep)
    add_reading(app, keep)
    add_extract(app, extracts)
    add_operators(app, desk)
    add_standing(app, standing)
    close(app)
    return app
