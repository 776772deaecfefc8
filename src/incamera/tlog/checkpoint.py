# SPDX-License-Identifier: Apache-2.0
"""Checkpoint text (C2SP tlog-checkpoint): origin, size and root of a log, three lines. Pure.

Extension lines are refused: witnesses do not vouch for them and ML-DSA cosignatures do not cover
them, so nobody may come to rely on one.
"""

from __future__ import annotations

from dataclasses import dataclass

from incamera.encoding import base64_bytes, base64_text, decimal
from incamera.errors import InputError
from incamera.tlog.merkle import HASH

__all__ = ["Checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One tree of one log: ``size`` entries with the Merkle root ``root`` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """The three lines that are signed, with the final newline."""
        return f"{self.origin}\n{self.size}\n{base64_text(self.root)}\n".encode()

    @classmethod
    def parse(cls, text: bytes, where: str = "checkpoint") -> Checkpoint:
        """The checkpoint whose ``.text`` is exactly ``text``, else :class:`InputError`."""
        try:
            lines = text.decode("utf-8").split("\n")  # not splitlines: it splits on U+2028 too
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not UTF-8") from error
        if len(lines) != 4 or lines[3]:
            raise InputError(
                f"{where}: expected origin, size and root on three lines and nothing else",
                hint="extension lines are not supported",
            )
        if not lines[0]:
            raise InputError(f"{where}: the origin is empty")
        size = decimal(lines[1], f"{where}: tree size")
        return cls(lines[0], size, base64_bytes(lines[2], f"{where}: root hash", HASH))
