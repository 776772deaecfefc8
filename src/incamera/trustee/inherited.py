# SPDX-License-Identifier: Apache-2.0
"""Shares a trustee took over from others: kept sealed to its own epoch key, and gone with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from incamera.ids import Digest
from incamera.ledger.database import Database

__all__ = ["Inherited", "NewShare"]

_SCHEMA = """
CREATE TABLE shares (
    capsule BLOB NOT NULL, succession INTEGER NOT NULL, leaf BLOB NOT NULL, seat INTEGER NOT NULL,
    capsule_id BLOB NOT NULL, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL,
    commitment BLOB NOT NULL, PRIMARY KEY (capsule, succession)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class NewShare:
    """One share of one capsule, of the set that a succession named."""

    capsule: Digest
    succession: int
    leaf: Digest  # of the succession's entry
    seat: int  # index of the share, 1..n
    capsule_id: bytes  # 32
    epoch: int  # of our key that opens it
    wrapped: bytes  # 1168, HPKE with info = dealing.own_info
    commitment: Digest


class Inherited:
    """One trustee's new shares, in a file."""

    def __init__(self, path: Path) -> None:
        """``path``: made if missing."""
        self._database = Database(path, schema=_SCHEMA, version=1)

    def get(self, capsule: Digest, succession: int) -> NewShare | None:
        """Our share of ``capsule`` by ``succession``, if we took one over."""
        row = self._database.one(
            "SELECT * FROM shares WHERE capsule = ? AND succession = ?",
            bytes.fromhex(capsule),
            succession,
        )
        if row is None:
            return None
        _, number, leaf, seat, capsule_id, epoch, wrapped, commitment = row
        return NewShare(
            capsule=capsule,
            succession=number,
            leaf=Digest(bytes(leaf).hex()),
            seat=seat,
            capsule_id=bytes(capsule_id),
            epoch=epoch,
            wrapped=bytes(wrapped),
            commitment=Digest(bytes(commitment).hex()),
        )

    def keep(self, found: Iterable[NewShare]) -> None:
        """Keep all of ``found``, or none; a share that is here already stays as it is."""
        with self._database.transaction():
            for each in found:
                self._database.run(
                    "INSERT OR IGNORE INTO shares VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    bytes.fromhex(each.capsule),
                    each.succession,
                    bytes.fromhex(each.leaf),
                    each.seat,
                    each.capsule_id,
                    each.epoch,
                    each.wrapped,
                    bytes.fromhex(each.commitment),
                )

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
