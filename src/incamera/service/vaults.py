# SPDX-License-Identifier: Apache-2.0
"""One vault, opened twice: once to write, under its lock, and once to read what was committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from incamera.clock import monotonic
from incamera.errors import Error
from incamera.ids import Digest
from incamera.vault import Row, Vault

__all__ = ["Vaults"]

_PAUSE = 1.0


class Vaults:
    """Opens the vault when it is first needed: it needs the log, which may not answer yet.

    All calls block. What the opening raises is raised by the call that wanted it, and the next
    call tries again.
    """

    def __init__(self, make: Callable[[], Vault]) -> None:
        """``make``: opens the vault, with connections of its own each time."""
        self._make = make
        self._opening = threading.Lock()
        self._reading = threading.Lock()
        self._writer: Vault | None = None
        self._reader: Vault | None = None
        #: Why it could not be opened, and when: who waits does not try again one by one.
        self._failed: tuple[float, Error] | None = None

    @property
    def writer(self) -> Vault:
        """For acts that take the vault's lock; any number of threads."""
        with self._opening:
            self._writer = self._writer or self._open()
            return self._writer

    def _opened(self) -> Vault:
        """For looks; under ``_reading``. Its rows are never those of a half-done transaction."""
        with self._opening:
            self._reader = self._reader or self._open()
            return self._reader

    def _open(self) -> Vault:
        if self._failed is not None and monotonic() - self._failed[0] < _PAUSE:
            raise self._failed[1]
        try:
            return self._make()
        except Error as error:
            self._failed = (monotonic(), error)
            raise

    def follow(self) -> None:
        """Read on in the log, and obey it."""
        self.writer.follow()

    def submit_all(self, entries: Sequence[bytes]) -> list[int | Error]:
        """As :meth:`Vault.submit_all`."""
        return self.writer.submit_all(entries)

    def rows(self, start: int, count: int, **having: str | None) -> list[Row]:
        """``count`` rows from the ``start``-th on; ``having`` as :meth:`Vault.find` takes it."""
        with self._reading:
            found = self._opened().find(**having)  # type: ignore[arg-type]  # status is checked
            return list(islice(found, start, start + count))

    def row(self, name: Digest) -> Row | None:
        """One capsule's row."""
        with self._reading:
            return self._opened().row(name)

    def path(self, name: Digest) -> Path:
        """One capsule's file; errors as :meth:`Vault.path`."""
        with self._reading:
            return self._opened().path(name)

    def close(self) -> None:
        """Let go of the databases."""
        for each in (self._writer, self._reader):
            if each is not None:
                each.close()
