# SPDX-License-Identifier: Apache-2.0
"""Why the vault says no, as a code that programs can tell apart."""

from __future__ import annotations

from incamera.errors import PolicyError

__all__ = ["RefusedError"]


class RefusedError(PolicyError):
    """The rules forbid it. ``code`` is stable: ``unenrolled``, ``erased`` ...; see each rule."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        """``code``: lower-case words joined by ``-``; ``message``, ``hint``: for people."""
        super().__init__(f"{message} ({code})", hint=hint)
        self.code = code
