# SPDX-License-Identifier: Apache-2.0
"""Walking a folder of recordings, in order, without losing a part of it silently."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from incamera.errors import InputError

__all__ = ["walk"]


def walk(path: Path, depth: int = 64) -> Iterator[tuple[Path, list[str]]]:
    """Each folder from ``path`` down to ``depth`` levels below, and its files' names, sorted.

    Hidden folders and links to folders are left out; an unreadable one is an InputError.
    """
    for root, folders, names in os.walk(path, onerror=_unreadable):
        here = Path(root)
        below = len(here.relative_to(path).parts) < depth
        folders[:] = sorted(name for name in folders if below and not name.startswith("."))
        yield here, sorted(names)


def _unreadable(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: cannot read: {error.strerror}") from error
