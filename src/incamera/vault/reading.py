# SPDX-License-Identifier: Apache-2.0
"""The vault's own reading of the log, and what it makes of it: entries, verdicts, receipts.

Each entry is fetched and verified once by :class:`incamera.ledger.follower.Follower`; who is who
is looked up once for as long as no entry changes it. Both are for one thread at a time.
"""

from __future__ import annotations

import contextlib
import functools
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from incamera.clock import Clock, monotonic
from incamera.errors import Error, UnavailableError
from incamera.ids import Digest
from incamera.ledger.entries import RegionEntry, Role
from incamera.ledger.follower import Follower
from incamera.ledger.rows import EpochKey, Finding, Party
from incamera.ledger.state import State
from incamera.tlog import merkle
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.proof import Proof
from incamera.tlog.reader import LogReader
from incamera.tlog.tree import TileTree
from incamera.vault.ahead import Ahead

__all__ = ["Known", "Once", "Reading", "capsule_in", "receipts"]

T = TypeVar("T")

_HEAD = b'{"payload":"'
_SAID = re.compile(
    rb'\{"capsule":"([0-9a-f]{64})","region":"[^"]*","time":[0-9]+,"type":"capsule","v":1\}'
)
_MOST_HEARD = 4096
_MOST_KNOWN = 1 << 16
_MOST_FILES = 256  # of 8 KiB, and bundles of some 100 KiB


def capsule_in(entry: bytes) -> Digest | None:
    """The capsule that ``entry`` would admit, its signature unseen; None: it is of another kind."""
    if not entry.startswith(_HEAD):
        return None
    try:
        payload = a2b_base64(entry[len(_HEAD) : entry.find(b'"', len(_HEAD))])
    except Base64Error:
        return None
    said = _SAID.fullmatch(payload)
    return Digest(said[1].decode("ascii")) if said else None


class Known(State):
    """A state that remembers who is who until an entry of another kind than a capsule's comes.

    And the entries themselves, the last few, for who writes down what they say.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._memory: dict[tuple[Any, ...], Any] = {}
        #: Index -> entry, and the capsule it speaks of.
        self.heard: dict[int, tuple[bytes, Digest | None]] = {}

    def forget(self) -> None:
        """What was applied may have been rolled back, or another process moved the file on."""
        self._memory.clear()
        self.heard.clear()

    def apply(self, index: int, entry: bytes, witnessed_time: int) -> Finding | None:
        """As :meth:`State.apply`."""
        capsule = capsule_in(entry)
        if capsule is None:
            self._memory.clear()
        try:
            return super().apply(index, entry, witnessed_time)
        finally:
            if capsule is None:
                self._memory.clear()
            self.heard[index] = entry, capsule
            if len(self.heard) > _MOST_HEARD:
                del self.heard[next(iter(self.heard))]

    def _once(self, key: tuple[Any, ...], ask: Callable[[], T]) -> T:
        if key in self._memory:
            found: T = self._memory[key]
            return found
        if len(self._memory) >= _MOST_KNOWN:
            self._memory.clear()
        self._memory[key] = found = ask()
        return found

    @property
    def region(self) -> RegionEntry | None:
        """As :attr:`State.region`."""
        return self._once(("region",), lambda: super(Known, self).region)

    def party(self, role: Role, name: str) -> Party | None:
        """As :meth:`State.party`."""
        return self._once((role, name), lambda: super(Known, self).party(role, name))

    def holder(self, key: bytes, *, at: int | None = None) -> Party | None:
        """As :meth:`State.holder`."""
        if at is not None:
            return super().holder(key, at=at)
        return self._once((key,), lambda: super(Known, self).holder(key))

    def epoch(self, trustee: str, epoch: int) -> EpochKey | None:
        """As :meth:`State.epoch`."""
        return self._once((trustee, epoch), lambda: super(Known, self).epoch(trustee, epoch))

    def published(self, kind: Literal["policy", "campaign", "zones"], digest: str) -> int | None:
        """As :meth:`State.published`."""
        return self._once((kind, digest), lambda: super(Known, self).published(kind, digest))


class _NothingNewError(Exception):
    """The log is where we are."""


class Once:
    """A fetch that asks for each file once. For one tree of a log."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._got: dict[str, bytes] = {}

    def know(self, files: Mapping[str, bytes]) -> None:
        """Files that need not be asked for."""
        self._got.update(files)

    def __call__(self, path: str) -> bytes:
        """The file at ``path``."""
        if path not in self._got:
            if len(self._got) >= _MOST_FILES:
                self._got.clear()
            self._got[path] = self._fetch(path)
        return self._got[path]


