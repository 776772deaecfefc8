# SPDX-License-Identifier: Apache-2.0
"""Recordings of every known format, told apart by what is there.

A format is one module with ``recognise`` and ``read``, and one line in :data:`READERS`; the
first that recognises a path reads it. ``docs/formats/recordings.md`` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from incamera.errors import InputError
from incamera.recording import mcap_reader, sidecar, teslacam
from incamera.recording.model import Recording
from incamera.recording.sidecar import Options

__all__ = ["READERS", "Options", "Reader", "open_recordings"]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: whether a path is of it, and the recordings in it."""

    name: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Options], Iterator[Recording]]


READERS = (
    Reader("TeslaCam", teslacam.recognise, lambda path, _: teslacam.read(path)),
    Reader("MCAP", mcap_reader.recognise, lambda path, _: mcap_reader.read(path)),
    Reader("videos and pictures, GPX or SRT beside them", sidecar.recognise, sidecar.read),
)


def open_recordings(path: Path, options: Options | None = None) -> Iterator[Recording]:
    """The recordings at ``path``, a file or a folder, one after the other.

    :class:`InputError` if there is nothing, or a single file cannot be read. What cannot be read
    in a folder is in its recording's ``faults``.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    options = options or Options()
    found = False
    for reader in READERS:
        if reader.recognise(path):
            for recording in reader.read(path, options):
                found = True
                yield recording
            break
    if not found:
        raise InputError(f"{path}: no recording in it")
