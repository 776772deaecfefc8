# SPDX-License-Identifier: Apache-2.0
"""Which line of a JSON text a value stands on. Only asked once something is wrong there."""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import TypeAlias

__all__ = ["Place", "line_of", "written"]

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the root of a document to a value."""

_DECODER = JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def written(place: Place) -> str:
    """``place`` as a person would write it: ``features[3].geometry``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step:.60}" for step in place)
    return text.removeprefix(".") or "the document"


def line_of(text: str, place: Place) -> int:
    """The line (from 1) where the value at ``place`` begins, or of its nearest parent there.

    ``text`` must be valid JSON.
    """
    at = _skip(text, 0)
    for step in place:
        found = _key(text, at, step) if isinstance(step, str) else _index(text, at, step)
        if found is None:
            break
        at = found
    return text.count("\n", 0, at) + 1


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _key(text: str, at: int, wanted: str) -> int | None:
    if text[at] != "{":
        return None
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # over the colon
        if key == wanted:
            return at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        at = _skip(text, at + 1)  # over the comma, or past the end
        if at >= len(text):
            return None
    return None


def _index(text: str, at: int, wanted: int) -> int | None:
    if text[at] != "[":
        return None
    at = _skip(text, at + 1)
    for _ in range(wanted):
        if text[at] == "]":
            return None
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] != ",":
            return None
        at = _skip(text, at + 1)
    return at
