# SPDX-License-Identifier: Apache-2.0
"""A trustee's keys: one to sign, one to open shares for each epoch, destroyed when it is over.

::

    home/signing.key        Ed25519
    home/epochs/<n>.key     HPKE; gone once retention ended, and with it every share of that epoch
    home/epochs/<n>.entry   what announces it in the log, byte for byte

INVARIANT: a key is on disk before its entry is made, and the entry before it is appended. So
after a crash the same bytes are appended again, and the log never has a key that we have not.

Overwriting a file does not clean a flash disk, nor a file system that copies on write; a
deployment keeps ``epochs`` on a volume it can destroy (``docs/operating/keys.md``).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Name, Region
from incamera.ledger.codec import encode
from incamera.ledger.entries import EpochEntry
from incamera.sealing.keys import OpeningKey, SigningKey

__all__ = ["Keyring"]

_FILE = re.compile(r"(0|[1-9][0-9]{0,9})\.key", re.ASCII)


class Keyring:
    """The private keys below one home folder."""

    def __init__(self, home: Path) -> None:
        """``home``: made by :meth:`create`."""
        self.home = home
        self.signing = SigningKey.load(home / "signing.key")
        #: Keys read before, each with what the disk said of its file then.
        self._read: dict[int, tuple[tuple[int, ...], OpeningKey]] = {}

    @classmethod
    def create(cls, home: Path) -> Keyring:
        """A new signing key in ``home``; :class:`InputError` if there is one."""
        path = durable.folder(home, mode=0o700) / "signing.key"
        if path.exists():
            raise InputError(f"{path}: exists already: a trustee's key is never replaced here")
        SigningKey.generate().save(path)
        durable.folder(home / "epochs", mode=0o700)
        return cls(home)

    def _path(self, epoch: int, suffix: str = "key") -> Path:
        return self.home / "epochs" / f"{epoch}.{suffix}"

    def new_epoch(
        self, name: Name, region: Region, epoch: int, not_before: int, not_after: int, time: int
    ) -> bytes:
        """Make the key of ``epoch`` and return the entry that announces it, to be appended.

        Cars may seal to it from ``not_before`` to ``not_after`` (POSIX seconds). Asked again for
        an epoch whose entry was made before, it returns that entry: what was begun is finished.
        """
        path, said = self._path(epoch), self._path(epoch, "entry")
        if path.exists() and said.exists():
            return said.read_bytes()
        durable.folder(path.parent, mode=0o700)
        if not path.exists():
            # Closed as our signing key is: whoever steals the disk has neither.
            OpeningKey.generate().save(path, like=self.home / "signing.key")
        entry = EpochEntry(
            region=region,
            time=time,
            trustee=name,
            epoch=epoch,
            key=OpeningKey.load(path).public,
            not_before=not_before,
            not_after=not_after,
        )
        data = encode(entry, self.signing)
        durable.write(said, data)
        return data

    def epoch(self, epoch: int) -> OpeningKey | None:
        """The opening key of ``epoch``, or None if it was destroyed (or never was).

        Whether it may still be used is not the disk's to say: ``rules.epoch_lasts``.
        """
        try:
            found = os.stat(self._path(epoch))  # noqa: PTH116 - one call tells all of it
        except FileNotFoundError:
            self._read.pop(epoch, None)
            return None
        mark = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if (known := self._read.get(epoch)) is None or known[0] != mark:
            known = (mark, OpeningKey.load(self._path(epoch)))
            self._read[epoch] = known
        return known[1]

    def epochs(self) -> list[int]:
        """The epochs whose keys are here."""
        folder = self.home / "epochs"
        found = [_FILE.fullmatch(path.name) for path in folder.iterdir()] if folder.exists() else []
        return sorted(int(match.group(1)) for match in found if match)

    def has(self, epoch: int) -> bool:
        """True if there is a key file for ``epoch``, whatever is in it."""
        return self._path(epoch).exists()

    def destroy(self, epoch: int) -> None:
        """Overwrite and remove the key of ``epoch``, durably. A missing one is fine.

        Python cannot wipe memory: a process that had read the key may hold it until it ends.
        """
        self._read.pop(epoch, None)
        durable.shred(self._path(epoch))
        durable.remove(self._path(epoch, "entry"))
