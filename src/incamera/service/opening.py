# SPDX-License-Identifier: Apache-2.0
"""The vault of a configuration, and how a process that serves one uses its interpreter."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

from incamera import durable
from incamera.clock import Clock
from incamera.ledger.follower import Follower
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.logclient import LogClient, open_log_client
from incamera.service.settings import VaultSettings
from incamera.tlog import LogReader
from incamera.tlog.policy import Policy
from incamera.vault import Vault
from incamera.wire import egress

__all__ = ["log_of", "one_heap", "settle_in", "vault_of"]

_RECENT = 0.25
"""Seconds; see :class:`incamera.vault.Vault`."""
_GARBAGE = (10_000, 4, 5)
"""Each call leaves rings (a future and who waits for it); those that were in use at a look for
garbage wait for one of the second or third kind. These took 13 us a capsule in the process that
listens, 1 us in the one that admits.
"""
_SWITCH = 0.0005
"""Seconds a thread keeps the interpreter while others want it. With Python's own 5 ms, a thread
that comes back from each of many short waits for the disk (a file is five) waits longest for that.
"""


_HEAP = ((-8, 1), (-3, 1 << 20), (-1, 1 << 22))
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h (mallopt(3))."""


def one_heap() -> None:
    """Before threads are started: one heap for all, that gives back what it has too much of.

    glibc makes a heap for each thread, and what bodies leave free in one is of no use to another:
    20 of 140 MiB of a process that admits. Who holds the interpreter does not wait for the heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other libraries have one heap anyway
        for what, value in _HEAP:
            mallopt(what, value)


def settle_in() -> None:
    """Once all is imported: what is there by now stays.

    So it need not be looked at again for every few hundred objects, which took a tenth of the
    time of a busy vault.
    """
    one_heap()
    sys.setswitchinterval(_SWITCH)
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def log_of(settings: VaultSettings) -> LogClient:
    """The log that this vault writes to."""
    policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
    token = Token.load(settings.token)
    return open_log_client(settings.logs, token, policy, ca=settings.log.ca, queue=settings.queue)


def vault_of(settings: VaultSettings, log: LogClient, clock: Clock) -> Vault:
    """The vault; errors as :class:`Vault` raises them.

    Its log is read first: where database and bucket are may have been declared since this vault
    read last, or ``state.db`` is lost. While the log cannot be read, neither is connected to.
    """
    if settings.blobs is not None or settings.database is not None:
        _read_on(settings, log, clock)
    key = SigningKey.load(settings.key)
    blobs = None if settings.blobs is None else settings.blobs.open(settings.home)
    index = None if settings.database is None else settings.database.open()  # last: it connects
    return Vault(
        settings.home, key, log, log.fetch, clock, blobs=blobs, index=index, recent=_RECENT
    )


def _read_on(settings: VaultSettings, log: LogClient, clock: Clock) -> None:
    """Follow the log into ``state.db``, and hold to the addresses that it declares now."""
    durable.folder(settings.home, 0o700)
    with contextlib.closing(State(settings.home / "state.db")) as state:
        Follower(LogReader(log.fetch, log.policy), state, clock).follow()
    egress.renew()
