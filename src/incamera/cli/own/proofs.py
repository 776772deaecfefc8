# SPDX-License-Identifier: Apache-2.0
"""Log entries an owner can show to anybody: each a C2SP ``.tlog-proof`` with the entry in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from incamera.cli.desk import Desk
from incamera.errors import InputError
from incamera.ledger.codec import Signed, decode
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.proof import Proof
from incamera.tlog.reader import LogReader

__all__ = ["Proven", "Prover", "open_proof"]

_KEPT = 64  # tiles and bundles: some MB


@dataclass(frozen=True, slots=True)
class Proven:
    """Entry ``index`` of the witnessed log, its own signature not yet checked."""

    index: int
    signed: Signed
    witnessed: Witnessed


class Prover:
    """Makes proofs under the log's present checkpoint, each verified before it is given out."""

    def __init__(self, desk: Desk) -> None:
        # Entries that stand close together share bundle and tiles.
        self._reader = LogReader(lru_cache(_KEPT)(desk.fetch), desk.log_policy)

    @cached_property
    def witnessed(self) -> Witnessed:
        """The checkpoint that all proofs of this object stand under."""
        return self._reader.checkpoint()

    def proof(self, index: int) -> bytes:
        """The ``.tlog-proof`` of entry ``index``, with the entry in its ``extra`` line."""
        size = self.witnessed.checkpoint.size
        hashes = tuple(self._reader.inclusion(index, size))
        (entry,) = self._reader.entries(index, index + 1, size)
        return Proof(index, hashes, self.witnessed.note, extra=entry).format()


def open_proof(data: bytes, policy: Policy, where: str) -> Proven:
    """What the proof ``data`` proves under ``policy``.

    :class:`InputError` if malformed, :class:`IntegrityError` if it proves nothing.
    """
    proof = Proof.parse(data, where)
    if proof.extra is None:
        raise InputError(f"{where}: the entry is missing")
    witnessed = proof.verify(proof.extra, policy, where)
    return Proven(proof.index, decode(proof.extra, where), witnessed)
