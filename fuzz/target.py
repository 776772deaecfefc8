# SPDX-License-Identifier: Apache-2.0
"""A parser to fuzz, valid inputs to start from, and the law that holds for what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

__all__ = ["BrokenLawError", "Shape", "Target", "law"]

Shape = Literal["json", "lines", "bytes"]


class BrokenLawError(Exception):
    """A parser took something that it should not have, or read it as something else."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. ``check`` returns if it takes the input and the law holds.

    It raises :class:`incamera.errors.Error` if the parser refuses; anything else is a bug.
    """

    name: str
    shape: Shape
    seeds: Callable[[], Sequence[bytes]]
    """Valid inputs, made once; each must be taken."""
    check: Callable[[bytes], None]
    repair: Callable[[bytes, Random], bytes] | None = None
    """Signs a mutated input anew, so that what stands behind a signature is reached too."""


def law(holds: bool, what: str) -> None:
    """:class:`BrokenLawError` saying ``what``, unless it ``holds``."""
    if not holds:
        raise BrokenLawError(what)
