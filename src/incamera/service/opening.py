# SPDX-License-Identifier: Apache-2.0
"""The vault of a configuration, and how a process that serves one uses its interpreter."""

from __future__ import annotations

import gc
import sys

from incamera.clock import Clock
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.logclient import LogClient, open_log_client
from incamera.service.settings import VaultSettings
from incamera.tlog.policy import Policy
from incamera.vault import Vault

__all__ = ["log_of", "settle_in", "vault_of"]

_RECENT = 0.25
"""Seconds; see :class:`incamera.vault.Vault`."""
_GARBAGE = (10_000, 20, 50)
_SWITCH = 0.0005
"""Seconds a thread keeps the interpreter while others want it. With Python's own 5 ms, a thread
that comes back from each of many short waits for the disk (a file is five) waits longest for that.
"""


def settle_in() -> None:
    """Once all is imported: what is there by now stays.

    So it need not be looked at again for every few hundred objects, which took a tenth of the
    time of a busy vault.
    """
    sys.setswitchinterval(_SWITCH)
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def log_of(settings: VaultSettings) -> LogClient:
    """The log that this vault writes to."""
    policy = Policy.parse(settings.policy.read_bytes(), str(settings.policy))
    token = Token.load(settings.token)
    return open_log_client(settings.logs, token, policy, ca=settings.log.ca, queue=settings.queue)


def vault_of(settings: VaultSettings, log: LogClient, clock: Clock) -> Vault:
    """The vault; errors as :class:`Vault` raises them."""
    blobs = None if settings.blobs is None else settings.blobs.open(settings.home)
    index = None if settings.database is None else settings.database.open()
    key = SigningKey.load(settings.key)
    return Vault(
        settings.home, key, log, log.fetch, clock, blobs=blobs, index=index, recent=_RECENT
    )
