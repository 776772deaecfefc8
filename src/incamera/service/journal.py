# SPDX-License-Identifier: Apache-2.0
"""What a server says about itself: one line of JSON on stderr for each thing that happened.

No address, no path below its route, no query, no header, no body: a line names nobody.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback

from incamera.clock import Clock

__all__ = ["Journal"]


class Journal:
    """Writes the lines of one party. For any number of threads."""

    def __init__(self, party: str, clock: Clock) -> None:
        self._party = party
        self._clock = clock

    def say(self, event: str, **facts: str | int | None) -> None:
        """One line; facts that are None are left out."""
        known = {key: value for key, value in facts.items() if value is not None}
        line = {"at": self._clock.now(), "party": self._party, "event": event, **known}
        sys.stderr.write(json.dumps(line) + "\n")  # one write: lines of threads do not mix
        sys.stderr.flush()

    def fault(self, error: BaseException) -> None:
        """A fault of ours: its type and where it came from, but not what it quotes."""
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{each.filename.rpartition('incamera/')[2]}:{each.lineno}" for each in frames]
        self.say("fault", error=type(error).__name__, where=" ".join(where[-6:]))

    def adopt(self, logger: str) -> None:
        """Have what ``logger`` of a library warns of told in our lines."""
        taken = logging.getLogger(logger)
        taken.handlers = [_Handler(self)]
        taken.propagate = False
        taken.setLevel(logging.WARNING)


class _Handler(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._journal.fault(record.exc_info[1])
        else:
            self._journal.say("server", said=record.getMessage()[:200].strip())