class Reading:
    """Follows the log into a state of its own. Under the vault's lock."""

    def __init__(self, path: Path, fetch: Fetch, policy: Policy, clock: Clock) -> None:
        """``path``: of the state's file; made again from the log if it is missing."""
        self.state = Known(path)
        self.policy = policy
        self._fetch = fetch
        self._size = self.state.size
        self._follower = Follower(LogReader(fetch, policy), self.state, clock)
        #: The present tree, as followed, and what was fetched of it.
        self.witnessed: Witnessed | None = None
        self.once = Once(fetch)
        #: What we had appended, so that it need not be fetched.
        self.ahead = Ahead()
        self._looked = 0.0

    @property
    def size(self) -> int:
        """Entries read."""
        return self._size

    def follow(self, *, recent: float = 0.0, told: bool = False) -> bool:
        """Read up to the log's present checkpoint; errors as :meth:`Follower.follow`.

        ``recent``: a look at the log that is no more seconds ago will do, if no other process of
        this home has read on since. ``told``: so will the largest tree that the log answered an
        append of ours with. False if that was why nobody looked.
        """
        note, at = self.ahead.note(self._size) if told else (b"", 0.0)
        if note and self._by(note, at):
            return True
        if self.witnessed is not None and not note and (told or self._just(recent)):
            return False
        self._look(monotonic(), Once(self._fetch))
        return True

    def _just(self, recent: float) -> bool:
        return monotonic() - self._looked < recent and self.state.size == self._size

    def _by(self, note: bytes, at: float) -> bool:
        """Follow by a checkpoint that came ``at``; False if the log has to be asked after all.

        It was said to us alone. What does not hold, or is older than what another process of this
        home has read meanwhile, is no reason to refuse anybody: what the log shows to all decides.
        Two trees of one size are proof of a fork, wherever they come from.
        """
        once = Once(self._fetch)
        once.know({"checkpoint": note})
        try:
            self._look(at, once)
        except Error:
            if self._follower.frozen:
                raise
            return False
        return True

    def _look(self, at: float, once: Once) -> None:
        self._follower.reader = LogReader(once, self.policy)
        try:
            # What another process of this home did meanwhile is seen within the transaction.
            with contextlib.suppress(_NothingNewError), self.state.transaction():
                if self.state.size != self._size:
                    self.state.forget()
                self._go_on(once)
        except BaseException:
            self.state.forget()
            raise
        self._size, self._looked = self.state.size, max(self._looked, at)

    def _go_on(self, once: Once) -> None:
        follower, size = self._follower, self.state.size
        seen = None if follower.frozen else follower.present()
        known = self.state.checkpoint(size)
        # The same text, its origin included, as the note that we stand under.
        if seen and known and known[1].startswith(seen.checkpoint.text):
            self.witnessed = seen
            raise _NothingNewError  # so nothing is written, and no disk waited for
        if seen:
            once.know(self.ahead.files(size, seen.checkpoint, self.once))
        self.witnessed = follower.follow(seen)
        self.once = once

    def entries(self, start: int, end: int) -> Iterator[tuple[bytes, Digest | None]]:
        """Entries that were followed, and capsules they speak of; from memory if they are there."""
        heard = self.state.heard
        if all(index in heard for index in range(start, end)):
            yield from (heard[index] for index in range(start, end))
            return
        checkpoint = self._present().checkpoint
        reader = LogReader(self.once, self.policy)
        reader.trust(checkpoint)
        for entry in reader.entries(start, end, checkpoint.size):
            yield entry, capsule_in(entry)

    def entry(self, index: int) -> bytes:
        """One of them."""
        return next(self.entries(index, index + 1))[0]

    def _present(self) -> Witnessed:
        if self.witnessed is None:
            raise UnavailableError("the log was not read yet", hint="try again")
        return self.witnessed

    def present(self) -> tuple[Once, Witnessed]:
        """What :func:`receipts` of the present tree need."""
        return self.once, self._present()


def receipts(
    fetch: Fetch, witnessed: Witnessed, entries: Sequence[tuple[int, bytes]]
) -> Iterator[bytes]:
    """The ``.tlog-proof`` of each entry with its index: one checkpoint, each tile read once."""
    size, root = witnessed.checkpoint.size, witnessed.checkpoint.root
    get = functools.cache(TileTree(fetch, size).get)
    for index, entry in entries:
        hashes = merkle.inclusion_proof(index, size, get)
        merkle.verify_inclusion(index, size, merkle.leaf_hash(entry), hashes, root)
        yield Proof(index, hashes, witnessed.note, entry).format()
