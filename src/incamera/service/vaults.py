# SPDX-License-Identifier: Apache-2.0
"""One vault for all threads of a server, opened when it is first needed."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from incamera.clock import monotonic
from incamera.errors import Error, InputError, PolicyError, UnavailableError
from incamera.ids import Digest
from incamera.vault import Row, Source, Vault, Wanted

__all__ = ["Vaults"]

_PAUSE = 1.0
_SWEPT = 3_600
"""Seconds: nobody takes longer from beginning a capsule to its entry in the log."""
_LEFT = 86_400
"""Seconds: who is slower than that is dead."""
_READ_THROUGH = 100, 1 << 28
"""Capsules, and bytes, in a round of the chores: 144,000 a day, at one round a minute."""


def _away(error: Error) -> Error:
    """What is wrong with how a vault is set up is nothing that a caller could mend: it is away."""
    if isinstance(error, (InputError, PolicyError)):
        return UnavailableError(error.message, hint=error.hint)
    return error


class Vaults:
    """Opens the vault when it is first needed: it needs the log, which may not answer yet.

    All calls block. What the opening raises is raised by the call that wanted it, and the next
    call tries again.
    """

    def __init__(self, make: Callable[[], Vault]) -> None:
        """``make``: opens the vault."""
        self._make = make
        self._opening = threading.Lock()
        self._vault: Vault | None = None
        #: Why it could not be opened, and when: who waits does not try again one by one.
        self._failed: tuple[float, Error] | None = None
        #: Anywhere at first: one that is restarted often comes round too.
        self._part = secrets.randbelow(256)

    @property
    def writer(self) -> Vault:
        """The vault; any number of threads."""
        with self._opening:
            self._vault = self._vault or self._open()
            return self._vault

    def _open(self) -> Vault:
        if self._failed is not None and monotonic() - self._failed[0] < _PAUSE:
            raise _away(self._failed[1])
        try:
            return self._make()
        except Error as error:
            self._failed = (monotonic(), error)
            raise _away(error) from error

    def begin(self, seconds: float) -> None:
        """Open the vault now, as its server starts: who set it up is still there to be told.

        :class:`InputError` or :class:`PolicyError` for what is set up wrong. What does not answer
        yet, or not within ``seconds``, is waited for by who calls.
        """
        thread = threading.Thread(target=self._try, name="opening", daemon=True)
        thread.start()
        thread.join(seconds)
        failed = self._failed
        if failed is not None and isinstance(failed[1], (InputError, PolicyError)):
            raise failed[1]

    def _try(self) -> None:
        with contextlib.suppress(Error):
            self.follow()

    def follow(self) -> None:
        """Read on in the log, and obey it."""
        self.writer.follow()

    def sweep(self) -> None:
        """A chore: destroy what was begun long ago and never logged."""
        self.writer.sweep(_SWEPT)

    def read_through(self) -> None:
        """A chore: read the next few kept capsules through, and mark those that are lost."""
        self.writer.read_through(*_READ_THROUGH)

    def tidy(self) -> None:
        """A chore: look at the next 256th of the store for what killed writers left there."""
        self._part = (self._part + 1) % 256
        self.writer.tidy(_LEFT, self._part)

    def admit_all(self, sources: Sequence[Source]) -> list[bytes | Error]:
        """As :meth:`Vault.admit_sources`."""
        return self.writer.admit_sources(sources)

    def submit_all(self, entries: Sequence[bytes]) -> list[int | Error]:
        """As :meth:`Vault.submit_all`."""
        return self.writer.submit_all(entries)

    def rows(self, start: int, count: int, *, after: str = "", **having: str | None) -> list[Row]:
        """``count`` rows by hour; ``having`` as :class:`Wanted` takes it.

        Those after the cursor ``after`` (:attr:`Row.cursor`) cost the same wherever they stand;
        the ``start`` rows that are left out cost a look each.
        """
        wanted = Wanted(**having)  # type: ignore[arg-type]  # the status is checked
        return self.writer.page(wanted, count, after=after, skip=start)

    def row(self, name: Digest) -> Row | None:
        """One capsule's row."""
        return self.writer.row(name)

    def path(self, name: Digest) -> Path:
        """One capsule's file; errors as :meth:`Vault.path`."""
        return self.writer.path(name)

    def local(self, name: Digest) -> AbstractContextManager[Path]:
        """As :meth:`Vault.local`."""
        return self.writer.local(name)

    def pieces(self, name: Digest, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """As :meth:`Vault.pieces`."""
        return self.writer.pieces(name, start, end)

    def size(self, name: Digest) -> int:
        """As :meth:`Vault.size`."""
        return self.writer.size(name)

    def close(self) -> None:
        """Let go of the databases."""
        if self._vault is not None:
            self._vault.close()
