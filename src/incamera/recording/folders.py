# SPDX-License-Identifier: Apache-2.0
"""Walking a folder of recordings, in order, without losing a part of it silently."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from incamera.errors import InputError

__all__ = ["Refused", "walk"]

Refused: TypeAlias = Callable[[Path, str], None]
"""Told of a folder that cannot be looked into, and why, in a sentence that names it."""


def walk(
    path: Path, depth: int = 64, refused: Refused | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """Each folder from ``path`` down to ``depth`` levels below, and its files' names, sorted.

    Hidden folders and links to folders are left out. An unreadable one is an InputError; with
    ``refused``, only if it is ``path`` itself: of others it is told, and the rest goes on.
    """

    def unreadable(error: OSError) -> None:
        where, why = Path(error.filename), f"{error.filename}: cannot read: {error.strerror}"
        if refused is None or where == path:
            raise InputError(why) from error
        refused(where, why)

    for root, folders, names in os.walk(path, onerror=unreadable):
        here = Path(root)
        below = len(here.relative_to(path).parts) < depth
        folders[:] = sorted(name for name in folders if below and not name.startswith("."))
        yield here, sorted(names)
