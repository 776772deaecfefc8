# SPDX-License-Identifier: Apache-2.0
"""What the log shows after an append, worked out from what was appended instead of read back.

Who hands entries to a log and is told where they went knows all tiles of the new tree, if nobody
else wrote in between. That is a guess, and worth nothing by itself: it is used only where it makes
the very root that the witnesses cosigned, and then it *is* what the log has under that root.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from incamera.clock import monotonic
from incamera.errors import Error
from incamera.tlog import storage
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.edge import RightEdge
from incamera.tlog.fetch import Fetch
from incamera.tlog.log import Appended

__all__ = ["Ahead"]

_MOST = 64
"""Appends that nobody followed yet; of more the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class _End:
    """The right edge of a tree that was followed, and the entries of its last, partial bundle."""

    edge: RightEdge
    tail: list[bytes]


class Ahead:
    """The appends of one vault, for its reading of the log. ``told`` is for any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        #: Guarded by ``_turn``: first index -> entries, in the order of their coming.
        self._appended: dict[int, tuple[bytes, ...]] = {}
        #: Guarded by ``_turn``: the note of the largest tree we were told of, its size, and when.
        self._note, self._size, self._came = b"", 0, 0.0
        #: Where the reading stands, if that is known. For its one thread.
        self._end: _End | None = None

    def told(self, entries: Sequence[bytes], appended: object) -> None:
        """``entries`` were appended; ``appended`` is the log's answer, if it has one of ours."""
        if not isinstance(appended, Appended):
            return
        with self._turn:
            if entries and not appended.indices:
                self._appended[appended.first_index] = tuple(entries)
                if len(self._appended) > _MOST:
                    del self._appended[next(iter(self._appended))]
            if appended.note and appended.size > self._size:
                self._note, self._size, self._came = appended.note, appended.size, monotonic()

    def note(self, size: int) -> tuple[bytes, float]:
        """A checkpoint, not checked yet, that is said to be of a tree larger than ``size``.

        And when it came; b"" if there is none. It is given out once: one that does not hold, or
        of which the log lied how large its tree is, is in nobody's way for long.
        """
        with self._turn:
            found, at = self._note if self._size > size else b"", self._came
            self._note, self._size = b"", 0
            return found, at

    def files(self, size: int, checkpoint: Checkpoint, fetch: Fetch) -> Mapping[str, bytes]:
        """The tiles and bundles by which ``checkpoint`` goes on from ``size``; {} if not known.

        ``fetch``: of the tree of ``size``, for where its edge is not known.
        """
        new = self._between(size, checkpoint.size)
        end = self._at(size, fetch) if new else None
        self._end = None
        if end is None:
            return {}
        files = storage.extend(end.edge, end.tail, new)
        if end.edge.root() != checkpoint.root:
            return {}
        self._end = end
        return dict(files)

    def _between(self, size: int, until: int) -> list[bytes]:
        """Entries from ``size`` to ``until``; [] unless all are ours. Older ones are forgotten."""
        with self._turn:
            for first in [first for first in self._appended if first < size]:
                del self._appended[first]
            found: list[bytes] = []
            while size + len(found) < until:
                if not (more := self._appended.get(size + len(found))):
                    return []
                found += more
        return found if size + len(found) == until else []

    def _at(self, size: int, fetch: Fetch) -> _End | None:
        if self._end is not None and self._end.edge.size == size:
            return self._end
        try:
            edge = storage.read_edge(fetch, size)
            return _End(edge, storage.read_tail(fetch, edge))
        except Error:
            return None  # what cannot be worked out is read
