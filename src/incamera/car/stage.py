# SPDX-License-Identifier: Apache-2.0
"""A folder of links to exactly those files that may be looked at: no other one is even opened."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from incamera import durable
from incamera.errors import UnavailableError

__all__ = ["staged"]


@contextlib.contextmanager
def staged(place: Path, folder: Path, paths: Iterable[str]) -> Iterator[Path]:
    """``place`` with links to ``paths`` of ``folder``, laid out as there; gone afterwards."""
    _clear(place)
    durable.folder(place, 0o700)
    try:
        for path in paths:
            link = place / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder.absolute() / path)
        yield place
    finally:
        _clear(place)


def _clear(place: Path) -> None:
    """Also of what a killed worker left."""
    with contextlib.suppress(FileNotFoundError):
        try:
            shutil.rmtree(place)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnavailableError(f"{place}: cannot be emptied: {error.strerror}") from error
