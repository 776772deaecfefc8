# SPDX-License-Identifier: Apache-2.0
"""Recordings of every known format, told apart by what is there.

A format is one module with ``recognise`` and ``read``, and one line in :data:`READERS`; the
first that recognises a path reads it. ``docs/formats/recordings.md`` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from incamera.errors import InputError
from incamera.recording import mcap_reader, sidecar, teslacam
from incamera.recording.folders import walk
from incamera.recording.model import Recording
from incamera.recording.sidecar import Options

__all__ = ["READERS", "Options", "Reader", "open_recordings"]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: whether a path is of it, and the recordings in it."""

    name: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Options], Iterator[Recording]]


def _placed(
    read: Callable[[Path], Iterator[Recording]],
) -> Callable[[Path, Options], Iterator[Recording]]:
    """For formats that may lack positions: those of ``Options.positions``, if it is given."""
    return lambda path, options: sidecar.place(read(path), options)


READERS = (
    Reader("TeslaCam", teslacam.recognise, _placed(teslacam.read)),
    Reader("MCAP", mcap_reader.recognise, _placed(mcap_reader.read)),
    Reader("video or picture, GPX or SRT beside it", sidecar.recognise, sidecar.read),
)


def open_recordings(path: Path, options: Options | None = None) -> Iterator[Recording]:
    """The recordings at ``path``, one after the other.

    ``path``: a file, a folder of a known format, or a folder of files each read on its own.
    :class:`InputError` if there is nothing, or a single file cannot be read. What cannot be read
    in a folder is in its recording's ``faults``.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    options = options or Options()
    found = False
    for recording in _read(path, options) or _read_each(path, options):
        found = True
        yield recording
    if not found:
        raise InputError(f"{path}: no recording in it")


def _read(path: Path, options: Options) -> Iterator[Recording] | None:
    reader = next((reader for reader in READERS if reader.recognise(path)), None)
    return None if reader is None else reader.read(path, options)


def _read_each(folder: Path, options: Options) -> Iterator[Recording]:
    """The files of a folder of no known format; hidden ones and sidecars are left out."""
    if options.positions is not None:
        raise InputError(f"{folder}: one file of positions cannot serve a folder of recordings")
    for here, names in walk(folder):
        for path in (here / name for name in names if not name.startswith(".")):
            if not path.is_file() or sidecar.is_sidecar(path):
                continue
            relative = path.relative_to(folder)
            try:
                for recording in _read(path, options) or ():
                    yield replace(recording, name=(relative.parent / recording.name).as_posix())
            except InputError as error:
                faults = [f"set aside: {error}" + (f" ({error.hint})" if error.hint else "")]
                yield Recording(relative.as_posix(), {}, sources=[path], faults=faults)
