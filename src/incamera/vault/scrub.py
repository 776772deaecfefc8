# SPDX-License-Identifier: Apache-2.0
"""Reading kept capsules through, a few at a time, so that rot is known while it can be mended.

A disk tells nobody of a sector that it lost until it is read.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from pathlib import Path

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.vault.account import Account
from incamera.vault.index import Index, Wanted, parse_cursor

__all__ = ["Scrub"]


class Scrub:
    """Goes round all kept capsules, in the order of their lists."""

    def __init__(self, place: Path, index: Index, account: Account, turn: threading.Lock) -> None:
        """``place``: the file that remembers how far it got."""
        self._place = place
        self._index = index
        self._account = account
        self._turn = turn

    def read(self, count: int, most: int) -> list[Digest]:
        """As :meth:`incamera.vault.Vault.read_through`."""
        rows = self._index.page(Wanted(status="kept"), count, after=self._reached())
        at_end = len(rows) < count
        before = itertools.accumulate((row.bytes for row in rows), initial=0)
        few = [row for row, size in zip(rows, before, strict=False) if size < most]
        at_end, rows = at_end and len(few) == len(rows), few
        lost = [row.digest for row in rows if not self._account.sound(row.digest)]
        found = [name for name in lost if self._lose(name)]
        reached = "" if at_end else rows[-1].cursor
        durable.write(self._place, reached.encode("ascii"), mode=0o600)
        return found

    def _reached(self) -> str:
        with contextlib.suppress(OSError, InputError, UnicodeDecodeError):
            cursor = self._place.read_bytes().decode("ascii")
            parse_cursor(cursor)
            return cursor
        return ""

    def _lose(self, name: Digest) -> bool:
        """Mark it, unless it was erased or mended meanwhile."""
        with self._turn:
            self._account.catch_up()
            if self._index.statuses([name]).get(name) != "kept" or self._account.sound(name):
                return False
            with self._index.accounting() as book:
                return self._account.lose(book, name)
