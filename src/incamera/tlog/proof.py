# SPDX-License-Identifier: Apache-2.0
"""Offline proofs (C2SP tlog-proof, ``.tlog-proof`` files): this entry is in that witnessed log.

c2sp.org/tlog-proof@v1
[extra <base64>]                unauthenticated: never rely on it
index <decimal>
<base64 hash>...                the leaf's sibling first

<checkpoint note>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incamera.encoding import base64_bytes, base64_text, decimal
from incamera.errors import InputError
from incamera.tlog import merkle
from incamera.tlog.policy import Policy, Witnessed

__all__ = ["Proof"]

_MAGIC = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """Entry ``index``, the ``hashes`` of its inclusion proof, and the checkpoint ``note``."""

    index: int
    hashes: Sequence[bytes]
    note: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes, where: str = "tlog-proof") -> Proof:
        """The proof whose :meth:`format` is exactly ``data``, else InputError."""
        head, gap, note = data.partition(b"\n\n")
        try:
            magic, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not ASCII before the checkpoint") from error
        if magic != _MAGIC or not gap or not note:
            raise InputError(f"{where}: not a tlog-proof file")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = base64_bytes(lines.pop(0)[6:], f"{where}: extra")
        if not lines or not lines[0].startswith("index "):
            raise InputError(f"{where}: the index line is missing")
        if len(lines) - 1 > merkle.MAX_PROOF:
            raise InputError(f"{where}: more than {merkle.MAX_PROOF} hashes")
        hashes = [base64_bytes(each, f"{where}: hash", merkle.HASH) for each in lines[1:]]
        return cls(decimal(lines[0][6:], f"{where}: index"), tuple(hashes), note, extra)

    def format(self) -> bytes:
        """The file."""
        extra = [] if self.extra is None else [f"extra {base64_text(self.extra)}"]
        lines = [_MAGIC, *extra, f"index {self.index}", *map(base64_text, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.note

    def verify(self, entry: bytes, policy: Policy, where: str = "tlog-proof") -> Witnessed:
        """The witnessed checkpoint that ``entry`` is in; IntegrityError unless all of it holds.

        The policy comes first: an inclusion proof alone only agrees with itself.
        """
        witnessed = policy.check(self.note, where)
        checkpoint = witnessed.checkpoint
        leaf = merkle.leaf_hash(entry)
        merkle.verify_inclusion(self.index, checkpoint.size, leaf, self.hashes, checkpoint.root)
        return witnessed
