# SPDX-License-Identifier: Apache-2.0
"""The vault over HTTP: the way into the log for everybody, and to ciphertext for the enrolled.

A call that wants to know who makes it carries a signature (:mod:`incamera.service.auth`) by a key
that the log knows; what a role may see is said in :mod:`incamera.service.catalogue`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio.to_thread
from fastapi import FastAPI

from incamera.clock import Clock
from incamera.ids import Digest
from incamera.sealing.keys import SigningKey
from incamera.service.api import api, close
from incamera.service.auth import Token
from incamera.service.callers import Callers
from incamera.service.chores import Chores
from incamera.service.door import CarDoor
from incamera.service.journal import Journal
from incamera.service.keep import Keep
from incamera.service.limiting import Budget
from incamera.service.logclient import open_log_client
from incamera.service.operators import Operators, add_operators
from incamera.service.parts import Parts
from incamera.service.reading import add_reading
from incamera.service.retiring import retiring
from incamera.service.settings import VaultSettings
from incamera.service.standing import Standing, add_standing, room
from incamera.service.together import Together
from incamera.service.upload import Incoming
from incamera.service.uploadroutes import add_uploads
from incamera.service.uploads import finish
from incamera.service.vaults import Vaults
from incamera.service.writing import add_writing
from incamera.tlog import LogReader, Policy
from incamera.vault import Vault

__all__ = ["open_vault", "vault_app"]

_TOGETHER = 256
"""Entries submitted in one go; more wait for the next."""
_EVERY = 60.0
_NOBODY = Digest("0" * 64)


def open_vault(settings: VaultSettings, clock: Clock, journal: Journal) -> FastAPI:
    """The vault of a configuration, as an app. It is opened as soon as its log answers."""
    policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
    key, token = SigningKey.load(settings.key), Token.load(settings.token)
    log = open_log_client(settings.logs, token, policy, ca=settings.log.ca, queue=settings.queue)

    def opened() -> Vault:
        blobs = None if settings.blobs is None else settings.blobs.open(settings.home)
        index = None if settings.database is None else settings.database.open()
        return Vault(settings.home, key, log, log.fetch, clock, blobs=blobs, index=index)

    vaults = Vaults(opened)
    callers = Callers(
        settings.home / "state.db", log.fetch, policy, clock, tokens=settings.operator.tokens
    )
    budget = Budget(settings.limits, clock)
    door = CarDoor(callers, budget)
    incoming = Incoming(settings.home / "incoming", door, vaults.admit_all, journal)
    entries: Together[bytes, int] = Together(vaults.submit_all, journal, _TOGETHER)
    keep = Keep(
        vaults=vaults,
        callers=callers,
        log=log,
        door=door,
        budget=budget,
        incoming=incoming,
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
    acts = (vaults.follow, finish_uploads, vaults.sweep, vaults.read_through, retire)
    standing = Standing(
        {
            "log": lambda: log.fetch("checkpoint"),
            "database": lambda: vaults.row(_NOBODY),
            "disk": room(settings.home),
        }
    )
    desk = Operators(keep, settings.home / "excluded", journal)
    return vault_app(keep, Chores(journal, _EVERY, *acts), standing, desk)


def vault_app(keep: Keep, chores: Chores, standing: Standing, desk: Operators) -> FastAPI:
    """The app; it starts and stops ``chores``, and the threads that admit and submit."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        for each in (keep.entries, keep.incoming.waiting, chores):
            each.start()
        yield
        for each in (keep.entries, keep.incoming.waiting, chores):
            await anyio.to_thread.run_sync(each.stop)
        keep.vaults.close()

    app = api(lifespan)
    add_writing(app, keep)
    add_uploads(app, keep)
    add_reading(app, keep)
    add_operators(app, desk)
    add_standing(app, standing)
    close(app)
    return app
