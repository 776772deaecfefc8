# SPDX-License-Identifier: Apache-2.0
"""Why nothing is ingested, as a code for programs and a sentence for people."""

from __future__ import annotations

from incamera.errors import PolicyError

__all__ = ["WithheldError"]


class WithheldError(PolicyError):
    """The agent may not look at what was recorded. Nothing is lost by it.

    ``code``: ``clock``, ``log``, ``excluded``, ``exclusions``, ``consent``, ``campaign``,
    ``trustees`` or ``rules``.
    """

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        """``code``: one of those; ``message``, ``hint``: for people."""
        super().__init__(message, hint=hint)
        self.code = code
