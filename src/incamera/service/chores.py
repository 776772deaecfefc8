# SPDX-License-Identifier: Apache-2.0
"""What a party does again and again while nobody asks it anything."""

from __future__ import annotations

import threading
from collections.abc import Callable

from incamera.errors import Error
from incamera.service.journal import Journal

__all__ = ["Chores"]


class Chores:
    """Runs ``acts`` in turn, every so many seconds, in a thread of its own.

    One that fails is noted, and tried again the next time.
    """

    def __init__(self, journal: Journal, every: float, *acts: Callable[[], None]) -> None:
        """``every``: seconds from the end of one round to the beginning of the next."""
        self._journal = journal
        self._every = every
        self._acts = acts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="chores", daemon=True)

    def start(self) -> None:
        """Begin, with a first round at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the act that is being done, and no other."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            for act in self._acts:
                if not self._stopping.is_set():
                    self._do(act)
            self._stopping.wait(self._every)

    def _do(self, act: Callable[[], None]) -> None:
        name = getattr(act, "__name__", "chore")
        try:
            act()
        except Error as error:
            self._journal.say("chore failed", chore=name, kind=error.kind, said=error.message[:300])
        except Exception as error:  # noqa: BLE001 - the next round must come
            self._journal.fault(error)
