# SPDX-License-Identifier: Apache-2.0
"""A trustee's keys: one to sign, one to open shares for each epoch, destroyed when it is over.

::

    home/signing.key        Ed25519
    home/epochs/<n>.key     HPKE; gone once retention ended, and with it every share of that epoch

Removing a file does not clean a flash disk; a deployment keeps ``epochs`` on a volume it can
destroy, or in a device that can.
"""

from __future__ import annotations

import re
from pathlib import Path

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Name, Region
from incamera.ledger.codec import encode
from incamera.ledger.entries import EpochEntry
from incamera.ledger.queries import DAY, Queries
from incamera.sealing.keys import OpeningKey, SigningKey

__all__ = ["Keyring"]

_FILE = re.compile(r"(0|[1-9][0-9]{0,9})\.key", re.ASCII)


class Keyring:
    """The private keys below one home folder."""

    def __init__(self, home: Path) -> None:
        """``home``: made by :meth:`create`."""
        self.home = home
        self.signing = SigningKey.load(home / "signing.key")

    @classmethod
    def create(cls, home: Path) -> Keyring:
        """A new signing key in ``home``; :class:`InputError` if there is one."""
        path = durable.folder(home, mode=0o700) / "signing.key"
        if path.exists():
            raise InputError(f"{path}: exists already: a trustee's key is never replaced here")
        SigningKey.generate().save(path)
        durable.folder(home / "epochs", mode=0o700)
        return cls(home)

    def _path(self, epoch: int) -> Path:
        return self.home / "epochs" / f"{epoch}.key"

    def new_epoch(
        self, name: Name, region: Region, epoch: int, not_before: int, not_after: int, time: int
    ) -> bytes:
        """Make the key of ``epoch`` and return the entry that announces it, to be appended.

        Cars may seal to it from ``not_before`` to ``not_after`` (POSIX seconds). Asked again for
        an epoch whose key is here, it announces that same key.
        """
        path = self._path(epoch)
        if not path.exists():
            OpeningKey.generate().save(path)
        entry = EpochEntry(
            region=region,
            time=time,
            trustee=name,
            epoch=epoch,
            key=OpeningKey.load(path).public,
            not_before=not_before,
            not_after=not_after,
        )
        return encode(entry, self.signing)

    def epoch(self, epoch: int) -> OpeningKey | None:
        """The opening key of ``epoch``, or None if it was destroyed (or never was)."""
        path = self._path(epoch)
        return OpeningKey.load(path) if path.exists() else None

    def epochs(self) -> list[int]:
        """The epochs whose keys are here."""
        folder = self.home / "epochs"
        found = [_FILE.fullmatch(path.name) for path in folder.iterdir()] if folder.exists() else []
        return sorted(int(match.group(1)) for match in found if match)

    def destroy_ended(self, state: Queries, name: Name) -> list[int]:
        """Destroy every key whose retention has ended by witness time; the epochs concerned.

        From then on nobody but the owners can open what was sealed to it, not even all trustees
        together. A key that the log does not know stays: it may be announced yet.
        """
        region, gone = state.region, []
        for epoch in self.epochs():
            known = state.epoch(name, epoch)
            if region and known and state.time > known.not_after + region.retention * DAY:
                durable.remove(self._path(epoch))
                gone.append(epoch)
        return gone
