# SPDX-License-Identifier: Apache-2.0
"""Sending what waits in the spool: oldest first, and again while the vault cannot.

===========================  =====================================================================
the vault                    the car
===========================  =====================================================================
does not answer, is busy     waits longer each time, up to five minutes, by chance a little more or
                             less, so that a fleet does not come back at once; goes on where the
                             upload stopped
says when to ask again       asks then, or a little later
refuses by a rule            keeps the capsule and what was said, for ``status``; asks again in the
                             next run, unless nothing would ever mend it
gives a false receipt        keeps the capsule
===========================  =====================================================================
"""

from __future__ import annotations

import secrets

import stamina

from incamera.clock import Clock
from incamera.errors import Error, UnavailableError
from incamera.ingest import Admit, CarHome
from incamera.ingest.journal import Journal, Step
from incamera.ingest.spool import Spool, alone
from incamera.wire import BusyError

__all__ = ["send_waiting"]

_ATTEMPTS = 8
_LONGEST = 900.0  # seconds of one run; the next one begins anew


def send_waiting(home: CarHome, admit: Admit, clock: Clock) -> list[Error]:
    """Send all that waits, and let go of what nobody wants any more; what did not go, and why.

    :class:`UnavailableError` if another ingest of this car runs.
    """
    errors: list[Error] = []
    with alone(home, wait=False):
        journal = Journal(home.journal)
        spool = Spool(home, journal, admit, clock)
        spool.purge()
        for step in spool.waiting():
            try:
                _send(spool, step)
            except UnavailableError as error:
                errors.append(error)
                break  # it would not take the next one either
            except Error as error:
                errors.append(error)
    return errors


def _send(spool: Spool, step: Step) -> None:
    for attempt in stamina.retry_context(
        on=_pause,
        attempts=_ATTEMPTS,
        timeout=_LONGEST,
        wait_initial=1.0,
        wait_max=300.0,
        wait_jitter=5.0,
    ):
        with attempt:
            spool.send(step)


def _pause(error: Exception) -> bool | float:
    """Whether to send again; a number: after so many seconds."""
    if isinstance(error, BusyError):
        return min(error.after, 300.0) + secrets.randbelow(1 + error.after * 250) / 1000
    return isinstance(error, UnavailableError)
